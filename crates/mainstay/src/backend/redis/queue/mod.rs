//! Queues on Redis: one script a call, whose state is laid out in `lua/queue_state.lua`.

mod read;

use std::sync::Arc;

use async_trait::async_trait;
use redis::Value;
use tokio::time::Instant;

use super::cache::millis;
use super::calls::Calls;
use super::commander::{Commander, Effect};
use super::hub::Hub;
use super::script::{self, Script};
use super::{Limits, reply};
use crate::backend::{
    HeldJob, Letter, LetterRules, NewJob, Push, QueueStore, QueueView, Settled, Settlement, Taken,
    Verdict, Wakeups, Want,
};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// What stands beside the key of a queue, in the order in which the scripts are told.
const BESIDE: [&str; 11] = [
    "ready", "jobs", "state", "lease", "delay", "ids", "heads", "lines", "dead", "letters", "idle",
];

#[derive(Debug)]
pub(super) struct RedisQueues {
    commander: Arc<Commander>,
    calls: Calls,
    limits: Limits,
}

fn channel(key: &StoreKey) -> StoreKey {
    key.sibling("w")
}

/// Rounded up, so that nothing is due early.
fn whole_millis(duration: std::time::Duration) -> String {
    duration.as_nanos().div_ceil(1_000_000).to_string()
}

impl RedisQueues {
    pub(super) fn new(commander: Arc<Commander>, hub: Arc<Hub>, limits: Limits) -> Self {
        Self {
            commander,
            calls: Calls::new(hub, limits.command),
            limits,
        }
    }

    async fn eval(
        &self,
        script: &Script,
        key: &StoreKey,
        answer: Option<&str>,
        arguments: &[&[u8]],
        effect: Effect,
    ) -> Result<Value> {
        let beside = BESIDE.map(|suffix| key.companion(suffix));
        let mut keys = Vec::with_capacity(BESIDE.len() + 2);
        keys.push(key.as_str());
        keys.extend(beside.iter().map(String::as_str));
        keys.extend(answer);
        self.commander.eval(script, &keys, arguments, effect).await
    }
}

#[async_trait]
impl QueueStore for RedisQueues {
    async fn push(&self, key: &StoreKey, jobs: &[NewJob<'_>], most: u64) -> Result<Vec<Push>> {
        let (most, channel) = (most.to_string(), channel(key));
        let times = jobs.iter();
        let times = times.map(|job| [millis(job.window), whole_millis(job.delay)]);
        let times: Vec<_> = times.collect();
        let mut words: Vec<&[u8]> = vec![most.as_bytes(), channel.as_str().as_bytes()];
        for (job, [window, delay]) in jobs.iter().zip(&times) {
            words.extend([job.id, window, delay, job.key].map(str::as_bytes));
            words.push(job.content);
        }
        // Its id is known then.
        let effect = Effect::Idempotent;
        let pushed = self.eval(&script::QUEUE_PUSH, key, None, &words, effect);
        read::digits(pushed.await?, jobs.len(), read::push)
    }

    async fn take(&self, key: &StoreKey, want: &Want<'_>) -> Result<Taken> {
        let (most, lease) = (want.most.to_string(), millis(want.lease));
        let (attempts, letters) = (want.rules.attempts.to_string(), want.rules.most.to_string());
        let waits = want.waits.map_or_else(|| "0".to_owned(), millis);
        let (age, channel) = (millis(want.rules.age), channel(key));
        let words = [
            want.consumer,
            &most,
            &lease,
            &attempts,
            &waits,
            channel.as_str(),
            &letters,
            &age,
        ]
        .map(str::as_bytes);
        // Twice would be two deliveries. What nobody has heard of comes again when its lease ends.
        let effect = Effect::Once;
        let taken = self.eval(&script::QUEUE_TAKE, key, None, &words, effect);
        read::taken(taken.await?)
    }

    async fn renew(&self, key: &StoreKey, held: &[HeldJob<'_>], lease: Ttl) -> Result<Vec<bool>> {
        let lease = millis(lease);
        let fences: Vec<_> = held.iter().map(|job| job.fence.to_string()).collect();
        let mut words = vec![lease.as_bytes()];
        for (job, fence) in held.iter().zip(&fences) {
            words.extend([job.id, fence].map(str::as_bytes));
        }
        let effect = Effect::Idempotent;
        let renewed = self.eval(&script::QUEUE_RENEW, key, None, &words, effect);
        read::digits(renewed.await?, held.len(), read::renewed)
    }

    async fn settle(
        &self,
        key: &StoreKey,
        settlements: &[Settlement<'_>],
        rules: &LetterRules,
    ) -> Result<Vec<Settled>> {
        let (attempts, most) = (rules.attempts.to_string(), rules.most.to_string());
        let (age, channel) = (millis(rules.age), channel(key));
        let answer = key.companion(&format!("a:{}", crate::random::token()));
        let numbers = settlements.iter().map(|it| {
            let delay = match it.verdict {
                Verdict::Retry(delay, _) => whole_millis(delay),
                Verdict::Done | Verdict::Back | Verdict::Dead(_) => "0".to_owned(),
            };
            [it.of.fence.to_string(), delay]
        });
        let numbers: Vec<_> = numbers.collect();
        let mut words = vec![attempts.as_str(), &most, &age, channel.as_str()];
        for (it, [fence, delay]) in settlements.iter().zip(&numbers) {
            let (verb, reason) = match it.verdict {
                Verdict::Done => ("done", ""),
                Verdict::Retry(_, reason) => ("retry", reason),
                Verdict::Back => ("back", ""),
                Verdict::Dead(reason) => ("dead", reason),
            };
            words.extend([it.of.id, fence, verb, delay, reason]);
        }
        let words: Vec<_> = words.into_iter().map(str::as_bytes).collect();
        let script = &script::QUEUE_SETTLE;
        let effect = Effect::Idempotent;
        let settled = self.eval(script, key, Some(&answer), &words, effect);
        read::digits(settled.await?, settlements.len(), read::settled)
    }

    async fn seen(&self, key: &StoreKey) -> Result<QueueView> {
        let seen = self.eval(&script::QUEUE_SEEN, key, None, &[], Effect::Read);
        read::view(seen.await?)
    }

    async fn letters(&self, key: &StoreKey, skip: u64, most: u64) -> Result<Vec<Letter>> {
        let (skip, most) = (skip.to_string(), most.to_string());
        let words = [skip.as_bytes(), most.as_bytes()];
        let letters = self.eval(&script::QUEUE_DEAD, key, None, &words, Effect::Read);
        let letters = reply::list(letters.await?)?;
        letters.into_iter().map(read::letter).collect()
    }

    async fn replay(&self, key: &StoreKey, ids: &[&str]) -> Result<u64> {
        let channel = channel(key);
        let mut words = vec![channel.as_str().as_bytes()];
        words.extend(ids.iter().map(|id| id.as_bytes()));
        let effect = Effect::Once;
        let replayed = self.eval(&script::QUEUE_REPLAY, key, None, &words, effect);
        reply::count(&replayed.await?)
    }

    async fn purge(&self, key: &StoreKey, ids: &[&str]) -> Result<u64> {
        let words: Vec<_> = ids.iter().map(|id| id.as_bytes()).collect();
        let effect = Effect::Once;
        let purged = self.eval(&script::QUEUE_PURGE, key, None, &words, effect);
        reply::count(&purged.await?)
    }

    async fn wakeups(&self, key: &StoreKey, consumer: &str) -> Result<Box<dyn Wakeups>> {
        let deadline = Instant::now() + self.limits.command;
        let called = self.calls.wait(key, channel(key), consumer);
        called.is_heard(deadline).await?;
        Ok(Box::new(called))
    }
}
