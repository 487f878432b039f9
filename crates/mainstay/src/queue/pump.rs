//! The task of a worker: everything that it asks of the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};

use super::delivery::{Delivery, Job, Receipt};
use super::handle::Shared;
use super::lease::{Leased, Outcome, tell_died, tell_settled};
use super::metrics;
use super::order::{Answer, Ending, Held, Kind, Order, deadline};
use crate::backend::{HeldJob, Settled, Settlement, Taken, Wakeups, Want};
use crate::clock::Moment;
use crate::error::Result;
use crate::ttl::Ttl;

/// How often a worker looks though nothing is due and nobody has called it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how much longer than that it can be called.
const CALLED_FOR: u64 = 1_500;
/// Pause before the store is asked again after it did not answer.
const PAUSE: Duration = Duration::from_millis(200);
/// Deliveries that one call of the store ends or extends.
const AT_ONCE: usize = 256;

pub(super) struct Pump<T> {
    queue: Arc<Shared<T>>,
    consumer: Arc<str>,
    concurrency: usize,
    lease: Ttl,
    orders: mpsc::UnboundedSender<Order>,
    deliveries: mpsc::UnboundedSender<Delivery<T>>,
    held: HashMap<u64, Held>,
    /// Of those that are held and not ending.
    working: usize,
    endings: Vec<Ending>,
    wakeups: Option<Box<dyn Wakeups>>,
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// One of each kind at most.
    under_way: HashSet<Kind>,
    /// When to look for jobs.
    look_at: Moment,
    /// Whether there was a reason to look since the last look began.
    is_called: bool,
    listen_at: Moment,
    renew_at: Moment,
    is_stopping: bool,
    give_back_at: Option<Moment>,
}

impl<T: Send + 'static> Pump<T> {
    pub(super) fn new(
        queue: Arc<Shared<T>>,
        consumer: &str,
        (concurrency, lease): (usize, Ttl),
        orders: mpsc::UnboundedSender<Order>,
        deliveries: mpsc::UnboundedSender<Delivery<T>>,
    ) -> Self {
        let now = queue.clock.now();
        Self {
            consumer: consumer.into(),
            concurrency,
            lease,
            orders,
            deliveries,
            held: HashMap::new(),
            working: 0,
            endings: Vec::new(),
            wakeups: None,
            calls: FuturesUnordered::new(),
            under_way: HashSet::new(),
            look_at: now,
            is_called: false,
            listen_at: now,
            renew_at: now.after(lease.as_duration() / 3),
            is_stopping: false,
            give_back_at: None,
            queue,
        }
    }

    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut received = Vec::new();
        loop {
            self.begin_calls();
            let is_idle = self.calls.is_empty() && self.endings.is_empty();
            if self.is_stopping && self.held.is_empty() && is_idle && orders.is_empty() {
                return;
            }
            let clock = Arc::clone(&self.queue.clock);
            let wake = self.next_moment();
            let called = async {
                match &mut self.wakeups {
                    Some(wakeups) => wakeups.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(answer) = self.calls.next(), if !self.calls.is_empty() => self.finish(answer),
                // The task has a sender itself: there is no end.
                _ = orders.recv_many(&mut received, AT_ONCE) => {
                    for order in received.drain(..) {
                        self.accept(order);
                    }
                }
                () = called => self.look_now(),
                () = clock.sleep_until(wake) => {}
            }
        }
    }

    fn is_under_way(&self, kind: Kind) -> bool {
        self.under_way.contains(&kind)
    }

    fn free(&self) -> usize {
        self.concurrency.saturating_sub(self.working)
    }

    /// When there is something to do though nothing is heard.
    fn next_moment(&self) -> Moment {
        let mut moment = self.renew_at;
        if !self.is_stopping {
            if !self.is_under_way(Kind::Take) && self.free() > 0 {
                moment = moment.min(self.look_at);
            }
            if self.wakeups.is_none() && !self.is_under_way(Kind::Listen) {
                moment = moment.min(self.listen_at);
            }
        }
        self.give_back_at.map_or(moment, |at| moment.min(at))
    }

    fn begin_calls(&mut self) {
        let now = self.queue.clock.now();
        if self.give_back_at.is_some_and(|at| at <= now) {
            self.give_back_at = None;
            self.give_all_back();
        }
        if self.renew_at <= now {
            self.lose_ended(now);
            if !self.is_under_way(Kind::Renew) {
                self.renew(now);
            }
            self.renew_at = self.next_renewal(now);
        }
        if !self.endings.is_empty() && !self.is_under_way(Kind::Settle) {
            self.settle();
        }
        if self.is_stopping {
            return;
        }
        if self.wakeups.is_none() && !self.is_under_way(Kind::Listen) && self.listen_at <= now {
            self.listen();
        }
        if !self.is_under_way(Kind::Take) && self.look_at <= now && self.free() > 0 {
            self.take(now);
        }
    }

    /// Each third of the lease, and when one ends.
    fn next_renewal(&self, now: Moment) -> Moment {
        let working = self.held.values().filter(|held| !held.is_ending);
        let next = now.after(self.lease.as_duration() / 3);
        working.map(|held| held.deadline).fold(next, Moment::min)
    }

    fn look_now(&mut self) {
        self.look_at = self.queue.clock.now();
        self.is_called = true;
    }

    fn listen(&mut self) {
        self.under_way.insert(Kind::Listen);
        let (queue, consumer) = (Arc::clone(&self.queue), Arc::clone(&self.consumer));
        self.calls.push(Box::pin(async move {
            Answer::Listening(queue.store.wakeups(&queue.key, &consumer).await)
        }));
    }

    fn take(&mut self, now: Moment) {
        self.under_way.insert(Kind::Take);
        self.is_called = false;
        let (queue, consumer) = (Arc::clone(&self.queue), Arc::clone(&self.consumer));
        let (most, lease) = (self.free().min(AT_ONCE) as u64, self.lease);
        // Who does not listen yet must not be called in place of another.
        let waits = self.wakeups.as_ref();
        let waits = waits.and_then(|_| Ttl::new(Duration::from_millis(CALLED_FOR)).ok());
        self.calls.push(Box::pin(async move {
            let want = Want {
                consumer: &consumer,
                most,
                lease,
                waits,
                rules: queue.rules,
            };
            Answer::Taken(now, queue.store.take(&queue.key, &want).await, most)
        }));
    }

    fn settle(&mut self) {
        self.under_way.insert(Kind::Settle);
        let rest = self.endings.split_off(self.endings.len().min(AT_ONCE));
        let endings = std::mem::replace(&mut self.endings, rest);
        let queue = Arc::clone(&self.queue);
        self.calls.push(Box::pin(async move {
            let settlements = endings.iter().map(|ending| Settlement {
                of: HeldJob {
                    id: &ending.id,
                    fence: ending.fence,
                },
                verdict: ending.outcome.verdict(),
            });
            let settlements: Vec<_> = settlements.collect();
            let settled = queue.store.settle(&queue.key, &settlements, &queue.rules);
            let settled = settled.await;
            Answer::Settled(endings, settled)
        }));
    }

    fn renew(&mut self, now: Moment) {
        let held = self.held.iter().filter(|(_, held)| !held.is_ending);
        let held: Vec<_> = held
            .map(|(fence, held)| (Arc::clone(&held.id), *fence))
            .collect();
        if held.is_empty() {
            return;
        }
        self.under_way.insert(Kind::Renew);
        let (queue, lease) = (Arc::clone(&self.queue), self.lease);
        self.calls.push(Box::pin(async move {
            let mut answers = Vec::new();
            for part in held.chunks(AT_ONCE) {
                let part: Vec<_> = part
                    .iter()
                    .map(|(id, fence)| HeldJob { id, fence: *fence })
                    .collect();
                match queue.store.renew(&queue.key, &part, lease).await {
                    Ok(renewed) => answers.extend(renewed),
                    Err(error) => return Answer::Renewed(now, held, Err(error)),
                }
            }
            Answer::Renewed(now, held, Ok(answers))
        }));
    }

    fn finish(&mut self, answer: Answer) {
        let now = self.queue.clock.now();
        match answer {
            Answer::Taken(sent, taken, most) => {
                self.under_way.remove(&Kind::Take);
                match taken {
                    Ok(taken) => self.taken(now, sent, taken, most),
                    Err(error) => {
                        tracing::warn!(queue = %self.queue.name, %error, "no jobs taken: trying again");
                        self.look_at = now.after(PAUSE);
                        self.is_called = false;
                    }
                }
            }
            Answer::Settled(endings, settled) => {
                self.under_way.remove(&Kind::Settle);
                self.settled(endings, settled);
            }
            Answer::Renewed(sent, held, renewed) => {
                self.under_way.remove(&Kind::Renew);
                self.renewed(now, sent, &held, renewed);
            }
            Answer::Listening(Ok(wakeups)) => {
                self.under_way.remove(&Kind::Listen);
                self.wakeups = Some(wakeups);
                // To be called from now on.
                self.look_now();
            }
            Answer::Listening(Err(error)) => {
                self.under_way.remove(&Kind::Listen);
                tracing::debug!(queue = %self.queue.name, %error, "calls are not heard yet");
                self.listen_at = now.after(LOOK_EVERY);
            }
        }
    }

    fn taken(&mut self, now: Moment, sent: Moment, taken: Taken, most: u64) {
        tell_died(&self.queue, taken.died);
        metrics::delivered(&self.queue.name, taken.jobs.len() as u64);
        if (taken.jobs.len() as u64) < most && !self.is_called {
            let pause = taken.next.map_or(LOOK_EVERY, |next| next.min(LOOK_EVERY));
            self.look_at = now.after(pause);
        }
        let deadline = deadline(sent, self.lease);
        for job in taken.jobs {
            let leased = Leased::new(job);
            let (id, fence): (Arc<str>, _) =
                (leased.ticket.id.as_str().into(), leased.ticket.fence);
            let (lost, is_lost) = watch::channel(false);
            let held = Held {
                id: Arc::clone(&id),
                lost,
                deadline,
                is_ending: false,
                is_dropped: false,
            };
            self.held.insert(fence, held);
            self.working += 1;
            metrics::has_one_more();
            let data = match self.queue.codec.decode(&leased.payload) {
                Ok(data) => data,
                Err(error) => {
                    let reason = format!("undecodable: {error}");
                    self.end(id, fence, Outcome::Dead { reason }, None);
                    continue;
                }
            };
            let orders = self.orders.clone();
            let (of, backoff) = ((fence, leased.attempt), self.queue.backoff);
            let receipt = Receipt::new(id, of, backoff, is_lost, orders);
            let job = Job {
                data,
                id: leased.ticket.id,
                attempt: leased.attempt,
                fence,
                pushed_at: leased.pushed_at,
                key: leased.key,
                traceparent: leased.traceparent,
            };
            // With nobody to take it, it is dropped, and so given back.
            drop(self.deliveries.send(Delivery::new(job, receipt)));
        }
        self.renew_at = self.renew_at.min(sent.after(self.lease.as_duration() / 3));
    }

    fn accept(&mut self, order: Order) {
        match order {
            Order::Settle {
                id,
                fence,
                outcome,
                reply,
            } => self.end(id, fence, outcome, reply),
            Order::Stop { grace } => {
                self.is_stopping = true;
                self.wakeups = None;
                if let Some(grace) = grace {
                    self.give_back_at = Some(self.queue.clock.now().after(grace));
                }
            }
        }
    }

    fn end(
        &mut self,
        id: Arc<str>,
        fence: u64,
        outcome: Outcome,
        reply: Option<oneshot::Sender<Result<Settled>>>,
    ) {
        match self.held.get_mut(&fence) {
            Some(held) if !held.is_ending => {
                held.is_ending = true;
                self.working -= 1;
                self.endings.push(Ending {
                    id,
                    fence,
                    outcome,
                    reply,
                });
            }
            // The store is to say whose it is: it may be ours still, though nothing is known of it.
            None if reply.is_some() => self.endings.push(Ending {
                id,
                fence,
                outcome,
                reply,
            }),
            Some(held) => held.is_dropped |= reply.is_none(),
            None => {}
        }
    }

    fn settled(&mut self, endings: Vec<Ending>, settled: Result<Vec<Settled>>) {
        match settled {
            Ok(settled) => {
                for (ending, settled) in endings.into_iter().zip(settled) {
                    tell_settled(&self.queue, &ending.id, &ending.outcome, settled);
                    if settled == Settled::Lost {
                        self.lose(ending.fence);
                    } else {
                        self.forget(ending.fence);
                    }
                    if let Some(reply) = ending.reply {
                        drop(reply.send(Ok(settled)));
                    }
                }
            }
            Err(error) => {
                for ending in endings {
                    let held = self.held.get(&ending.fence);
                    let is_dropped = held.is_some_and(|held| held.is_dropped);
                    if ending.reply.is_none() || is_dropped {
                        // Its lease ends by itself.
                        self.forget(ending.fence);
                    }
                    let Some(reply) = ending.reply else {
                        continue;
                    };
                    if let Some(held) = self.held.get_mut(&ending.fence) {
                        held.is_ending = false;
                        self.working += 1;
                    }
                    drop(reply.send(Err(error.clone())));
                }
            }
        }
    }

    fn renewed(
        &mut self,
        now: Moment,
        sent: Moment,
        held: &[(Arc<str>, u64)],
        renewed: Result<Vec<bool>>,
    ) {
        match renewed {
            Ok(renewed) => {
                let deadline = deadline(sent, self.lease);
                for ((_, fence), renewed) in held.iter().zip(renewed) {
                    match self.held.get_mut(fence) {
                        Some(held) if renewed => held.deadline = deadline,
                        // It may be settled by now.
                        Some(held) if !held.is_ending => self.lose(*fence),
                        Some(_) | None => {}
                    }
                }
                self.renew_at = self.next_renewal(now);
            }
            Err(error) => {
                tracing::warn!(queue = %self.queue.name, %error, "jobs not extended: trying again");
                let pause = (self.lease.as_duration() / 30).min(PAUSE);
                self.renew_at = self.renew_at.min(now.after(pause));
            }
        }
    }

    /// Those whose leases have ended, whatever the store says or does not say.
    fn lose_ended(&mut self, now: Moment) {
        let ended = self.held.iter();
        let ended = ended.filter(|(_, held)| held.deadline <= now && !held.is_ending);
        let ended: Vec<_> = ended.map(|(fence, _)| *fence).collect();
        for fence in ended {
            self.lose(fence);
        }
    }

    fn lose(&mut self, fence: u64) {
        if let Some(held) = self.forget(fence) {
            held.lost.send_replace(true);
            metrics::lost(&self.queue.name);
            tracing::warn!(queue = %self.queue.name, id = %held.id, fence, "a delivery is lost");
        }
    }

    fn forget(&mut self, fence: u64) -> Option<Held> {
        let held = self.held.remove(&fence)?;
        if !held.is_ending {
            self.working -= 1;
        }
        metrics::has_one_less();
        Some(held)
    }

    /// The grace is over.
    fn give_all_back(&mut self) {
        let held = self.held.iter_mut().filter(|(_, held)| !held.is_ending);
        let held: Vec<_> = held
            .map(|(fence, held)| {
                held.lost.send_replace(true);
                (Arc::clone(&held.id), *fence)
            })
            .collect();
        for (id, fence) in held {
            self.end(id, fence, Outcome::Back, None);
        }
    }
}
