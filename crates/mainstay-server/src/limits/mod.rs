//! What is limited, as it is configured, and as it is replaced while the server runs.

mod envoy;
mod table;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use mainstay::Mainstay;
use mainstay::ratelimit::{Policy, WhenDown};

pub use self::envoy::EnvoyRule;
pub(crate) use self::envoy::subject;
pub(crate) use self::table::{LimitTable, LimitTables, Match};
use crate::ServeError;

/// What is limited.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LimitConfig {
    /// The policies, known by their names: none.
    pub policies: Vec<Policy>,
    /// What is decided while the backend does not answer: the request fails. Permits always need it.
    pub when_down: WhenDown,
    /// Which policies decide on what Envoy asks; the first rule that fits a descriptor counts.
    pub envoy: Vec<EnvoyRule>,
}

/// What is limited, for a server; [`replace`](Self::replace) changes it while the server runs.
///
/// What was counted is kept: it belongs to the names of the policies.
///
/// ```
/// use mainstay_server::{LimitConfig, Limits};
///
/// let mut config = LimitConfig::default();
/// config.policies.push("api=100/1m".parse()?);
/// let limits = Limits::new(config.clone())?;
/// // Later, for all who have a clone of it:
/// config.policies[0] = "api=200/1m".parse()?;
/// limits.replace(config)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Limits(Arc<RwLock<Arc<LimitConfig>>>);

impl Limits {
    /// Checks what is configured.
    ///
    /// # Errors
    /// [`ServeError::Config`] when a name is there twice or unknown, and when a policy cannot be decided
    /// as it is said.
    pub fn new(config: LimitConfig) -> Result<Self, ServeError> {
        config.validate()?;
        Ok(Self(Arc::new(RwLock::new(Arc::new(config)))))
    }

    /// Decides by these from the next request on.
    ///
    /// # Errors
    /// As [`new`](Self::new); then nothing has changed.
    pub fn replace(&self, config: LimitConfig) -> Result<(), ServeError> {
        config.validate()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<LimitConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LimitConfig {
    fn validate(&self) -> Result<(), ServeError> {
        let mut names = BTreeSet::new();
        for policy in &self.policies {
            let name = policy.name().as_str();
            if !name.is_ascii() {
                return Err(ServeError::Config(format!(
                    "policy {name:?} cannot be named in a header: use ASCII letters"
                )));
            }
            if !names.insert(name) {
                return Err(ServeError::Config(format!(
                    "policy {name:?} is configured twice"
                )));
            }
        }
        // Whether each policy can be decided as it is said, which no backend is needed for.
        let table = LimitTable::new(&Mainstay::memory(), self)?;
        let rules = self.envoy.iter();
        let asked = rules.flat_map(|rule| rule.limits().iter().map(move |name| (rule, name)));
        for (rule, name) in asked {
            let Some(limiter) = table.limiter(name) else {
                return Err(ServeError::Config(format!(
                    "the Envoy rule {rule} names the policy {name:?}, which is not configured"
                )));
            };
            if limiter.policies().iter().any(Policy::is_concurrent) {
                return Err(ServeError::Config(format!(
                    "the Envoy rule {rule} names the policy {name:?}, whose permits nobody would give back"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn refusal(policies: &[&str], change: impl FnOnce(&mut LimitConfig)) -> Option<String> {
        let policies = policies.iter().map(|text| text.parse().unwrap());
        let mut config = LimitConfig {
            policies: policies.collect(),
            ..LimitConfig::default()
        };
        change(&mut config);
        Limits::new(config).err().map(|error| {
            let source = error.source().map(ToString::to_string);
            format!("{error}{}", source.unwrap_or_default())
        })
    }

    fn rule(limits: &[&str]) -> EnvoyRule {
        EnvoyRule::new("edge", &["path=/login", "remote_address"], limits).unwrap()
    }

    #[test]
    fn a_policy_configured_twice_is_named() {
        assert_eq!(refusal(&["api=1/1s", "mail=1/1s"], |_| ()), None);
        let twice = refusal(&["api=1/1s", "api=2/1s"], |_| ());
        assert_eq!(twice.as_deref(), Some("policy \"api\" is configured twice"));
    }

    #[test]
    fn a_rule_names_policies_that_are_known_and_can_be_asked() {
        let unknown = refusal(&["api=1/1s"], |config| config.envoy.push(rule(&["apl"])));
        assert_eq!(
            unknown.as_deref(),
            Some(
                "the Envoy rule edge: path=/login, remote_address names the policy \"apl\", which is not configured"
            )
        );
        let permits = refusal(&["api=1/1s:concurrent"], |config| {
            config.envoy.push(rule(&["api"]));
        });
        assert!(permits.is_some_and(|text| text.contains("permits nobody would give back")));
    }

    #[test]
    fn a_policy_with_less_than_a_unit_a_node_cannot_be_shared() {
        let local = |nodes: u32| WhenDown::Local(nodes.try_into().unwrap());
        let policies = ["api=4/1s", "export=3/1s:concurrent"];
        assert_eq!(refusal(&policies, |it| it.when_down = local(4)), None);
        let refused = refusal(&policies, |it| it.when_down = local(5));
        assert!(refused.is_some_and(|text| text.contains("less than a unit for each")));
    }

    #[test]
    fn what_cannot_be_served_replaces_nothing() {
        let limits = Limits::default();
        let one = || "api=1/1s".parse().unwrap();
        let twice = LimitConfig {
            policies: vec![one(), one()],
            ..LimitConfig::default()
        };
        assert!(limits.replace(twice).is_err());
        assert_eq!(limits.current().policies.len(), 0);
    }
}
