//! Which node serves which slot of a Cluster.

use redis::Value;

use super::config::Address;

/// Number of slots in a Cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of a key: CRC-16/XMODEM of its hash tag, or of all of it (Redis Cluster specification).
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);
    CRC.checksum(hash_tag(key)) % SLOTS
}

fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else {
        return key;
    };
    let after = &key[open + 1..];
    match after.iter().position(|byte| *byte == b'}') {
        Some(0) | None => key,
        Some(close) => &after[..close],
    }
}

/// The primaries and their slots at one point in time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SlotMap {
    primaries: Vec<Address>,
    /// First slot, last slot, index of the primary; sorted, without overlap.
    ranges: Vec<(u16, u16, usize)>,
}

impl SlotMap {
    /// Reads the reply of `CLUSTER SLOTS`; `asked` stands in for a host that the node leaves empty.
    pub(crate) fn parse(reply: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(rows) = reply else {
            return None;
        };
        let mut map = Self::default();
        for row in rows {
            let Value::Array(fields) = row else {
                return None;
            };
            let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = fields.as_slice()
            else {
                return None;
            };
            let address = node_address(node, asked)?;
            let index = map
                .primaries
                .iter()
                .position(|known| *known == address)
                .unwrap_or_else(|| {
                    map.primaries.push(address);
                    map.primaries.len() - 1
                });
            map.ranges.push((
                u16::try_from(*first).ok()?,
                u16::try_from(*last).ok()?,
                index,
            ));
        }
        map.ranges.sort_unstable();
        Some(map)
    }

    /// The node that serves a slot.
    pub(crate) fn primary(&self, slot: u16) -> Option<&Address> {
        let after = self.ranges.partition_point(|(first, _, _)| *first <= slot);
        let (_, last, index) = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= *last).then(|| &self.primaries[*index])
    }

    /// The slots of a node, as first and last of each range.
    pub(crate) fn ranges_of(&self, address: &Address) -> Vec<(u16, u16)> {
        let named = |index: &usize| self.primaries.get(*index) == Some(address);
        self.ranges
            .iter()
            .filter(|(_, _, index)| named(index))
            .map(|(first, last, _)| (*first, *last))
            .collect()
    }

    pub(crate) fn primaries(&self) -> &[Address] {
        &self.primaries
    }

    /// A hash tag whose slot is one of the node's.
    pub(crate) fn hash_tag_of(&self, address: &Address) -> Option<String> {
        // Enough to find one for a node with a single slot, too.
        (0..u32::from(SLOTS) * 16)
            .map(|number| number.to_string())
            .find(|tag| self.primary(slot_of(tag.as_bytes())) == Some(address))
    }

    /// Whether every slot is served.
    pub(crate) fn is_complete(&self) -> bool {
        let covered: u32 = self
            .ranges
            .iter()
            .map(|(first, last, _)| u32::from(*last) + 1 - u32::from(*first))
            .sum();
        covered == u32::from(SLOTS)
    }
}

fn node_address(node: &[Value], asked: &Address) -> Option<Address> {
    let [host, Value::Int(port), ..] = node else {
        return None;
    };
    let named = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        Value::Nil => "",
        _ => return None,
    };
    let host = match (named, asked) {
        ("" | "?", Address::Tcp { host, .. }) => host.clone(),
        ("" | "?", Address::Unix(_)) => return None,
        (named, _) => named.to_owned(),
    };
    Some(Address::Tcp {
        host,
        port: u16::try_from(*port).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // CRC-16/XMODEM of "123456789" is 0x31C3.
        assert_eq!(slot_of(b"123456789"), 0x31C3 % SLOTS);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{}{bar}"), slot_of(b"foo{}{bar}"));
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }

    #[test]
    fn a_companion_shares_the_slot_of_its_key() {
        assert_eq!(
            slot_of(b"plant:lock:report"),
            slot_of(b"{plant:lock:report}:f")
        );
    }

    #[test]
    fn map_finds_the_primary_of_each_slot() {
        let node =
            |port: i64| Value::Array(vec![Value::BulkString(b"h".to_vec()), Value::Int(port)]);
        let row = |a, b, port| Value::Array(vec![Value::Int(a), Value::Int(b), node(port)]);
        let asked = Address::Tcp {
            host: "x".to_owned(),
            port: 1,
        };
        let reply = Value::Array(vec![row(8192, 16383, 2), row(0, 100, 1), row(102, 8191, 1)]);
        let map = SlotMap::parse(&reply, &asked).expect("the reply is well formed");
        let port = |slot| match map.primary(slot) {
            Some(Address::Tcp { port, .. }) => Some(*port),
            _ => None,
        };
        assert_eq!(
            [
                port(0),
                port(100),
                port(101),
                port(8191),
                port(8192),
                port(16383)
            ],
            [Some(1), Some(1), None, Some(1), Some(2), Some(2)]
        );
        assert!(!map.is_complete());
        assert_eq!(map.primaries().len(), 2);
    }
}
