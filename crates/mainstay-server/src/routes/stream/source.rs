//! What the channels of one client hand out: those that keep a history, and those that do not.

use futures_util::StreamExt;
use futures_util::future::{Either, pending};
use futures_util::stream::{BoxStream, SelectAll, unfold};
use mainstay::Name;
use mainstay::pubsub::{HistoryItem, HistorySubscriber, Item, Position, Subscriber};
use serde_json::Value;

/// Hands out what comes first.
///
/// Each history is a stream of its own, so that reading one is not given up because another has an
/// event.
pub(super) struct Source {
    plain: Option<Subscriber<Value>>,
    histories: SelectAll<BoxStream<'static, Kept>>,
}

/// What a channel with a history hands out, and how far the client has come with it.
pub(super) struct Kept {
    pub(super) channel: Name,
    pub(super) item: HistoryItem<Value>,
    pub(super) position: Position,
}

impl Source {
    pub(super) fn new(plain: Option<Subscriber<Value>>) -> Self {
        Self {
            plain,
            histories: SelectAll::new(),
        }
    }

    pub(super) fn add(&mut self, channel: Name, subscriber: HistorySubscriber<Value>) {
        let items = unfold((channel, subscriber), |(channel, mut subscriber)| async {
            let item = subscriber.next().await;
            let kept = Kept {
                channel: channel.clone(),
                item,
                position: subscriber.position().clone(),
            };
            Some((kept, (channel, subscriber)))
        });
        self.histories.push(items.boxed());
    }

    /// Waits while there is nothing. Cancel safe.
    pub(super) async fn next(&mut self) -> Either<Item<Value>, Kept> {
        let Self { plain, histories } = self;
        let plain = async {
            match plain {
                Some(plain) => plain.next().await,
                None => pending().await,
            }
        };
        let kept = async {
            match histories.next().await {
                Some(kept) => kept,
                // There are no histories.
                None => pending().await,
            }
        };
        tokio::select! {
            item = plain => Either::Left(item),
            kept = kept => Either::Right(kept),
        }
    }
}
