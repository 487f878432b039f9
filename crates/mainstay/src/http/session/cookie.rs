//! The cookie that carries a session's token.

use std::time::Duration;

use cookie::{Cookie, SameSite as CookieSameSite};
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

use crate::error::{Error, Result};

/// Bytes of a cookie's value that can be a token.
const TOKEN_BYTES_MAX: usize = 256;

/// How a session's token is kept by browsers.
///
/// By default `__Host-id=<token>; HttpOnly; SameSite=Lax; Secure; Path=/`: no script reads it, no other
/// site's form sends it, no other host of the domain sets it (RFC 6265bis, cookie name prefixes), and it
/// ends with the browser.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    name: String,
    same_site: SameSite,
    is_secure: bool,
    is_persistent: bool,
}

/// Which requests from other sites carry the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// None: who follows a link to the site is not logged in on the first page.
    Strict,
    /// Links that are followed.
    Lax,
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self {
            name: "__Host-id".to_owned(),
            same_site: SameSite::Lax,
            is_secure: true,
            is_persistent: false,
        }
    }
}

impl SessionCookie {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another name; one that begins with `__Host-` is set by this host alone.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is no token of RFC 9110.
    pub fn named(self, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let is_token = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it);
        if name.is_empty() || !name.chars().all(is_token) {
            return Err(Error::invalid(format!(
                "name of a cookie {name:?}: only ASCII letters, digits and !#$%&'*+-.^_`|~ are allowed"
            )));
        }
        Ok(Self { name, ..self })
    }

    /// Which requests from other sites carry it.
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        Self { same_site, ..self }
    }

    /// It outlives the browser: until the session's absolute deadline.
    #[must_use]
    pub fn persistent(self) -> Self {
        Self {
            is_persistent: true,
            ..self
        }
    }

    /// For development over plain HTTP with a browser that takes no secure cookie there: named `id`,
    /// without `Secure`. Anybody on the way reads it.
    pub fn insecure_for_development() -> Self {
        Self {
            name: "id".to_owned(),
            is_secure: false,
            ..Self::default()
        }
    }

    /// What sets it.
    pub(super) fn set(&self, token: &str, absolute_in: Duration) -> Result<HeaderValue> {
        let age = self.is_persistent.then_some(absolute_in);
        self.header(token, age)
    }

    /// What removes it.
    pub(super) fn remove(&self) -> Result<HeaderValue> {
        self.header("", Some(Duration::ZERO))
    }

    fn header(&self, value: &str, age: Option<Duration>) -> Result<HeaderValue> {
        let mut cookie = Cookie::build((self.name.as_str(), value))
            .path("/")
            .http_only(true)
            .same_site(match self.same_site {
                SameSite::Strict => CookieSameSite::Strict,
                SameSite::Lax => CookieSameSite::Lax,
            })
            .secure(self.is_secure);
        if let Some(age) = age {
            let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        HeaderValue::from_str(&cookie.to_string()).map_err(|source| {
            let message = "session cookie is no header field";
            Error::with_source(crate::ErrorKind::Invalid, message, source)
        })
    }

    /// The one value that a request gives the cookie. Several different ones are none: a browser sends
    /// more than one only when another host of the domain has planted it.
    pub(super) fn value<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let fields = headers.get_all(COOKIE).iter();
        let pairs = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
        let mut values = pairs.filter_map(|pair| {
            let pair = pair.trim_ascii();
            let value = pair.strip_prefix(self.name.as_bytes())?;
            value.strip_prefix(b"=")
        });
        let first = values.next()?;
        let is_alone = values.all(|value| value == first);
        if !is_alone || first.len() > TOKEN_BYTES_MAX {
            return None;
        }
        std::str::from_utf8(first).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(fields: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_bytes(field).unwrap());
        }
        SessionCookie::new().value(&headers).map(str::to_owned)
    }

    #[test]
    fn flags_are_those_of_the_documentation() {
        let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
        let hour = Duration::from_hours(1);
        let cookie = SessionCookie::new();
        assert_eq!(
            text(cookie.set("abc", hour).unwrap()),
            "__Host-id=abc; HttpOnly; SameSite=Lax; Secure; Path=/"
        );
        assert_eq!(
            text(cookie.clone().persistent().set("abc", hour).unwrap()),
            "__Host-id=abc; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3600"
        );
        assert_eq!(
            text(cookie.remove().unwrap()),
            "__Host-id=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"
        );
        let plain = SessionCookie::insecure_for_development().same_site(SameSite::Strict);
        assert_eq!(
            text(plain.set("abc", hour).unwrap()),
            "id=abc; HttpOnly; SameSite=Strict; Path=/"
        );
    }

    #[test]
    fn the_value_is_found_among_others_whatever_they_hold() {
        assert_eq!(value(&[b"a=1; __Host-id=abc; b=2"]).as_deref(), Some("abc"));
        assert_eq!(
            value(&[b"\xff\xfe=\xff", b"__Host-id=abc"]).as_deref(),
            Some("abc")
        );
        assert_eq!(
            value(&[b"__Host-id=abc;__Host-id=abc"]).as_deref(),
            Some("abc")
        );
        assert_eq!(value(&[b"x__Host-id=abc"]), None);
        assert_eq!(value(&[b"__Host-id2=abc"]), None);
        assert_eq!(value(&[b"__Host-id"]), None);
    }

    #[test]
    fn several_values_and_what_can_be_no_token_are_none() {
        assert_eq!(value(&[b"__Host-id=abc; __Host-id=abd"]), None);
        assert_eq!(value(&[b"__Host-id=abc", b"__Host-id=abd"]), None);
        assert_eq!(value(&[b"__Host-id=\xff\xff"]), None);
        let long = format!("__Host-id={}", "A".repeat(8192));
        assert_eq!(value(&[long.as_bytes()]), None);
    }

    #[test]
    fn a_name_that_is_no_token_is_refused() {
        let error = SessionCookie::new().named("a b").unwrap_err();
        assert_eq!(
            error.to_string(),
            "name of a cookie \"a b\": only ASCII letters, digits and !#$%&'*+-.^_`|~ are allowed"
        );
        assert!(SessionCookie::new().named("sid").is_ok());
    }
}
