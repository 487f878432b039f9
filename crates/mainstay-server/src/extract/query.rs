//! Query parameters, none of which is ignored.

use axum::http::Uri;
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::problem::Problem;

const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 10_000;

/// The parameters of a request.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads them; one that is not `known` is a problem.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let text = uri.query().unwrap_or_default();
        // The parser would put U+FFFD for what is not: two values could become the same.
        percent_decode_str(text).decode_utf8().map_err(|_| {
            Problem::invalid("the query is not UTF-8 after its %-escapes are decoded")
        })?;
        let pairs: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect();
        match pairs
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            None => Ok(Self(pairs)),
            Some((name, _)) => Err(Problem::invalid(format!(
                "unknown parameter {name:?}: known here: {}",
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            ))),
        }
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that may be given once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Problem::invalid(format!(
                "parameter {name:?} is given more than once"
            ))),
        }
    }

    /// How many lines a listing may have: `limit`, 1,000 by default.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.one("limit")? else {
            return Ok(DEFAULT_LIMIT);
        };
        text.parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| Problem::invalid(format!("\"limit\" must be between 1 and {MAX_LIMIT}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Option<Vec<String>> {
        let uri = text.parse::<Uri>().unwrap();
        let query = Query::of(&uri, &["tag"]).ok()?;
        Some(query.all("tag").map(str::to_owned).collect())
    }

    #[test]
    fn values_are_decoded_or_refused() {
        assert_eq!(all("/"), Some(vec![]));
        assert_eq!(
            all("/?tag=a+b%26&tag=%C3%A9"),
            Some(vec!["a b&".to_owned(), "é".to_owned()])
        );
        assert_eq!(all("/?tag=%FF"), None);
        assert_eq!(all("/?tag=%C3&tag=%A9"), None);
    }
}
