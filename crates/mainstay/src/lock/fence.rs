//! The number that makes a lock safe.

use std::fmt;

/// Rises with every new holder of a name.
///
/// A resource that remembers the highest fence it has seen, and refuses a smaller one, is safe
/// from a holder that does not know yet that it lost the lock.
///
/// ```
/// use mainstay::lock::Acquire;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let lock = mainstay::Mainstay::memory().lock("report").build()?;
/// let Acquire::Acquired(guard) = lock.try_acquire().await? else {
///     panic!("nobody else holds it");
/// };
/// assert_eq!(guard.fence().to_string(), guard.fence().get().to_string());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(u64);

impl From<u64> for Fence {
    /// A fence that came as a number, with a request or out of a database.
    fn from(fence: u64) -> Self {
        Self(fence)
    }
}

impl Fence {
    /// The number, to send along with a write.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
