//! RESP3 replies out of a stream of bytes.
//!
//! What makes up nearly all replies (numbers, strings, arrays, pushes) is decoded here; every other
//! type is measured here and left to the client library's parser.

use bytes::{Buf, BytesMut};
use redis::{ErrorKind, PushKind, RedisError, Value};

/// The longest string that a server sends, by default; a longer one is no reply.
const LONGEST_STRING: usize = 512 << 20;

/// The longest line; errors of scripts quote what failed.
const LONGEST_LINE: usize = 1 << 20;

/// Elements of one array.
const MOST_ELEMENTS: usize = 1 << 24;

/// Arrays within arrays.
const DEEPEST: usize = 32;

/// Decodes one reply after the other.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Nothing is whole before so many bytes are there.
    needed: usize,
}

/// Why there is no reply.
enum Lack {
    /// At least so many bytes are needed in all.
    Bytes(usize),
    Sense(&'static str),
}

impl Decoder {
    /// Takes the first reply out of `bytes`; `None` if it is not whole yet.
    pub(super) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Value>, RedisError> {
        if bytes.len() < self.needed || bytes.is_empty() {
            return Ok(None);
        }
        match measure(bytes, 0, 0) {
            Ok(end) => {
                self.needed = 0;
                let mut frame = &bytes[..end];
                let value = value(&mut frame)?;
                bytes.advance(end);
                Ok(Some(value))
            }
            Err(Lack::Bytes(needed)) => {
                self.needed = needed;
                Ok(None)
            }
            Err(Lack::Sense(why)) => Err(senseless(why)),
        }
    }
}

fn senseless(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Parse, why))
}

/// Where the frame that begins at `start` ends.
fn measure(bytes: &[u8], start: usize, depth: usize) -> Result<usize, Lack> {
    let rest = bytes.get(start..).unwrap_or_default();
    let Some(kind) = rest.first() else {
        return Err(Lack::Bytes(start + 1));
    };
    let Some(line) = line(rest) else {
        return Err(if rest.len() > LONGEST_LINE {
            Lack::Sense("a line that does not end")
        } else {
            Lack::Bytes(bytes.len() + 1)
        });
    };
    let after = start + line.len() + 3;
    let elements = match kind {
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => return Ok(after),
        b'$' | b'=' | b'!' => {
            let Some(length) = count(line, LONGEST_STRING)? else {
                return Ok(after);
            };
            let end = after + length + 2;
            return match bytes.get(end - 2..end) {
                Some(b"\r\n") => Ok(end),
                Some(_) => Err(Lack::Sense("a string does not end where it should")),
                None => Err(Lack::Bytes(end)),
            };
        }
        b'*' | b'~' | b'>' => count(line, MOST_ELEMENTS)?.unwrap_or(0),
        b'%' => 2 * count(line, MOST_ELEMENTS)?.unwrap_or(0),
        // Attributes come before what they are about.
        b'|' => 2 * count(line, MOST_ELEMENTS)?.unwrap_or(0) + 1,
        _ => return Err(Lack::Sense("a reply of an unknown type")),
    };
    if depth == DEEPEST {
        return Err(Lack::Sense("a reply that is nested too deeply"));
    }
    let mut end = after;
    for left in (0..elements).rev() {
        end = measure(bytes, end, depth + 1).map_err(|lack| match lack {
            // The shortest element has three bytes.
            Lack::Bytes(needed) => Lack::Bytes(needed + left * 3),
            Lack::Sense(why) => Lack::Sense(why),
        })?;
    }
    Ok(end)
}

/// What stands between the type and the end of its line.
fn line(rest: &[u8]) -> Option<&[u8]> {
    let mut start = 1;
    loop {
        let end = start + rest.get(start..)?.iter().position(|byte| *byte == b'\r')?;
        if *rest.get(end + 1)? == b'\n' {
            return rest.get(1..end);
        }
        start = end + 1;
    }
}

/// A length; `None` for the null of RESP2.
fn count(line: &[u8], most: usize) -> Result<Option<usize>, Lack> {
    if line == b"-1" {
        return Ok(None);
    }
    match number(line).and_then(|number| usize::try_from(number).ok()) {
        Some(count) if count <= most => Ok(Some(count)),
        Some(_) => Err(Lack::Sense("a reply that is too long")),
        None => Err(Lack::Sense("a length that is no number")),
    }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Decodes the frame that `frame` begins with, which is whole.
fn value(frame: &mut &[u8]) -> Result<Value, RedisError> {
    let line = line(frame).ok_or_else(|| senseless("a frame without an end"))?;
    let kind = frame.first().copied().unwrap_or_default();
    let after = line.len() + 3;
    Ok(match kind {
        b':' => {
            let number = number(line).ok_or_else(|| senseless("an integer that is no number"))?;
            frame.advance(after);
            Value::Int(number)
        }
        b'+' => {
            let text = std::str::from_utf8(line).map_err(|_| senseless("a status is no text"))?;
            let status = match text {
                "OK" => Value::Okay,
                text => Value::SimpleString(text.to_owned()),
            };
            frame.advance(after);
            status
        }
        b'_' => {
            frame.advance(after);
            Value::Nil
        }
        b'$' | b'*' if line == b"-1" => {
            frame.advance(after);
            Value::Nil
        }
        b'$' => {
            let length = length(line)?;
            let content = frame.get(after..after + length).unwrap_or_default();
            let string = Value::BulkString(content.to_vec());
            frame.advance(after + length + 2);
            string
        }
        b'*' => {
            let length = length(line)?;
            frame.advance(after);
            Value::Array(values(frame, length)?)
        }
        b'%' => {
            let pairs = length(line)?;
            frame.advance(after);
            let pair = |_| Ok((value(frame)?, value(frame)?));
            Value::Map((0..pairs).map(pair).collect::<Result<_, RedisError>>()?)
        }
        b'>' => {
            let length = length(line)?;
            frame.advance(after);
            let mut data = values(frame, length)?.into_iter();
            let kind = match data.next() {
                Some(Value::BulkString(name)) => push_kind(&name),
                Some(Value::SimpleString(name)) => push_kind(name.as_bytes()),
                _ => return Err(senseless("a push without a kind")),
            };
            let data = data.collect();
            Value::Push { kind, data }
        }
        _ => {
            let end = measure(frame, 0, 0).map_err(|_lack| senseless("a frame without an end"))?;
            let other = redis::parse_redis_value(frame.get(..end).unwrap_or_default())?;
            frame.advance(end);
            other
        }
    })
}

fn length(line: &[u8]) -> Result<usize, RedisError> {
    let length = number(line).and_then(|number| usize::try_from(number).ok());
    length.ok_or_else(|| senseless("a length that is no number"))
}

fn values(frame: &mut &[u8], length: usize) -> Result<Vec<Value>, RedisError> {
    (0..length).map(|_| value(frame)).collect()
}

fn push_kind(name: &[u8]) -> PushKind {
    match name {
        b"invalidate" => PushKind::Invalidate,
        b"message" => PushKind::Message,
        b"pmessage" => PushKind::PMessage,
        b"smessage" => PushKind::SMessage,
        b"subscribe" => PushKind::Subscribe,
        b"psubscribe" => PushKind::PSubscribe,
        b"ssubscribe" => PushKind::SSubscribe,
        b"unsubscribe" => PushKind::Unsubscribe,
        b"punsubscribe" => PushKind::PUnsubscribe,
        b"sunsubscribe" => PushKind::SUnsubscribe,
        other => PushKind::Other(String::from_utf8_lossy(other).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Replies of every type, as a server writes them.
    fn reply() -> impl Strategy<Value = Vec<u8>> {
        let text = "[a-zA-Z0-9 ]{0,12}";
        let leaf = prop_oneof![
            any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
            text.prop_map(|text| format!("+{text}\r\n").into_bytes()),
            Just(b"+OK\r\n".to_vec()),
            text.prop_map(|text| format!("-ERR {text}\r\n").into_bytes()),
            Just(b"-MOVED 3999 127.0.0.1:6381\r\n".to_vec()),
            Just(b"-NOSCRIPT No matching script.\r\n".to_vec()),
            Just(b"_\r\n".to_vec()),
            Just(b"$-1\r\n".to_vec()),
            Just(b"*-1\r\n".to_vec()),
            Just(b"#t\r\n".to_vec()),
            Just(b",1.5\r\n".to_vec()),
            Just(b"(3492890328409238509324850943850943825024385\r\n".to_vec()),
            Just(b"=15\r\ntxt:Some string\r\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
                let mut frame = format!("${}\r\n", bytes.len()).into_bytes();
                frame.extend(bytes);
                frame.extend(b"\r\n");
                frame
            }),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            let many = prop::collection::vec(inner, 0..6);
            (many, prop::sample::select(vec!['*', '~', '%'])).prop_map(|(frames, kind)| {
                let pairs = frames.len() / 2;
                let (count, frames) = match kind {
                    '%' => (pairs, frames.into_iter().take(pairs * 2).collect()),
                    _ => (frames.len(), frames),
                };
                let mut frame = format!("{kind}{count}\r\n").into_bytes();
                frame.extend(frames.concat());
                frame
            })
        })
    }

    proptest! {
        #[test]
        fn replies_are_what_the_library_makes_of_them_however_they_arrive(
            replies in prop::collection::vec(reply(), 1..5),
            cuts in prop::collection::vec(1_usize..50, 1..8),
        ) {
            let wanted: Vec<_> = replies
                .iter()
                .map(|reply| redis::parse_redis_value(reply).unwrap())
                .collect();
            let stream = replies.concat();
            let (mut decoder, mut arrived) = (Decoder::default(), BytesMut::new());
            let (mut decoded, mut rest) = (Vec::new(), &stream[..]);
            for cut in cuts.iter().cycle() {
                while let Some(reply) = decoder.decode(&mut arrived).unwrap() {
                    decoded.push(reply);
                }
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                arrived.extend_from_slice(now);
                rest = later;
            }
            prop_assert_eq!(decoded, wanted);
            prop_assert!(arrived.is_empty());
        }

        #[test]
        fn bytes_that_make_no_sense_are_an_error_or_nothing(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut arrived = BytesMut::from(&bytes[..]);
            let mut decoder = Decoder::default();
            while let Ok(Some(_)) = decoder.decode(&mut arrived) {}
        }
    }

    fn decode(bytes: &[u8]) -> Result<Option<Value>, RedisError> {
        Decoder::default().decode(&mut BytesMut::from(bytes))
    }

    #[test]
    fn a_push_has_its_kind_and_its_data() {
        let push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n";
        let wanted = redis::parse_redis_value(push).unwrap();
        assert_eq!(decode(push).unwrap(), Some(wanted));
    }

    #[test]
    fn what_no_server_sends_is_refused() {
        for bytes in [
            &b"?\r\n"[..],
            b"$x\r\n",
            b"$-2\r\n",
            b"$999999999999\r\n",
            b"*99999999999\r\n",
            b"$1\r\nab\r\n",
            b":one\r\n",
            b">1\r\n:1\r\n",
            &b"*1\r\n".repeat(40),
        ] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
