//! JSON, the default: every language reads it.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Codec;
use crate::error::{Error, ErrorKind, Result};

/// JSON by `serde_json`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn id(&self) -> u8 {
        1
    }

    fn encode(&self, value: &T) -> Result<Bytes> {
        serde_json::to_vec(value)
            .map(Bytes::from)
            .map_err(|source| {
                Error::with_source(ErrorKind::Codec, "value has no JSON form", source)
            })
    }

    fn decode(&self, bytes: &Bytes) -> Result<T> {
        read(bytes)
    }
}

/// The value of stored JSON.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| {
        Error::with_source(
            ErrorKind::Codec,
            "stored value is not the expected JSON",
            source,
        )
    })
}
