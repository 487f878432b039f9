//! Digests as text.

use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

/// SHA-1 in hexadecimal, as `redis.sha1hex` and `SCRIPT LOAD` give it.
pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(40);
    for byte in Sha1::digest(bytes) {
        write!(text, "{byte:02x}").expect("invariant: a String takes text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_digest_of_the_standard() {
        assert_eq!(sha1_hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
