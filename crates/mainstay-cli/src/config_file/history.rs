//! The tables `[[history]]`.

use mainstay::pubsub::Retention;
use mainstay_server::HistoryRule;
use serde::Deserialize;

use super::span::{Size, Span};
use crate::failure::Failure;

/// Channels that keep what is published, and what they keep.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryTable {
    channels: String,
    count: u64,
    age: Option<Span>,
    bytes: Option<Size>,
}

impl HistoryTable {
    pub(super) fn rule(&self) -> Result<HistoryRule, Failure> {
        let mut retention = Retention::count(self.count);
        if let Some(Span(age)) = self.age {
            retention = retention.age(age);
        }
        if let Some(Size(bytes)) = self.bytes {
            retention = retention.bytes(bytes);
        }
        Ok(HistoryRule::new(&self.channels, retention)?)
    }
}
