//! How long plain sessions live.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::PlainSessions;
use crate::backend::{PlainLayout, PlainSessionStore};
use crate::error::Result;
use crate::ttl::Ttl;

/// Defines [`PlainSessions`]; made by [`Mainstay::plain_sessions`](crate::Mainstay::plain_sessions).
///
/// ```
/// use std::time::Duration;
/// use mainstay::{ErrorKind, Mainstay};
///
/// # fn main() -> mainstay::Result<()> {
/// let stay = Mainstay::memory();
/// stay.plain_sessions().ttl(Duration::from_hours(8)).build()?;
/// let refused = stay.plain_sessions().ttl(Duration::ZERO).build();
/// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct PlainSessionsBuilder {
    store: Arc<dyn PlainSessionStore>,
    layout: PlainLayout,
    ttl: Duration,
}

impl PlainSessionsBuilder {
    pub(crate) fn new(store: Arc<dyn PlainSessionStore>, layout: PlainLayout) -> Self {
        Self {
            store,
            layout,
            ttl: Duration::from_hours(24),
        }
    }

    /// A session ends after this long, used or not; default 24 h, as in the recipe. No longer than
    /// that of any other program that shares the sessions: their log-ins give a user's listing their
    /// own time.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the time is no [`Ttl`].
    pub fn build(self) -> Result<PlainSessions> {
        let ttl = Ttl::new(self.ttl)?;
        Ok(PlainSessions::new(self.store, self.layout, ttl))
    }
}

impl fmt::Debug for PlainSessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainSessionsBuilder")
            .field("layout", &self.layout)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
