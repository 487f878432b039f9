//! How far a client has come, on all its channels that keep a history: the id of its last event.
//!
//! Opaque to clients, and the same on every node: base64url of `channel=place`, joined by commas.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay::Name;
use mainstay::pubsub::Position;

/// Longest text that is read; what 64 channels of the longest names have is shorter.
const MOST_BYTES: usize = 32 * 1024;

/// A place a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cursor(Vec<(Name, Position)>);

impl Cursor {
    /// Moves a channel's place.
    pub(super) fn set(&mut self, channel: &Name, position: Position) {
        match self.0.iter_mut().find(|(known, _)| known == channel) {
            Some((_, at)) => *at = position,
            None => self.0.push((channel.clone(), position)),
        }
    }

    pub(super) fn get(&self, channel: &Name) -> Option<&Position> {
        let found = self.0.iter().find(|(known, _)| known == channel);
        found.map(|(_, position)| position)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn write(&self) -> String {
        let mut text = String::new();
        for (channel, position) in &self.0 {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(channel.as_str());
            text.push('=');
            text.push_str(&position.to_string());
        }
        URL_SAFE_NO_PAD.encode(text)
    }

    /// `None` for what was not written by [`write`](Self::write).
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let places = text.split(',').map(|place| {
            let (channel, position) = place.split_once('=')?;
            Some((Name::new(channel).ok()?, position.parse().ok()?))
        });
        places.collect::<Option<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let mut cursor = Cursor::default();
        for (channel, place) in [("a", "e.1.m"), ("änder/ung", "f.0."), ("a", "e.2.n")] {
            cursor.set(&Name::new(channel).unwrap(), place.parse().unwrap());
        }
        let text = cursor.write();
        assert!(text.is_ascii());
        assert_eq!(Cursor::read(&text), Some(cursor.clone()));
        let place = cursor.get(&Name::new("a").unwrap()).unwrap();
        assert_eq!(place.to_string(), "e.2.n");
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in [
            "",
            "e-1",
            "%%",
            &encoded("a"),
            &encoded("a=1"),
            &encoded("{=e.1.m"),
            &"A".repeat(MOST_BYTES + 4),
        ] {
            assert_eq!(Cursor::read(text), None, "{text:.20}");
        }
    }
}
