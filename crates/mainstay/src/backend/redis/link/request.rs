//! What callers send, as RESP: an array of strings for each command.

use redis::{Cmd, Pipeline};

/// One command that writes itself.
pub(crate) trait Request: Sync {
    fn write(&self, out: &mut Vec<u8>);
}

impl Request for Cmd {
    fn write(&self, out: &mut Vec<u8>) {
        self.write_packed_command(out);
    }
}

/// A command whose words are at hand.
impl<const N: usize> Request for [&[u8]; N] {
    fn write(&self, out: &mut Vec<u8>) {
        write_command(out, N, self.iter().copied());
    }
}

pub(super) fn write_pipeline(commands: &Pipeline, out: &mut Vec<u8>) {
    for command in commands.cmd_iter() {
        command.write(out);
    }
}

/// Writes a command of `count` words.
pub(crate) fn write_command<'a>(
    out: &mut Vec<u8>,
    count: usize,
    words: impl Iterator<Item = &'a [u8]>,
) {
    write_length(out, b'*', count);
    for word in words {
        write_length(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut rest = length;
    loop {
        first -= 1;
        if let Some(digit) = digits.get_mut(first) {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_as_the_library_writes_them() {
        let long = vec![b'x'; 12_345];
        let words: [&[u8]; 4] = [b"SET", b"key", &long, b""];
        let mut ours = Vec::new();
        words.write(&mut ours);
        let mut theirs = redis::cmd("SET");
        theirs.arg("key").arg(&long).arg("");
        assert_eq!(ours, theirs.get_packed_command());
    }
}
