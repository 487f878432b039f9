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
//! `mainstay_sessions_created_total`, `mainstay_sessions_refused_total` (by a limit of sessions),
//! `mainstay_sessions_revoked_total`, `mainstay_sessions_rotated_total`,
//! `mainstay_session_conflicts_total` (changes made anew, as another changed the same key), and
//! `mainstay_session_touches_failed_total` (uses that could not be written down, as at a full server).
//!
//! # Spans
//! `session.create`, `session.load`, `session.update`, `session.rotate`, `session.authenticate_again`,
//! `session.revoke`, `session.revoke_all`, `session.revoke_others`; none tells an id or a user.

mod builder;
mod change;
mod csrf;
mod device;
mod fields;
mod handle;
mod id;
mod log_in;
mod plain;
mod record;
mod rotate;
mod token;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;

pub use builder::SessionsBuilder;
pub use fields::{Layout, PerKey, Whole};
pub use handle::Sessions;
pub use id::SessionId;
pub use log_in::LogIn;
pub use plain::{PlainSessions, PlainSessionsBuilder};
pub use record::{Issued, LoggedIn, Renewed, Session};
#[cfg(feature = "tower-sessions")]
pub use tower_sessions::TowerSessionStore;

pub use crate::backend::{Device, ListedSession, PlainSession, Saved, SessionRecord, WhenFull};
