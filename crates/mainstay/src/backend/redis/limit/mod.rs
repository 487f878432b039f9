//! Rate limits on Redis: one script decides on all demands of a call.

mod scripts;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use redis::Value;

use self::scripts::LimitScripts;
use self::words::Answer;
use super::commander::{Commander, Effect};
use super::reply;
use super::script::Script;
use crate::backend::{Charge, Demand, LimitStore, Take};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;

/// How often a script is asked again because the server's clock shows another window of the calendar.
const WINDOWS_TRIED: usize = 3;

#[derive(Debug)]
pub(super) struct RedisLimits(Arc<Scripted>);

#[derive(Debug)]
struct Scripted {
    commander: Arc<Commander>,
    clock: Arc<dyn Clock>,
    /// How many seconds the server's clock is ahead of ours, as was seen last.
    ahead: AtomicI64,
}

/// What a script is run with.
struct Call<'a> {
    script: &'a Script,
    demands: &'a [Demand],
    first_word: String,
    /// One key, and one word, more.
    token: Option<(&'a StoreKey, String)>,
    effect: Effect,
}

impl RedisLimits {
    pub(super) fn new(commander: Arc<Commander>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Scripted {
            commander,
            clock,
            ahead: AtomicI64::new(0),
        }))
    }
}

impl Scripted {
    /// Demands whose keys one script may be given, in their order: were it another each time, calls
    /// could deny each other what neither gets.
    fn by_slot(&self, demands: &[Demand]) -> Vec<Vec<usize>> {
        let keys: Vec<_> = demands.iter().map(|demand| &demand.key).collect();
        let mut slots = self.commander.by_script(&keys);
        slots.sort_unstable();
        slots
    }

    async fn take_together(&self, demands: &[Demand], charge: Charge<'_>) -> Result<Vec<Take>> {
        let (charges, token, effect) = match charge {
            Charge::No => ("0", None, Effect::Read),
            Charge::Yes if demands.iter().all(|it| it.cost == 0) => ("1", None, Effect::Read),
            Charge::Yes => ("1", None, Effect::Once),
            Charge::Once(key, time) => {
                let token = (key, time.as_millis().to_string());
                ("1", Some(token), Effect::Idempotent)
            }
            Charge::Renew => ("2", None, Effect::Idempotent),
        };
        let call = Call {
            script: &LimitScripts::of(demands).take,
            demands,
            first_word: charges.to_owned(),
            token,
            effect,
        };
        self.run(&call, |reply| words::takes(reply, demands.len()))
            .await
    }

    async fn refund_together(&self, demands: &[Demand], at: Duration) -> Result<u64> {
        let call = Call {
            script: &LimitScripts::of(demands).refund,
            demands,
            first_word: at.as_micros().to_string(),
            token: None,
            effect: Effect::Once,
        };
        self.run(&call, |reply| words::refunded(&reply)).await
    }

    /// Runs a script until it has been told the windows of its time.
    async fn run<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(Value) -> Result<Answer<T>>,
    ) -> Result<T> {
        let here = self.clock.unix().as_secs();
        let mut second = here.saturating_add_signed(self.ahead.load(Ordering::Relaxed));
        for _ in 0..WINDOWS_TRIED {
            match read(self.run_at(call, second).await?)? {
                Answer::Given(answer) => return Ok(answer),
                Answer::Asked(there) => {
                    let ahead = there.checked_signed_diff(here).unwrap_or(0);
                    self.ahead.store(ahead, Ordering::Relaxed);
                    second = there;
                }
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the server's clock went from one window of the calendar to another at each attempt",
        ))
    }

    async fn run_at(&self, call: &Call<'_>, second: u64) -> Result<Value> {
        let mut keys: Vec<_> = call.demands.iter().map(|it| it.key.as_str()).collect();
        let mut texts = vec![call.first_word.clone()];
        for demand in call.demands {
            texts.extend(words::of(demand, second)?);
        }
        if let Some((key, time)) = &call.token {
            keys.push(key.as_str());
            texts.push(time.clone());
        }
        let arguments: Vec<_> = texts.iter().map(String::as_bytes).collect();
        self.commander
            .eval(call.script, &keys, &arguments, call.effect)
            .await
    }

    /// Looks everywhere, then charges one slot after the other; what was charged is given back when a
    /// later one has been used up meanwhile, or does not answer.
    async fn take_apart(
        &self,
        parts: &[Vec<Demand>],
        charge: Charge<'_>,
    ) -> Result<Vec<Vec<Take>>> {
        let looks = parts
            .iter()
            .map(|part| self.take_together(part, Charge::No));
        let mut takes = try_join_all(looks).await?;
        if charge == Charge::No || !takes.iter().flatten().all(|take| take.admitted) {
            return Ok(takes);
        }
        let mut charged = Vec::new();
        let mut outcome = Ok(());
        for (part, seen) in parts.iter().zip(&mut takes) {
            match self.take_together(part, Charge::Yes).await {
                Ok(answer) if answer.iter().all(|take| take.admitted) => {
                    charged.push((part, std::mem::replace(seen, answer)));
                    continue;
                }
                Ok(answer) => *seen = answer,
                Err(error) => outcome = Err(error),
            }
            self.give_back(&charged, &takes).await;
            let before = charged.into_iter().map(|(_, seen)| seen);
            for (answers, before) in takes.iter_mut().zip(before) {
                *answers = before;
            }
            return outcome.map(|()| takes);
        }
        Ok(takes)
    }

    /// As far as the store answers.
    async fn give_back(&self, charged: &[(&Vec<Demand>, Vec<Take>)], takes: &[Vec<Take>]) {
        let refunds = charged.iter().zip(takes).map(|((part, _), answers)| {
            let at = answers.first().map_or(Duration::ZERO, |take| take.at);
            self.refund_together(part, at)
        });
        for refund in join_all(refunds).await {
            if let Err(error) = refund {
                tracing::warn!(%error, "a denied call is charged in part: it could not be given back");
            }
        }
    }

    /// Each by itself: what one node does not answer is no reason to end the permits of another.
    async fn renew_apart(&self, parts: &[Vec<Demand>]) -> Result<Vec<Vec<Take>>> {
        let renewals = parts
            .iter()
            .map(|part| self.take_together(part, Charge::Renew));
        join_all(renewals).await.into_iter().collect()
    }
}

#[async_trait]
impl LimitStore for RedisLimits {
    async fn take(&self, demands: &[Demand], charge: Charge<'_>) -> Result<Vec<Take>> {
        let slots = match demands {
            [] | [_] => Vec::new(),
            several => self.0.by_slot(several),
        };
        let parts =
            || -> Vec<Vec<Demand>> { slots.iter().map(|slot| chosen(demands, slot)).collect() };
        let takes = match (slots.len(), charge) {
            (0 | 1, _) => return self.0.take_together(demands, charge).await,
            (_, Charge::No) => self.0.take_apart(&parts(), charge).await,
            (_, Charge::Yes) => {
                let (this, parts) = (Arc::clone(&self.0), parts());
                // What is charged in part is given back though the caller has gone.
                let taking = async move { this.take_apart(&parts, Charge::Yes).await };
                tokio::spawn(taking).await.unwrap_or_else(|ended| {
                    let why = "the call ended before it was decided";
                    Err(Error::with_source(ErrorKind::Unknown, why, ended))
                })
            }
            (_, Charge::Once(..)) => Err(Error::invalid(
                "a call with a token must be of one subject on a Cluster",
            )),
            (_, Charge::Renew) => self.0.renew_apart(&parts()).await,
        };
        Ok(in_order(&slots, takes?))
    }

    async fn refund(&self, demands: &[Demand], at: Duration) -> Result<u64> {
        let parts = self.0.by_slot(demands);
        let parts: Vec<Vec<Demand>> = parts.iter().map(|slot| chosen(demands, slot)).collect();
        let refunds = parts.iter().map(|part| self.0.refund_together(part, at));
        let refunds = join_all(refunds).await;
        let counts: Result<Vec<u64>> = refunds.into_iter().collect();
        Ok(counts?.iter().sum())
    }

    async fn reset(&self, keys: &[StoreKey]) -> Result<u64> {
        let resets = keys.iter().map(|key| async move {
            let words = ["DEL", key.as_str()].map(str::as_bytes);
            let effect = Effect::Idempotent;
            let removed = self.0.commander.run(key.as_str(), &words, effect).await?;
            reply::count(&removed)
        });
        let resets: Result<Vec<u64>> = join_all(resets).await.into_iter().collect();
        Ok(resets?.iter().sum())
    }
}

fn chosen(demands: &[Demand], indices: &[usize]) -> Vec<Demand> {
    let of = indices.iter().filter_map(|index| demands.get(*index));
    of.cloned().collect()
}

/// The answers of several slots in the order of the demands.
fn in_order(slots: &[Vec<usize>], takes: Vec<Vec<Take>>) -> Vec<Take> {
    let indices = slots.iter().flatten();
    let mut placed: Vec<_> = indices.zip(takes.into_iter().flatten()).collect();
    placed.sort_by_key(|(index, _)| **index);
    placed.into_iter().map(|(_, take)| take).collect()
}
