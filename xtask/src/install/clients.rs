//! Clients in other languages: redis-py, grpcio and ioredis, kept under `target/clients`, and Go.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{self, Failure, Outcome};

const PYTHON_FOLDER: &str = "target/clients/python";
const PYTHON: &str = "target/clients/python/bin/python";
const REDIS_PY: &str = "7.4.";
/// Envoy's API, compiled for Python; it brings grpcio.
const XDS_PROTOS: &str = "1.";

const NODE_FOLDER: &str = "target/clients/node";
const NODE_MODULES: &str = "target/clients/node/node_modules";
const IOREDIS: &str = "5.";

/// Where the tests find the clients; exists only once they are installed.
#[derive(Debug)]
pub(crate) struct Clients {
    python: PathBuf,
    node_modules: PathBuf,
}

impl Clients {
    pub(super) fn install() -> Outcome<Self> {
        let redis_py = ensure("redis-py", REDIS_PY, redis_py_version, install_redis_py)?;
        let xds_protos = ensure(
            "xds-protos",
            XDS_PROTOS,
            xds_protos_version,
            install_xds_protos,
        )?;
        let ioredis = ensure("ioredis", IOREDIS, ioredis_version, install_ioredis)?;
        println!(
            "clients: redis-py {redis_py}, xds-protos {xds_protos}, ioredis {ioredis}, go {}",
            go_version()?
        );
        Ok(Self {
            python: absolute(PYTHON)?,
            node_modules: absolute(NODE_MODULES)?,
        })
    }

    /// The variables that tell the tests where the clients are.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 2] {
        [
            ("MAINSTAY_TEST_PYTHON", &self.python),
            ("MAINSTAY_TEST_NODE_MODULES", &self.node_modules),
        ]
    }
}

/// Whether python3 can make virtual environments: Debian packages that apart.
pub(super) fn python_has_venv() -> bool {
    process::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"]))
}

/// The version of a client, after installing it unless the right one is there.
fn ensure(
    name: &str,
    wanted: &str,
    version: fn() -> Option<String>,
    install: fn() -> Outcome,
) -> Outcome<String> {
    let usable = || version().filter(|found| found.starts_with(wanted));
    if let Some(found) = usable() {
        return Ok(found);
    }
    println!("missing: {name} {wanted}*");
    install()?;
    usable().ok_or_else(|| Failure::new(format!("{name} {wanted}* is not usable once installed")))
}

fn redis_py_version() -> Option<String> {
    python_version("redis", "redis")
}

fn xds_protos_version() -> Option<String> {
    python_version("envoy.service.ratelimit.v3.rls_pb2_grpc", "xds-protos")
}

/// The version of a package whose module can be imported.
fn python_version(module: &str, package: &str) -> Option<String> {
    if !process::succeeds(Command::new(PYTHON).args(["-c", &format!("import {module}")])) {
        return None;
    }
    let script = format!("import importlib.metadata as m; print(m.version('{package}'))");
    let version = process::read(Command::new(PYTHON).args(["-c", &script])).ok()?;
    Some(version.trim().to_owned())
}

fn install_redis_py() -> Outcome {
    process::run(Command::new("python3").args(["-m", "venv", "--clear", PYTHON_FOLDER]))?;
    pip(&format!("redis=={REDIS_PY}*"))
}

fn install_xds_protos() -> Outcome {
    pip(&format!("xds-protos=={XDS_PROTOS}*"))
}

fn pip(requirement: &str) -> Outcome {
    process::run(
        Command::new(PYTHON)
            .args(["-m", "pip", "--disable-pip-version-check", "install"])
            .args(["--quiet", requirement]),
    )
}

fn ioredis_version() -> Option<String> {
    let text = fs::read_to_string(format!("{NODE_MODULES}/ioredis/package.json")).ok()?;
    let package: Value = serde_json::from_str(&text).ok()?;
    Some(package.get("version")?.as_str()?.to_owned())
}

fn install_ioredis() -> Outcome {
    fs::create_dir_all(NODE_FOLDER)
        .map_err(|error| Failure::new(format!("cannot make {NODE_FOLDER}: {error}")))?;
    process::run(
        Command::new("npm")
            .args(["install", "--prefix", NODE_FOLDER])
            .args(["--no-audit", "--no-fund", &format!("ioredis@{IOREDIS}x")]),
    )
}

/// The tests compile their Go program themselves: it needs nothing but the standard library.
fn go_version() -> Outcome<String> {
    let version = process::read(Command::new("go").args(["env", "GOVERSION"]))?;
    Ok(version.trim().trim_start_matches("go").to_owned())
}

/// Absolute without following links: a virtual environment's python is a link.
fn absolute(path: &str) -> Outcome<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(format!("cannot locate {path}: {error}")))
}
