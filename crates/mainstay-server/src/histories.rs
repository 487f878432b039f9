//! Which channels keep what is published, and what they keep.

use mainstay::pubsub::{History, Retention};
use mainstay::{Mainstay, Name};
use serde_json::Value;

use crate::ServeError;

/// Channels that keep what is published on them.
///
/// ```
/// use mainstay::pubsub::Retention;
/// use mainstay_server::HistoryRule;
///
/// let rule = HistoryRule::new("alarms/*", Retention::count(10_000))?;
/// assert!(rule.applies_to("alarms/press") && !rule.applies_to("alarms"));
/// assert!(HistoryRule::new("a*b", Retention::count(1)).is_err());
/// # Ok::<(), mainstay_server::ServeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRule {
    channels: Channels,
    retention: Retention,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Channels {
    Named(String),
    StartingWith(String),
}

impl HistoryRule {
    /// A rule for the channel of this name, or for all whose names start with what comes before a `*`
    /// at its end.
    ///
    /// # Errors
    /// [`ServeError::Config`] when that is no name, or the retention keeps nothing or too much.
    pub fn new(channels: &str, retention: Retention) -> Result<Self, ServeError> {
        let wrong =
            |why: mainstay::Error| ServeError::Config(format!("history of {channels:?}: {why}"));
        let channels = match channels.strip_suffix('*') {
            Some("") => Channels::StartingWith(String::new()),
            Some(start) => Channels::StartingWith(Name::new(start).map_err(wrong)?.to_string()),
            None => Channels::Named(Name::new(channels).map_err(wrong)?.to_string()),
        };
        retention.validate().map_err(wrong)?;
        Ok(Self {
            channels,
            retention,
        })
    }

    /// Whether it is a rule for this channel.
    pub fn applies_to(&self, channel: &str) -> bool {
        match &self.channels {
            Channels::Named(name) => name == channel,
            Channels::StartingWith(start) => channel.starts_with(start),
        }
    }
}

/// The history of a channel, if it keeps one; the first rule that applies counts.
pub(crate) fn history(
    stay: &Mainstay,
    rules: &[HistoryRule],
    channel: &str,
    buffer_bytes: usize,
) -> mainstay::Result<Option<History<Value>>> {
    let rule = rules.iter().find(|rule| rule.applies_to(channel));
    rule.map(|rule| {
        let channel = stay.channel::<Value>(channel).buffer_bytes(buffer_bytes);
        channel.history(rule.retention).build()
    })
    .transpose()
}
