//! Splits a backend URL into its target and the options in its query.

use std::time::Duration;

use crate::backend::Invalidation;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Namespace;

/// A backend URL taken apart. `shown` is the target without login data, for messages.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct BackendUrl {
    pub(super) target: String,
    pub(super) shown: String,
    pub(super) parameters: Vec<Parameter>,
}

/// One option from the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parameter {
    ConnectTimeout(Duration),
    CommandTimeout(Duration),
    Retries(u32),
    Namespace(Namespace),
    Invalidation(Invalidation),
}

const ALLOWED: &str = "connect_timeout, command_timeout, retries, namespace, invalidation";

impl BackendUrl {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let shown = without_secrets(text);
        let (target, query) = text.split_once('?').unwrap_or((text, ""));
        if let Some((wrong, right)) = unescaped_in_login(target, query) {
            return Err(Error::invalid(format!(
                "url {shown:?}: a {wrong} stands before the @: write it as {right}"
            )));
        }
        let parameters = ::url::form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| parameter(&name, &value))
            .collect::<Result<_>>()?;
        Ok(Self {
            target: target.to_owned(),
            shown,
            parameters,
        })
    }

    pub(super) fn is_memory(&self) -> bool {
        matches!(self.target.as_str(), "memory:" | "memory://")
    }
}

fn parameter(name: &str, value: &str) -> Result<Parameter> {
    let duration = || {
        humantime::parse_duration(value).map_err(|source| {
            let message = format!("url parameter {name:?} is not a duration such as 5s or 250ms");
            Error::with_source(ErrorKind::Invalid, message, source)
        })
    };
    match name {
        "connect_timeout" => duration().map(Parameter::ConnectTimeout),
        "command_timeout" => duration().map(Parameter::CommandTimeout),
        "retries" => value.parse().map(Parameter::Retries).map_err(|source| {
            let message = "url parameter \"retries\" is not a whole number";
            Error::with_source(ErrorKind::Invalid, message, source)
        }),
        "namespace" => Namespace::new(value).map(Parameter::Namespace),
        "invalidation" => match value {
            "tracking" => Ok(Parameter::Invalidation(Invalidation::Tracking)),
            "announcements" => Ok(Parameter::Invalidation(Invalidation::Announcements)),
            _ => Err(Error::invalid(
                "url parameter \"invalidation\" is tracking or announcements",
            )),
        },
        unknown => Err(Error::invalid(format!(
            "unknown url parameter {unknown:?}: allowed are {ALLOWED}"
        ))),
    }
}

/// A character that would cut a password in two and show its second half as a host or parameter.
fn unescaped_in_login(target: &str, query: &str) -> Option<(char, &'static str)> {
    if query.contains('@') {
        return Some(('?', "%3F"));
    }
    let (scheme, rest) = target.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    (scheme != "unix" && path.contains('@')).then_some(('/', "%2F"))
}

/// Everything up to the last `@` may hold a password, whatever its characters.
fn without_secrets(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(end) => text.split_at(end + "://".len()),
        None => ("", text),
    };
    let (login, place) = match rest.rsplit_once('@') {
        Some((_, place)) => ("***@", place),
        None => ("", rest),
    };
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    format!("{scheme}{login}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_become_options() -> Result<()> {
        let url = BackendUrl::parse(
            "redis://h:1/0?connect_timeout=5s&command_timeout=250ms&retries=0&namespace=plant&invalidation=announcements",
        )?;
        assert_eq!(url.target, "redis://h:1/0");
        let expected = [
            Parameter::ConnectTimeout(Duration::from_secs(5)),
            Parameter::CommandTimeout(Duration::from_millis(250)),
            Parameter::Retries(0),
            Parameter::Namespace(Namespace::new("plant")?),
            Parameter::Invalidation(Invalidation::Announcements),
        ];
        assert_eq!(url.parameters, expected);
        Ok(())
    }

    #[test]
    fn an_unknown_parameter_is_named_with_the_allowed_ones() {
        let message = BackendUrl::parse("memory:?ttl=5s")
            .err()
            .map(|e| e.to_string());
        assert_eq!(
            message.as_deref(),
            Some(
                "unknown url parameter \"ttl\": allowed are \
                 connect_timeout, command_timeout, retries, namespace, invalidation"
            )
        );
    }

    #[test]
    fn no_message_shows_the_password_whatever_it_holds() {
        for password in ["secret", "sec@ret", "sec#ret"] {
            let url = format!("redis://user:{password}@host:6379/1?retries=1");
            let shown = BackendUrl::parse(&url).map(|url| url.shown).ok();
            assert_eq!(
                shown.as_deref(),
                Some("redis://***@host:6379/1"),
                "{password}"
            );
        }
        for (password, wrong, right) in [("sec?ret", '?', "%3F"), ("sec/ret", '/', "%2F")] {
            let parsed = BackendUrl::parse(&format!("redis://:{password}@host"));
            assert_eq!(
                parsed.err().map(|e| e.to_string()),
                Some(format!(
                    "url \"redis://***@host\": a {wrong} stands before the @: write it as {right}"
                ))
            );
        }
    }
}
