//! Proves that pushes arrive on a connection.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::{ErrorKind, Pipeline, RedisError};

/// A channel that only one connection knows, on which it publishes to itself.
///
/// A push that a connection sends to itself must be there before the reply to what was sent after
/// it: something on the way that answers but loses pushes is found out.
#[derive(Debug)]
pub(super) struct PushProbe {
    channel: String,
    sent: AtomicU64,
    heard: AtomicU64,
}

impl Default for PushProbe {
    fn default() -> Self {
        Self {
            channel: format!("mainstay-probe:{}", crate::random::token()),
            sent: AtomicU64::new(0),
            heard: AtomicU64::new(0),
        }
    }
}

impl PushProbe {
    /// What the connection must subscribe to.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    /// Adds the publishing of a probe; its number.
    pub(super) fn send(&self, commands: &mut Pipeline) -> u64 {
        let probe = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
        commands.cmd("PUBLISH").arg(&self.channel).arg(probe);
        probe
    }

    /// Takes a message if it is a probe.
    pub(super) fn hear(&self, channel: &[u8], payload: &[u8]) -> bool {
        if channel != self.channel.as_bytes() {
            return false;
        }
        let probe = std::str::from_utf8(payload).ok();
        if let Some(probe) = probe.and_then(|text| text.parse().ok()) {
            self.heard.fetch_max(probe, Ordering::SeqCst);
        }
        true
    }

    /// Fails if a probe has not come; asked after the reply to a later command.
    pub(super) fn check(&self, probe: u64) -> Result<(), RedisError> {
        if self.heard.load(Ordering::SeqCst) < probe {
            return Err(RedisError::from((
                ErrorKind::Io,
                "pushes do not arrive on this connection",
            )));
        }
        Ok(())
    }
}
