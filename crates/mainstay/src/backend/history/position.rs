//! A place in a log.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The place of a message in a channel's history: which history, its number, its mark.
///
/// As text it is opaque, fits in a URL and a header, and is read again by [`FromStr`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    pub(crate) epoch: Box<str>,
    pub(crate) sequence: u64,
    /// Empty where it is not known: it is taken as it is then.
    pub(crate) mark: Box<str>,
}

/// Longest epoch and mark that are read, in characters.
const MOST: usize = 32;

impl Position {
    /// The number of the message: 1 is the first of a history, 0 stands before it.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Which history the number belongs to. Another epoch means that all was lost in between.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.epoch, self.sequence, self.mark)
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("position is not one that was handed out");
        let is_word = |text: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            text.len() <= MOST && text.bytes().all(known)
        };
        let mut parts = text.split('.');
        let (Some(epoch), Some(sequence), Some(mark), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let sequence: u64 = sequence.parse().map_err(|_| wrong())?;
        // The place before the first message has no mark.
        let is_whole = !epoch.is_empty() && (mark.is_empty() || sequence > 0);
        // Beyond this, the scripts' numbers are not exact.
        let is_counted = sequence < 1 << 53;
        if !is_whole || !is_counted || !is_word(epoch) || !is_word(mark) {
            return Err(wrong());
        }
        Ok(Self {
            epoch: epoch.into(),
            sequence,
            mark: mark.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for text in ["e-_9.7.Mark", "e.0.", "e.7."] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_was_never_handed_out_is_refused() {
        for text in [
            "",
            ".",
            "e",
            "e.1",
            "e.1.m.x",
            "e.x.m",
            "e.-1.m",
            ".1.m",
            "e.0.m",
            "e\n.1.m",
            "e.1.{m}",
            "e.9007199254740992.m",
        ] {
            assert!(text.parse::<Position>().is_err(), "{text:?}");
        }
        let long = format!("e.1.{}", "m".repeat(33));
        assert!(long.parse::<Position>().is_err());
    }
}
