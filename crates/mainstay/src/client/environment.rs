//! The backend URL that the environment asks for.

use std::env::{self, VarError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Error, Result};

/// The URL by `MAINSTAY_URL`, `REDIS_URL`, `REDIS_HOST` and its companions, or `memory:`.
pub(super) fn url() -> Result<String> {
    url_by(|name| match env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::invalid(format!(
            "environment variable {name} is not UTF-8"
        ))),
    })
}

fn url_by(variable: impl Fn(&str) -> Result<Option<String>>) -> Result<String> {
    for name in ["MAINSTAY_URL", "REDIS_URL"] {
        if let Some(url) = variable(name)? {
            return Ok(url);
        }
    }
    let Some(host) = variable("REDIS_HOST")? else {
        return Ok("memory:".to_owned());
    };
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host
    };
    let port = match variable("REDIS_PORT")? {
        Some(text) => text.parse::<u16>().map_err(|source| {
            Error::with_source(
                crate::ErrorKind::Invalid,
                "environment variable REDIS_PORT is not a port",
                source,
            )
        })?,
        None => 6379,
    };
    let login = variable("REDIS_PASSWORD")?.map_or_else(String::new, |password| {
        format!(":{}@", utf8_percent_encode(&password, NON_ALPHANUMERIC))
    });
    Ok(format!("redis://{login}{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(variables: &[(&str, &str)]) -> Result<String> {
        url_by(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn our_own_variable_wins_over_the_common_ones() -> Result<()> {
        let all = [
            ("REDIS_HOST", "c"),
            ("REDIS_URL", "redis://b"),
            ("MAINSTAY_URL", "redis://a"),
        ];
        assert_eq!(url_of(&all)?, "redis://a");
        assert_eq!(url_of(&all[..2])?, "redis://b");
        assert_eq!(url_of(&all[..1])?, "redis://c:6379");
        assert_eq!(url_of(&[])?, "memory:");
        Ok(())
    }

    #[test]
    fn host_port_and_password_make_a_url_with_escapes() -> Result<()> {
        let variables = [
            ("REDIS_HOST", "::1"),
            ("REDIS_PORT", "7000"),
            ("REDIS_PASSWORD", "p@ss/w"),
        ];
        assert_eq!(url_of(&variables)?, "redis://:p%40ss%2Fw@[::1]:7000");
        Ok(())
    }

    #[test]
    fn a_port_that_is_no_number_is_named() {
        let error = url_of(&[("REDIS_HOST", "a"), ("REDIS_PORT", "x")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable REDIS_PORT is not a port"
        );
    }
}
