//! JSON merge patches (RFC 7396).

use axum::extract::{FromRequest, Request};
use axum::http::HeaderName;
use serde_json::{Map, Value};

use super::json::{content_type, parse};
use crate::app::App;
use crate::problem::Problem;

const MEDIA_TYPE: &str = "application/merge-patch+json";
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// A body that says which keys of an object change: null removes one, anything else sets it, and an
/// object is merged into what is there.
#[derive(Debug)]
pub(crate) struct MergePatch(Map<String, Value>);

impl MergePatch {
    /// Merges it into an object, or into nothing at all (null). Other data stays as it is, which is an
    /// error: the RFC would have it replaced, and no caller sends a few keys to lose a whole.
    pub(crate) fn apply(&self, target: &mut Value) -> Result<(), NotAnObject> {
        match target {
            Value::Object(_) | Value::Null => {
                *target = merge(target.take(), &self.0);
                Ok(())
            }
            Value::Bool(_) => Err(NotAnObject("a boolean")),
            Value::Number(_) => Err(NotAnObject("a number")),
            Value::String(_) => Err(NotAnObject("a string")),
            Value::Array(_) => Err(NotAnObject("an array")),
        }
    }
}

/// What the data is in place of an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAnObject(pub(crate) &'static str);

fn merge(target: Value, patch: &Map<String, Value>) -> Value {
    let mut merged = match target {
        Value::Object(keys) => keys,
        _ => Map::new(),
    };
    for (key, value) in patch {
        match value {
            Value::Null => {
                merged.shift_remove(key);
            }
            Value::Object(patch) => {
                let before = merged.get_mut(key).map_or(Value::Null, Value::take);
                merged.insert(key.clone(), merge(before, patch));
            }
            value => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(merged)
}

impl FromRequest<App> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        content_type(request.headers(), &[MEDIA_TYPE, "application/json"])
            .map_err(|problem| problem.header(ACCEPT_PATCH, MEDIA_TYPE))?;
        let (parts, body) = request.into_parts();
        let bytes = super::read(&parts.headers, body, app.config.max_body_bytes).await?;
        parse(&bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(mut target: Value, patch: &Value) -> Result<Value, NotAnObject> {
        let patch = patch
            .as_object()
            .expect("invariant: the test writes objects");
        MergePatch(patch.clone()).apply(&mut target)?;
        Ok(target)
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        for (target, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            assert_eq!(patched(target, &patch), Ok(merged), "{patch}");
        }
    }

    #[test]
    fn nothing_becomes_an_object_and_other_data_stays() {
        assert_eq!(patched(Value::Null, &json!({"a": 1})), Ok(json!({"a": 1})));
        let mut data = json!(["a", "b"]);
        let patch = MergePatch(Map::from_iter([("c".to_owned(), json!(1))]));
        assert_eq!(patch.apply(&mut data), Err(NotAnObject("an array")));
        assert_eq!(data, json!(["a", "b"]));
    }
}
