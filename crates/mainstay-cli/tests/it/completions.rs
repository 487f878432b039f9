//! Completion scripts and help.

use std::process::Stdio;

use crate::program::{adopt, mainstay, run};

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(mainstay(["completions", shell]));
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{shell}"
        );
        for word in ["mainstay", "serve", "completions", "namespace"] {
            assert!(ended.stdout.contains(word), "{shell} lacks {word}");
        }
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = mainstay(["completions", "bash"]);
    command.stdout(writer).stderr(Stdio::piped());
    let ended = adopt(command.spawn().unwrap()).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn help_documents_the_exit_codes_of_lock_run() {
    let ended = run(mainstay(["lock", "run", "--help"]));
    assert_eq!(ended.code, Some(0));
    for code in ["75", "76", "127", "MAINSTAY_FENCE"] {
        assert!(
            ended.stdout.contains(code),
            "{code} is missing:\n{}",
            ended.stdout
        );
    }
}
