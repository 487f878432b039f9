//! How a session's data becomes named values that can change one by one.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::backend::{FieldChange, Fields};
use crate::codec::{Codec, json};
use crate::error::{Error, ErrorKind, Result};

/// The name of data that is not made of keys.
const WHOLE: &str = "data";

/// Keys that data may have.
const KEYS_MAX: usize = 256;

/// How a `T` becomes fields that change one by one.
///
/// # Behaviour
/// `join(split(v)) == v`. Fields are named `data` or start with a dot. Fields that are no `T` are an error
/// of kind [`Codec`](ErrorKind::Codec), never a default value.
pub trait Layout<T>: Send + Sync {
    /// The fields of `data`.
    ///
    /// # Errors
    /// [`Codec`](ErrorKind::Codec) when it has no such form, [`Invalid`](ErrorKind::Invalid) for too many.
    fn split(&self, data: &T) -> Result<Fields>;

    /// The data in `fields`.
    ///
    /// # Errors
    /// [`Codec`](ErrorKind::Codec) when they hold no `T`.
    fn join(&self, fields: &Fields) -> Result<T>;
}

/// A JSON object is stored key by key, each as a field `.key`; other JSON as one.
#[derive(Debug, Clone, Copy, Default)]
pub struct PerKey;

/// As a [`Codec`] has it, in one field.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whole<C>(pub(super) C);

impl<T: Serialize + DeserializeOwned> Layout<T> for PerKey {
    fn split(&self, data: &T) -> Result<Fields> {
        let json = |source| Error::with_source(ErrorKind::Codec, "value has no JSON form", source);
        let keys = match serde_json::to_value(data).map_err(json)? {
            Value::Object(keys) => keys,
            whole => return Ok(one(Bytes::from(whole.to_string()))),
        };
        if keys.len() > KEYS_MAX {
            return Err(Error::invalid(format!(
                "data of a session has {} keys: at most {KEYS_MAX} are allowed",
                keys.len()
            )));
        }
        let fields = keys.into_iter().map(|(key, value)| {
            let value = Bytes::from(value.to_string());
            (format!(".{key}"), value)
        });
        Ok(fields.collect())
    }

    fn join(&self, fields: &Fields) -> Result<T> {
        if let Some(whole) = fields.get(WHOLE) {
            return json::read(whole);
        }
        // With quotes, a colon and a comma, unless the name has to be escaped.
        let sizes = fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        let mut text = Vec::with_capacity(sizes.sum::<usize>() + 2);
        text.push(b'{');
        for (name, value) in fields {
            if text.len() > 1 {
                text.push(b',');
            }
            let key = name.strip_prefix('.').unwrap_or(name);
            serde_json::to_writer(&mut text, key).expect("invariant: text has a JSON form");
            text.push(b':');
            text.extend_from_slice(value);
        }
        text.push(b'}');
        json::read(&text)
    }
}

impl<T, C: Codec<T>> Layout<T> for Whole<C> {
    fn split(&self, data: &T) -> Result<Fields> {
        self.0.encode(data).map(one)
    }

    fn join(&self, fields: &Fields) -> Result<T> {
        let whole = fields.get(WHOLE).ok_or_else(|| {
            let message = "stored session's data is made of keys, as another codec writes it";
            Error::new(ErrorKind::Codec, message)
        })?;
        self.0.decode(whole)
    }
}

fn one(value: Bytes) -> Fields {
    Fields::from([(WHOLE.to_owned(), value)])
}

/// Refuses data that grows beyond what is allowed.
pub(super) fn check_size(before: &Fields, after: &Fields, max_bytes: usize) -> Result<()> {
    let size = |fields: &Fields| -> usize {
        let sizes = fields.iter().map(|(name, value)| name.len() + value.len());
        sizes.sum()
    };
    let bytes = size(after);
    if bytes > max_bytes && bytes > size(before) {
        return Err(Error::invalid(format!(
            "data of a session is {bytes} bytes: at most {max_bytes} are allowed"
        )));
    }
    Ok(())
}

/// What has changed between two states of a `T`, on what is stored, of which the `T` need not show all.
pub(super) fn changes(before: &Fields, after: &Fields, stored: &Fields) -> Vec<FieldChange> {
    let set = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value));
    let set = set.map(|(name, value)| (name, Some(value.clone())));
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    set.chain(removed.map(|name| (name, None)))
        .map(|(name, after)| FieldChange {
            name: name.clone(),
            before: stored.get(name).cloned(),
            after,
        })
        .collect()
}

/// Makes the changes.
pub(super) fn apply(changes: &[FieldChange], fields: &mut Fields) {
    for change in changes {
        match &change.after {
            Some(value) => fields.insert(change.name.clone(), value.clone()),
            None => fields.remove(&change.name),
        };
    }
}

/// The key that a field stands for, for people.
pub(super) fn key_of(field: &str) -> String {
    field.strip_prefix('.').unwrap_or(field).to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn split(value: &Value) -> Fields {
        PerKey.split(value).unwrap()
    }

    #[test]
    fn an_object_is_stored_key_by_key_and_other_json_as_one() {
        let fields = split(&json!({"cart": [1], ".": "x", "": null, "data": 7}));
        let text: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap()))
            .collect();
        assert_eq!(
            text,
            [
                (".", "null"),
                ("..", "\"x\""),
                (".cart", "[1]"),
                (".data", "7")
            ]
        );
        assert_eq!(split(&json!(null)), one(Bytes::from_static(b"null")));
        assert_eq!(split(&json!({})), Fields::new());
    }

    #[test]
    fn too_much_data_is_refused_with_its_size() {
        let (short, long) = (split(&json!({"k": "xxx"})), split(&json!({"k": "xxxx"})));
        let error = check_size(&short, &long, 7).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data of a session is 8 bytes: at most 7 are allowed"
        );
        // What others have made too large may shrink.
        assert!(check_size(&long, &long, 6).is_ok() && check_size(&long, &short, 6).is_ok());
        let many: BTreeMap<_, _> = (0..257).map(|n| (n.to_string(), n)).collect();
        let error = PerKey.split(&many).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data of a session has 257 keys: at most 256 are allowed"
        );
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::num::f64::NORMAL.prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_split_joins_again(value in json_value()) {
            let joined: Value = PerKey.join(&split(&value)).unwrap();
            prop_assert_eq!(joined, value);
        }

        #[test]
        fn changes_lead_from_one_to_the_other_and_leave_what_is_not_shown(
            before in json_value(),
            after in json_value(),
        ) {
            let (before, after) = (split(&before), split(&after));
            let unknown = ("-of another version".to_owned(), Bytes::from_static(b"1"));
            let mut stored = before.clone();
            stored.extend([unknown.clone()]);
            let changes = changes(&before, &after, &stored);
            for change in &changes {
                prop_assert_eq!(stored.get(&change.name), change.before.as_ref());
            }
            apply(&changes, &mut stored);
            let mut expected = after;
            expected.extend([unknown]);
            prop_assert_eq!(stored, expected);
        }
    }
}
