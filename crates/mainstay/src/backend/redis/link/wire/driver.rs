//! The task of a connection: sends what callers have written, hands out what arrives.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use redis::{PushInfo, PushKind, RedisError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use super::{MOST_UNSENT, MOST_WAITING, PushHandler, Shared, Waiter};
use crate::backend::redis::link::resp::Decoder;
use crate::backend::unpoisoned::lock;

/// What is read at a time.
const READ: usize = 32 << 10;

/// How often it is read before what is to be sent has its turn.
const READS: usize = 32;

/// Of those that wait for replies, one in so many gets its reply before what the others have written
/// is sent: the server works for some callers while the others run.
const GENERATIONS: usize = 4;

/// Buffers that have grown beyond this are not kept.
const LARGEST_KEPT: usize = 256 << 10;

/// Sends and receives until the connection ends. Dropping it ends the connection and fails what is
/// in flight.
pub(super) struct Driver<S> {
    stream: S,
    shared: Arc<Shared>,
    on_push: PushHandler,
    unsent: Vec<u8>,
    /// How much of it the stream has taken.
    sent: usize,
    /// Whether the stream has passed on all that it has taken: TLS keeps some of it back.
    is_flushed: bool,
    waiters: VecDeque<Waiter>,
    arrived: BytesMut,
    decoder: Decoder,
    /// Whether the callers that are ready have had their turn since the driver was woken.
    has_gathered: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn new(stream: S, shared: Arc<Shared>, on_push: PushHandler) -> Self {
        Self {
            stream,
            shared,
            on_push,
            unsent: Vec::new(),
            sent: 0,
            is_flushed: true,
            waiters: VecDeque::new(),
            arrived: BytesMut::new(),
            decoder: Decoder::default(),
            has_gathered: false,
        }
    }

    /// Takes what callers have written; false if there is nothing.
    fn collect(&mut self) -> bool {
        let mut outbox = lock(&self.shared.outbox);
        if outbox.bytes.is_empty() {
            return false;
        }
        self.sent = 0;
        self.unsent.clear();
        self.unsent.shrink_to(LARGEST_KEPT);
        std::mem::swap(&mut outbox.bytes, &mut self.unsent);
        let was_full = self.unsent.len() >= MOST_UNSENT;
        self.waiters.extend(outbox.waiters.drain(..));
        drop(outbox);
        if was_full {
            self.shared.room.notify_waiters();
        }
        true
    }

    /// Sends what there is to send. Ready when nothing is left.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let left = self.unsent.get(self.sent..).unwrap_or_default();
            if left.is_empty() {
                if self.collect() {
                    continue;
                }
                ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                self.is_flushed = true;
                return Poll::Ready(Ok(()));
            }
            self.is_flushed = false;
            match ready!(Pin::new(&mut self.stream).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
    }

    /// Hands out what has arrived and reads on. Ready when the callers that have their replies now are
    /// to have their turn; pending when nothing more has arrived.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, RedisError>> {
        let portion = self.waiters.len().div_ceil(GENERATIONS).max(1);
        let mut answered = 0;
        let received = self.poll_portion(cx, portion, &mut answered);
        self.note_answered(answered);
        received
    }

    fn poll_portion(
        &mut self,
        cx: &mut Context<'_>,
        portion: usize,
        answered: &mut usize,
    ) -> Poll<Result<Received, RedisError>> {
        for _ in 0..READS {
            while let Some(reply) = self.decoder.decode(&mut self.arrived)? {
                *answered += self.hand_out(reply)?;
                if *answered >= portion && !self.waiters.is_empty() {
                    return Poll::Ready(Ok(Received::Portion));
                }
            }
            if self.arrived.is_empty() && self.arrived.capacity() > LARGEST_KEPT {
                self.arrived = BytesMut::new();
            }
            self.arrived.reserve(READ);
            let stream = Pin::new(&mut self.stream);
            if ready!(poll_read_buf(stream, cx, &mut self.arrived))? == 0 {
                return Poll::Ready(Ok(Received::End));
            }
        }
        Poll::Ready(Ok(Received::Portion))
    }

    /// Sends what those have written who have had their turn, and hands out the next replies. Ready when
    /// the connection ends.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RedisError>> {
        self.poll_send_gathered(cx)?;
        match self.poll_receive(cx)? {
            Poll::Ready(Received::End) => return Poll::Ready(Ok(())),
            Poll::Ready(Received::Portion) => {
                self.gather(cx);
                return Poll::Pending;
            }
            Poll::Pending => {}
        }
        // While the connection takes no more, it wakes this task when it does.
        if !self.is_sending() && !lock(&self.shared.outbox).bytes.is_empty() {
            self.gather(cx);
        }
        Poll::Pending
    }

    /// Sends if callers have been waited for, and at once while the server has nothing to do.
    fn poll_send_gathered(&mut self, cx: &mut Context<'_>) -> Result<(), io::Error> {
        let has_gathered = std::mem::take(&mut self.has_gathered);
        if (has_gathered || self.is_sending() || self.waiters.is_empty())
            && let Poll::Ready(sent) = self.poll_send(cx)
        {
            sent?;
        }
        Ok(())
    }

    fn is_sending(&self) -> bool {
        self.sent < self.unsent.len() || !self.is_flushed
    }

    /// Callers that are ready come before this task runs again.
    fn gather(&mut self, cx: &Context<'_>) {
        self.has_gathered = true;
        cx.waker().wake_by_ref();
    }

    fn note_answered(&self, answered: usize) {
        if answered == 0 {
            return;
        }
        let was_full = {
            let mut outbox = lock(&self.shared.outbox);
            let before = outbox.waiting;
            outbox.waiting -= answered;
            before >= MOST_WAITING
        };
        if was_full {
            self.shared.room.notify_waiters();
        }
    }

    /// Gives a reply to whoever waits for it; how many commands it completes.
    fn hand_out(&mut self, reply: Value) -> Result<usize, RedisError> {
        if let Value::Push { kind, data } = reply {
            let is_confirmation = confirms(&kind);
            (self.on_push)(PushInfo { kind, data });
            return Ok(if is_confirmation { self.confirm() } else { 0 });
        }
        let Some(waiter) = self.waiters.front_mut() else {
            // A server that has no room for a connection says so before it is asked.
            reply.extract_error()?;
            let why = "a reply that nobody waits for";
            return Err(RedisError::from((redis::ErrorKind::Parse, why)));
        };
        if let Waiter::Several {
            wanted, replies, ..
        } = waiter
        {
            replies.push(reply);
            if replies.len() == *wanted
                && let Some(Waiter::Several {
                    replies, caller, ..
                }) = self.waiters.pop_front()
            {
                // Whoever has stopped waiting needs none, here and below.
                let _gone = caller.send(replies);
            }
        } else if let Some(Waiter::One(caller) | Waiter::Confirmations { caller, .. }) =
            self.waiters.pop_front()
        {
            let _gone = caller.send(reply);
        }
        Ok(1)
    }

    fn confirm(&mut self) -> usize {
        if let Some(Waiter::Confirmations { wanted, .. }) = self.waiters.front_mut() {
            *wanted = wanted.saturating_sub(1);
            if *wanted == 0
                && let Some(Waiter::Confirmations { caller, .. }) = self.waiters.pop_front()
            {
                let _gone = caller.send(Value::Okay);
                return 1;
            }
        }
        0
    }
}

/// How far the driver has come with what arrives.
enum Received {
    /// There may be more.
    Portion,
    /// The connection has ended.
    End,
}

fn confirms(kind: &PushKind) -> bool {
    matches!(kind, PushKind::Subscribe | PushKind::Unsubscribe)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        driver.shared.driver.register(cx.waker());
        let outcome = driver.poll_turn(cx);
        if let Poll::Ready(Err(error)) = &outcome {
            tracing::debug!(%error, "connection ends");
        }
        outcome.map(drop)
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        {
            let mut outbox = lock(&self.shared.outbox);
            outbox.is_closed = true;
            // Their callers hear that the connection has ended.
            outbox.waiters.clear();
            outbox.bytes = Vec::new();
        }
        self.shared.room.notify_waiters();
    }
}
