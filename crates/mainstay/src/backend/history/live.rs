//! How an appended message is told to who listens.
//!
//! One line, `<epoch> <number> <mark> <mark before> <milliseconds>`, then the bytes of the message.
//! The mark before the first message is `-`. A message that is too large has a line without its end.

use bytes::Bytes;

use super::{HistoryEntry, LiveHistory};

/// Largest message that is told with its bytes; a larger one is read from the log.
pub(crate) const LIVE_MOST: usize = 64 * 1024;

/// Stands for no mark.
const NO_MARK: &str = "-";

/// The line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveHeader<'a> {
    pub(crate) epoch: &'a str,
    pub(crate) sequence: u64,
    pub(crate) mark: &'a str,
    pub(crate) before: &'a str,
    pub(crate) appended_ms: u64,
}

/// A message as it is told.
#[derive(Debug)]
pub(crate) struct Live;

impl Live {
    pub(crate) fn write(header: LiveHeader<'_>, payload: &[u8]) -> Bytes {
        let LiveHeader {
            epoch,
            sequence,
            mark,
            before,
            appended_ms,
        } = header;
        let before = if before.is_empty() { NO_MARK } else { before };
        let mut told = format!("{epoch} {sequence} {mark} {before} {appended_ms}").into_bytes();
        if payload.len() <= LIVE_MOST {
            told.push(b'\n');
            told.extend_from_slice(payload);
        }
        told.into()
    }

    pub(crate) fn read(told: &Bytes) -> LiveHistory {
        Self::entry(told).unwrap_or(LiveHistory::Appended)
    }

    fn entry(told: &Bytes) -> Option<LiveHistory> {
        let end = told.iter().position(|byte| *byte == b'\n')?;
        let header = std::str::from_utf8(told.get(..end)?).ok()?;
        let mut words = header.split(' ');
        let mut word = || words.next();
        let (epoch, sequence, mark) = (word()?, word()?.parse().ok()?, word()?);
        let (before, appended_ms) = (word()?, word()?.parse().ok()?);
        let before = if before == NO_MARK { "" } else { before };
        Some(LiveHistory::Entry {
            epoch: epoch.into(),
            entry: HistoryEntry {
                sequence,
                mark: mark.into(),
                before: before.into(),
                appended_ms,
                payload: told.slice(end + 1..),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(before: &str) -> LiveHeader<'_> {
        LiveHeader {
            epoch: "e",
            sequence: 7,
            mark: "m",
            before,
            appended_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_told() {
        for before in ["", "l"] {
            let told = Live::write(header(before), b"two\nlines");
            let LiveHistory::Entry { epoch, entry } = Live::read(&told) else {
                panic!("it is no message");
            };
            assert_eq!((&*epoch, entry.sequence), ("e", 7));
            assert_eq!((&*entry.mark, &*entry.before), ("m", before));
            assert_eq!(entry.appended_ms, 1_700_000_000_000);
            assert_eq!(&entry.payload[..], b"two\nlines");
        }
    }

    #[test]
    fn what_has_no_bytes_is_read_from_the_log() {
        let large = Live::write(header(""), &vec![0; LIVE_MOST + 1]);
        for told in [large, Bytes::new(), Bytes::from_static(b"e x m - 1\n{}")] {
            assert_eq!(Live::read(&told), LiveHistory::Appended);
        }
    }
}
