//! Releases what nobody will release any more.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::handle::Shared;

/// Releases in the background, for at most the command timeout.
///
/// Without a runtime nothing can be sent: the lease then ends by itself.
pub(super) fn release(lock: Arc<Shared>, owner: String) {
    let Ok(runtime) = Handle::try_current() else {
        tracing::debug!(lock = %lock.name, "no runtime to release on: the lease will expire");
        return;
    };
    runtime.spawn(async move { release_now(&lock, &owner).await });
}

async fn release_now(lock: &Shared, owner: &str) {
    let released = timeout(lock.command_timeout, lock.store.release(&lock.key, owner)).await;
    match released {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(lock = %lock.name, %error, "lock not released: its lease will expire");
        }
        Err(_) => {
            tracing::warn!(lock = %lock.name, "lock not released in time: its lease will expire");
        }
    }
}

/// Releases on drop whatever an attempt may have taken.
pub(super) struct Orphan {
    lock: Arc<Shared>,
    owner: String,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Nothing,
    Perhaps,
}

impl Orphan {
    pub(super) fn new(lock: Arc<Shared>) -> Self {
        let owner = format!("{}.{}", lock.claim.units, crate::random::token());
        Self {
            lock,
            owner,
            state: State::Nothing,
        }
    }

    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    /// From now on the store may count the owner as the holder.
    pub(super) fn may_hold(&mut self) {
        self.state = State::Perhaps;
    }

    /// The store has said that nothing is held.
    pub(super) fn holds_nothing(&mut self) {
        self.state = State::Nothing;
    }

    /// Releases before the caller goes on, who may end the process: what is left to the background
    /// would be lost then.
    pub(super) async fn give_up(mut self) {
        if self.state == State::Perhaps {
            release_now(&self.lock, &self.owner).await;
            self.state = State::Nothing;
        }
    }

    /// Hands the duty to release to the caller.
    pub(super) fn into_owner(mut self) -> String {
        self.state = State::Nothing;
        std::mem::take(&mut self.owner)
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if self.state == State::Perhaps {
            release(Arc::clone(&self.lock), std::mem::take(&mut self.owner));
        }
    }
}
