//! Which server this is, and what it is set up to do with our keys.

use redis::Value;

use super::commander::{Commander, Effect};
use super::reply;
use crate::error::{Error, ErrorKind, Result};

/// The oldest servers whose commands the scripts use.
const OLDEST_REDIS: (u32, u32) = (7, 0);
const OLDEST_VALKEY: (u32, u32) = (7, 2);

/// What `INFO` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerInfo {
    pub(super) name: &'static str,
    pub(super) version: String,
    /// The eviction policy, where it may cost keys that we need.
    evicting: Option<String>,
}

impl ServerInfo {
    /// Asks the node that serves `key`. A login that may not ask learns nothing, and no more.
    pub(super) async fn read(commander: &Commander, key: &str) -> Result<Self> {
        let server = section(commander, key, "server").await?;
        let memory = section(commander, key, "memory").await?;
        Ok(Self::parse(&server, &memory))
    }

    fn parse(server: &str, memory: &str) -> Self {
        let (name, version) = match field(server, "valkey_version") {
            Some(version) => ("valkey", Some(version)),
            None => ("redis", field(server, "redis_version")),
        };
        let is_limited = field(memory, "maxmemory").is_some_and(|bytes| bytes != "0");
        let policy = field(memory, "maxmemory_policy").filter(|policy| *policy != "noeviction");
        Self {
            name,
            version: version.unwrap_or("unknown").to_owned(),
            evicting: policy.filter(|_| is_limited).map(str::to_owned),
        }
    }

    /// Refuses a server that is known to be too old.
    pub(super) fn check_version(&self) -> Result<()> {
        let oldest = if self.name == "valkey" {
            OLDEST_VALKEY
        } else {
            OLDEST_REDIS
        };
        match major_minor(&self.version) {
            Some(version) if version < oldest => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "server is {} {}: {}.{} or newer is needed",
                    self.name, self.version, oldest.0, oldest.1
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// What endangers data though calls succeed.
    pub(super) fn warnings(&self) -> Vec<String> {
        let warning = self.evicting.as_ref().map(|policy| {
            format!(
                "maxmemory-policy is {policy}: under memory pressure the server may evict locks \
                 and sessions; set it to noeviction, or cache on another server"
            )
        });
        warning.into_iter().collect()
    }
}

async fn section(commander: &Commander, key: &str, name: &str) -> Result<String> {
    let mut info = redis::cmd("INFO");
    info.arg(name);
    match commander.run(key, &info, Effect::Read).await {
        Ok(Value::Nil) => Ok(String::new()),
        Ok(text) => reply::text(text),
        Err(error) if error.kind() == ErrorKind::Refused => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused_by_name() {
        let check = |server: &str| {
            let checked = ServerInfo::parse(server, "").check_version();
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(
            check("redis_version:6.2.14\r\n"),
            Err("server is redis 6.2.14: 7.0 or newer is needed".to_owned())
        );
        assert_eq!(check("redis_version:7.0.15\r\n"), Ok(()));
        // Valkey says both, for clients that only know Redis.
        assert_eq!(
            check("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n"),
            Ok(())
        );
        assert_eq!(check(""), Ok(()));
    }

    #[test]
    fn an_evicting_policy_is_a_warning_once_memory_is_limited() {
        let warnings = |memory: &str| ServerInfo::parse("", memory).warnings().len();
        assert_eq!(
            warnings("maxmemory:1024\r\nmaxmemory_policy:allkeys-lru\r\n"),
            1
        );
        assert_eq!(
            warnings("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n"),
            0
        );
        assert_eq!(
            warnings("maxmemory:1024\r\nmaxmemory_policy:noeviction\r\n"),
            0
        );
    }
}
