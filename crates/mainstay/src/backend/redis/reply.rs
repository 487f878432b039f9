//! Reading replies: each field by its expected type, a wrong shape is an error.

use bytes::Bytes;
use redis::Value;

use crate::error::{Error, ErrorKind, Result};

fn wrong(expected: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("backend's reply has the wrong shape: expected {expected}"),
    )
}

/// An array of exactly `N` fields.
pub(crate) fn fields<const N: usize>(value: Value) -> Result<[Value; N]> {
    match value {
        Value::Array(items) => items.try_into().map_err(|_| too_short()),
        _ => Err(wrong("an array")),
    }
}

/// An answer that holds less than was asked for.
pub(crate) fn too_short() -> Error {
    wrong("an array of another length")
}

/// An array of any length.
pub(crate) fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        _ => Err(wrong("an array")),
    }
}

/// An integer that is not negative; scripts give large ones as decimal text.
pub(crate) fn count(value: &Value) -> Result<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()),
        _ => None,
    }
    .ok_or_else(|| wrong("a count"))
}

/// As [`count`], or nothing.
pub(crate) fn optional_count(value: &Value) -> Result<Option<u64>> {
    match value {
        Value::Nil => Ok(None),
        value => count(value).map(Some),
    }
}

/// Bytes, or nothing.
pub(crate) fn optional_bytes(value: Value) -> Result<Option<Bytes>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        _ => Err(wrong("a string or nil")),
    }
}

/// Bytes.
pub(crate) fn bytes(value: Value) -> Result<Bytes> {
    optional_bytes(value)?.ok_or_else(|| wrong("a string"))
}

/// Text.
pub(crate) fn text(value: Value) -> Result<String> {
    match value {
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(text),
        other => String::from_utf8(bytes(other)?.into()).map_err(|_| wrong("UTF-8 text")),
    }
}

/// An answer that a script names by a word.
pub(crate) fn unknown_word(word: &str) -> Error {
    wrong(&format!("one of the script's words, not {word:?}"))
}
