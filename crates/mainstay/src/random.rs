//! Random bytes of the operating system: ids, tokens, jitter.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// `N` random bytes.
///
/// # Panics
/// When the operating system has no randomness, as it then has no security either.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("invariant: the operating system supplies randomness");
    bytes
}

/// 128 random bits as 22 URL-safe characters.
pub(crate) fn token() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<16>())
}

/// 72 random bits as 12 URL-safe characters.
pub(crate) fn short_token() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<9>())
}

/// A random UUID, version 4 of RFC 9562, as text.
pub(crate) fn uuid() -> String {
    const VERSION: u128 = 0xf << 76;
    const VARIANT: u128 = 0x3 << 62;
    let random = u128::from_be_bytes(bytes()) & !(VERSION | VARIANT);
    let uuid = random | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{uuid:032x}");
    let mut text = String::with_capacity(36);
    for (index, digit) in digits.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// A random duration in `0..=most`.
pub(crate) fn up_to(most: Duration) -> Duration {
    most.mul_f64(f64::from(u32::from_ne_bytes(bytes())) / f64::from(u32::MAX))
}

/// A random number with the exponential distribution of mean 1.
pub(crate) fn exponential() -> f64 {
    let uniform = (f64::from(u32::from_ne_bytes(bytes())) + 1.0) / (f64::from(u32::MAX) + 1.0);
    -uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_uuid_has_the_form_of_version_4() {
        for _ in 0..100 {
            let uuid = uuid();
            let form = uuid.char_indices().all(|(at, c)| match at {
                8 | 13 | 18 | 23 => c == '-',
                14 => c == '4',
                19 => matches!(c, '8' | '9' | 'a' | 'b'),
                _ => c.is_ascii_digit() || matches!(c, 'a'..='f'),
            });
            assert!(form && uuid.len() == 36, "{uuid}");
        }
        assert_ne!(uuid(), uuid());
    }
}
