//! Adds the backports suite of this Debian release to apt's sources.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::apt::Root;
use crate::process::{self, Failure, Outcome};
use crate::source;

const SOURCES: &str = "/etc/apt/sources.list.d";
const FILE: &str = "/etc/apt/sources.list.d/mainstay-test-backports.sources";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Writes a source for `<codename>-backports` and fetches its list.
///
/// Backports have a low priority: packages that are installed are not upgraded from there.
pub(super) fn enable(root: &Root) -> Outcome {
    let codename = codename(&source::read(Path::new("/etc/os-release"))?)
        .ok_or_else(|| Failure::new("/etc/os-release names no VERSION_CODENAME"))?;
    let mirror = mirror(&codename)?;
    let keyring = keyring(&mirror, &codename)?;
    let text = format!(
        "Types: deb\nURIs: {mirror}\nSuites: {codename}-backports\nComponents: main\n\
         Signed-By: {keyring}\n"
    );
    println!("writing {FILE}:\n{text}");
    let draft = "target/backports.sources";
    fs::create_dir_all("target")
        .and_then(|()| fs::write(draft, text))
        .map_err(|error| Failure::new(format!("cannot write {draft}: {error}")))?;
    process::run(root.command("install").args(["-m", "644", draft, FILE]))?;
    root.apt_get(&[
        "update",
        "-o",
        &format!("Dir::Etc::SourceList={FILE}"),
        "-o",
        "Dir::Etc::SourceParts=-",
        "-o",
        "APT::Get::List-Cleanup=0",
    ])
}

fn codename(os_release: &str) -> Option<String> {
    let mut lines = os_release.lines();
    let value = lines.find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(value.trim_matches('"').to_owned())
}

/// Where apt gets this release of Debian from already.
fn mirror(codename: &str) -> Outcome<String> {
    let targets = process::read(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE)",
        "Created-By: Packages",
        "Origin: Debian",
        &format!("Release: {codename}"),
    ]))?;
    targets.lines().next().map(str::to_owned).ok_or_else(|| {
        Failure::new(format!(
            "apt has no source for Debian {codename}, so its backports cannot be found"
        ))
    })
}

/// The keyring that vouches for the mirror already; Debian's own if no source names one.
fn keyring(mirror: &str, codename: &str) -> Outcome<String> {
    let folder = fs::read_dir(SOURCES)
        .map_err(|error| Failure::new(format!("cannot read {SOURCES}: {error}")))?;
    for entry in folder.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|found| found == "sources")
            && let Some(keyring) = signed_by(&source::read(&path)?, mirror, codename)
        {
            return Ok(keyring);
        }
    }
    Ok(KEYRING.to_owned())
}

/// The `Signed-By` path of the stanza for this mirror and suite.
fn signed_by(sources: &str, mirror: &str, suite: &str) -> Option<String> {
    let mirror = mirror.trim_end_matches('/');
    sources.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            let mut lines = stanza.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.trim()))
        };
        let is_mirror = field("URIs:")?
            .split_whitespace()
            .any(|uri| uri.trim_end_matches('/') == mirror);
        let is_suite = field("Suites:")?
            .split_whitespace()
            .any(|name| name == suite);
        let keyring = field("Signed-By:")?;
        (is_mirror && is_suite && keyring.starts_with('/')).then(|| keyring.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{codename, signed_by};

    const STANZAS: &str = "\
Types: deb
# a comment
URIs: http://mirror.test/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/main.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
";

    #[test]
    fn the_keyring_is_that_of_the_same_mirror_and_suite() {
        let keyring = |mirror, suite| signed_by(STANZAS, mirror, suite);
        assert_eq!(
            keyring("http://mirror.test/debian", "bookworm").as_deref(),
            Some("/keys/main.gpg")
        );
        assert_eq!(keyring("http://mirror.test/debian", "trixie"), None);
        assert_eq!(keyring("http://other.test/debian", "bookworm"), None);
    }

    #[test]
    fn a_key_inside_the_stanza_is_no_keyring_path() {
        let mirror = "http://mirror.test/debian-security";
        assert_eq!(signed_by(STANZAS, mirror, "bookworm-security"), None);
    }

    #[test]
    fn the_codename_is_read_with_and_without_quotes() {
        let text = "ID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(codename(text).as_deref(), Some("bookworm"));
        assert_eq!(
            codename("VERSION_CODENAME=\"trixie\"").as_deref(),
            Some("trixie")
        );
        assert_eq!(codename("ID=arch\n"), None);
    }
}
