//! How a value becomes bytes.

pub(crate) mod json;
mod message_pack;
mod raw;

pub use json::Json;
pub use message_pack::MessagePack;
pub use raw::Raw;

use bytes::Bytes;

use crate::error::Result;

/// The format of bytes that nobody looks into.
const RAW: u8 = 3;

/// Whether one format reads entries of another: bytes that are passed through, as from another
/// language, are what their readers take them for.
pub(crate) fn can_read(reader: u8, written: u8) -> bool {
    reader == written || reader == RAW || written == RAW
}

/// Turns a `T` into bytes and back.
///
/// # Behaviour
/// `decode(encode(v)) == v`. Bytes that are not a `T` are an error of kind
/// [`Codec`](crate::ErrorKind::Codec), never a panic and never a default value.
pub trait Codec<T>: Send + Sync {
    /// Names the format in stored entries. An entry of another format is a miss; of two formats
    /// the one with the larger number wins. [`Raw`] reads every format, and every format tries what
    /// `Raw` has written. Below 16 for those of this crate; 0 for no particular one.
    fn id(&self) -> u8 {
        0
    }

    /// The bytes of `value`.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) when the value has no such form.
    fn encode(&self, value: &T) -> Result<Bytes>;

    /// The value in `bytes`.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) when they hold no `T`.
    fn decode(&self, bytes: &Bytes) -> Result<T>;
}
