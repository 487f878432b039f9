//! Rate limits on Redis: one script decides on all demands of a call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use super::commander::{Commander, Effect};
use super::{reply, script};
use crate::backend::{Demand, LimitStore, Take};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct RedisLimits {
    commander: Arc<Commander>,
}

impl RedisLimits {
    pub(super) fn new(commander: Arc<Commander>) -> Self {
        Self { commander }
    }
}

#[async_trait]
impl LimitStore for RedisLimits {
    async fn take(&self, demands: &[Demand]) -> Result<Vec<Take>> {
        let keys: Vec<&str> = demands.iter().map(|demand| demand.key.as_str()).collect();
        let numbers: Vec<String> = demands
            .iter()
            .flat_map(|demand| {
                [
                    demand.window.limit().to_string(),
                    demand.window.bucket_micros().to_string(),
                    demand.cost.to_string(),
                ]
            })
            .collect();
        let arguments: Vec<&[u8]> = numbers.iter().map(String::as_bytes).collect();
        let only_looks = demands.iter().all(|demand| demand.cost == 0);
        let effect = if only_looks {
            Effect::Read
        } else {
            Effect::Once
        };
        let reply = self
            .commander
            .eval(&script::LIMIT_WINDOW, &keys, &arguments, effect)
            .await?;
        let reply = reply::list(reply)?;
        let (at, answers) = reply.split_first().unwrap_or((&Value::Nil, &[]));
        let at = Duration::from_micros(reply::count(at)?);
        answers.chunks(4).map(|answer| take(answer, at)).collect()
    }
}

fn take(answer: &[Value], at: Duration) -> Result<Take> {
    let [admitted, remaining, retry, reset]: [Value; 4] =
        reply::fields(Value::Array(answer.to_vec()))?;
    let admitted = reply::count(&admitted)? == 1;
    let retry_after = match retry {
        Value::Int(0 | -1) => None,
        other => Some(Duration::from_micros(reply::count(&other)?)),
    };
    Ok(Take {
        admitted,
        remaining: u32::try_from(reply::count(&remaining)?).unwrap_or(u32::MAX),
        retry_after,
        reset_after: Duration::from_micros(reply::count(&reset)?),
        at,
    })
}
