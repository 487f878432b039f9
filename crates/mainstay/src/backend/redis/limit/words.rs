//! What the scripts are told, and what they answer.

use std::time::Duration;

use redis::Value;

use super::scripts;
use crate::backend::redis::reply;
use crate::backend::{Demand, Rule, Take};
use crate::error::Result;

/// The six words of a demand: algorithm, limit, three of the algorithm's own, cost. `second` is about
/// now, for windows of a calendar.
pub(super) fn of(demand: &Demand, second: u64) -> Result<[String; 6]> {
    let rule = &demand.rule;
    let own = match rule {
        Rule::Window(rule) => numbers([rule.bucket_micros(), 0, 0]),
        Rule::Gcra(rule) => numbers([rule.interval_ticks(), rule.ticks_per_micro(), 0]),
        Rule::Fixed(rule) => numbers(rule.calendar().windows(second)?),
        Rule::Exact(rule) => numbers([rule.period_micros(), 0, 0]),
        Rule::Concurrent(rule) => {
            let permit = demand.permit.clone().unwrap_or_default();
            [rule.lease_micros().to_string(), "0".to_owned(), permit]
        }
    };
    let [a, b, c] = own;
    let [limit, cost] = [rule.limit(), demand.cost].map(|number| number.to_string());
    Ok([scripts::word(rule).to_owned(), limit, a, b, c, cost])
}

fn numbers(numbers: [u64; 3]) -> [String; 3] {
    numbers.map(|number| number.to_string())
}

/// What a script has to say.
pub(super) enum Answer<T> {
    Given(T),
    /// It is this second there, which is in no window that was sent.
    Asked(u64),
}

/// The answer of `limit_take.lua` on so many demands.
pub(super) fn takes(reply: Value, demands: usize) -> Result<Answer<Vec<Take>>> {
    let reply = reply::list(reply)?;
    let (at, answers) = reply.split_first().ok_or_else(reply::too_short)?;
    let at = Duration::from_micros(reply::count(at)?);
    if answers.is_empty() && demands > 0 {
        return Ok(Answer::Asked(at.as_secs()));
    }
    if answers.len() != 4 * demands {
        return Err(reply::too_short());
    }
    let takes = answers.chunks(4).map(|answer| take(answer, at));
    takes.collect::<Result<_>>().map(Answer::Given)
}

fn take(answer: &[Value], at: Duration) -> Result<Take> {
    let [admitted, remaining, retry, reset] = answer else {
        return Err(reply::too_short());
    };
    let retry_after = match retry {
        Value::Int(0 | -1) => None,
        other => Some(Duration::from_micros(reply::count(other)?)),
    };
    Ok(Take {
        admitted: reply::count(admitted)? == 1,
        remaining: reply::count(remaining)?,
        retry_after,
        reset_after: Duration::from_micros(reply::count(reset)?),
        at,
    })
}

/// The answer of `limit_refund.lua`.
pub(super) fn refunded(reply: &Value) -> Result<Answer<u64>> {
    match reply {
        Value::Array(now) => {
            let now = now.first().ok_or_else(reply::too_short)?;
            let at = Duration::from_micros(reply::count(now)?);
            Ok(Answer::Asked(at.as_secs()))
        }
        count => reply::count(count).map(Answer::Given),
    }
}
