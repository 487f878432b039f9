//! Rate limits in memory: the algorithms of the scripts of `limit_*.lua`, which must decide alike.

mod concurrent;
mod exact;
mod fixed;
mod gcra;
mod view;
mod window;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use self::view::{State, View};
use super::expiring::ExpiringMap;
use crate::backend::unpoisoned::lock;
use crate::backend::{Charge, Demand, LimitStore, Rule, Take};
use crate::clock::Clock;
use crate::error::Result;
use crate::key::StoreKey;

/// States expire on the wall clock, as the windows are cut from it.
pub(super) struct MemoryLimits {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

struct Kept {
    /// States at most; beyond, the one that would expire first makes room.
    most: usize,
    states: ExpiringMap<StoreKey, State, Duration>,
    /// What calls were answered that may come again.
    answers: ExpiringMap<StoreKey, Vec<Take>, Duration>,
}

impl MemoryLimits {
    pub(super) fn new(clock: Arc<dyn Clock>, most: usize) -> Self {
        Self {
            clock,
            kept: Mutex::new(Kept {
                most,
                states: ExpiringMap::default(),
                answers: ExpiringMap::default(),
            }),
        }
    }

    /// Read under the lock: a later call never decides by an earlier time.
    fn now_micros(&self) -> u64 {
        whole_micros(self.clock.unix())
    }
}

impl Kept {
    fn look<'a>(
        &mut self,
        now_micros: u64,
        demands: &'a [Demand],
        charge: Charge<'_>,
    ) -> Result<Vec<(&'a Demand, Box<dyn View>)>> {
        let at = Duration::from_micros(now_micros);
        let look = |demand: &'a Demand| {
            let entry = self.states.get(at, &demand.key);
            let view = view(demand, charge, now_micros, entry.map(|entry| &entry.value))?;
            Ok((demand, view))
        };
        demands.iter().map(look).collect()
    }

    fn keep(&mut self, now_micros: u64, key: &StoreKey, view: Box<dyn View>) {
        let at = Duration::from_micros(now_micros);
        match Duration::from_micros(view.reset_after_micros()) {
            Duration::ZERO => drop(self.states.remove(at, key)),
            left => self
                .states
                .insert(at, key.clone(), view.into_state(), at + left),
        }
        while self.states.len() > self.most {
            self.states.remove_first();
        }
    }
}

#[async_trait]
impl LimitStore for MemoryLimits {
    async fn take(&self, demands: &[Demand], charge: Charge<'_>) -> Result<Vec<Take>> {
        let mut kept = lock(&self.kept);
        let now_micros = self.now_micros();
        let at = Duration::from_micros(now_micros);
        if let Charge::Once(token, _) = charge
            && let Some(answered) = kept.answers.get(at, token)
        {
            return Ok(answered.value.clone());
        }
        let views = kept.look(now_micros, demands, charge)?;
        let all_admitted = views.iter().all(|(it, view)| it.cost <= view.free());
        let renews = charge == Charge::Renew;
        let charges = all_admitted && charge != Charge::No;
        let mut takes = Vec::with_capacity(demands.len());
        for (demand, mut view) in views {
            let admitted = demand.cost <= view.free();
            let fits_never = demand.cost > demand.rule.limit();
            let retry_after = (!admitted && !fits_never).then(|| view.wait_micros(demand.cost));
            let mut remaining = view.free();
            let is_charged = (charges || renews && admitted) && demand.cost > 0;
            if is_charged {
                view.charge(demand.cost);
                remaining -= demand.cost;
            }
            takes.push(Take {
                admitted,
                remaining,
                retry_after: retry_after.map(Duration::from_micros),
                reset_after: Duration::from_micros(view.reset_after_micros()),
                at,
            });
            if is_charged || view.has_moved() {
                kept.keep(now_micros, &demand.key, view);
            }
        }
        if let (true, Charge::Once(token, time)) = (charges, charge) {
            kept.answers
                .insert(at, token.clone(), takes.clone(), at + time);
        }
        Ok(takes)
    }

    async fn refund(&self, demands: &[Demand], at: Duration) -> Result<u64> {
        let mut kept = lock(&self.kept);
        let now_micros = self.now_micros();
        let mut refunded = 0;
        for (demand, mut view) in kept.look(now_micros, demands, Charge::No)? {
            let is_refunded = view.refund(whole_micros(at), demand.cost);
            refunded += u64::from(is_refunded);
            if is_refunded || view.has_moved() {
                kept.keep(now_micros, &demand.key, view);
            }
        }
        Ok(refunded)
    }

    async fn reset(&self, keys: &[StoreKey]) -> Result<u64> {
        let mut kept = lock(&self.kept);
        let at = Duration::from_micros(self.now_micros());
        let removed = keys
            .iter()
            .filter(|key| kept.states.remove(at, key).is_some());
        Ok(u64::try_from(removed.count()).unwrap_or(u64::MAX))
    }
}

/// The state of a key as a demand sees it at an instant.
fn view(
    demand: &Demand,
    charge: Charge<'_>,
    now_micros: u64,
    state: Option<&State>,
) -> Result<Box<dyn View>> {
    Ok(match &demand.rule {
        Rule::Window(rule) => Box::new(window::Counted::new(*rule, now_micros, state)),
        Rule::Gcra(rule) => Box::new(gcra::Bucket::new(*rule, now_micros, state)),
        Rule::Fixed(rule) => Box::new(fixed::Current::new(rule, now_micros, state)?),
        Rule::Exact(rule) => Box::new(exact::Logged::new(*rule, now_micros, state)),
        Rule::Concurrent(rule) => {
            let permit = demand.permit.as_deref().unwrap_or_default();
            let renews = charge == Charge::Renew;
            Box::new(concurrent::Out::new(
                *rule, permit, renews, now_micros, state,
            ))
        }
    })
}

fn whole_micros(unix: Duration) -> u64 {
    u64::try_from(unix.as_micros()).unwrap_or(u64::MAX)
}
