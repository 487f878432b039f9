//! The byte-bounded queue between a channel and one subscriber.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Notify;

use super::channel::{Delivery, GapReason};
use super::unpoisoned::lock;
use crate::key::StoreKey;

/// What a queued message costs besides its payload.
const OVERHEAD_BYTES: usize = 64;

/// Undelivered messages of one subscriber, and the gaps between them.
///
/// A push never waits: what does not fit is dropped, and a gap counts it where it would have
/// stood. Gaps cost nothing, yet their number is bounded too: between two messages stands at
/// most one of each reason.
#[derive(Debug)]
pub(crate) struct Mailbox {
    max_bytes: usize,
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
}

impl Mailbox {
    /// An empty mailbox for at most `max_bytes` of messages, each counted with 64 bytes more
    /// than its payload.
    pub(crate) fn new(max_bytes: NonZeroUsize) -> Arc<Self> {
        Arc::new(Self {
            max_bytes: max_bytes.get(),
            queue: Mutex::default(),
            filled: Notify::new(),
        })
    }

    /// Queues a message, or counts it as dropped when it does not fit.
    pub(crate) fn push(&self, channel: StoreKey, payload: Bytes) {
        let mut queue = lock(&self.queue);
        let bytes = queue.bytes.saturating_add(cost(&payload));
        if bytes > self.max_bytes {
            queue.note(GapReason::Overflow { dropped: 1 });
        } else {
            queue.bytes = bytes;
            queue
                .deliveries
                .push_back(Delivery::Message { channel, payload });
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Marks that messages may be missing here.
    ///
    /// Merges with a gap of the same reason when no message came since.
    #[cfg(any(feature = "redis", test))]
    pub(crate) fn gap(&self, reason: GapReason) {
        lock(&self.queue).note(reason);
        self.filled.notify_one();
    }

    /// The oldest message or gap; waits while there is none. Cancel safe.
    pub(crate) async fn next(&self) -> Delivery {
        // A subscriber that never catches up would otherwise never yield to other tasks.
        tokio::task::consume_budget().await;
        loop {
            let filled = self.filled.notified();
            if let Some(delivery) = lock(&self.queue).pop() {
                return delivery;
            }
            filled.await;
        }
    }
}

impl Queue {
    fn note(&mut self, reason: GapReason) {
        let gaps = self.deliveries.iter_mut().rev().map_while(|delivery| {
            if let Delivery::Gap(gap) = delivery {
                Some(gap)
            } else {
                None
            }
        });
        for gap in gaps {
            match (gap, reason) {
                (GapReason::Disconnected, GapReason::Disconnected) => return,
                (GapReason::Overflow { dropped }, GapReason::Overflow { dropped: more }) => {
                    *dropped = dropped.saturating_add(more);
                    return;
                }
                (GapReason::Disconnected, GapReason::Overflow { .. })
                | (GapReason::Overflow { .. }, GapReason::Disconnected) => {}
            }
        }
        self.deliveries.push_back(Delivery::Gap(reason));
    }

    fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        if let Delivery::Message { payload, .. } = &delivery {
            self.bytes = self.bytes.saturating_sub(cost(payload));
        }
        Some(delivery)
    }
}

fn cost(payload: &Bytes) -> usize {
    payload.len().saturating_add(OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;
    use crate::key::{Keyspace, Name};

    fn channel() -> StoreKey {
        Keyspace::default().channel(&Name::new("news").unwrap())
    }

    /// Room for `messages` messages of 36 bytes.
    fn mailbox(messages: usize) -> Arc<Mailbox> {
        Mailbox::new(NonZeroUsize::new(messages * 100).unwrap())
    }

    fn text(mark: u8) -> Bytes {
        Bytes::from(vec![mark; 36])
    }

    fn message(mark: u8) -> Delivery {
        Delivery::Message {
            channel: channel(),
            payload: text(mark),
        }
    }

    fn dropped(dropped: u64) -> Delivery {
        Delivery::Gap(GapReason::Overflow { dropped })
    }

    fn drain(mailbox: &Mailbox) -> Vec<Delivery> {
        std::iter::from_fn(|| mailbox.next().now_or_never()).collect()
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mailbox = mailbox(3);
        for mark in 0..3 {
            mailbox.push(channel(), text(mark));
        }
        assert_eq!(drain(&mailbox), [message(0), message(1), message(2)]);
    }

    #[test]
    fn one_gap_counts_all_that_did_not_fit_where_it_would_have_stood() {
        let mailbox = mailbox(2);
        for mark in 0..5 {
            mailbox.push(channel(), text(mark));
        }
        assert_eq!(mailbox.next().now_or_never(), Some(message(0)));
        mailbox.push(channel(), text(5));
        mailbox.push(channel(), text(6));
        assert_eq!(
            drain(&mailbox),
            [message(1), dropped(3), message(5), dropped(1)]
        );
    }

    #[test]
    fn what_was_taken_makes_room_to_the_byte() {
        let mailbox = mailbox(1);
        for mark in 0..100 {
            mailbox.push(channel(), text(mark));
            assert_eq!(drain(&mailbox), [message(mark)]);
        }
    }

    #[test]
    fn a_message_larger_than_the_mailbox_is_dropped_though_it_is_empty() {
        let mailbox = mailbox(1);
        mailbox.push(channel(), Bytes::from(vec![0; 37]));
        mailbox.push(channel(), text(1));
        assert_eq!(drain(&mailbox), [dropped(1), message(1)]);
    }

    #[test]
    fn empty_messages_are_bounded_too() {
        let mailbox = mailbox(1);
        mailbox.push(channel(), Bytes::new());
        mailbox.push(channel(), Bytes::new());
        assert_eq!(drain(&mailbox).last(), Some(&dropped(1)));
    }

    #[test]
    fn gaps_merge_until_a_message_comes_between() {
        let lost = Delivery::Gap(GapReason::Disconnected);
        let mailbox = mailbox(1);
        for _ in 0..3 {
            mailbox.gap(GapReason::Disconnected);
            mailbox.push(channel(), Bytes::from(vec![0; 37]));
        }
        mailbox.push(channel(), text(1));
        mailbox.gap(GapReason::Disconnected);
        mailbox.gap(GapReason::Overflow { dropped: 7 });
        mailbox.gap(GapReason::Overflow { dropped: 1 });
        let expected = [
            lost.clone(),
            dropped(3),
            message(1),
            lost.clone(),
            dropped(8),
        ];
        assert_eq!(drain(&mailbox), expected);
    }

    #[tokio::test]
    async fn a_waiting_subscriber_is_woken_by_a_message_and_by_a_gap() {
        let mailbox = mailbox(1);
        let send = async { mailbox.push(channel(), text(1)) };
        assert_eq!(tokio::join!(mailbox.next(), send).0, message(1));
        let cut = async { mailbox.gap(GapReason::Disconnected) };
        let lost = Delivery::Gap(GapReason::Disconnected);
        assert_eq!(tokio::join!(mailbox.next(), cut).0, lost);
    }

    #[tokio::test]
    async fn a_cancelled_wait_loses_nothing() {
        let mailbox = mailbox(2);
        {
            let mut cancelled = pin!(mailbox.next());
            assert_eq!(cancelled.as_mut().now_or_never(), None);
            mailbox.push(channel(), text(1));
        }
        assert_eq!(mailbox.next().await, message(1));
    }

    #[tokio::test]
    async fn a_full_mailbox_lets_other_tasks_run() {
        let mailbox = mailbox(1_000);
        for _ in 0..1_000 {
            mailbox.push(channel(), text(0));
        }
        let taken = drain(&mailbox).len();
        assert!((1..1_000).contains(&taken), "took {taken} without a pause");
    }
}
