//! `mainstay serve`.

use std::borrow::Borrow;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use mainstay::ratelimit::Policy;
use mainstay::{ErrorKind, Mainstay};
use mainstay_server::{
    ApiKeyHash, Config, HistoryRule, LimitConfig, Limits, SessionConfig, check_bind,
};
use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::arguments::Global;
use crate::config_file::ConfigFile;
use crate::failure::Failure;
use crate::logging::LogFormat;
use crate::quantity::{bytes, bytes_or_none, duration};
use crate::signals::{self, Signals};

/// How long the start waits for the backend before it goes on without.
const PATIENCE: Duration = Duration::from_secs(1);

/// The limit of a server that is told none.
const DEFAULT_LIMIT: &str = "api=100/1m";

const EXAMPLES: &str = "\
Examples:
  mainstay serve
  mainstay serve --url redis://127.0.0.1:6379 --limit api=100/1m --limit mail=10/1h
  printf %s \"${KEY:?}\" | sha256sum | cut -d' ' -f1 > keys.txt
  mainstay serve --listen 0.0.0.0:7878 --api-key-file keys.txt
  mainstay serve --config mainstay.toml, which may say

    limits_when_down = \"open\"         # or fail, closed, local/N for N servers
    [limits]
    api = \"100/1m\"
    login = \"5/1m:exact\"
    [[envoy]]                         # which descriptors Envoy asks about, the first that fits
    domain = \"edge\"
    descriptor = [\"path=/login\", \"remote_address\"]
    limits = [\"login\"]
    [[history]]                       # channels that keep what is published, the first that fits
    channels = \"alarms/*\"             # read at the start only
    count = 10000
    age = \"24h\"
    bytes = \"64MiB\"
    [sessions]                        # read at the start only
    idle = \"1h\"
    absolute = \"24h\"
    grace = \"10s\"                     # for how long an old id leads on to the new one
    at_most = 5                       # sessions of a user; by default any number
    when_full = \"end_oldest\"          # or refuse
    secret_file = \"session.secret\"    # the same for all who share the store
    signing_key_files = [\"new.key\", \"old.key\"]

SIGHUP has the file read again: limits and rules for Envoy change at once, [[history]] and
[sessions] with a restart only, which the log asks for.

Paths in the file begin where it is. A secret, or key to sign session ids with (of 32 bytes or more;
the first signs, all are accepted), is what its file holds but for a line break at the end. Without
files they may be given as MAINSTAY_SESSION_SECRET and, with commas between them (none may hold
one), MAINSTAY_SESSION_KEYS.

Without keys the server listens on this machine's loopback addresses only. Clients send a key in
the header X-Api-Key. SIGINT and SIGTERM end it once the requests in flight are answered; a second
one ends it at once.";

/// Serves every area over HTTP
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:7878", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A rate limit that clients can ask by its name (repeatable) [default: api=100/1m, unless there is a
    /// configuration file]
    #[arg(long = "limit", value_name = "NAME=COUNT/PERIOD", value_parser = policy)]
    limits: Vec<Policy>,
    /// File with limits, rules for Envoy, and how sessions are kept; SIGHUP reads limits and rules again,
    /// sessions need a restart
    #[arg(long, value_name = "PATH", env = "MAINSTAY_CONFIG")]
    config: Option<PathBuf>,
    /// File with one SHA-256 of an API key a line, as 64 hex digits; # starts a comment
    #[arg(long, value_name = "PATH", env = "MAINSTAY_API_KEY_FILE")]
    api_key_file: Option<PathBuf>,
    /// Host name that clients may use besides localhost (repeatable)
    #[arg(long = "allow-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
    /// Largest request body
    #[arg(long, default_value = "1MiB", value_name = "BYTES", value_parser = bytes)]
    max_body: usize,
    /// What caches keep in this process, all together; 0 for nothing
    #[arg(long, default_value = "64MiB", value_name = "BYTES", value_parser = bytes_or_none)]
    near_cache: usize,
    /// Most connections at a time; more wait
    #[arg(long, default_value = "10000", value_name = "COUNT")]
    max_connections: NonZeroUsize,
    /// Most time that requests in flight get at the end
    #[arg(long, default_value = "10s", value_parser = duration, allow_hyphen_values = true)]
    drain: Duration,
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
}

impl Serve {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let mut signals = Signals::listen()?;
        if self.config.is_some() {
            signals = signals.with_hangup()?;
        }
        let config = self.config()?;
        let (limits, sessions) = (config.limits.clone(), config.sessions.clone());
        let histories = config.histories.clone();
        check_bind(self.listen, &config)?;
        config.validate()?;
        let stay = open(global).await?;
        let listener = TcpListener::bind(self.listen).await.map_err(|source| {
            let asked = self.listen;
            Failure::io(
                format!("cannot listen on {asked}, pass another --listen"),
                source,
            )
        })?;
        let address = listener
            .local_addr()
            .map_err(|source| Failure::io("cannot read the listener's address", source))?;
        if !global.quiet {
            announce(self.log_format, address, &stay);
        }
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let shutdown = async {
            // A dropped sender asks to stop, too.
            let _ = stopped.await;
        };
        let mut server = std::pin::pin!(mainstay_server::run(listener, stay, config, shutdown));
        let mut stop = Some(stop);
        loop {
            tokio::select! {
                ended = &mut server => return Ok(ended.map(|()| ExitCode::SUCCESS)?),
                signal = signals.next() => match signal {
                    Signal::HUP => self.reload(&limits, &sessions, &histories),
                    signal if stop.take().is_some() => {
                        tracing::info!(signal = signal.as_raw(), "draining");
                    }
                    signal => return Ok(signals::exit_code(signal.as_raw())),
                },
            }
        }
    }

    /// Reads the limits again; those of before stay if they cannot be used.
    fn reload(&self, limits: &Limits, sessions: &SessionConfig, histories: &[HistoryRule]) {
        let file = match self.file() {
            Ok(file) => file,
            Err(failure) => return not_reloaded(&failure),
        };
        let replaced = self
            .limits(&file)
            .and_then(|config| Ok((config.policies.len(), limits.replace(config)?)));
        match replaced {
            Ok((policies, ())) => tracing::info!(policies, "limits read again"),
            Err(failure) => not_reloaded(&failure),
        }
        needs_restart("[sessions]", file.sessions(), sessions);
        needs_restart("[[history]]", file.histories(), histories);
    }

    fn file(&self) -> Result<ConfigFile, Failure> {
        let path = self.config.as_deref();
        path.map_or_else(|| Ok(ConfigFile::default()), ConfigFile::read)
    }

    /// Of the configuration file and the flags.
    fn limits(&self, file: &ConfigFile) -> Result<LimitConfig, Failure> {
        if self.config.is_none() && self.limits.is_empty() {
            return file.limits(&[DEFAULT_LIMIT.parse()?]);
        }
        file.limits(&self.limits)
    }

    fn config(&self) -> Result<Config, Failure> {
        let file = self.file()?;
        let mut config = Config::default();
        config.listen = self.listen;
        config.limits = Limits::new(self.limits(&file)?)?;
        config.histories = file.histories()?;
        config.sessions = file.sessions()?;
        config.api_keys = match &self.api_key_file {
            Some(path) => read_keys(path)?,
            None => Vec::new(),
        };
        config.allowed_hosts.clone_from(&self.allowed_hosts);
        config.max_body_bytes = self.max_body;
        config.near_cache_bytes = self.near_cache;
        config.max_connections = self.max_connections;
        config.drain = self.drain;
        Ok(config)
    }
}

fn not_reloaded(failure: &Failure) {
    tracing::error!(
        error = failure.report(),
        "the configuration cannot be read again: what it said before stays"
    );
}

/// Says what of the file does not change while the server runs.
fn needs_restart<T, B>(table: &str, now: Result<T, Failure>, before: &B)
where
    T: Borrow<B>,
    B: PartialEq + ?Sized,
{
    match now {
        Ok(now) if now.borrow() == before => {}
        Ok(_) => {
            tracing::warn!("{table} has changed, and is read at the start only: restart to use it");
        }
        Err(failure) => tracing::error!(
            error = failure.report(),
            "{table} cannot be used: it stays as it was until a restart"
        ),
    }
}

/// Opens the backend; one that is only unreachable is left to come back by itself.
async fn open(global: &Global) -> Result<Mainstay, Failure> {
    let url = global.backend_url()?;
    let options = global.options()?;
    match timeout(PATIENCE, options.clone().connect(&url)).await {
        Ok(Ok(stay)) => return Ok(stay),
        Ok(Err(error)) if error.kind() != ErrorKind::Unavailable => return Err(error.into()),
        Ok(Err(_)) | Err(_) => {}
    }
    tracing::warn!("the backend does not answer: serving 503 until it does");
    Ok(options.in_background().connect(&url).await?)
}

fn announce(format: LogFormat, address: SocketAddr, stay: &Mainstay) {
    let version = env!("CARGO_PKG_VERSION");
    let backend = stay.backend();
    let line = format!("mainstay {version} listening on http://{address}, backend {backend}");
    match format {
        // Nobody may be listening on standard error, which is no reason not to serve.
        LogFormat::Text => drop(writeln!(std::io::stderr(), "{line}")),
        LogFormat::Json => tracing::info!("{line}"),
    }
}

fn policy(text: &str) -> Result<Policy, mainstay::Error> {
    text.parse()
}

fn read_keys(path: &Path) -> Result<Vec<ApiKeyHash>, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|source| Failure::io(format!("cannot read the API keys in {shown}"), source))?;
    let lines = (1..).zip(
        text.lines()
            .map(|line| line.split('#').next().unwrap_or("").trim()),
    );
    let mut keys = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        keys.push(line.parse().map_err(|_| {
            Failure::Usage(format!(
                "line {number} of {shown} is not the SHA-256 of a key: expected 64 hex digits"
            ))
        })?);
    }
    if keys.is_empty() {
        return Err(Failure::Usage(format!(
            "{shown} names no API key: write the SHA-256 of one a line"
        )));
    }
    Ok(keys)
}
