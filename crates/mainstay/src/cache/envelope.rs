//! What stands in the store under a key: a header that says what the payload is, and the payload.
//!
//! Anything that is not whole, of a layout that is not known, or without the mark is no envelope:
//! a miss, never an error.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::backend::{STALE, STALE_AT, fingerprint};
use crate::error::{Error, ErrorKind, Result};
use crate::ttl::Ttl;

/// `ms` and the layout's version.
const MARK: [u8; 3] = *b"ms\x02";
const NEGATIVE: u8 = 1;
const COMPRESSED: u8 = 1 << 1;

/// Where ttl and kept stand: after mark, flags, checksum, stamp, schema, codec, tags.
const TIMES: usize = 3 + 1 + 4 + 8 + 2 + 1 + 1;

/// All of that, ttl, kept, load time.
const HEADER: usize = TIMES + 8 + 8 + 4;

/// The bytes that tell one entry from any other: up to and with the stamp.
const IDENTITY: usize = 16;

/// Bytes that nobody can decompress into more.
const LARGEST_PAYLOAD: usize = 512 << 20;

/// A tag, and its generation when the entry was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tagged {
    pub(super) tag: Box<str>,
    pub(super) generation: u64,
}

/// Everything about an entry but its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The entry says that there is no value.
    pub(super) negative: bool,
    /// It was declared stale.
    pub(super) stale: bool,
    pub(super) schema: u16,
    pub(super) codec: u8,
    /// How long it is fresh.
    pub(super) ttl: Duration,
    /// How long it is kept, to be served stale.
    pub(super) kept: Duration,
    /// How long it took to load.
    pub(super) load_time: Duration,
    pub(super) tags: Box<[Tagged]>,
}

/// An entry that was read.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) header: Header,
    pub(super) payload: Bytes,
}

impl Header {
    /// The entry's bytes; a payload above `compress_above` is compressed where that helps.
    pub(super) fn seal(&self, payload: &[u8], compress_above: Option<usize>) -> Bytes {
        let compressed = compress_above
            .filter(|most| payload.len() > *most)
            .map(|_| lz4_flex::compress_prepend_size(payload))
            .filter(|compressed| compressed.len() < payload.len());
        let mut flags = if self.negative { NEGATIVE } else { 0 };
        if compressed.is_some() {
            flags |= COMPRESSED;
        }
        let payload = compressed.as_deref().unwrap_or(payload);
        let tags: usize = self.tags.iter().map(|t| 2 + t.tag.len() + 8).sum();
        let mut sealed = BytesMut::with_capacity(HEADER + tags + payload.len());
        sealed.put_slice(&MARK);
        sealed.put_u8(flags);
        sealed.put_u32(0);
        sealed.put_slice(&crate::random::bytes::<8>());
        sealed.put_u16(self.schema);
        sealed.put_u8(self.codec);
        sealed.put_u8(u8::try_from(self.tags.len()).expect("invariant: tags are limited"));
        sealed.put_u64(millis(self.ttl));
        sealed.put_u64(millis(self.kept));
        sealed.put_u32(u32::try_from(self.load_time.as_millis()).unwrap_or(u32::MAX));
        for Tagged { tag, generation } in &self.tags {
            sealed.put_u16(u16::try_from(tag.len()).expect("invariant: a tag is a key"));
            sealed.put_slice(tag.as_bytes());
            sealed.put_u64(*generation);
        }
        sealed.put_slice(payload);
        let checksum = checksum(&sealed);
        sealed[4..8].copy_from_slice(&checksum.to_be_bytes());
        sealed.freeze()
    }
}

impl Envelope {
    /// Reads an entry; `None` for anything else.
    pub(super) fn open(sealed: &Bytes) -> Option<Self> {
        let mut rest = sealed.strip_prefix(&MARK)?;
        if sealed.len() < HEADER {
            return None;
        }
        let flags = rest.get_u8();
        if rest.get_u32() != checksum(sealed) {
            return None;
        }
        rest.advance(8);
        let schema = rest.get_u16();
        let codec = rest.get_u8();
        let tags = rest.get_u8();
        let ttl = Duration::from_millis(rest.get_u64());
        let kept = Duration::from_millis(rest.get_u64());
        let load_time = Duration::from_millis(rest.get_u32().into());
        let tags = (0..tags)
            .map(|_| tagged(&mut rest))
            .collect::<Option<Box<[_]>>>()?;
        let payload = sealed.slice(sealed.len() - rest.len()..);
        let payload = if flags & COMPRESSED == 0 {
            payload
        } else {
            decompress(&payload)?
        };
        Some(Self {
            header: Header {
                negative: flags & NEGATIVE != 0,
                stale: flags & STALE != 0,
                schema,
                codec,
                ttl,
                kept,
                load_time,
                tags,
            },
            payload,
        })
    }
}

/// Whether an entry is kept after its ttl is over, as its header says; to be looked at before the
/// rest is.
pub(super) fn outlives_its_ttl(sealed: &Bytes) -> bool {
    let mut times = match sealed.get(TIMES..TIMES + 16) {
        Some(times) if sealed.starts_with(&MARK) => times,
        Some(_) | None => return false,
    };
    let ttl = times.get_u64();
    times.get_u64() > ttl
}

/// Of bytes that were read, enough to know them again: how they begin.
///
/// What has no stamp is known by its fingerprint.
pub(super) fn identity(bytes: &Bytes, is_sealed: bool) -> Bytes {
    if is_sealed && bytes.starts_with(&MARK) && bytes.len() >= IDENTITY {
        bytes.slice(..IDENTITY)
    } else if bytes.is_empty() {
        Bytes::new()
    } else {
        fingerprint(bytes)
    }
}

/// The identity of an entry in the process.
pub(super) enum Identity {
    Known(Bytes),
    /// Of these bytes, for who asks: most who read a value do not.
    Of(Bytes),
}

impl Identity {
    pub(super) fn get(&self) -> Bytes {
        match self {
            Self::Known(identity) => identity.clone(),
            Self::Of(bytes) => identity(bytes, false),
        }
    }
}

fn tagged(rest: &mut &[u8]) -> Option<Tagged> {
    let length = rest.try_get_u16().ok()?;
    let (tag, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    Some(Tagged {
        tag: std::str::from_utf8(tag).ok()?.into(),
        generation: rest.try_get_u64().ok()?,
    })
}

fn decompress(payload: &[u8]) -> Option<Bytes> {
    let (size, compressed) = lz4_flex::block::uncompressed_size(payload).ok()?;
    // The checksum has vouched for the size, but not whoever wrote it.
    if size > LARGEST_PAYLOAD {
        return None;
    }
    lz4_flex::decompress(compressed, size).ok().map(Bytes::from)
}

/// Over everything but itself and the mark of staleness, which the store sets.
fn checksum(sealed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[sealed.get(STALE_AT).map_or(0, |flags| flags & !STALE)]);
    hasher.update(sealed.get(8..).unwrap_or_default());
    hasher.finalize()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as the store takes it.
pub(super) fn store_ttl(kept: Duration) -> Result<Ttl> {
    Ttl::new(kept.max(Duration::from_millis(1)).min(Ttl::MAX)).map_err(|source| {
        Error::with_source(ErrorKind::Invalid, "an entry's ttl is out of range", source)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(tags: usize) -> Header {
        Header {
            negative: false,
            stale: false,
            schema: 7,
            codec: 1,
            ttl: Duration::from_millis(1_500),
            kept: Duration::from_secs(60),
            load_time: Duration::from_millis(20),
            tags: (0..tags)
                .map(|number| Tagged {
                    tag: format!("tag/{number}").into(),
                    generation: u64::MAX - number as u64,
                })
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn an_envelope_gives_back_what_was_sealed(
            payload in prop::collection::vec(any::<u8>(), 0..300),
            tags in 0_usize..4,
            compress in any::<bool>(),
            stale in any::<bool>(),
        ) {
            let sealed = header(tags).seal(&payload, compress.then_some(10));
            let mut sealed = sealed.to_vec();
            if stale {
                sealed[STALE_AT] |= STALE;
            }
            let opened = Envelope::open(&sealed.into()).unwrap();
            prop_assert_eq!(opened.payload, payload);
            prop_assert_eq!(opened.header, Header { stale, ..header(tags) });
        }

        #[test]
        fn bytes_that_are_not_whole_are_no_envelope(
            payload in prop::collection::vec(any::<u8>(), 0..100),
            bit in 0_usize..(HEADER * 8),
            cut in 1_usize..200,
        ) {
            let sealed = header(2).seal(&payload, None);
            let mut flipped = sealed.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let is_the_mark_of_staleness = bit == STALE_AT * 8 + 7;
            prop_assert_eq!(
                Envelope::open(&flipped.into()).is_some(),
                is_the_mark_of_staleness
            );
            let end = sealed.len().saturating_sub(cut);
            prop_assert!(Envelope::open(&sealed.slice(..end)).is_none());
        }
    }

    #[test]
    fn what_compresses_well_is_stored_compressed() {
        let payload = vec![b'x'; 10_000];
        let sealed = header(0).seal(&payload, Some(1_000));
        assert!(sealed.len() < 1_000, "{} bytes", sealed.len());
        assert_eq!(Envelope::open(&sealed).unwrap().payload, payload);
    }

    #[test]
    fn other_programs_bytes_are_no_envelope() {
        for bytes in [
            "",
            "ms",
            "{\"plain\":\"json value\"}",
            "ms\x01........later",
        ] {
            assert!(Envelope::open(&Bytes::from_static(bytes.as_bytes())).is_none());
        }
    }

    #[test]
    fn two_entries_of_one_value_have_different_identities() {
        let [first, second] = [0, 1].map(|_| identity(&header(0).seal(b"v", None), true));
        assert_ne!(first, second);
    }
}
