//! Installs Debian packages, with root or passwordless sudo, starting no service.

use std::path::Path;
use std::process::Command;

use super::backports;
use crate::process::{self, Failure, Outcome};

/// Installs packages; those that no known source has are looked for in the backports.
pub(super) fn install(packages: &[&str]) -> Outcome {
    println!("missing, to be installed with apt: {}", packages.join(" "));
    let root = Root::find(packages)?;
    root.apt_get(&["update"])?;
    if packages.iter().any(|package| !has_candidate(package)) {
        backports::enable(&root)?;
    }
    let install = ["install", "--yes", "--no-install-recommends"];
    root.apt_get(&[install.as_slice(), packages].concat())?;
    root.stop_services(packages)
}

/// How to run a command as root.
#[derive(Debug)]
pub(super) enum Root {
    Already,
    Sudo,
}

impl Root {
    fn find(packages: &[&str]) -> Outcome<Self> {
        let by_hand = format!(
            "install by hand, then run this again: {}",
            packages.join(" ")
        );
        if !process::is_installed("apt-get") {
            return Err(Failure::new(format!("apt-get is not here; {by_hand}")));
        }
        let user = process::read(Command::new("id").arg("-u"))?;
        if user.trim() == "0" {
            return Ok(Self::Already);
        }
        if process::succeeds(Command::new("sudo").args(["-n", "true"])) {
            return Ok(Self::Sudo);
        }
        Err(Failure::new(format!(
            "neither root nor passwordless sudo; {by_hand}"
        )))
    }

    pub(super) fn command(&self, program: &str) -> Command {
        match self {
            Self::Already => Command::new(program),
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["-n", program]);
                command
            }
        }
    }

    /// Runs apt-get, asking nothing and waiting for other runs to end.
    ///
    /// Runlevel 1 keeps init scripts from starting the servers; systemd does not look at it.
    pub(super) fn apt_get(&self, args: &[&str]) -> Outcome {
        process::run(
            self.command("env")
                .args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"])
                .args(["--quiet", "-o", "DPkg::Lock::Timeout=300"])
                .args(args),
        )
    }

    /// Stops and disables what systemd has started: tests start servers of their own.
    fn stop_services(&self, packages: &[&str]) -> Outcome {
        let services: Vec<_> = packages.iter().filter(|name| is_service(name)).collect();
        if services.is_empty() || !Path::new("/run/systemd/system").is_dir() {
            return Ok(());
        }
        process::run(
            self.command("systemctl")
                .args(["disable", "--now"])
                .args(services),
        )
    }
}

fn is_service(package: &str) -> bool {
    package.ends_with("-server") || package.ends_with("-sentinel")
}

fn has_candidate(package: &str) -> bool {
    let policy = process::read(
        Command::new("apt-cache")
            .args(["policy", package])
            .env("LC_ALL", "C"),
    );
    policy.is_ok_and(|text| names_candidate(&text))
}

fn names_candidate(policy: &str) -> bool {
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .any(|version| version != "(none)")
}

#[cfg(test)]
mod tests {
    use super::{is_service, names_candidate};

    #[test]
    fn a_candidate_is_a_version_that_apt_would_install() {
        let known = "valkey-server:\n  Installed: (none)\n  Candidate: 8.0.1\n";
        let unknown = "valkey-server:\n  Installed: (none)\n  Candidate: (none)\n";
        assert!(names_candidate(known));
        assert!(!names_candidate(unknown));
        assert!(!names_candidate(""));
    }

    #[test]
    fn servers_and_sentinels_are_services_and_tools_are_not() {
        assert!(is_service("valkey-server"));
        assert!(is_service("redis-sentinel"));
        assert!(!is_service("redis-tools"));
    }
}
