//! Holders that are stopped or killed: of a semaphore's unit, or of a lock that guards a value.
//!
//! `holder` reads `take` and `write` from standard input. It answers `take` by the fence that it
//! got, `write` by whether it knew that the lock was lost, whether the value was written, and what
//! time it is.

use std::num::NonZeroU32;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::clock::Clock;
use mainstay::lock::{Acquire, FencedWrite, LockGuard};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use super::clock::WorkerClock;
use super::{LOCK_TTL, LOCK_WAIT, Outcome, connect, print};

fn guard(acquire: Acquire) -> Result<LockGuard, &'static str> {
    match acquire {
        Acquire::Acquired(guard) => Ok(guard),
        Acquire::Held { .. } => Err("it did not become free"),
    }
}

/// Takes a unit and keeps it until killed.
pub(super) async fn share(url: &str, name: &str, units: &str) -> Outcome {
    let stay = Mainstay::connect(url).await?;
    let units = units.parse::<NonZeroU32>()?;
    let semaphore = stay.semaphore(name, units).ttl(LOCK_TTL).build()?;
    let guard = guard(semaphore.acquire(LOCK_WAIT).await?)?;
    print(&json!({"fence": guard.fence().get()}))?;
    guard.lost().await;
    Err("a unit was lost".into())
}

pub(super) async fn serve(url: &str, name: &str, ttl: &str) -> Outcome {
    let stay = connect(url).await?;
    let ttl = Duration::from_millis(ttl.parse()?);
    let lock = stay.lock(name).ttl(ttl).build()?;
    let value = stay.fenced_value(name).build()?;
    let mut work = BufReader::new(stdin()).lines();
    let mut held = None;
    while let Some(line) = work.next_line().await? {
        match (line.as_str(), &held) {
            ("take", _) => {
                drop(held.take());
                let guard = guard(lock.acquire(LOCK_WAIT).await?)?;
                print(&json!({"fence": guard.fence().get()}))?;
                held = Some(guard);
            }
            ("write", Some(guard)) => {
                let lost = guard.is_lost();
                // Though it knows: as one would that does not look.
                let written = value.set(guard.fence(), "a holder's").await?;
                let written = written == FencedWrite::Written;
                let unix = WorkerClock.unix().as_secs();
                print(&json!({"lost": lost, "written": written, "unix": unix}))?;
            }
            _ => return Err("expected take, then write".into()),
        }
    }
    Ok(())
}
