//! Where the server may listen without authentication.

use std::net::SocketAddr;

use crate::{Config, ServeError};

/// Refuses an address that other machines can reach while no API key is configured.
///
/// [`run`](crate::run) checks it too; ask here to fail before binding.
///
/// # Errors
/// [`ServeError::Unprotected`], which says what to do.
///
/// ```
/// use mainstay_server::{ApiKeyHash, Config, check_bind};
///
/// let public = "0.0.0.0:7878".parse()?;
/// let mut config = Config::default();
/// assert!(check_bind(public, &config).is_err());
///
/// config.api_keys.push(ApiKeyHash::of("a long random key"));
/// assert!(check_bind(public, &config).is_ok());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn check_bind(address: SocketAddr, config: &Config) -> Result<(), ServeError> {
    if config.api_keys.is_empty() && !is_loopback(address) {
        return Err(ServeError::Unprotected { address });
    }
    Ok(())
}

pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_goes_without_keys() {
        let allowed = |text: &str| {
            let address = text.parse().expect("invariant: the test writes addresses");
            check_bind(address, &Config::default()).is_ok()
        };
        assert!(allowed("127.0.0.1:1"));
        assert!(allowed("127.9.9.9:1"));
        assert!(allowed("[::1]:1"));
        assert!(allowed("[::ffff:127.0.0.1]:1"));
        assert!(!allowed("0.0.0.0:1"));
        assert!(!allowed("[::]:1"));
        assert!(!allowed("10.0.0.1:1"));
    }
}
