//! No document links to a file that is not there.

use std::path::{Path, PathBuf};

use crate::process::Outcome;
use crate::source;

pub(crate) fn check() -> Outcome {
    let mut missing = Vec::new();
    for document in source::files("md")? {
        for target in targets(&source::read(&document)?) {
            if local_file(&document, &target).is_some_and(|file| !file.exists()) {
                missing.push(format!("{}: {target}", document.display()));
            }
        }
    }
    source::none_of(&missing, "links to missing files")
}

/// Link targets in Markdown text: inline links, reference definitions, `href` and `src`.
fn targets(text: &str) -> Vec<String> {
    let prose = without_code(text);
    let mut found = Vec::new();
    for line in prose.lines() {
        found.extend(between(line, "](", &[')', ' ']));
        found.extend(between(line, "href=\"", &['"']));
        found.extend(between(line, "src=\"", &['"']));
        found.extend(reference_definition(line));
    }
    found
}

/// Each text in a line that follows `start`, up to one of the `ends`.
fn between(line: &str, start: &str, ends: &[char]) -> Vec<String> {
    line.split(start)
        .skip(1)
        .filter_map(|rest| rest.split(ends).next())
        .map(str::to_owned)
        .collect()
}

/// The target in `[label]: target`; a footnote, `[^label]: text`, has none.
fn reference_definition(line: &str) -> Option<String> {
    let (label, rest) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
    let is_label = !label.starts_with('^') && !label.contains(']');
    let target = rest.split_whitespace().next()?;
    is_label.then(|| target.to_owned())
}

/// The text with fenced blocks and code spans left out: brackets in code are no links.
fn without_code(text: &str) -> String {
    let mut prose = String::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(_), _) if fence == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                prose.extend(line.split('`').step_by(2));
                prose.push('\n');
            }
        }
    }
    prose
}

/// The file that a target names, unless it is a URL or a place in the same document.
fn local_file(document: &Path, target: &str) -> Option<PathBuf> {
    let target = target.trim_start_matches('<').trim_end_matches('>');
    let path = target.split(['#', '?']).next()?;
    if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    match path.strip_prefix('/') {
        Some(from_root) => Some(PathBuf::from(from_root)),
        None => Some(document.parent()?.join(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::{local_file, targets};
    use std::path::{Path, PathBuf};

    #[test]
    fn every_form_of_link_is_found() {
        let text = "See [a](docs/a.md) and [b](b.md \"title\").\n\
                    <img src=\"logo.png\"> <a href=\"c.md#top\">c</a>\n\
                    [d]: ../d.md\n\
                    [^1]: a footnote\n";
        assert_eq!(
            targets(text),
            ["docs/a.md", "b.md", "c.md#top", "logo.png", "../d.md"].map(String::from)
        );
    }

    #[test]
    fn brackets_in_code_are_no_links() {
        let text = "```rust\nlet x = a[0](b);\n~~~\n[q](q.md)\n```\nThe call `f[0](x)` is code.\n";
        assert_eq!(targets(text), Vec::<String>::new());
    }

    #[test]
    fn a_target_is_resolved_against_its_document() {
        let document = Path::new("docs/adr/0001.md");
        let file = |target| local_file(document, target);
        assert_eq!(file("0002.md#why"), Some(PathBuf::from("docs/adr/0002.md")));
        assert_eq!(file("/README.md"), Some(PathBuf::from("README.md")));
        assert_eq!(file("https://example.org/a.md"), None);
        assert_eq!(file("mailto:a@example.org"), None);
        assert_eq!(file("#why"), None);
    }
}
