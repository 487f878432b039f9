//! Secrets of sessions, from files and the environment: others can read a command line.

use std::path::Path;

use mainstay_server::Secret;

use crate::failure::Failure;

/// The variable that holds the secret of users' tags.
pub(crate) const SECRET: &str = "MAINSTAY_SESSION_SECRET";

/// The variable that holds the keys that tokens are signed with, between commas.
pub(crate) const KEYS: &str = "MAINSTAY_SESSION_KEYS";

const ADVICE: &str = "a good one is what `openssl rand -hex 32` prints";

/// What stands in a file, without the line break that editors and `echo` put at its end.
pub(crate) fn from_file(path: &Path) -> Result<Secret, Failure> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|source| Failure::io(format!("cannot read the secret in {shown}"), source))?;
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    if bytes.is_empty() {
        return Err(Failure::Usage(format!(
            "{shown} is empty: write a secret into it, {ADVICE}"
        )));
    }
    Ok(Secret::new(bytes))
}

/// What the environment holds.
#[derive(Debug, Default)]
pub(crate) struct InEnvironment {
    pub(crate) secret: Option<Secret>,
    /// The first signs.
    pub(crate) keys: Vec<Secret>,
}

impl InEnvironment {
    pub(crate) fn read() -> Result<Self, Failure> {
        Ok(Self {
            secret: from_env()?,
            keys: keys_from_env()?,
        })
    }
}

/// The secret in the environment.
pub(crate) fn from_env() -> Result<Option<Secret>, Failure> {
    let Some(value) = std::env::var_os(SECRET) else {
        return Ok(None);
    };
    if value.is_empty() {
        return Err(Failure::Usage(format!(
            "{SECRET} is empty: unset it, or give a secret, {ADVICE}"
        )));
    }
    Ok(Some(Secret::new(value.as_encoded_bytes())))
}

fn keys_from_env() -> Result<Vec<Secret>, Failure> {
    let Some(value) = std::env::var_os(KEYS) else {
        return Ok(Vec::new());
    };
    let keys = value.as_encoded_bytes().split(|byte| *byte == b',');
    let keys: Vec<_> = keys.map(<[u8]>::trim_ascii).collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(Failure::Usage(format!(
            "{KEYS} holds an empty key: unset it, or write keys of 32 bytes or more between commas"
        )));
    }
    Ok(keys.into_iter().map(Secret::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Secret, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        from_file(file.path()).map_err(|failure| failure.report())
    }

    #[test]
    fn one_line_break_at_the_end_of_a_file_is_not_of_the_secret() {
        for (content, secret) in [
            (&b"hunter2"[..], &b"hunter2"[..]),
            (b"hunter2\n", b"hunter2"),
            (b"hunter2\r\n", b"hunter2"),
            (b" hunter2\n\n", b" hunter2\n"),
            (b"\xff\0\x80", b"\xff\0\x80"),
        ] {
            assert_eq!(read(content), Ok(Secret::new(secret)));
        }
    }

    #[test]
    fn an_empty_file_holds_no_secret() {
        for content in [&b""[..], b"\n", b"\r\n"] {
            let error = read(content).unwrap_err();
            assert!(
                error.contains("is empty: write a secret into it"),
                "{error}"
            );
        }
    }
}
