//! One of many processes leads.

use std::fmt;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::builder::Terms;
use super::inspect::Holding;
use super::watch::LockWatch;
use super::{Acquire, Fence, Lock};
use crate::error::Result;
use crate::key::Name;

/// How long a candidate asks for the lock before it starts over.
const CANDIDACY: Duration = Duration::from_hours(1);

/// Pause after an error of the backend.
const PAUSE: Duration = Duration::from_secs(1);

/// Chooses one leader at a time among the processes that campaign.
///
/// The leader holds the [`Lock`] of the same name: `mainstay lock show` tells who leads, and a
/// leader that does not renew is followed by who has campaigned longest.
///
/// ```
/// use mainstay::lock::Leadership;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let election = mainstay::Mainstay::memory().election("scheduler").build()?;
/// let mut candidacy = election.campaign();
/// let Leadership::Elected(tenure) = candidacy.next().await else {
///     panic!("nobody led before");
/// };
/// assert!(tenure.check().is_ok());
/// assert_eq!(election.leader().await?.and_then(|leader| leader.fence), Some(tenure.fence()));
/// candidacy.resign().await;
/// assert!(election.leader().await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Election {
    lock: Lock,
}

/// Defines an [`Election`]; made by [`Mainstay::election`](crate::Mainstay::election).
#[must_use]
pub struct ElectionBuilder {
    terms: Terms,
    name: String,
}

/// A change of who leads, as one candidate sees it.
#[derive(Debug, Clone)]
#[must_use]
pub enum Leadership {
    /// This candidate leads; the tenure's [`fence`](LockWatch::fence) is the number of the term, to
    /// be sent with every write, and [`lost`](LockWatch::lost) its end.
    Elected(LockWatch),
    /// It does not lead any more.
    Lost {
        /// The term that has ended.
        term: Fence,
    },
}

/// A process that wants to lead; dropping it gives that up, and the leadership.
#[must_use = "a dropped candidate does not lead"]
pub struct Candidacy {
    standing: watch::Receiver<Option<LockWatch>>,
    /// The term that was told last, if it was not told that it has ended.
    told: Option<Fence>,
    /// Dropped to say so.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl ElectionBuilder {
    pub(crate) fn new(terms: Terms, name: &str) -> Self {
        Self {
            terms,
            name: name.to_owned(),
        }
    }

    /// How long a leader that has died leads on; 100 ms to 24 h, default 30 s.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = ttl;
        self
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`] or the ttl is out of
    /// its range.
    pub fn build(self) -> Result<Election> {
        let lock = self.terms.lock(&self.name)?;
        Ok(Election { lock })
    }
}

impl Election {
    /// The name.
    pub fn name(&self) -> &Name {
        self.lock.name()
    }

    /// Who leads now. Cancel safe.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer.
    pub async fn leader(&self) -> Result<Option<Holding>> {
        Ok(self.lock.inspect().await?.holding)
    }

    /// Wants to lead from now on, through every outage, until the candidacy is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn campaign(&self) -> Candidacy {
        let (known, standing) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        Candidacy {
            standing,
            told: None,
            stop,
            task: tokio::spawn(campaign(self.lock.clone(), known, stopped)),
        }
    }
}

impl Candidacy {
    /// The next change: elections and losses take turns, beginning with an election. Cancel safe.
    ///
    /// Who asks late is told of the latest term only, after the loss of the one it knows.
    pub async fn next(&mut self) -> Leadership {
        loop {
            let standing = self.standing.borrow_and_update().clone();
            let tenure = standing.filter(|tenure| !tenure.is_lost());
            match (self.told, &tenure) {
                (Some(term), Some(tenure)) if tenure.fence() == term => {}
                (Some(term), _) => {
                    self.told = None;
                    return Leadership::Lost { term };
                }
                (None, Some(tenure)) => {
                    self.told = Some(tenure.fence());
                    return Leadership::Elected(tenure.clone());
                }
                (None, None) => {}
            }
            let lost = async {
                match &tenure {
                    Some(tenure) => tenure.lost().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Ok(()) = self.standing.changed() => {}
                () = lost => {}
                else => std::future::pending().await,
            }
        }
    }

    /// The changes, as [`next`](Self::next) tells them.
    pub fn into_stream(self) -> impl Stream<Item = Leadership> + Send {
        stream::unfold(self, |mut candidacy| async {
            let change = candidacy.next().await;
            Some((change, candidacy))
        })
    }

    /// Gives up the candidacy, and the leadership to whoever comes next; completes when that is
    /// done, or has failed and the lease ends by itself.
    ///
    /// Cancel safe: a dropped call resigns in the background, as a dropped candidacy does.
    pub async fn resign(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::debug!(%error, "the candidate's task had ended");
        }
    }
}

/// Until it is told to stop, or nobody can tell any more.
async fn campaign(
    lock: Lock,
    standing: watch::Sender<Option<LockWatch>>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let acquired = tokio::select! {
            acquired = lock.acquire(CANDIDACY) => acquired,
            _ = &mut stopped => return,
        };
        match acquired {
            Ok(Acquire::Acquired(guard)) => {
                tracing::info!(election = %lock.name(), term = %guard.fence(), "elected");
                standing.send_replace(Some(guard.watch()));
                let has_resigned = tokio::select! {
                    () = guard.lost() => false,
                    _ = &mut stopped => true,
                };
                standing.send_replace(None);
                if let Err(error) = guard.release().await {
                    tracing::warn!(election = %lock.name(), %error, "not released: the lease will expire");
                }
                if has_resigned {
                    return;
                }
            }
            Ok(Acquire::Held { .. }) => {}
            Err(error) => {
                tracing::warn!(election = %lock.name(), %error, "cannot campaign: trying again");
                let clock = &lock.shared().clock;
                tokio::select! {
                    () = clock.sleep_until(clock.now().after(PAUSE)) => {}
                    _ = &mut stopped => return,
                }
            }
        }
    }
}

impl fmt::Debug for ElectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElectionBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Candidacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidacy")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
