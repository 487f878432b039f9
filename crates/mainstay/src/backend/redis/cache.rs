//! Cache entries on Redis: an envelope a key, a lease beside it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};

use super::commander::{Commander, Effect};
use super::{reply, script};
use crate::backend::{Acquired, CacheStore, Entry, Fill, Lease};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

#[derive(Debug)]
pub(super) struct RedisCache {
    commander: Arc<Commander>,
}

impl RedisCache {
    pub(super) fn new(commander: Arc<Commander>) -> Self {
        Self { commander }
    }
}

fn lease_key(key: &StoreKey) -> String {
    key.companion("l")
}

#[async_trait]
impl CacheStore for RedisCache {
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>> {
        let mut get = redis::cmd("GET");
        get.arg(key.as_str());
        let reply = self.commander.run(key.as_str(), &get, Effect::Read).await?;
        Ok(reply::optional_bytes(reply)?
            .and_then(|bytes| Envelope::open(&bytes))
            .map(|e| e.payload))
    }

    async fn inspect(&self, key: &StoreKey) -> Result<Option<Entry>> {
        let reply = self
            .commander
            .eval(&script::CACHE_INSPECT, &[key.as_str()], &[], Effect::Read)
            .await?;
        if reply == redis::Value::Nil {
            return Ok(None);
        }
        let [envelope, left] = reply::fields(reply)?;
        let Some(envelope) = Envelope::open(&reply::bytes(envelope)?) else {
            return Ok(None);
        };
        let left = Duration::from_millis(reply::count(&left)?);
        let age = envelope.ttl.saturating_sub(left);
        Ok(Some(Entry::new(envelope.payload, age, left)))
    }

    async fn put(&self, key: &StoreKey, value: Bytes, ttl: Ttl) -> Result<()> {
        self.commander
            .eval(
                &script::CACHE_PUT,
                &[key.as_str(), &lease_key(key)],
                &[&Envelope::seal(&value, ttl), millis(ttl).as_bytes()],
                Effect::Idempotent,
            )
            .await?;
        Ok(())
    }

    async fn acquire(&self, key: &StoreKey, lease_for: Ttl) -> Result<Acquired> {
        let lease = Lease::random();
        let reply = self
            .commander
            .eval(
                &script::CACHE_ACQUIRE,
                &[key.as_str(), &lease_key(key)],
                &[
                    lease.as_str().as_bytes(),
                    millis(lease_for).as_bytes(),
                    &Envelope::MARK,
                ],
                Effect::Idempotent,
            )
            .await?;
        let mut fields = reply::list(reply)?.into_iter();
        let word = reply::text(fields.next().unwrap_or_default())?;
        let detail = fields.next().unwrap_or_default();
        match word.as_str() {
            "fresh" => Ok(Envelope::open(&reply::bytes(detail)?)
                .map_or(Acquired::Busy(Duration::ZERO), |e| {
                    Acquired::Fresh(e.payload)
                })),
            "leased" => Ok(Acquired::Leased(lease)),
            "busy" => Ok(Acquired::Busy(Duration::from_millis(reply::count(
                &detail,
            )?))),
            other => Err(reply::unknown_word(other)),
        }
    }

    async fn fill(&self, key: &StoreKey, lease: &Lease, value: Bytes, ttl: Ttl) -> Result<Fill> {
        let reply = self
            .commander
            .eval(
                &script::CACHE_FILL,
                &[key.as_str(), &lease_key(key)],
                &[
                    lease.as_str().as_bytes(),
                    &Envelope::seal(&value, ttl),
                    millis(ttl).as_bytes(),
                ],
                Effect::Idempotent,
            )
            .await?;
        Ok(match reply::count(&reply)? {
            0 => Fill::Superseded,
            _ => Fill::Stored,
        })
    }

    async fn forfeit(&self, key: &StoreKey, lease: &Lease) -> Result<()> {
        self.commander
            .eval(
                &script::CACHE_FORFEIT,
                &[&lease_key(key)],
                &[lease.as_str().as_bytes()],
                Effect::Idempotent,
            )
            .await?;
        Ok(())
    }

    async fn remove(&self, key: &StoreKey) -> Result<bool> {
        let reply = self
            .commander
            .eval(
                &script::CACHE_REMOVE,
                &[key.as_str(), &lease_key(key)],
                &[],
                Effect::Idempotent,
            )
            .await?;
        Ok(reply::count(&reply)? > 0)
    }
}

pub(super) fn millis(ttl: Ttl) -> String {
    ttl.as_millis().to_string()
}

/// What stands in Redis: three bytes that mark our layout, the whole TTL, the payload.
///
/// Anything that does not start with the mark is a miss: it is another program's, or of a
/// layout that this version does not know.
struct Envelope {
    ttl: Duration,
    payload: Bytes,
}

impl Envelope {
    /// `ms` and the layout's version.
    const MARK: [u8; 3] = *b"ms\x01";
    const HEADER: usize = Self::MARK.len() + size_of::<u64>();

    fn seal(payload: &Bytes, ttl: Ttl) -> Bytes {
        let mut sealed = BytesMut::with_capacity(Self::HEADER + payload.len());
        sealed.put_slice(&Self::MARK);
        sealed.put_u64(ttl.as_millis());
        sealed.put_slice(payload);
        sealed.freeze()
    }

    fn open(sealed: &Bytes) -> Option<Self> {
        let rest = sealed.strip_prefix(&Self::MARK)?;
        let (ttl, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            ttl: Duration::from_millis(u64::from_be_bytes(*ttl)),
            payload: sealed.slice(Self::HEADER..),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_gives_back_what_was_sealed() -> Result<()> {
        let ttl = Ttl::new(Duration::from_millis(1_500))?;
        let sealed = Envelope::seal(&Bytes::from_static(b"value"), ttl);
        let opened = Envelope::open(&sealed).expect("the mark is there");
        assert_eq!(opened.ttl, ttl.as_duration());
        assert_eq!(opened.payload, "value");
        Ok(())
    }

    #[test]
    fn foreign_and_truncated_bytes_are_a_miss() -> Result<()> {
        let sealed = Envelope::seal(&Bytes::new(), Ttl::new(Duration::from_secs(1))?);
        for end in 0..Envelope::HEADER {
            assert!(Envelope::open(&sealed.slice(..end)).is_none());
        }
        assert!(Envelope::open(&Bytes::from_static(b"{\"plain\":\"json value\"}")).is_none());
        assert!(Envelope::open(&Bytes::from_static(b"ms\x02........later")).is_none());
        Ok(())
    }
}
