//! How far a subscriber has come, and whether what it reads goes on from there.
//!
//! Every message carries the mark of the one before. So a history whose end was lost, and whose
//! numbers were given to other messages, is told from the one that was read, however far it has
//! grown since: comparing numbers alone would take the new messages for those already seen.

use super::item::{HistoryGap, HistoryGapReason};
use crate::backend::{HistoryEntry, HistoryPage, Position};

/// The place of the message that was handed out last.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    at: Position,
}

/// What a page comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Absorbed {
    /// The messages after the cursor, without a hole, and whether more are to be read.
    Entries {
        entries: Vec<HistoryEntry>,
        has_more: bool,
    },
    /// The cursor has moved over messages that are gone; read on from it.
    Gap(HistoryGap),
}

/// How a message that was heard stands to the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the next one.
    Next,
    /// It was handed out before.
    Known,
    /// It has an older number: handed out before, unless the history was rewritten.
    Doubtful,
    /// Others lie between, or this is another history: read the log.
    Beyond,
}

impl Cursor {
    pub(super) fn after(at: Position) -> Self {
        Self { at }
    }

    /// Before the oldest message of a page that was read from the start.
    pub(super) fn before_all(page: &HistoryPage) -> Self {
        let mark = page.entries.first().map_or(&page.last.mark, |e| &e.before);
        Self {
            at: Position {
                epoch: page.last.epoch.clone(),
                sequence: page.first.saturating_sub(1),
                mark: mark.clone(),
            },
        }
    }

    pub(super) fn position(&self) -> &Position {
        &self.at
    }

    /// The first message to read: the one at the cursor, to see whether it is still the same.
    pub(super) fn read_from(&self) -> u64 {
        self.at.sequence.max(1)
    }

    /// Moves to a message that is handed out.
    pub(super) fn advance(&mut self, entry: &HistoryEntry) {
        self.at.sequence = entry.sequence;
        self.at.mark.clone_from(&entry.mark);
    }

    /// Takes a page that was read from [`read_from`](Self::read_from).
    pub(super) fn absorb(&mut self, page: HistoryPage) -> Absorbed {
        let HistoryPage {
            last,
            first,
            mut entries,
        } = page;
        let at = self.at.sequence;
        if last.epoch != self.at.epoch {
            self.at = Position {
                sequence: first.saturating_sub(1),
                mark: Box::default(),
                ..last
            };
            return gap(at + 1, None, HistoryGapReason::Lost);
        }
        if last.sequence < at {
            self.at = last;
            return rewritten(first, self.at.sequence);
        }
        // What the history says was before the next message: the mark at the cursor.
        let (here, next) = match entries.first() {
            Some(entry) if entry.sequence == at => (Some(entry.mark.clone()), at + 1),
            Some(entry) => (
                (entry.sequence == at + 1).then(|| entry.before.clone()),
                entry.sequence,
            ),
            None if last.sequence == at => (Some(last.mark.clone()), at + 1),
            None => (None, last.sequence + 1),
        };
        let Some(here) = here else {
            let mark = entries.first().map_or(&last.mark, |entry| &entry.before);
            self.at = Position {
                sequence: next - 1,
                mark: mark.clone(),
                epoch: last.epoch,
            };
            return gap(at + 1, Some(next - 1), HistoryGapReason::Trimmed);
        };
        if !self.at.mark.is_empty() && self.at.mark != here {
            self.at.mark = here;
            return rewritten(first, at);
        }
        self.at.mark = here;
        entries.retain(|entry| entry.sequence > at);
        // Another program has deleted what comes next.
        let after = match entries.first() {
            Some(entry) if entry.sequence > at + 1 => {
                Some((entry.sequence - 1, entry.before.clone()))
            }
            None if last.sequence > at => Some((last.sequence, last.mark.clone())),
            Some(_) | None => None,
        };
        if let Some((to, mark)) = after {
            (self.at.sequence, self.at.mark) = (to, mark);
            return gap(at + 1, Some(to), HistoryGapReason::Trimmed);
        }
        // A hole further on is a gap of the next page.
        let whole = entries
            .iter()
            .zip(at + 1..)
            .take_while(|(entry, number)| entry.sequence == *number);
        entries.truncate(whole.count());
        let reached = entries.last().map_or(at, |entry| entry.sequence);
        Absorbed::Entries {
            entries,
            has_more: reached < last.sequence,
        }
    }

    /// How a message that was heard stands to what was handed out.
    pub(super) fn standing(&self, epoch: &str, entry: &HistoryEntry) -> Standing {
        let at = self.at.sequence;
        if epoch != &*self.at.epoch {
            return Standing::Beyond;
        }
        if entry.sequence == at + 1 {
            let goes_on = self.at.mark.is_empty() || entry.before == self.at.mark;
            return if goes_on {
                Standing::Next
            } else {
                Standing::Beyond
            };
        }
        if entry.sequence == at {
            return if entry.mark == self.at.mark {
                Standing::Known
            } else {
                Standing::Beyond
            };
        }
        if entry.sequence < at {
            Standing::Doubtful
        } else {
            Standing::Beyond
        }
    }
}

fn gap(from: u64, to: Option<u64>, reason: HistoryGapReason) -> Absorbed {
    Absorbed::Gap(HistoryGap { from, to, reason })
}

fn rewritten(first: u64, to: u64) -> Absorbed {
    gap(first.min(to).max(1), Some(to), HistoryGapReason::Rewritten)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn position(epoch: &str, sequence: u64, mark: &str) -> Position {
        Position {
            epoch: epoch.into(),
            sequence,
            mark: mark.into(),
        }
    }

    /// A log of one epoch: the marks of all messages, of which those from `first` on are kept.
    struct Log(&'static str, Vec<&'static str>, u64);

    impl Log {
        fn entry(&self, sequence: u64) -> HistoryEntry {
            let mark = |sequence: u64| {
                let index = usize::try_from(sequence).unwrap();
                index.checked_sub(1).map_or("", |index| self.1[index])
            };
            HistoryEntry {
                sequence,
                mark: mark(sequence).into(),
                before: mark(sequence - 1).into(),
                appended_ms: 0,
                payload: Bytes::new(),
            }
        }

        fn page(&self, from: u64, most: u64) -> HistoryPage {
            let last = u64::try_from(self.1.len()).unwrap();
            let start = from.max(self.2);
            let end = last.min(start + most - 1);
            HistoryPage {
                last: position(self.0, last, self.1.last().copied().unwrap_or_default()),
                first: self.2,
                entries: (start..=end).map(|number| self.entry(number)).collect(),
            }
        }
    }

    /// Reads a log to its end: gaps, and numbers of messages.
    fn read(cursor: &mut Cursor, log: &Log) -> (Vec<HistoryGap>, Vec<u64>) {
        let (mut gaps, mut numbers) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            match cursor.absorb(log.page(cursor.read_from(), 2)) {
                Absorbed::Gap(gap) => gaps.push(gap),
                Absorbed::Entries { entries, has_more } => {
                    for entry in entries {
                        cursor.advance(&entry);
                        numbers.push(entry.sequence);
                    }
                    if !has_more {
                        return (gaps, numbers);
                    }
                }
            }
        }
        panic!("it does not come to an end");
    }

    fn missing(from: u64, to: impl Into<Option<u64>>, reason: HistoryGapReason) -> HistoryGap {
        HistoryGap {
            from,
            to: to.into(),
            reason,
        }
    }

    #[test]
    fn who_resumes_reads_what_came_after() {
        let log = Log("e", vec!["a", "b", "c", "d"], 1);
        for (at, expected) in [
            (position("e", 0, ""), vec![1, 2, 3, 4]),
            (position("e", 1, "a"), vec![2, 3, 4]),
            (position("e", 4, "d"), vec![]),
            (position("e", 3, ""), vec![4]),
        ] {
            let read = read(&mut Cursor::after(at), &log);
            assert_eq!(read, (vec![], expected));
        }
    }

    #[test]
    fn what_was_trimmed_is_one_gap() {
        let log = Log("e", vec!["a", "b", "c", "d"], 4);
        let at = |at| read(&mut Cursor::after(at), &log);
        let trimmed = |from| missing(from, 3, HistoryGapReason::Trimmed);
        assert_eq!(at(position("e", 1, "a")), (vec![trimmed(2)], vec![4]));
        // The message at the cursor is gone, those after it are not.
        assert_eq!(at(position("e", 3, "c")), (vec![], vec![4]));
        let empty = Log("e", vec!["a", "b"], 3);
        let read = read(&mut Cursor::after(position("e", 1, "a")), &empty);
        let gap = missing(2, 2, HistoryGapReason::Trimmed);
        assert_eq!(read, (vec![gap], vec![]));
    }

    #[test]
    fn a_history_that_lost_its_end_is_told_however_far_it_has_grown() {
        let seen = position("e", 3, "c");
        let rewritten = |from, to| missing(from, to, HistoryGapReason::Rewritten);
        for (marks, first, gap, numbers) in [
            (vec!["a", "b"], 1, rewritten(1, 2), vec![]),
            (vec!["a", "b", "x"], 1, rewritten(1, 3), vec![]),
            (vec!["a", "x", "y", "z"], 1, rewritten(1, 3), vec![4]),
            (vec!["a", "x", "y", "z"], 4, rewritten(3, 3), vec![4]),
            (vec!["a", "x", "y"], 4, rewritten(3, 3), vec![]),
        ] {
            let log = Log("e", marks, first);
            let read = read(&mut Cursor::after(seen.clone()), &log);
            assert_eq!(read, (vec![gap], numbers));
        }
    }

    #[test]
    fn what_another_program_has_deleted_is_a_gap_wherever_it_was() {
        let log = Log("e", vec!["a", "b", "c", "d", "f"], 1);
        for deleted in 2..=5 {
            let mut cursor = Cursor::after(position("e", 1, "a"));
            let (mut gaps, mut numbers) = (Vec::new(), Vec::new());
            for _ in 0..10 {
                let mut page = log.page(cursor.read_from(), 9);
                page.entries.retain(|entry| entry.sequence != deleted);
                match cursor.absorb(page) {
                    Absorbed::Gap(gap) => gaps.push(gap),
                    Absorbed::Entries { entries, .. } => {
                        for entry in entries {
                            cursor.advance(&entry);
                            numbers.push(entry.sequence);
                        }
                    }
                }
            }
            let expected: Vec<_> = (2..=5).filter(|number| *number != deleted).collect();
            assert_eq!(numbers, expected);
            assert_eq!(gaps, [missing(deleted, deleted, HistoryGapReason::Trimmed)]);
        }
    }

    #[test]
    fn a_history_that_begins_anew_is_read_from_its_start() {
        for (marks, first, numbers) in [
            (vec!["x", "y", "z", "v"], 1, vec![1, 2, 3, 4]),
            (vec!["x", "y", "z", "v"], 3, vec![3, 4]),
            (vec![], 1, vec![]),
        ] {
            let mut cursor = Cursor::after(position("e", 3, "c"));
            let gap = missing(4, None, HistoryGapReason::Lost);
            let read = read(&mut cursor, &Log("f", marks, first));
            assert_eq!(read, (vec![gap], numbers));
        }
    }

    #[test]
    fn who_begins_with_the_oldest_misses_nothing() {
        let log = Log("e", vec!["a", "b", "c"], 2);
        let mut cursor = Cursor::before_all(&log.page(1, 2));
        assert_eq!(read(&mut cursor, &log), (vec![], vec![2, 3]));
    }

    #[test]
    fn a_message_that_is_heard_goes_on_or_does_not() {
        let log = Log("e", vec!["a", "b", "c", "d"], 1);
        let other = Log("e", vec!["x", "y", "z", "v"], 1);
        let cursor = Cursor::after(position("e", 2, "b"));
        for (standing, epoch, entry) in [
            (Standing::Next, "e", log.entry(3)),
            (Standing::Known, "e", log.entry(2)),
            (Standing::Doubtful, "e", log.entry(1)),
            (Standing::Beyond, "e", log.entry(4)),
            (Standing::Beyond, "f", log.entry(3)),
            (Standing::Beyond, "e", other.entry(3)),
            (Standing::Beyond, "e", other.entry(2)),
        ] {
            assert_eq!(cursor.standing(epoch, &entry), standing, "{entry:?}");
        }
    }
}
