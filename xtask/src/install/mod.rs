//! Brings what tests and benchmarks drive: servers, languages and a browser by apt, the rest by pip and npm.

mod apt;
mod backports;
mod clients;
mod peers;

use std::process::Command;

pub(crate) use clients::Clients;

use crate::process::{self, Failure, Outcome};

/// A program and the Debian package that has it.
#[derive(Debug, Clone, Copy)]
struct Need {
    program: &'static str,
    package: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

const SERVERS: [Need; 8] = [
    need("redis-server", "redis-server"),
    need("redis-sentinel", "redis-sentinel"),
    need("redis-cli", "redis-tools"),
    need("redis-benchmark", "redis-tools"),
    need("valkey-server", "valkey-server"),
    need("valkey-sentinel", "valkey-sentinel"),
    need("valkey-cli", "valkey-tools"),
    need("valkey-benchmark", "valkey-tools"),
];

const TOOLS: [Need; 4] = [
    need("curl", "curl"),
    need("python3", "python3"),
    need("node", "nodejs"),
    need("npm", "npm"),
];

/// For the clients and pages alone, not for the benchmarks.
const FOR_TESTS: [Need; 3] = [
    need("go", "golang-go"),
    need("chromium", "chromium"),
    need("chromedriver", "chromium-driver"),
];

/// Makes sure that the servers and their command lines are installed.
pub(crate) fn servers() -> Outcome {
    let packages = missing(&SERVERS);
    if !packages.is_empty() {
        apt::install(&packages)?;
        all_present(&SERVERS)?;
    }
    println!(
        "servers: redis {}, valkey {}",
        version("redis-server")?,
        version("valkey-server")?
    );
    Ok(())
}

/// Makes sure that servers, tools and clients are installed.
pub(crate) fn all() -> Outcome<Clients> {
    servers_and(&[TOOLS.as_slice(), &FOR_TESTS].concat())?;
    Clients::install()
}

/// Makes sure that servers, tools and the benchmarks' peers are installed.
pub(crate) fn peers() -> Outcome {
    servers_and(&TOOLS)?;
    peers::install()
}

fn servers_and(tools: &[Need]) -> Outcome {
    let needs = [SERVERS.as_slice(), tools].concat();
    let mut packages = missing(&needs);
    if !clients::python_has_venv() {
        packages.push("python3-venv");
    }
    if !packages.is_empty() {
        apt::install(&packages)?;
        all_present(&needs)?;
    }
    servers()
}

/// Packages of the programs that are not on `PATH`, each once.
fn missing(needs: &[Need]) -> Vec<&'static str> {
    let absent = needs
        .iter()
        .filter(|need| !process::is_installed(need.program));
    let mut packages: Vec<_> = absent.map(|need| need.package).collect();
    packages.dedup();
    packages
}

fn all_present(needs: &[Need]) -> Outcome {
    let absent = needs
        .iter()
        .find(|need| !process::is_installed(need.program));
    match absent {
        None => Ok(()),
        Some(Need { program, package }) => Err(Failure::new(format!(
            "package {package} is installed, but {program} is not on PATH"
        ))),
    }
}

/// The number after `v=` in what a server prints about itself.
fn version(server: &str) -> Outcome<String> {
    let text = process::read(Command::new(server).arg("--version"))?;
    let number = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="));
    number
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("{server} --version names no version: {text}")))
}
