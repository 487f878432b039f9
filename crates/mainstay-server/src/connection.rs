//! A connection that must speak soon after it opened, and read what it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Until the head of a request must be complete, and how long an HTTP/1 connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may leave the socket full.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// As long as HTTP/2's preface: with so many bytes the protocol is known.
const PREFACE_BYTES: usize = 24;

/// HTTP/1.1 or HTTP/2, as the client begins.
pub(crate) fn protocol() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(HEAD_TIMEOUT);
    builder
}

/// Fails a read that waits for the first bytes for too long, and a write that gets nowhere.
///
/// The HTTP implementation's own timeout begins when it knows the protocol, and none of its
/// timeouts covers writing; without this, a client that sends nothing, or reads nothing, would
/// keep its place for ever.
pub(crate) struct Opening {
    stream: TcpStream,
    missing: usize,
    deadline: Pin<Box<Sleep>>,
    /// Set while the client leaves the socket full.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Opening {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            missing: PREFACE_BYTES,
            deadline: Box::pin(tokio::time::sleep(HEAD_TIMEOUT)),
            stalled: None,
        }
    }

    /// What a write came to, unless none has got anywhere for too long.
    fn or_stalled(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let deadline = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        deadline
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Opening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.missing == 0 {
            return read;
        }
        if read.is_ready() {
            let arrived = buffer.filled().len().saturating_sub(before);
            self.missing = self.missing.saturating_sub(arrived);
            return read;
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Opening {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.or_stalled(context, written)
    }

    // A TCP stream buffers nothing: its flush never waits, and is no sign that the client reads.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.or_stalled(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
