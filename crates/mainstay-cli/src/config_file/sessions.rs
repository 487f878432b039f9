//! The table `[sessions]`.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use mainstay::session::WhenFull;
use mainstay_server::{Secret, SessionConfig};
use serde::Deserialize;

use super::span::Span;
use crate::failure::Failure;
use crate::secret::{self, InEnvironment};

/// What stands in it; what does not is as the server has it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionTable {
    idle: Option<Span>,
    absolute: Option<Span>,
    grace: Option<Span>,
    at_most: Option<NonZeroU32>,
    when_full: Option<Choice>,
    secret_file: Option<PathBuf>,
    signing_key_files: Option<Vec<PathBuf>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    EndOldest,
    Refuse,
}

impl From<Choice> for WhenFull {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::EndOldest => Self::EndOldest,
            Choice::Refuse => Self::Refuse,
        }
    }
}

impl SessionTable {
    /// The configuration, with what the files in `folder` and the environment hold.
    pub(super) fn config(
        &self,
        folder: &Path,
        given: InEnvironment,
    ) -> Result<SessionConfig, Failure> {
        let mut config = SessionConfig::default();
        for (asked, place) in [
            (self.idle, &mut config.idle),
            (self.absolute, &mut config.absolute),
            (self.grace, &mut config.grace),
        ] {
            if let Some(Span(asked)) = asked {
                *place = asked;
            }
        }
        config.at_most = self.at_most()?;
        config.secret = self.secret(folder, given.secret)?;
        config.signing_keys = self.signing_keys(folder, given.keys)?;
        Ok(config)
    }

    fn at_most(&self) -> Result<Option<(NonZeroU32, WhenFull)>, Failure> {
        match (self.at_most, self.when_full) {
            (None, None) => Ok(None),
            (Some(most), Some(when_full)) => Ok(Some((most, when_full.into()))),
            (Some(_), None) => Err(Failure::Usage(
                "at_most of [sessions] needs when_full beside it: end_oldest or refuse".to_owned(),
            )),
            (None, Some(_)) => Err(Failure::Usage(
                "when_full of [sessions] needs at_most beside it: how many a user may have"
                    .to_owned(),
            )),
        }
    }

    fn secret(&self, folder: &Path, given: Option<Secret>) -> Result<Option<Secret>, Failure> {
        match &self.secret_file {
            None => Ok(given),
            Some(_) if given.is_some() => Err(twice("secret_file", secret::SECRET)),
            Some(path) => secret::from_file(&folder.join(path)).map(Some),
        }
    }

    fn signing_keys(&self, folder: &Path, given: Vec<Secret>) -> Result<Vec<Secret>, Failure> {
        match self.signing_key_files.as_deref() {
            None => Ok(given),
            Some([]) => Err(Failure::Usage(
                "signing_key_files of [sessions] is empty: name a file, or leave it away"
                    .to_owned(),
            )),
            Some(_) if !given.is_empty() => Err(twice("signing_key_files", secret::KEYS)),
            Some(paths) => {
                let paths = paths.iter().map(|path| folder.join(path));
                paths.map(|path| secret::from_file(&path)).collect()
            }
        }
    }
}

/// Neither wins: the sessions under the other one would be lost without a word.
fn twice(setting: &str, variable: &str) -> Failure {
    Failure::Usage(format!(
        "both {setting} of [sessions] and {variable} are given: leave one away"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(text: &str, folder: &Path) -> Result<SessionConfig, String> {
        let table: SessionTable = toml::from_str(text).map_err(|error| error.to_string())?;
        let nothing = InEnvironment::default();
        table
            .config(folder, nothing)
            .map_err(|failure| failure.report())
    }

    #[test]
    fn a_table_becomes_the_configuration_of_the_server() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("secret", "s\n"), ("new", "n"), ("old", "o")] {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let text = r#"
            idle = "30m"
            absolute = "12h"
            grace = "5s"
            at_most = 5
            when_full = "end_oldest"
            secret_file = "secret"
            signing_key_files = ["new", "old"]
        "#;
        let mut expected = SessionConfig::default();
        expected.idle = Duration::from_secs(1800);
        expected.absolute = Duration::from_secs(12 * 3600);
        expected.grace = Duration::from_secs(5);
        let five = NonZeroU32::new(5).unwrap();
        expected.at_most = Some((five, WhenFull::EndOldest));
        expected.secret = Some(Secret::new("s"));
        expected.signing_keys = vec![Secret::new("n"), Secret::new("o")];
        assert_eq!(config(text, folder.path()), Ok(expected));
        assert_eq!(config("", folder.path()), Ok(SessionConfig::default()));
    }

    #[test]
    fn what_is_wrong_is_named_and_what_is_allowed() {
        for (text, expected) in [
            (
                "secret = 'hunter2'",
                "unknown field `secret`, expected one of",
            ),
            ("idle = '5'", "expected a duration with a unit"),
            ("at_most = 0", "expected a nonzero u32"),
            (
                "at_most = 3",
                "needs when_full beside it: end_oldest or refuse",
            ),
            (
                "at_most = 3\nwhen_full = 'ask'",
                "unknown variant `ask`, expected `end_oldest` or `refuse`",
            ),
            ("when_full = 'refuse'", "needs at_most beside it"),
            ("signing_key_files = []", "is empty: name a file"),
            (
                "secret_file = 'none'",
                "cannot read the secret in /no/such/none",
            ),
        ] {
            let error = config(text, Path::new("/no/such")).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_the_environment_holds_is_taken_unless_the_table_has_it_too() {
        let given = || InEnvironment {
            secret: Some(Secret::new("s")),
            keys: vec![Secret::new("k")],
        };
        let config = |text: &str| {
            let table: SessionTable = toml::from_str(text).unwrap();
            let config = table.config(Path::new("/no/such"), given());
            config.map_err(|failure| failure.report())
        };
        let taken = config("").unwrap();
        assert_eq!(taken.secret, given().secret);
        assert_eq!(taken.signing_keys, given().keys);
        assert_eq!(
            config("secret_file = 'x'").unwrap_err(),
            "both secret_file of [sessions] and MAINSTAY_SESSION_SECRET are given: leave one away"
        );
        assert_eq!(
            config("signing_key_files = ['x']").unwrap_err(),
            "both signing_key_files of [sessions] and MAINSTAY_SESSION_KEYS are given: \
             leave one away"
        );
    }
}
