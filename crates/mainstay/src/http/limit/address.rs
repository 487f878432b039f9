//! The address of a client, also behind proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;

use super::RequestKey;
use crate::error::{Error, ErrorKind, Result};

/// The address at the other end of the connection, for servers other than axum's: put it into the
/// extensions of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Limits by the client's address; of IPv6 by its network of 64 bits, since one client has all of it.
///
/// Without trusted proxies that is the peer's. Behind some it is the last address of `X-Forwarded-For`
/// that none of them has: those before it were written by whoever sent the request.
///
/// ```
/// use mainstay::http::limit::ClientAddress;
///
/// let behind = ClientAddress::behind(["10.0.0.0/8", "192.0.2.7"])?;
/// let client = |peer: &str, forwarded| behind.of(peer.parse().unwrap(), &[forwarded]).to_string();
/// assert_eq!(client("10.1.2.3", "1.1.1.1, 203.0.113.9, 192.0.2.7"), "203.0.113.9");
/// assert_eq!(client("198.51.100.4", "1.1.1.1"), "198.51.100.4");
/// # Ok::<(), mainstay::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClientAddress {
    trusted: Vec<IpNet>,
}

impl ClientAddress {
    /// The peer's address: no proxy is trusted.
    pub fn of_peer() -> Self {
        Self::default()
    }

    /// Trusts proxies at these addresses and networks, as `10.0.0.0/8` or `192.0.2.7`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for what is neither.
    pub fn behind<'a>(proxies: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let network = |text: &str| match text.parse::<IpAddr>() {
            Ok(address) => Ok(IpNet::from(address)),
            Err(_) => text.parse::<IpNet>().map_err(|source| {
                let message = format!(
                    "trusted proxy {text:?} is no address and no network such as 10.0.0.0/8"
                );
                Error::with_source(ErrorKind::Invalid, message, source)
            }),
        };
        let trusted = proxies.into_iter().map(network).collect::<Result<_>>()?;
        Ok(Self { trusted })
    }

    /// The client's address by that of the peer and the values of `X-Forwarded-For`.
    pub fn of(&self, peer: IpAddr, forwarded: &[&str]) -> IpAddr {
        let mut client = peer.to_canonical();
        // The nearest hop comes last.
        let hops = forwarded.iter().rev().flat_map(|value| value.rsplit(','));
        for hop in hops {
            if !self.is_trusted(client) {
                break;
            }
            // Whatever stands before what cannot be read was not written by a proxy that is trusted.
            let Some(address) = address(hop.trim()) else {
                break;
            };
            client = address;
        }
        client
    }

    /// Whom a request counts for, by the address of the peer and the request's fields: the client's
    /// address, of IPv6 its network of 64 bits.
    ///
    /// For handlers that count by themselves what a layer does not, as attempts to log in.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use mainstay::http::limit::ClientAddress;
    ///
    /// let behind = ClientAddress::behind(["10.0.0.0/8"])?;
    /// let mut headers = HeaderMap::new();
    /// headers.insert("x-forwarded-for", "2001:db8:1:2:3::4".parse().unwrap());
    /// assert_eq!(behind.subject("10.1.2.3".parse().unwrap(), &headers), "2001:db8:1:2::/64");
    /// assert_eq!(behind.subject("198.51.100.4".parse().unwrap(), &headers), "198.51.100.4");
    /// # Ok::<(), mainstay::Error>(())
    /// ```
    pub fn subject(&self, peer: IpAddr, headers: &HeaderMap) -> String {
        subject(self.of(peer, &forwarded(headers)))
    }

    /// The client's address, where the request tells its peer's.
    pub(crate) fn client(&self, request: &Parts) -> Option<IpAddr> {
        Some(self.of(peer(request)?, &forwarded(&request.headers)))
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// With or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = match bare.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// One address, or a network of IPv6.
fn subject(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

fn peer(request: &Parts) -> Option<IpAddr> {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(peer)) = request.extensions.get() {
        let peer: &SocketAddr = peer;
        return Some(peer.ip());
    }
    request.extensions.get().map(|PeerAddress(peer)| peer.ip())
}

fn forwarded(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all("x-forwarded-for").iter();
    // One that is no text hides what comes before it, as no address would.
    values.map(|value| value.to_str().unwrap_or("?")).collect()
}

impl RequestKey for ClientAddress {
    fn key(&self, request: &Parts) -> Option<String> {
        Some(self.subject(peer(request)?, &request.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let behind = ClientAddress::behind(["10.0.0.0/8", "fd00::/8"]).unwrap();
        subject(behind.of(peer.parse().unwrap(), forwarded))
    }

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_is_the_clients() {
        for (peer, forwarded, expected) in [
            ("203.0.113.9", &["1.1.1.1"][..], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6", "1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["10.9.9.9, 10.0.0.2"], "10.9.9.9"),
            // What is no address ends the chain that can be trusted.
            ("10.0.0.1", &["6.6.6.6, nonsense, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["1.1.1.1:4711"], "1.1.1.1"),
            ("::ffff:10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("fd00::1", &["[2001:db8:1:2:3::4]:99"], "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::1", &["1.1.1.1"], "2001:db8:1:2::/64"),
        ] {
            assert_eq!(client(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        let refused = ClientAddress::behind(["10.0.0.0/33"]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "trusted proxy \"10.0.0.0/33\" is no address and no network such as 10.0.0.0/8"
        );
    }
}
