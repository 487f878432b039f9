//! Where a session is used from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::backend::Device;

/// Bytes of a client's name that are kept.
const AGENT_BYTES: usize = 256;

impl Device {
    /// Nothing is known of it.
    ///
    /// ```
    /// use mainstay::session::Device;
    ///
    /// let device = Device::new()
    ///     .with_user_agent("curl/8.5")
    ///     .with_address("192.0.2.77".parse().unwrap());
    /// assert_eq!(device.user_agent.as_deref(), Some("curl/8.5"));
    /// assert_eq!(device.network.as_deref(), Some("192.0.2.0/24"));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// What the client calls itself: its first 256 bytes, without control characters.
    #[must_use]
    pub fn with_user_agent(self, user_agent: &str) -> Self {
        let text = user_agent.chars().filter(|it| !it.is_control());
        let mut bytes = 0;
        let text = text.take_while(|it| {
            bytes += it.len_utf8();
            bytes <= AGENT_BYTES
        });
        let text: String = text.collect();
        Self {
            user_agent: (!text.is_empty()).then_some(text),
            ..self
        }
    }

    /// The network of an address: 24 bits of IPv4, 48 bits of IPv6. More is not kept.
    #[must_use]
    pub fn with_address(self, address: IpAddr) -> Self {
        let network = match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                format!("{}/24", Ipv4Addr::new(a, b, c, 0))
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
        };
        Self {
            network: Some(network),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_and_a_bounded_name_are_kept() {
        let network = |address: &str| Device::new().with_address(address.parse().unwrap()).network;
        assert_eq!(
            network("2001:db8:1:2:3::4").as_deref(),
            Some("2001:db8:1::/48")
        );
        assert_eq!(network("::ffff:192.0.2.7").as_deref(), Some("192.0.2.0/24"));
        let agent = |text: &str| Device::new().with_user_agent(text).user_agent;
        assert_eq!(agent("a\r\nb\u{1b}[1m").as_deref(), Some("ab[1m"));
        assert_eq!(agent(&"é".repeat(300)), Some("é".repeat(128)));
        assert_eq!(agent(&format!("a{}", "é".repeat(300))).unwrap().len(), 255);
        assert_eq!(agent("\0"), None);
    }
}
