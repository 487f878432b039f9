//! The accept loop, and its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use mainstay::Mainstay;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};

use crate::app::App;
use crate::connection::{Opening, protocol};
use crate::{Config, ServeError, bind, metrics, routes};

const METRICS_UPKEEP: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` completes and open requests are done.
///
/// The shutdown stops accepting, tells streams to end, lets requests finish for at most
/// [`Config::drain`], and ends what is left.
///
/// Cancel safety: dropping the future ends every connection at once, without draining.
///
/// # Errors
/// [`ServeError`] when the configuration cannot be served. Once it serves it does not fail.
pub async fn run(
    listener: TcpListener,
    stay: Mainstay,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listener)?;
    bind::check_bind(address, &config)?;
    let permits = Arc::new(Semaphore::new(
        config.max_connections.get().min(Semaphore::MAX_PERMITS),
    ));
    let drain = config.drain;
    let app = App::new(stay, config, bind::is_loopback(address))?;
    let metrics = metrics::handle();
    let service = TowerToHyperService::new(routes::router(&app));
    let protocol = protocol();
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let mut upkeep = tokio::time::interval(METRICS_UPKEEP);
    let mut shutdown = std::pin::pin!(shutdown);
    tracing::debug!(%address, "listening");

    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            _ = upkeep.tick() => metrics.run_upkeep(),
            Some(ended) = tasks.join_next() => report(ended),
            (stream, permit) = accept(&listener, &permits) => {
                let io = TokioIo::new(Opening::new(stream));
                let connection = protocol.serve_connection(io, service.clone()).into_owned();
                let connection = graceful.watch(connection);
                tasks.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(error, "connection ended early");
                    }
                    drop(permit);
                });
            }
        }
    }

    drop(listener);
    app.closing.cancel();
    tracing::info!(connections = graceful.count(), "shutting down");
    if tokio::time::timeout(drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = tasks.len(),
            "ending what did not finish in time"
        );
    }
    tasks.shutdown().await;
    Ok(())
}

/// The next connection, when there is room for it.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .expect("invariant: the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = &error as &dyn std::error::Error, "no TCP_NODELAY");
                }
                return (stream, permit);
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

/// A client that is gone already is nothing; out of file descriptors takes a moment to pass.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        return;
    }
    tracing::error!(
        error = error as &dyn std::error::Error,
        "cannot accept connections"
    );
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a request panicked; its connection is closed"
        );
    }
}
