//! Opening a transport and speaking RESP3 on it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, Pipeline, RedisError};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::wire::{PushHandler, Wire};
use crate::backend::redis::config::{Address, Login};

/// The driver's task, which reads replies and writes requests; ends with its owner.
#[derive(Debug)]
pub struct Running(pub(super) JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens connections with one login.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    login: Login,
    tls: Arc<OnceCell<TlsConfig>>,
}

#[derive(Debug, Clone)]
struct TlsConfig(Arc<rustls::ClientConfig>);

impl Dialer {
    pub(crate) fn new(login: Login) -> Self {
        Self {
            login,
            tls: Arc::new(OnceCell::new()),
        }
    }

    /// Connects and shakes hands: `HELLO 3`, login, `CLIENT SETINFO`, `SELECT`.
    ///
    /// Ending the driver ends the connection and fails what is in flight.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        on_push: PushHandler,
    ) -> Result<(Wire, Running), RedisError> {
        match address {
            Address::Unix(path) => self.greet(UnixStream::connect(path).await?, on_push).await,
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                let keepalive = TcpKeepalive::new()
                    .with_time(Duration::from_secs(15))
                    .with_interval(Duration::from_secs(5));
                let socket = SockRef::from(&stream);
                socket.set_tcp_keepalive(&keepalive)?;
                // Once a connection is given up, what it has not sent yet must not arrive any more:
                // a value could come after the removal that follows on the next connection.
                socket.set_linger(Some(Duration::ZERO))?;
                if self.login.tls {
                    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                    let tls = self
                        .tls
                        .get_or_try_init(|| async { native_roots() })
                        .await?;
                    let connector = TlsConnector::from(Arc::clone(&tls.0));
                    self.greet(connector.connect(name, stream).await?, on_push)
                        .await
                } else {
                    self.greet(stream, on_push).await
                }
            }
        }
    }

    async fn greet(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        on_push: PushHandler,
    ) -> Result<(Wire, Running), RedisError> {
        let (wire, driver) = Wire::new(stream, on_push);
        let running = Running(tokio::spawn(driver));
        let mut replies = wire.call_all(&self.greeting()).await?.into_iter();
        let hello = replies.next().unwrap_or_default();
        hello.extract_error().map_err(|error| match error.code() {
            Some("NOPROTO") => speaks_no_resp3(&error),
            _ if error.to_string().contains("unknown command") => speaks_no_resp3(&error),
            _ => error,
        })?;
        if self.login.database != 0 {
            replies.next().unwrap_or_default().extract_error()?;
        }
        // A server that does not want to know the client's name serves it all the same.
        Ok((wire, running))
    }

    fn greeting(&self) -> Pipeline {
        let mut greeting = Pipeline::with_capacity(4);
        let hello = greeting.cmd("HELLO").arg(3);
        match (&self.login.username, &self.login.password) {
            (None, None) => {}
            (username, password) => {
                let username = username.as_deref().unwrap_or("default");
                let password = password.as_deref().unwrap_or_default();
                hello.arg("AUTH").arg(username).arg(password);
            }
        }
        if self.login.database != 0 {
            greeting.cmd("SELECT").arg(self.login.database);
        }
        let version = env!("CARGO_PKG_VERSION");
        for (what, value) in [("LIB-NAME", "mainstay"), ("LIB-VER", version)] {
            greeting.cmd("CLIENT").arg("SETINFO").arg(what).arg(value);
        }
        greeting
    }
}

fn speaks_no_resp3(error: &RedisError) -> RedisError {
    RedisError::from((
        ErrorKind::RESP3NotSupported,
        "server does not speak RESP3",
        error.to_string(),
    ))
}

fn native_roots() -> Result<TlsConfig, RedisError> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(RedisError::from((
            ErrorKind::InvalidClientConfig,
            "no root certificates found on this machine: install ca-certificates, or name a file in SSL_CERT_FILE",
        )));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConfig(Arc::new(config)))
}
