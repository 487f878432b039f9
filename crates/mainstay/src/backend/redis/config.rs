//! What a backend URL says about servers, login and transport.

use std::fmt;

use url::Url;

use crate::error::{Error, Result};

/// Where one server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(std::path::PathBuf),
}

impl Address {
    /// Reads `host:port` as servers write it in redirections; the port follows the last colon.
    pub(crate) fn parse_redirect(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::Tcp {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().ok()?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How the servers belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topology {
    Single(Address),
    Cluster(Vec<Address>),
    Sentinel {
        sentinels: Vec<Address>,
        primary: String,
    },
}

/// How to log in and talk to each server.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
    pub(crate) tls: bool,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish()
    }
}

/// A parsed backend URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisConfig {
    pub(crate) topology: Topology,
    pub(crate) login: Login,
}

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_SENTINEL_PORT: u16 = 26379;

impl RedisConfig {
    /// Reads a URL whose query has been taken off. `shown` is the URL without secrets.
    pub(crate) fn parse(url: &str, shown: &str) -> Result<Self> {
        let invalid = |why: String| Error::invalid(format!("url {shown:?}: {why}"));
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| invalid("no scheme: expected scheme://host:port".to_owned()))?;
        if scheme == "unix" {
            return Self::parse_unix(url, &invalid);
        }
        let (kind, tls) = match scheme {
            "redis" | "valkey" => (Kind::Single, false),
            "rediss" | "valkeys" => (Kind::Single, true),
            "redis-cluster" => (Kind::Cluster, false),
            "rediss-cluster" => (Kind::Cluster, true),
            "redis-sentinel" => (Kind::Sentinel, false),
            "rediss-sentinel" => (Kind::Sentinel, true),
            other => return Err(invalid(unknown_scheme(other))),
        };
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (format!("{userinfo}@"), hosts),
            None => (String::new(), authority),
        };
        let default_port = match kind {
            Kind::Sentinel => DEFAULT_SENTINEL_PORT,
            Kind::Single | Kind::Cluster => DEFAULT_PORT,
        };
        let mut login = Login {
            tls,
            ..Login::default()
        };
        let mut addresses = Vec::new();
        for host in hosts.split(',') {
            // One host at a time is a plain URL, which the url crate checks.
            let single = Url::parse(&format!("redis://{userinfo}{host}"))
                .map_err(|e| invalid(format!("host {host:?}: {e}")))?;
            let name = single
                .host_str()
                .filter(|name| !name.is_empty())
                .ok_or_else(|| invalid("a host is empty".to_owned()))?;
            addresses.push(Address::Tcp {
                host: name.trim_matches(['[', ']']).to_owned(),
                port: single.port().unwrap_or(default_port),
            });
            login.username = Some(decode(single.username(), &invalid)?).filter(|u| !u.is_empty());
            login.password = single.password().map(|p| decode(p, &invalid)).transpose()?;
        }
        let path = path.trim_matches('/');
        let topology = match (kind, addresses.as_slice()) {
            (Kind::Single, [address]) => {
                login.database = database(path, &invalid)?;
                Topology::Single(address.clone())
            }
            (Kind::Single, _) => {
                return Err(invalid(
                    "several hosts: use redis-cluster:// or redis-sentinel://".to_owned(),
                ));
            }
            (Kind::Cluster, _) if !matches!(path, "" | "0") => {
                return Err(invalid(format!("a cluster has no database {path:?}")));
            }
            (Kind::Cluster, _) => Topology::Cluster(addresses),
            (Kind::Sentinel, _) => {
                let (primary, number) = path.split_once('/').unwrap_or((path, ""));
                if primary.is_empty() {
                    return Err(invalid(
                        "the primary's name is missing: redis-sentinel://host:port/NAME".to_owned(),
                    ));
                }
                login.database = database(number, &invalid)?;
                Topology::Sentinel {
                    sentinels: addresses,
                    primary: primary.to_owned(),
                }
            }
        };
        Ok(Self { topology, login })
    }

    fn parse_unix(url: &str, invalid: &impl Fn(String) -> Error) -> Result<Self> {
        let parsed = Url::parse(url).map_err(|e| invalid(e.to_string()))?;
        if parsed.host_str().is_some_and(|host| !host.is_empty()) {
            return Err(invalid(
                "a socket path is absolute: unix:///run/redis.sock".to_owned(),
            ));
        }
        let path = decode(parsed.path(), invalid)?;
        if matches!(path.as_str(), "" | "/") {
            return Err(invalid("the socket's path is missing".to_owned()));
        }
        Ok(Self {
            topology: Topology::Single(Address::Unix(path.into())),
            login: Login {
                username: Some(decode(parsed.username(), invalid)?).filter(|u| !u.is_empty()),
                password: parsed.password().map(|p| decode(p, invalid)).transpose()?,
                ..Login::default()
            },
        })
    }
}

impl fmt::Display for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, addresses: &[Address]| {
            addresses.iter().enumerate().try_for_each(|(i, address)| {
                let comma = if i == 0 { "" } else { "," };
                write!(f, "{comma}{address}")
            })
        };
        match &self.topology {
            Topology::Single(address) => write!(f, "{address}"),
            Topology::Cluster(addresses) => {
                f.write_str("cluster ")?;
                list(f, addresses)
            }
            Topology::Sentinel { sentinels, primary } => {
                write!(f, "{primary} by sentinels ")?;
                list(f, sentinels)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Single,
    Cluster,
    Sentinel,
}

fn unknown_scheme(scheme: &str) -> String {
    format!(
        "unknown scheme {scheme:?}: expected memory:, redis://, rediss://, unix://, \
         redis-cluster:// or redis-sentinel://"
    )
}

fn database(text: &str, invalid: &impl Fn(String) -> Error) -> Result<i64> {
    if text.is_empty() {
        return Ok(0);
    }
    match text.parse() {
        Ok(number @ 0..=65_535) => Ok(number),
        _ => Err(invalid(format!("database {text:?} is not a number"))),
    }
}

fn decode(text: &str, invalid: &impl Fn(String) -> Error) -> Result<String> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| invalid("a part is not UTF-8 after percent-decoding".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<RedisConfig> {
        RedisConfig::parse(url, url)
    }

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn each_scheme_gives_its_topology() -> Result<()> {
        assert_eq!(
            parse("redis://localhost")?.topology,
            Topology::Single(tcp("localhost", 6379))
        );
        assert_eq!(
            parse("redis-cluster://a:1,b,[::1]:3")?.topology,
            Topology::Cluster(vec![tcp("a", 1), tcp("b", 6379), tcp("::1", 3)])
        );
        assert_eq!(
            parse("redis-sentinel://a,b:2/main/3")?.topology,
            Topology::Sentinel {
                sentinels: vec![tcp("a", 26379), tcp("b", 2)],
                primary: "main".to_owned()
            }
        );
        assert_eq!(
            parse("unix:///run/redis.sock")?.topology,
            Topology::Single(Address::Unix("/run/redis.sock".into()))
        );
        Ok(())
    }

    #[test]
    fn login_is_decoded_and_hidden() -> Result<()> {
        let config = parse("rediss://ann:p%40ss@h:1/2")?;
        assert_eq!(config.login.username.as_deref(), Some("ann"));
        assert_eq!(config.login.password.as_deref(), Some("p@ss"));
        assert_eq!((config.login.database, config.login.tls), (2, true));
        assert!(!format!("{config:?}").contains("p@ss"));
        Ok(())
    }

    #[test]
    fn a_wrong_url_is_refused_with_the_reason() {
        for (url, reason) in [
            ("localhost:6379", "no scheme"),
            ("http://h", "unknown scheme \"http\""),
            ("redis://", "a host is empty"),
            ("redis://h:99999", "invalid port"),
            ("redis://a,b", "several hosts"),
            ("redis://h/x", "database \"x\" is not a number"),
            ("redis-cluster://h/3", "a cluster has no database"),
            ("redis-sentinel://h", "the primary's name is missing"),
            ("unix://run/redis.sock", "absolute"),
            ("unix:///", "path is missing"),
        ] {
            let message = parse(url).unwrap_err().to_string();
            assert!(message.contains(reason), "{url}: {message}");
        }
    }
}
