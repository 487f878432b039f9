//! What the benchmarks compare with in other languages, kept under `target/bench-peers`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::{self, Failure, Outcome};

const NODE_SOURCE: &str = "bench/peers/node";
const NODE: &str = "target/bench-peers/node";
const NODE_MANIFEST: &str = "package.json";

const PYTHON_SOURCE: &str = "bench/peers/python";
const PYTHON: &str = "target/bench-peers/python";
const PYTHON_MANIFEST: &str = "requirements.txt";

/// Brings the libraries and the programs that use them, as they stand in `bench/peers`.
pub(super) fn install() -> Outcome {
    if !is_current(NODE_SOURCE, NODE, NODE_MANIFEST) {
        install_node()?;
    }
    if !is_current(PYTHON_SOURCE, PYTHON, PYTHON_MANIFEST) {
        install_python()?;
    }
    // Last: the manifests that come along say that everything is there.
    copy_files(NODE_SOURCE, NODE)?;
    copy_files(PYTHON_SOURCE, PYTHON)
}

/// Whether the last installation that succeeded was of this manifest.
fn is_current(source: &str, target: &str, manifest: &str) -> bool {
    let read = |folder| fs::read(Path::new(folder).join(manifest));
    matches!((read(source), read(target)), (Ok(wanted), Ok(found)) if wanted == found)
}

fn install_node() -> Outcome {
    let manifest = Path::new(NODE).join(NODE_MANIFEST);
    create(NODE)?;
    copy(&Path::new(NODE_SOURCE).join(NODE_MANIFEST), &manifest)?;
    let installed = process::run(
        Command::new("npm")
            .args(["install", "--prefix", NODE])
            .args(["--no-audit", "--no-fund", "--no-package-lock"]),
    );
    if installed.is_err() {
        fs::remove_file(&manifest).map_err(|error| cannot("remove", &manifest, &error))?;
    }
    installed
}

fn install_python() -> Outcome {
    process::run(Command::new("python3").args(["-m", "venv", "--clear", PYTHON]))?;
    process::run(
        Command::new(format!("{PYTHON}/bin/python"))
            .args(["-m", "pip", "--disable-pip-version-check", "install"])
            .args(["--quiet", "--requirement"])
            .arg(format!("{PYTHON_SOURCE}/{PYTHON_MANIFEST}")),
    )
}

fn copy_files(source: &str, target: &str) -> Outcome {
    let source = Path::new(source);
    let entries = fs::read_dir(source).map_err(|error| cannot("read", source, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| cannot("read", source, &error))?;
        if entry.path().is_file() {
            copy(&entry.path(), &Path::new(target).join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::copy(from, to).map_err(|error| cannot("copy", from, &error))?;
    Ok(())
}

fn create(folder: &str) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| cannot("make", Path::new(folder), &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot {what} {}: {error}", path.display()))
}
