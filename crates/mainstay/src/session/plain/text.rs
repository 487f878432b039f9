//! What callers may put in a key as it is.

use crate::error::{Error, Result};
use crate::key::Key;

/// Checks an id, of a session or a user, that becomes a part of a key without being escaped.
///
/// A `:` is harmless: the id stands between a fixed start and a fixed end, so that different ids never
/// make the same key. With braces an id could choose its slot of a Cluster and, as `{..}`, be taken for
/// the tag of [`Sessions`](crate::session::Sessions), whose keys are `session:{..}` and `user:{..}`.
pub(super) fn check_id(what: &str, id: &str) -> Result<()> {
    check(what, id)?;
    if id.is_empty() {
        return Err(Error::invalid(format!("{what} is empty")));
    }
    if id.contains(['{', '}']) {
        return Err(Error::invalid(format!(
            "{what} holds a brace, which would choose a slot of a cluster"
        )));
    }
    match id.chars().find(|character| character.is_control()) {
        None => Ok(()),
        Some(control) => Err(Error::invalid(format!(
            "{what} holds the control character U+{:04X}",
            u32::from(control)
        ))),
    }
}

/// Checks text that is stored and never becomes a part of a key.
pub(super) fn check(what: &str, text: &str) -> Result<()> {
    if text.len() > Key::MAX_BYTES {
        return Err(Error::invalid(format!(
            "{what} is longer than {} bytes",
            Key::MAX_BYTES
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_plain_id_is_named_and_not_shown() {
        let long = "k".repeat(1_025);
        for (id, wrong) in [
            ("", "user id is empty"),
            (long.as_str(), "user id is longer than 1024 bytes"),
            ("a\r\nb", "user id holds the control character U+000D"),
            (
                "{ann}",
                "user id holds a brace, which would choose a slot of a cluster",
            ),
        ] {
            let error = check_id("user id", id).unwrap_err();
            assert_eq!(error.to_string(), wrong);
        }
        for id in ["ann", "plant:7:ann", "x:sessions", "änn%7B", " "] {
            assert!(check_id("user id", id).is_ok(), "{id:?}");
        }
    }
}
