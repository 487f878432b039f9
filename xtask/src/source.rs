//! Rules for the text of source files: their length, and no unfinished code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Failure, Outcome};

const MAX_LINES: usize = 600;
const NOTED_LINES: usize = 500;

/// Marks of unfinished code; split so that this file does not find itself.
const UNFINISHED: [&str; 3] = [
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
];

/// Files of the repository with this extension: tracked, or new and not ignored.
pub(crate) fn files(extension: &str) -> Outcome<Vec<PathBuf>> {
    let list = process::read(Command::new("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut files: Vec<PathBuf> = list
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

pub(crate) fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

pub(crate) fn check_lengths() -> Outcome {
    let mut too_long = Vec::new();
    for path in files("rs")? {
        if path.starts_with("bench") {
            continue;
        }
        let lines = read(&path)?.lines().count();
        if lines > MAX_LINES {
            too_long.push(format!("{}: {lines} lines", path.display()));
        } else if lines > NOTED_LINES {
            println!("note: {}: {lines} lines", path.display());
        }
    }
    none_of(&too_long, &format!("files over {MAX_LINES} lines"))
}

pub(crate) fn check_unfinished() -> Outcome {
    let mut found = Vec::new();
    for path in files("rs")? {
        for (number, mark) in unfinished(&read(&path)?) {
            found.push(format!("{}:{number}: {mark}", path.display()));
        }
    }
    none_of(&found, "unfinished code")
}

/// Fails with the list of offences, if there are any.
pub(crate) fn none_of(offences: &[String], what: &str) -> Outcome {
    if offences.is_empty() {
        return Ok(());
    }
    let list = offences.join("\n  ");
    Err(Failure::new(format!("{what}:\n  {list}")))
}

/// Line number and mark of each place that is unfinished.
fn unfinished(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let marks = UNFINISHED.iter().filter(|mark| line.contains(**mark));
        found.extend(marks.map(|mark| (index + 1, *mark)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{UNFINISHED, none_of, unfinished};

    #[test]
    fn each_mark_of_unfinished_code_is_found_with_its_line() {
        let text = format!("fn a() {{\n    {})\n}}\n", UNFINISHED[0]);
        assert_eq!(unfinished(&text), [(2, UNFINISHED[0])]);
        let text = format!("{}]\n{})\n", UNFINISHED[2], UNFINISHED[1]);
        assert_eq!(unfinished(&text), [(1, UNFINISHED[2]), (2, UNFINISHED[1])]);
        assert_eq!(unfinished("// ignore this, nothing to do\n"), []);
    }

    #[test]
    fn offences_are_listed_one_a_line() {
        let failure = none_of(&["a.rs:1".into(), "b.rs:2".into()], "bad").unwrap_err();
        assert_eq!(failure.to_string(), "bad:\n  a.rs:1\n  b.rs:2");
        none_of(&[], "bad").unwrap();
    }
}
