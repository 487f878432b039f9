//! Standard output and standard error.

use std::fmt::Display;
use std::io::{self, Write};

use serde_json::Value;

use crate::failure::Failure;

/// Prints one line.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(Failure::Output)
}

/// Prints a JSON value on one line when asked for JSON, else the text.
pub(crate) fn answer(json: bool, value: &Value, text: impl Display) -> Result<(), Failure> {
    let written = if json { line(value) } else { line(text) };
    match written {
        // The exit code says it, too: a denial stays one when nobody reads its text.
        Err(failure) if failure.is_broken_pipe() => Ok(()),
        written => written,
    }
}

/// Rows of the same width, columns below each other.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Tells the user something on standard error, whether or not anyone listens.
pub(crate) fn complain(message: impl Display) {
    // Nothing is left to tell when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "mainstay: {message}");
}

/// Text that others wrote, without what could drive a terminal.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}1m é"), "a\\u{1b}[2Jb\\u{9b}1m é");
    }
}
