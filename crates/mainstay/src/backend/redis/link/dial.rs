//! Opening a transport and speaking RESP3 on it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use crate::backend::redis::config::{Address, Login};

/// Requests that may wait between the callers and the socket.
const QUEUE: usize = 512;

/// Reads the connection's replies and writes its requests; the connection lives as long.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes each push in the reader.
pub(crate) type PushHandler = Arc<dyn Fn(PushInfo) + Send + Sync>;

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
    /// The caller runs the driver; ending it ends the connection and fails what is in flight.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        on_push: PushHandler,
    ) -> Result<(MultiplexedConnection, Driver), RedisError> {
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
    ) -> Result<(MultiplexedConnection, Driver), RedisError> {
        let mut info = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name("mainstay", env!("CARGO_PKG_VERSION"))
            .set_db(self.login.database);
        if let Some(username) = &self.login.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.login.password {
            info = info.set_password(password);
        }
        // Deadlines are set by each call; the driver's own would cut a call short twice.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE)
            .set_push_sender(move |push: PushInfo| -> Result<(), ()> {
                on_push(push);
                Ok(())
            });
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&info, stream, config).await?;
        Ok((connection, Box::pin(driver)))
    }
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
