//! Changes the data of sessions, key by key.

use std::time::Duration;

use metrics::counter;
use tracing::{Instrument, debug_span};

use super::handle::Sessions;
use super::record::Session;
use super::{SessionId, fields};
use crate::backend::{OnConflict, Save, Saved};
use crate::error::{Error, ErrorKind, Result};
use crate::random;

/// How often a change is made anew when others change the same keys.
const ATTEMPTS: u32 = 100;

/// The pause before another attempt is random up to this, and up to 1 ms for each before.
const PAUSE_MAX: Duration = Duration::from_millis(20);

impl<T> Sessions<T> {
    /// Changes a session's data, and tells what the closure does; `None` when there is no such session.
    ///
    /// Data that is a JSON object (a struct, a map) changes key by key: what others change meanwhile
    /// under other keys stays. When another has changed one of the same keys the closure is called again,
    /// on what is stored now, so that no change is lost: it may only change what it is given. After 100
    /// attempts the call gives up, and changes nothing. Counts as activity.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let sessions = mainstay::Mainstay::memory().sessions::<BTreeMap<String, u32>>().build()?;
    /// let id = sessions.create("ada", &BTreeMap::new()).await?.id;
    /// let visits = sessions
    ///     .update(&id, |data| {
    ///         let visits = data.entry("visits".to_owned()).or_default();
    ///         *visits += 1;
    ///         *visits
    ///     })
    ///     .await?;
    /// assert_eq!(visits, Some(1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A dropped call may have taken effect.
    ///
    /// # Errors
    /// [`Codec`](ErrorKind::Codec) when the data is not a `T` or cannot be encoded;
    /// [`Invalid`](ErrorKind::Invalid) for more data than is allowed;
    /// [`Unavailable`](ErrorKind::Unavailable) when the backend does not answer, or others changed the same
    /// keys at every attempt; [`Unknown`](ErrorKind::Unknown) when the answer was lost: it may have changed.
    pub async fn update<R>(
        &self,
        id: &SessionId,
        change: impl FnMut(&mut T) -> R,
    ) -> Result<Option<R>> {
        match self.load(id).await? {
            Some(mut session) => self.update_loaded(&mut session, change).await,
            None => Ok(None),
        }
    }

    /// As [`update`](Self::update), on a session that was loaded before: one call of the store where
    /// nobody else has changed the same keys since. What was changed in `session` itself is lost.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn update_loaded<R>(
        &self,
        session: &mut Session<T>,
        change: impl FnMut(&mut T) -> R,
    ) -> Result<Option<R>> {
        let span = debug_span!("session.update");
        self.change(session, change).instrument(span).await
    }

    /// Changes a loaded session's data, whatever others have done to it since: of a key that another has
    /// changed as well this write stays, other keys are not touched.
    ///
    /// A dropped call may have taken effect.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn overwrite(
        &self,
        session: &mut Session<T>,
        change: impl FnOnce(&mut T),
    ) -> Result<Saved> {
        let span = debug_span!("session.update");
        let saved = self.attempt(session, change, OnConflict::Overwrite);
        Ok(saved.instrument(span).await?.0)
    }

    /// Changes a loaded session's data, but nothing of it when another has changed one of the same keys
    /// since it was loaded: [`Conflict`](Saved::Conflict) tells which.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use mainstay::session::Saved;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = mainstay::Mainstay::memory().sessions::<BTreeMap<String, u32>>().build()?;
    /// let id = sessions.create("ada", &BTreeMap::new()).await?.id;
    /// let mut one = sessions.load(&id).await?.ok_or("no session")?;
    /// let mut two = one.clone();
    /// let turn_to = |page| move |data: &mut BTreeMap<String, u32>| {
    ///     data.insert("page".to_owned(), page);
    /// };
    /// assert_eq!(sessions.try_update(&mut one, turn_to(1)).await?, Saved::Stored);
    /// let refused = sessions.try_update(&mut two, turn_to(2)).await?;
    /// assert_eq!(refused, Saved::Conflict(vec!["page".to_owned()]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A dropped call may have taken effect.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn try_update(
        &self,
        session: &mut Session<T>,
        change: impl FnOnce(&mut T),
    ) -> Result<Saved> {
        let span = debug_span!("session.update");
        let saved = self.attempt(session, change, OnConflict::Refuse);
        Ok(saved.instrument(span).await?.0)
    }

    /// Makes a change on what is known of the session, once.
    async fn attempt<R>(
        &self,
        session: &mut Session<T>,
        change: impl FnOnce(&mut T) -> R,
        on_conflict: OnConflict,
    ) -> Result<(Saved, R)> {
        let origin = &mut session.origin;
        let mut data = self.join(&origin.stored)?;
        // Of the same value as what follows: a set of another may be written in another order. Fields
        // that are stored and not shown, as those of a later version, are in neither.
        let before = self.split(&data)?;
        let result = change(&mut data);
        let after = self.split(&data)?;
        let changes = fields::changes(&before, &after, &origin.stored);
        if changes.is_empty() {
            session.data = data;
            return Ok((Saved::Stored, result));
        }
        let mut stored = origin.stored.clone();
        fields::apply(&changes, &mut stored);
        fields::check_size(&origin.stored, &stored, self.terms().max_data_bytes)?;
        let save = Save {
            changes: &changes,
            on_conflict,
            lasts: None,
        };
        let saved = match self.store().save(&origin.keys, &save).await? {
            Saved::Stored => {
                origin.stored = stored;
                session.data = data;
                Saved::Stored
            }
            Saved::Conflict(fields) => {
                counter!("mainstay_session_conflicts_total").increment(1);
                let keys = fields.iter().map(|field| fields::key_of(field));
                Saved::Conflict(keys.collect())
            }
            Saved::Ended => Saved::Ended,
        };
        Ok((saved, result))
    }

    async fn change<R>(
        &self,
        session: &mut Session<T>,
        mut change: impl FnMut(&mut T) -> R,
    ) -> Result<Option<R>> {
        for attempt in 1..=ATTEMPTS {
            let attempted = self.attempt(session, &mut change, OnConflict::Refuse);
            match attempted.await? {
                (Saved::Stored, result) => return Ok(Some(result)),
                (Saved::Ended, _) => return Ok(None),
                (Saved::Conflict(_), _) => {
                    let pause = PAUSE_MAX.min(Duration::from_millis(attempt.into()));
                    tokio::time::sleep(random::up_to(pause)).await;
                    let stored = self.store().load(&session.origin.keys).await?;
                    let Some(stored) = stored else {
                        return Ok(None);
                    };
                    session.origin.stored = stored.data;
                }
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "others change the same keys of the session all the time",
        ))
    }
}
