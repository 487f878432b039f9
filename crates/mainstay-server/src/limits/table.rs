//! The limiters of what is configured now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay::Mainstay;
use mainstay::ratelimit::{Limiter, Policy, WhenDown};

use super::envoy::subject;
use super::{EnvoyRule, LimitConfig, Limits};
use crate::ServeError;

/// A limiter for each policy, and the rules for descriptors.
#[derive(Debug)]
pub(crate) struct LimitTable {
    limiters: BTreeMap<String, Limiter>,
    envoy: Vec<EnvoyRule>,
}

/// Who decides on a descriptor, and whom it counts for.
#[derive(Debug)]
pub(crate) struct Match<'a> {
    pub(crate) limiters: Vec<&'a Limiter>,
    pub(crate) subject: mainstay::Key,
    pub(crate) takes_rest: bool,
}

impl LimitTable {
    pub(super) fn new(stay: &Mainstay, config: &LimitConfig) -> Result<Self, ServeError> {
        let limiters = config.policies.iter().map(|policy| {
            let name = policy.name().to_string();
            Ok((name, limiter(stay, policy.clone(), config.when_down)?))
        });
        Ok(Self {
            limiters: limiters.collect::<Result<_, ServeError>>()?,
            envoy: config.envoy.clone(),
        })
    }

    pub(crate) fn limiter(&self, name: &str) -> Option<&Limiter> {
        self.limiters.get(name)
    }

    /// In the order of their names.
    pub(crate) fn limiters(&self) -> impl Iterator<Item = (&str, &Limiter)> {
        self.limiters.iter().map(|(name, it)| (name.as_str(), it))
    }

    /// The first rule that fits.
    pub(crate) fn matching(&self, domain: &str, entries: &[(&str, &str)]) -> Option<Match<'_>> {
        let mut rules = self.envoy.iter();
        let found = rules.find_map(|rule| Some((rule, rule.fits(domain, entries)?)));
        found.map(|(rule, open)| Match {
            limiters: rule
                .limits()
                .iter()
                .filter_map(|name| self.limiter(name))
                .collect(),
            subject: subject(domain, &open),
            takes_rest: rule.takes_rest(),
        })
    }
}

fn limiter(stay: &Mainstay, policy: Policy, when_down: WhenDown) -> Result<Limiter, ServeError> {
    let is_concurrent = policy.is_concurrent();
    let limiter = stay.limiter(policy);
    if is_concurrent {
        return Ok(limiter);
    }
    limiter.when_down(when_down).map_err(ServeError::Limits)
}

/// What is limited now, ready to be asked.
#[derive(Debug)]
pub(crate) struct LimitTables {
    stay: Mainstay,
    limits: Limits,
    made: Mutex<(Arc<LimitConfig>, Arc<LimitTable>)>,
}

impl LimitTables {
    pub(crate) fn new(stay: Mainstay, limits: Limits) -> Result<Self, ServeError> {
        let config = limits.current();
        let table = Arc::new(LimitTable::new(&stay, &config)?);
        Ok(Self {
            stay,
            limits,
            made: Mutex::new((config, table)),
        })
    }

    pub(crate) fn current(&self) -> Arc<LimitTable> {
        let config = self.limits.current();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&made.0, &config) {
            match LimitTable::new(&self.stay, &config) {
                Ok(table) => *made = (config, Arc::new(table)),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "limits cannot be replaced: those of before are kept"
                    );
                    made.0 = config;
                }
            }
        }
        Arc::clone(&made.1)
    }
}
