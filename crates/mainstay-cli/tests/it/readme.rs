//! The README's commands print what it says.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use mainstay_testkit::fixture::{Flavor, Server};

use crate::serving::Serving;

const FEWEST: usize = 8;
/// What a command prints ends with this line.
const SEPARATOR: &str = "-- end of the command's output --";

/// A line after `$` with what follows it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    output: String,
}

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    fs::read_to_string(path).unwrap()
}

/// The `console` blocks that use the server.
fn blocks(text: &str) -> Vec<Vec<Step>> {
    text.split("```console\n")
        .skip(1)
        .map(|rest| steps(rest.split_once("\n```").map_or(rest, |(block, _)| block)))
        .filter(|steps| {
            let used = |step: &Step| {
                ["curl", "mainstay"]
                    .iter()
                    .any(|w| step.command.contains(w))
            };
            steps.iter().any(used)
        })
        .collect()
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continues = false;
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ").filter(|_| !continues) {
            steps.push(Step {
                command: command.to_owned(),
                output: String::new(),
            });
        } else {
            let step = steps
                .last_mut()
                .expect("a console block starts with a command");
            let part = if continues {
                &mut step.command
            } else {
                &mut step.output
            };
            if !part.is_empty() {
                part.push('\n');
            }
            part.push_str(line);
        }
        continues = line.ends_with('\\');
    }
    steps
}

/// The limits that the README says the server is to be started with.
fn limits(text: &str) -> Vec<&str> {
    let mut limits: Vec<&str> = text
        .split("--limit ")
        .skip(1)
        .filter_map(|rest| rest.split([' ', '`', '\n']).next())
        .filter(|limit| limit.contains('='))
        .collect();
    limits.sort_unstable();
    limits.dedup();
    limits
}

/// True when `text` is `pattern`, in which each `…` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, parts)) = pattern.split_once('…') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = match parts.rsplit_once('…') {
        Some((middle, last)) => (Some(middle), last),
        None => (None, parts),
    };
    for part in middle.into_iter().flat_map(|middle| middle.split('…')) {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Runs the commands of a block in one shell; what each of them printed.
fn outputs(steps: &[Step], address: &str, url: &str) -> Vec<String> {
    let mut script = String::new();
    for step in steps {
        script.push_str(&step.command.replace("127.0.0.1:7878", address));
        script.push_str("\nprintf '\\n%s\\n' \"$SEPARATOR\"\n");
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_mainstay"));
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("timeout")
        .args(["60", "bash", "-c", &script])
        .env(
            "PATH",
            format!("{}:{path}", binary.parent().unwrap().display()),
        )
        .env("SEPARATOR", SEPARATOR)
        .env("MAINSTAY_URL", url)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    let mut outputs: Vec<String> = text
        .split(SEPARATOR)
        .map(|part| part.trim_matches('\n').to_owned())
        .collect();
    assert_eq!(
        outputs.pop().as_deref(),
        Some(""),
        "after the last command of {steps:?}"
    );
    outputs
}

fn check(backend: &str, url: &str) {
    let text = readme();
    let flags: Vec<&str> = limits(&text)
        .into_iter()
        .flat_map(|limit| ["--limit", limit])
        .collect();
    let serving = Serving::start(url, &flags);
    let mut count = 0;
    let mut wrong = Vec::new();
    for steps in blocks(&text) {
        let outputs = outputs(&steps, &serving.address, url);
        assert_eq!(outputs.len(), steps.len(), "{steps:?} printed {outputs:?}");
        for (Step { command, output }, printed) in steps.iter().zip(&outputs) {
            if !matches(output, printed) {
                wrong.push(format!(
                    "$ {command}\nexpected:\n{output}\nprinted:\n{printed}"
                ));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "on {backend}:\n{}", wrong.join("\n\n"));
    assert!(
        count >= FEWEST,
        "only {count} commands were found in the README"
    );
    println!("{count} commands of the README run on {backend}");
    assert_eq!(serving.stop().0, Some(0));
}

#[test]
fn its_commands_print_what_it_says_on_memory() {
    check("memory", "memory:");
}

#[tokio::test]
async fn its_commands_print_what_it_says_on_redis() {
    check("redis", &Server::start(Flavor::Redis).await.url());
}

#[tokio::test]
async fn its_commands_print_what_it_says_on_valkey() {
    check("valkey", &Server::start(Flavor::Valkey).await.url());
}

#[test]
fn an_ellipsis_stands_for_any_text_and_nothing_else_does() {
    assert!(matches("a…c", "abc") && matches("a…c", "ac") && matches("…b…", "abc"));
    assert!(!matches("a…c", "abd") && !matches("abc", "abcd") && !matches("", "x"));
    assert!(!matches("ab…bc", "abc"));
}

#[test]
fn a_block_is_read_as_commands_with_their_output() {
    let text = "```console\n$ curl a \\\n  b\nc\nd\n$ X=1\n```\n```console\n$ ls\n```\n";
    let step = |command: &str, output: &str| Step {
        command: command.to_owned(),
        output: output.to_owned(),
    };
    assert_eq!(
        blocks(text),
        [[step("curl a \\\n  b", "c\nd"), step("X=1", "")]]
    );
}
