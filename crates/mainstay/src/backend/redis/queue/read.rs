//! What the scripts of queues answer.

use std::time::Duration;

use redis::Value;

use crate::backend::redis::reply;
use crate::backend::{Letter, Push, QueueView, Settled, Taken, TakenJob};
use crate::error::Result;

/// A digit for each of so many.
pub(super) fn digits<T>(
    value: Value,
    many: usize,
    meaning: impl Fn(u8) -> Option<T>,
) -> Result<Vec<T>> {
    let digits = reply::bytes(value)?;
    if digits.len() != many {
        return Err(reply::too_short());
    }
    let answers: Option<Vec<_>> = digits.iter().map(|digit| meaning(*digit)).collect();
    answers.ok_or_else(|| reply::unknown_word(&String::from_utf8_lossy(&digits)))
}

pub(super) fn push(digit: u8) -> Option<Push> {
    match digit {
        b'0' => Some(Push::Full),
        b'1' => Some(Push::Added),
        b'2' => Some(Push::Known),
        _ => None,
    }
}

pub(super) fn renewed(digit: u8) -> Option<bool> {
    match digit {
        b'0' => Some(false),
        b'1' => Some(true),
        _ => None,
    }
}

pub(super) fn settled(digit: u8) -> Option<Settled> {
    match digit {
        b'0' => Some(Settled::Lost),
        b'1' => Some(Settled::Settled),
        b'2' => Some(Settled::Exhausted),
        _ => None,
    }
}

pub(super) fn taken(value: Value) -> Result<Taken> {
    let [next, died, jobs] = reply::fields(value)?;
    let jobs = reply::list(jobs)?.into_iter().map(job);
    Ok(Taken {
        jobs: jobs.collect::<Result<_>>()?,
        // Less than nothing: there is none.
        next: reply::count(&next).ok().map(Duration::from_millis),
        died: reply::count(&died)?,
    })
}

fn job(value: Value) -> Result<TakenJob> {
    let [id, fence, attempt, pushed, key, content] = reply::fields(value)?;
    Ok(TakenJob {
        id: reply::text(id)?,
        fence: reply::count(&fence)?,
        attempt: small(&attempt)?,
        pushed: Duration::from_millis(reply::count(&pushed)?),
        key: reply::text(key)?,
        content: reply::bytes(content)?,
    })
}

pub(super) fn letter(value: Value) -> Result<Letter> {
    let [id, attempts, pushed, died, consumer, key, reason, content] = reply::fields(value)?;
    Ok(Letter {
        id: reply::text(id)?,
        attempts: small(&attempts)?,
        pushed: Duration::from_millis(reply::count(&pushed)?),
        died: Duration::from_millis(reply::count(&died)?),
        consumer: reply::text(consumer)?,
        key: reply::text(key)?,
        reason: reply::text(reason)?,
        content: reply::bytes(content)?,
    })
}

pub(super) fn view(value: Value) -> Result<QueueView> {
    let [ready, delayed, in_flight, behind, dead, dropped, lost] = reply::fields(value)?;
    Ok(QueueView {
        ready: reply::count(&ready)?,
        delayed: reply::count(&delayed)?,
        in_flight: reply::count(&in_flight)?,
        behind: reply::count(&behind)?,
        dead: reply::count(&dead)?,
        dropped: reply::count(&dropped)?,
        lost: reply::count(&lost)?,
    })
}

fn small(value: &Value) -> Result<u32> {
    u32::try_from(reply::count(value)?).map_err(|_| reply::too_short())
}
