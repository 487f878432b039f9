//! `cargo xtask check`: every check that needs no server.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::process::{self, Failure, Outcome, cargo};
use crate::{links, source};

pub(crate) fn run() -> Outcome {
    step("format", format)?;
    step("file length", source::check_lengths)?;
    step("unfinished code", source::check_unfinished)?;
    step("links between documents", links::check)?;
    let deny = process::is_installed("cargo-deny");
    if deny {
        step("licences, bans and sources", || {
            process::run(&mut cargo(["deny", "check", "licenses", "bans", "sources"]))
        })?;
    }
    step("clippy, whole workspace", || {
        clippy(&["--workspace", "--all-targets"])
    })?;
    step("clippy, mainstay without features", || {
        clippy(&["--package", "mainstay", "--lib", "--no-default-features"])
    })?;
    for feature in features()? {
        step(&format!("clippy, mainstay with {feature} alone"), || {
            clippy(&[
                "--package",
                "mainstay",
                "--lib",
                "--no-default-features",
                "--features",
                &feature,
            ])
        })?;
    }
    step("documentation", || {
        process::run(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    if deny {
        println!("check: every step passed");
    } else {
        println!("check: passed, but licences, bans and sources were NOT CHECKED:");
        println!("cargo-deny is not installed; get it with `cargo install --locked cargo-deny`");
    }
    Ok(())
}

/// Runs one named step and says how long it took.
#[expect(
    clippy::disallowed_methods,
    reason = "reports how long a step took; nothing depends on the value"
)]
fn step(name: &str, body: impl FnOnce() -> Outcome) -> Outcome {
    println!("== {name}");
    let started = Instant::now();
    let outcome = body();
    let seconds = started.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => {
            println!("== {name}: ok, {seconds:.1} s");
            Ok(())
        }
        Err(failure) => Err(Failure::new(format!(
            "check stopped at step \"{name}\" after {seconds:.1} s: {failure}"
        ))),
    }
}

fn format() -> Outcome {
    process::run(&mut cargo(["fmt", "--all", "--check"]))?;
    // The benchmarks are a workspace of their own, which --all does not reach.
    let bench = "bench/Cargo.toml";
    if Path::new(bench).exists() {
        process::run(&mut cargo(["fmt", "--manifest-path", bench, "--check"]))?;
    }
    Ok(())
}

fn clippy(selection: &[&str]) -> Outcome {
    process::run(
        cargo(["clippy"])
            .args(selection)
            .args(["--", "-D", "warnings"]),
    )
}

/// The features of the library, each of which has to build alone.
fn features() -> Outcome<Vec<String>> {
    let text = process::read(&mut cargo([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("cannot read cargo metadata: {error}")))?;
    features_of("mainstay", &metadata)
        .ok_or_else(|| Failure::new("cargo metadata lists no package mainstay"))
}

fn features_of(package: &str, metadata: &Value) -> Option<Vec<String>> {
    let packages = metadata.get("packages")?.as_array()?;
    let package = packages
        .iter()
        .find(|candidate| candidate.get("name").and_then(Value::as_str) == Some(package))?;
    let names = package.get("features")?.as_object()?.keys();
    Some(names.filter(|name| *name != "default").cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::{features_of, step};
    use crate::process::Failure;

    #[test]
    fn features_are_read_without_the_default() {
        let metadata = serde_json::json!({"packages": [
            {"name": "other", "features": {"x": []}},
            {"name": "mainstay", "features": {"default": ["redis"], "redis": [], "http": []}},
        ]});
        assert_eq!(
            features_of("mainstay", &metadata).unwrap(),
            ["redis", "http"]
        );
        assert_eq!(features_of("absent", &metadata), None);
    }

    #[test]
    fn a_failing_step_is_named() {
        let failure = step("format", || Err(Failure::new("not formatted"))).unwrap_err();
        let message = failure.to_string();
        assert!(message.starts_with("check stopped at step \"format\" after "));
        assert!(message.ends_with(": not formatted"));
        assert_eq!(failure.code(), 1);
    }
}
