//! Several instances of a service, one of which does the regular work.
//!
//! What to copy from it: [`lead`], which works only while its instance leads, and
//! [`Ledger::record`], whose write is refused when another has led since. Start it twice, or as
//! often as you like, and stop one (`kill -STOP`, `kill -9`, Ctrl-C):
//!
//! ```text
//! MAINSTAY_URL=redis://127.0.0.1:6379 cargo run -p scheduler -- ledger.db
//! ```

mod leader;
mod ledger;

pub use leader::lead;
pub use ledger::{Ledger, Recorded};
