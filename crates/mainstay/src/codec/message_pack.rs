//! `MessagePack`: smaller and faster than JSON, and still read by every language.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Codec;
use crate::error::{Error, ErrorKind, Result};

/// `MessagePack` by `rmp-serde`, structs as maps: fields may be added and reordered.
///
/// ```
/// use mainstay::codec::{Codec, MessagePack};
///
/// let bytes = MessagePack.encode(&("ada".to_owned(), 7))?;
/// assert_eq!(bytes.len(), 6);
/// let (name, number): (String, u8) = MessagePack.decode(&bytes)?;
/// assert_eq!((name.as_str(), number), ("ada", 7));
/// # Ok::<(), mainstay::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct MessagePack;

impl<T: Serialize + DeserializeOwned> Codec<T> for MessagePack {
    fn id(&self) -> u8 {
        2
    }

    fn encode(&self, value: &T) -> Result<Bytes> {
        rmp_serde::to_vec_named(value)
            .map(Bytes::from)
            .map_err(|source| {
                Error::with_source(ErrorKind::Codec, "value has no MessagePack form", source)
            })
    }

    fn decode(&self, bytes: &Bytes) -> Result<T> {
        rmp_serde::from_slice(bytes).map_err(|source| {
            Error::with_source(
                ErrorKind::Codec,
                "stored value is not the expected MessagePack",
                source,
            )
        })
    }
}
