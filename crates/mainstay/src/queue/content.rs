//! What the store keeps of a job: its trace, then its payload.

use bytes::Bytes;

use crate::error::{Error, Result};

/// The longest text of a trace, in bytes.
const TRACE_MAX: usize = 128;

/// The length of the trace as one byte, the trace, the payload.
pub(super) fn join(trace: Option<&str>, payload: &[u8]) -> Result<Vec<u8>> {
    let trace = trace.unwrap_or_default();
    let length = u8::try_from(trace.len()).ok();
    let length = length.filter(|length| usize::from(*length) <= TRACE_MAX);
    let length = length.ok_or_else(|| Error::invalid("traceparent is longer than 128 bytes"))?;
    let mut content = Vec::with_capacity(1 + trace.len() + payload.len());
    content.push(length);
    content.extend_from_slice(trace.as_bytes());
    content.extend_from_slice(payload);
    Ok(content)
}

/// What does not begin so has no trace and is all payload, and whoever decodes it will see.
pub(super) fn split(content: &Bytes) -> (Option<String>, Bytes) {
    let length = content.first().map_or(0, |length| usize::from(*length));
    let Some(trace) = content.get(1..=length) else {
        return (None, content.slice(content.len().min(1)..));
    };
    let trace = (!trace.is_empty()).then(|| String::from_utf8_lossy(trace).into_owned());
    (trace, content.slice(length + 1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_joined_is_split_again() -> Result<()> {
        for trace in [
            None,
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ] {
            for payload in [&b""[..], b"{}", b"\x05\0\xff"] {
                let content = Bytes::from(join(trace, payload)?);
                let (seen, rest) = split(&content);
                assert_eq!((seen.as_deref(), &rest[..]), (trace, payload));
            }
        }
        assert!(join(Some(&"t".repeat(129)), b"").is_err());
        for odd in [&b""[..], b"\x09abc"] {
            assert_eq!(split(&Bytes::from_static(odd)).0, None);
        }
        Ok(())
    }
}
