//! The server's configuration file.

mod history;
mod sessions;
mod span;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use mainstay::ratelimit::{Policy, WhenDown};
use mainstay_server::{Config, EnvoyRule, HistoryRule, LimitConfig, SessionConfig};
use serde::Deserialize;

use self::history::HistoryTable;
use self::sessions::SessionTable;
use crate::failure::Failure;
use crate::secret::InEnvironment;

/// What stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    limits_when_down: Option<String>,
    /// By their names: `api = "100/1m"`.
    #[serde(default)]
    limits: BTreeMap<String, String>,
    #[serde(default)]
    envoy: Vec<Rule>,
    #[serde(default)]
    history: Vec<HistoryTable>,
    #[serde(default)]
    sessions: SessionTable,
    /// The file's own, where the paths in it begin.
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    domain: String,
    descriptor: Vec<String>,
    limits: Vec<String>,
    #[serde(default)]
    takes_rest: bool,
}

impl ConfigFile {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Failure::io(format!("cannot read {shown}"), source))?;
        let mut file: Self = toml::from_str(&text).map_err(|mut source| {
            let until = source.span().and_then(|span| text.get(..span.start));
            let line = until.map_or(1, |until| until.matches('\n').count() + 1);
            // Its text may be a secret that stands in the wrong place.
            source.set_input(None);
            Failure::Config {
                path: format!("{shown}, line {line},"),
                source: source.into(),
            }
        })?;
        file.folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(file)
    }

    /// The channels that keep what is published.
    pub(crate) fn histories(&self) -> Result<Vec<HistoryRule>, Failure> {
        self.history.iter().map(HistoryTable::rule).collect()
    }

    /// How sessions are kept, with the secrets that it names and those of the environment.
    pub(crate) fn sessions(&self) -> Result<SessionConfig, Failure> {
        let in_environment = InEnvironment::read()?;
        let mut whole = Config::default();
        whole.sessions = self.sessions.config(&self.folder, in_environment)?;
        // A file that is read again is to be known as wrong by now, not by the restart.
        whole.validate()?;
        Ok(whole.sessions)
    }

    /// What is limited, with the policies of the command line in the place of those of the same name.
    pub(crate) fn limits(&self, flags: &[Policy]) -> Result<LimitConfig, Failure> {
        let mut config = LimitConfig::default();
        if let Some(text) = &self.limits_when_down {
            config.when_down = when_down(text)?;
        }
        for (name, limit) in &self.limits {
            if !flags.iter().any(|policy| policy.name().as_str() == name) {
                config.policies.push(format!("{name}={limit}").parse()?);
            }
        }
        config.policies.extend(flags.iter().cloned());
        let rules = self.envoy.iter();
        let rules = rules.map(|rule| {
            let read = EnvoyRule::new(&rule.domain, &rule.descriptor, &rule.limits)?;
            Ok::<_, Failure>(if rule.takes_rest {
                read.taking_rest()
            } else {
                read
            })
        });
        config.envoy = rules.collect::<Result<_, _>>()?;
        Ok(config)
    }
}

fn when_down(text: &str) -> Result<WhenDown, Failure> {
    let nodes = text.strip_prefix("local/").map(str::parse::<NonZeroU32>);
    match (text, nodes) {
        ("fail", _) => Ok(WhenDown::Fail),
        ("open", _) => Ok(WhenDown::Open),
        ("closed", _) => Ok(WhenDown::Closed),
        (_, Some(Ok(nodes))) => Ok(WhenDown::Local(nodes)),
        _ => Err(Failure::Usage(format!(
            "limits_when_down is {text:?}: allowed are fail, open, closed, and local/N for N servers"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        limits_when_down = "local/4"

        [limits]
        api = "100/1m"
        login = "5/1m:exact"

        [[envoy]]
        domain = "edge"
        descriptor = ["path=/login", "remote_address"]
        limits = ["login"]
    "#;

    fn limits(text: &str, flags: &[&str]) -> Result<LimitConfig, String> {
        let file: ConfigFile = toml::from_str(text).map_err(|error| error.to_string())?;
        let flags: Vec<_> = flags.iter().map(|text| text.parse().unwrap()).collect();
        let histories = file.histories().map(drop);
        let limits = histories.and_then(|()| file.limits(&flags));
        limits.map_err(|failure| failure.report())
    }

    #[test]
    fn flags_stand_in_the_place_of_what_the_file_says() {
        let limits = limits(WHOLE, &["api=200/1m", "mail=9/1h"]).unwrap();
        let policies: Vec<_> = limits.policies.iter().map(ToString::to_string).collect();
        assert_eq!(policies, ["login=5/1m:exact", "api=200/1m", "mail=9/1h"]);
        assert_eq!(limits.when_down, WhenDown::Local(4.try_into().unwrap()));
        assert_eq!(
            limits.envoy[0].to_string(),
            "edge: path=/login, remote_address"
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_what_is_allowed() {
        for (text, expected) in [
            (
                "limts = 1",
                "unknown field `limts`, expected one of `limits_when_down`, `limits`, `envoy`, `history`, `sessions`",
            ),
            (
                "limits.api = 5",
                "invalid type: integer `5`, expected a string",
            ),
            (
                "limits.api = '5'",
                "policy \"api=5\" is not of the form name=limit/period",
            ),
            (
                "limits_when_down = 'local/0'",
                "allowed are fail, open, closed, and local/N",
            ),
            (
                "[[history]]\nchannels = 'a'\ncount = 1\nage = '5'",
                "expected a duration with a unit",
            ),
            (
                "[[history]]\nchannels = 'a*b'\ncount = 1",
                "history of \"a*b\": name holds '*'",
            ),
            (
                "[[history]]\nchannels = '*'\ncount = 0",
                "history of \"*\": a history keeps 1 to 10000000 events",
            ),
            ("[[envoy]]\ndomain = 'edge'", "missing field `descriptor`"),
        ] {
            let error = limits(text, &[]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
