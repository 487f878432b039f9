//! Parts of the path, decoded after it was split.

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::problem::Problem;

/// The decoded segment at `index`, counted from 0.
pub(crate) fn segment(uri: &Uri, index: usize) -> Result<String, Problem> {
    decode(raw(uri, index))
}

/// The segment at `index` as `name:verb`; a colon in the name is written `%3A`, or comes earlier.
///
/// `None` when there is no verb.
pub(crate) fn verb(uri: &Uri, index: usize) -> Result<Option<(String, &str)>, Problem> {
    match raw(uri, index).rsplit_once(':') {
        None => Ok(None),
        Some((name, verb)) => Ok(Some((decode(name)?, verb))),
    }
}

fn raw(uri: &Uri, index: usize) -> &str {
    uri.path().split('/').nth(index + 1).unwrap_or_default()
}

fn decode(raw: &str) -> Result<String, Problem> {
    percent_decode_str(raw)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Problem::invalid("the path is not UTF-8 after its %-escapes are decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str) -> Option<(String, String)> {
        let uri = path.parse::<Uri>().unwrap();
        let found = verb(&uri, 2).unwrap();
        found.map(|(name, verb)| (name, verb.to_owned()))
    }

    #[test]
    fn an_escaped_colon_stays_in_the_name() {
        let expected = |name: &str| Some((name.to_owned(), "acquire".to_owned()));
        assert_eq!(parts("/v1/locks/a:acquire"), expected("a"));
        assert_eq!(parts("/v1/locks/a%3Ab:acquire"), expected("a:b"));
        assert_eq!(parts("/v1/locks/a:b:acquire"), expected("a:b"));
        assert_eq!(parts("/v1/locks/a%3Aacquire"), None);
        assert_eq!(parts("/v1/locks/a%2Fb:acquire?x=:y"), expected("a/b"));
    }
}
