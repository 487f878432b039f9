//! For how long entries are fresh, kept, and served though they are not fresh.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ttl::Ttl;

pub(super) type TtlOf<T> = Arc<dyn Fn(&T) -> Duration + Send + Sync>;
pub(super) type TagsOf<T> = Arc<dyn Fn(&T) -> Vec<String> + Send + Sync>;

/// The settings of a cache but its name, near cache and codec.
pub(super) struct Policy<T> {
    pub(super) ttl: Duration,
    pub(super) ttl_of: Option<TtlOf<T>>,
    /// The share by which a ttl may be shortened, in `0.0..=1.0`.
    pub(super) jitter: f64,
    pub(super) expiry: Expiry,
    pub(super) negative_ttl: Duration,
    pub(super) error_ttl: Duration,
    pub(super) stale_while_revalidate: Duration,
    pub(super) stale_if_error: Duration,
    pub(super) early_refresh: EarlyRefresh,
    pub(super) load_timeout: Duration,
    pub(super) serve_stale_after: Option<Duration>,
    pub(super) tags: Vec<String>,
    pub(super) tags_of: Option<TagsOf<T>>,
    pub(super) compress_above: Option<usize>,
    pub(super) max_entry_bytes: usize,
    pub(super) schema: u16,
    pub(super) layout: Layout,
}

/// What a read does to an entry's ttl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Fixed,
    Sliding,
}

/// Whether entries are loaded anew ahead of their expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EarlyRefresh {
    /// Where their age is known anyway.
    Known,
    /// Always: their age is read with them.
    On,
    Off,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// An envelope.
    Sealed,
    /// The encoded value alone; keys start with this.
    Plain(String),
}

impl<T> Default for Policy<T> {
    fn default() -> Self {
        Self {
            ttl: Duration::from_mins(5),
            ttl_of: None,
            jitter: 0.0,
            expiry: Expiry::Fixed,
            negative_ttl: Duration::from_secs(30),
            error_ttl: Duration::ZERO,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            early_refresh: EarlyRefresh::Known,
            load_timeout: Duration::from_secs(30),
            serve_stale_after: None,
            tags: Vec::new(),
            tags_of: None,
            compress_above: None,
            max_entry_bytes: 8 << 20,
            schema: 0,
            layout: Layout::Sealed,
        }
    }
}

impl<T> Policy<T> {
    /// How long an entry is kept when it is fresh for `ttl`.
    pub(super) fn kept(&self, ttl: Duration) -> Duration {
        let window = self.stale_while_revalidate.max(self.stale_if_error);
        ttl.saturating_add(window).min(Ttl::MAX)
    }

    /// Whether what is read must tell its age.
    pub(super) fn needs_age(&self) -> bool {
        self.kept(self.ttl) > self.ttl
            || self.is_sliding()
            || self.early_refresh == EarlyRefresh::On
    }

    pub(super) fn is_sliding(&self) -> bool {
        self.expiry == Expiry::Sliding
    }

    /// Whether the entries tell how long they took to load, and that is to be used.
    pub(super) fn refreshes_early(&self) -> bool {
        self.early_refresh != EarlyRefresh::Off && !self.is_sliding()
    }

    /// The ttl of a new entry, shortened by chance where jitter is set.
    pub(super) fn fresh_for(&self, value: Option<&T>, explicit: Option<Duration>) -> Duration {
        let chosen = match (explicit, value, &self.ttl_of) {
            (Some(ttl), _, _) => ttl,
            (None, None, _) => self.negative_ttl.min(self.ttl),
            (None, Some(value), Some(ttl_of)) => ttl_of(value),
            (None, Some(_), None) => self.ttl,
        };
        let most = chosen.clamp(Duration::from_millis(1), Ttl::MAX);
        most.saturating_sub(crate::random::up_to(most.mul_f64(self.jitter)))
            .max(Duration::from_millis(1))
    }

    pub(super) fn check(&self) -> Result<()> {
        Ttl::new(self.ttl)?;
        for (what, window) in [
            ("negative_ttl", self.negative_ttl),
            ("error_ttl", self.error_ttl),
            ("stale_while_revalidate", self.stale_while_revalidate),
            ("stale_if_error", self.stale_if_error),
        ] {
            if window > Ttl::MAX {
                return Err(Error::invalid(format!("{what} is longer than 10 years")));
            }
        }
        if self.negative_ttl.is_zero() {
            return Err(Error::invalid(
                "negative_ttl is zero: it must be at least 1 ms",
            ));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(Error::invalid("jitter is a share between 0.0 and 1.0"));
        }
        if self.load_timeout.is_zero() {
            return Err(Error::invalid(
                "load_timeout is zero: no load could end in time",
            ));
        }
        if self.max_entry_bytes == 0 {
            return Err(Error::invalid(
                "max_entry_bytes is zero: nothing could be stored",
            ));
        }
        let has_stale = self.kept(self.ttl) > self.ttl;
        if self.expiry == Expiry::Sliding && has_stale {
            return Err(Error::invalid(
                "a sliding ttl has no stale windows: an entry in use never expires",
            ));
        }
        if self.serve_stale_after.is_some() && self.stale_if_error.is_zero() {
            return Err(Error::invalid(
                "serve_stale_after needs stale_if_error: there would be nothing to serve",
            ));
        }
        if let Layout::Plain(prefix) = &self.layout {
            self.check_plain(prefix, has_stale)?;
        }
        Ok(())
    }

    /// A plain entry has no room for anything but the value.
    fn check_plain(&self, prefix: &str, has_stale: bool) -> Result<()> {
        if prefix.is_empty() || prefix.chars().any(|c| c.is_control() || "{}".contains(c)) {
            return Err(Error::invalid(
                "plain prefix must be text without braces and control characters, as in \"user:\"",
            ));
        }
        let refused = [
            ("stale windows", has_stale),
            ("tags", !self.tags.is_empty() || self.tags_of.is_some()),
            ("compression", self.compress_above.is_some()),
            ("a schema", self.schema != 0),
        ];
        match refused.into_iter().find(|(_, is_set)| *is_set) {
            Some((what, _)) => Err(Error::invalid(format!(
                "a plain layout has no room for {what}: entries are the encoded value alone"
            ))),
            None => Ok(()),
        }
    }
}

impl<T> fmt::Debug for Policy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("ttl", &self.ttl)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Policy<u8>)) -> String {
        let mut policy = Policy::default();
        change(&mut policy);
        policy.check().unwrap_err().to_string()
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        let second = Duration::from_secs(1);
        assert!(refusal(|p| p.jitter = 1.5).contains("jitter"));
        assert!(refusal(|p| p.ttl = Duration::ZERO).contains("ttl is zero"));
        assert!(refusal(|p| p.serve_stale_after = Some(second)).contains("stale_if_error"));
        let sliding = refusal(|p| {
            p.expiry = Expiry::Sliding;
            p.stale_if_error = second;
        });
        assert!(sliding.contains("sliding"));
        let plain = refusal(|p| {
            p.layout = Layout::Plain("user:".to_owned());
            p.tags.push("t".to_owned());
        });
        assert!(plain.contains("no room for tags"), "{plain}");
        let braces = refusal(|p| p.layout = Layout::Plain("{user}:".to_owned()));
        assert!(braces.contains("without braces"), "{braces}");
    }

    #[test]
    fn jitter_shortens_a_ttl_by_at_most_its_share() {
        let policy = Policy::<u8> {
            jitter: 0.2,
            ..Policy::default()
        };
        let ttls: Vec<_> = (0..200).map(|_| policy.fresh_for(Some(&1), None)).collect();
        let (least, most) = (Duration::from_mins(4), Duration::from_mins(5));
        assert!(ttls.iter().all(|ttl| (least..=most).contains(ttl)));
        assert!(ttls.iter().any(|ttl| *ttl < Duration::from_secs(290)));
    }

    #[test]
    fn the_ttl_comes_from_the_caller_the_value_or_the_cache() {
        let policy = Policy::<u64> {
            ttl_of: Some(Arc::new(|value| Duration::from_secs(*value))),
            ..Policy::default()
        };
        let own = Some(Duration::from_secs(3));
        assert_eq!(policy.fresh_for(Some(&7), own), Duration::from_secs(3));
        assert_eq!(policy.fresh_for(Some(&7), None), Duration::from_secs(7));
        assert_eq!(policy.fresh_for(None, None), Duration::from_secs(30));
    }
}
