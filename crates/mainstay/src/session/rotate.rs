//! Gives sessions other ids.

use metrics::counter;
use tracing::{Instrument, debug_span};

use super::handle::Sessions;
use super::record::Renewed;
use super::{Issued, SessionId};
use crate::backend::{Handover, Rotated, Rotation, SUCCESSORS_MAX, SessionTimes};
use crate::error::Result;
use crate::random;

impl<T> Sessions<T> {
    /// Moves a session to a new id, for an id that is not used for long.
    ///
    /// The old id leads to the session until the [grace](super::SessionsBuilder::grace) is over, which
    /// begins when the new id is used first: requests on their way go on, and a client that never saw the
    /// answer is told again, by [`renewed`](super::Session::renewed). Callers that rotate one session at a
    /// time get one new id: it follows from the old one (RFC 2104, under a random number that the store
    /// keeps), which is why the store need not know it. Absolute deadline, data and the time of log-in are
    /// carried over.
    ///
    /// A dropped call may have taken effect, which is harmless, as is repeating it.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when the
    /// backend does not answer: the old id goes on.
    pub async fn rotate(&self, id: &SessionId) -> Result<Renewed> {
        self.move_from(id)
            .instrument(debug_span!("session.rotate"))
            .await
    }

    /// Moves a session to a new id when its user has authenticated again, which is when
    /// [`authenticated_for`](super::Session::authenticated_for) starts anew: before what needs a fresh
    /// password or a second factor.
    ///
    /// Nobody learns the new id by the old one, which works for the [grace](super::SessionsBuilder::grace)
    /// from now, as one that has not authenticated again.
    ///
    /// Not cancel safe: after a dropped call, or one whose answer is lost, the session may have an id that
    /// nobody has, and ends with the grace.
    ///
    /// # Errors
    /// As [`rotate`](Self::rotate).
    pub async fn authenticate_again(&self, id: &SessionId) -> Result<Renewed> {
        self.step_up(id)
            .instrument(debug_span!("session.authenticate_again"))
            .await
    }

    async fn move_from(&self, id: &SessionId) -> Result<Renewed> {
        let derivation = random::token();
        let successor = id.successor(&derivation);
        match self
            .place(id, &successor, Handover::Derived(&derivation))
            .await?
        {
            Rotated::Done(times) => Ok(moved(successor, times)),
            Rotated::Ended => Ok(Renewed::Ended),
            // Another came first: the id that everybody gets is found by the old one.
            Rotated::Before(_) => {
                let Some(session) = self.load(id).await? else {
                    return Ok(Renewed::Ended);
                };
                let times = SessionTimes {
                    expires_in: session.expires_in,
                    absolute_in: session.absolute_in,
                };
                let renewed = session.renewed;
                Ok(renewed.map_or(Renewed::Elsewhere, |id| issued(id, times)))
            }
        }
    }

    async fn step_up(&self, id: &SessionId) -> Result<Renewed> {
        let mut id = id.clone();
        for _ in 0..=SUCCESSORS_MAX {
            let successor = SessionId::random(&id.tag());
            match self.place(&id, &successor, Handover::Authenticated).await? {
                Rotated::Done(times) => return Ok(moved(successor, times)),
                Rotated::Ended => return Ok(Renewed::Ended),
                Rotated::Before(Some(derivation)) => id = id.successor(&derivation),
                Rotated::Before(None) => break,
            }
        }
        Ok(Renewed::Elsewhere)
    }

    async fn place(
        &self,
        id: &SessionId,
        successor: &SessionId,
        handover: Handover<'_>,
    ) -> Result<Rotated> {
        let rotation = Rotation {
            id_hash: &successor.hash(),
            handover,
            grace: self.terms().grace,
        };
        let keys = self.keys(&id.tag(), id.hash());
        self.store().rotate(&keys, &rotation).await
    }
}

fn moved(id: SessionId, times: SessionTimes) -> Renewed {
    counter!("mainstay_sessions_rotated_total").increment(1);
    issued(id, times)
}

fn issued(id: SessionId, times: SessionTimes) -> Renewed {
    Renewed::Issued(Issued {
        id,
        expires_in: times.expires_in,
        absolute_in: times.absolute_in,
    })
}
