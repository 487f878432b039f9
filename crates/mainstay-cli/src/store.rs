//! Which backend a command talks to.

use std::env;

use mainstay::{Mainstay, Namespace, Options};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::arguments::Global;
use crate::failure::Failure;

const MEMORY: &str = "memory:";

impl Global {
    /// The options that the global flags stand for.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        let options = Options::new();
        Ok(match &self.namespace {
            Some(text) => options.namespace(Namespace::new(text)?),
            None => options,
        })
    }

    /// The backend's URL, by the same rules as [`Mainstay::from_env`].
    pub(crate) fn backend_url(&self) -> String {
        // MAINSTAY_URL is in `url` already.
        resolve(self.url.as_deref(), |name| env::var(name).ok())
    }

    /// Connects to a backend that outlives this process.
    pub(crate) async fn connect(&self) -> Result<Mainstay, Failure> {
        let url = self.backend_url();
        if url.split(['?', '/']).next() == Some(MEMORY) {
            return Err(Failure::Usage(
                "the memory backend lives inside one process: pass --url redis://host:port or \
                 set MAINSTAY_URL"
                    .to_owned(),
            ));
        }
        Ok(self.options()?.connect(&url).await?)
    }
}

fn resolve(flag: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> String {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(url) = flag.filter(|url| !url.is_empty()) {
        return url.to_owned();
    }
    if let Some(url) = variable("REDIS_URL") {
        return url;
    }
    let Some(host) = variable("REDIS_HOST") else {
        return MEMORY.to_owned();
    };
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host
    };
    let port = variable("REDIS_PORT").unwrap_or_else(|| "6379".to_owned());
    let login = variable("REDIS_PASSWORD").map_or_else(String::new, |password| {
        format!(":{}@", utf8_percent_encode(&password, NON_ALPHANUMERIC))
    });
    format!("redis://{login}{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(flag: Option<&str>, set: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            let found = set.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        resolve(flag, variable)
    }

    #[test]
    fn the_flag_comes_first_then_the_url_then_the_host() {
        let all = [("REDIS_URL", "redis://b"), ("REDIS_HOST", "c")];
        assert_eq!(resolved(Some("redis://a"), &all), "redis://a");
        assert_eq!(resolved(None, &all), "redis://b");
        assert_eq!(resolved(None, &all[1..]), "redis://c:6379");
        assert_eq!(resolved(Some(""), &[]), "memory:");
    }

    #[test]
    fn a_password_from_the_environment_is_escaped() {
        let set = [
            ("REDIS_HOST", "c"),
            ("REDIS_PORT", "1"),
            ("REDIS_PASSWORD", "p@s/s"),
        ];
        assert_eq!(resolved(None, &set), "redis://:p%40s%2Fs@c:1");
    }
}
