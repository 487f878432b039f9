//! Guarded values on Redis: a hash of value and fence each.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use redis::Value;

use super::cache::millis;
use super::commander::{Commander, Effect};
use super::{reply, script};
use crate::backend::{FencedSet, FencedStore};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

#[derive(Debug)]
pub(super) struct RedisFenced {
    commander: Arc<Commander>,
}

impl RedisFenced {
    pub(super) fn new(commander: Arc<Commander>) -> Self {
        Self { commander }
    }
}

#[async_trait]
impl FencedStore for RedisFenced {
    async fn set(&self, key: &StoreKey, fence: u64, value: Bytes, keep: Ttl) -> Result<FencedSet> {
        let (fence, keep) = (fence.to_string(), millis(keep));
        let arguments = [fence.as_bytes(), &value, keep.as_bytes()];
        // Sent again, it could undo a later write of the same holder.
        let effect = Effect::Once;
        let script = &script::FENCED_SET;
        let keys = [key.as_str()];
        let set = self.commander.eval(script, &keys, &arguments, effect);
        Ok(match set.await? {
            Value::Nil => FencedSet::Written,
            fence => FencedSet::Refused {
                fence: reply::count(&fence)?,
            },
        })
    }

    async fn get(&self, key: &StoreKey) -> Result<Option<(u64, Bytes)>> {
        let command: [&[u8]; 4] = [b"HMGET", key.as_str().as_bytes(), b"fence", b"value"];
        let found = self
            .commander
            .run(key.as_str(), &command, Effect::Read)
            .await?;
        let [fence, value] = reply::fields(found)?;
        Ok(match (fence, reply::optional_bytes(value)?) {
            (Value::Nil, _) | (_, None) => None,
            (fence, Some(value)) => Some((reply::count(&fence)?, value)),
        })
    }
}
