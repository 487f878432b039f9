//! Sessions that can be revoked at once, one by one or all of a user's.
//!
//! A session's id is random and only its hash is stored. All keys of a user share a tag derived
//! from the user, so every operation is one atomic step on the server, Cluster included.
//!
//! ```
//! use mainstay::Mainstay;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stay = Mainstay::memory();
//! let sessions = stay.sessions::<Vec<String>>().secret("32 random bytes from a vault").build()?;
//!
//! let issued = sessions.create("ada", &vec!["admin".to_owned()]).await?;
//! let session = sessions.load(&issued.id).await?.ok_or("no session")?;
//! assert_eq!(session.data, ["admin"]);
//!
//! assert_eq!(sessions.revoke_all("ada").await?, 1);
//! assert!(sessions.load(&issued.id).await?.is_none());
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//! `mainstay_sessions_created_total`, `mainstay_sessions_revoked_total`.

mod builder;
mod handle;
mod id;
mod record;

pub use builder::SessionsBuilder;
pub use handle::Sessions;
pub use id::SessionId;
pub use record::{Issued, Session};

pub use crate::backend::{ListedSession, SessionRecord};
