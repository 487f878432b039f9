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

/// A random duration in `0..=most`.
pub(crate) fn up_to(most: Duration) -> Duration {
    most.mul_f64(f64::from(u32::from_ne_bytes(bytes())) / f64::from(u32::MAX))
}

/// A random number with the exponential distribution of mean 1.
pub(crate) fn exponential() -> f64 {
    let uniform = (f64::from(u32::from_ne_bytes(bytes())) + 1.0) / (f64::from(u32::MAX) + 1.0);
    -uniform.ln()
}
