//! One process of a test with several: prints what happened as JSON lines.
//!
//! ```text
//! mainstay-worker limit URL POLICIES SUBJECTS SECONDS  a subject for each, between semicolons
//! mainstay-worker prepaid URL POLICY SUBJECT SECONDS NODES
//! mainstay-worker lock URL NAMES SECTIONS  so many of each name, all names at once
//! mainstay-worker subscribe URL CHANNEL
//! mainstay-worker share URL NAME UNITS
//! mainstay-worker holder URL NAME TTL_MS   then lines of work, see `holder.rs`
//! mainstay-worker deliver URL QUEUE LEASE_MS CONCURRENCY   see `queue.rs`
//! mainstay-worker serve URL QUEUE LEASE_MS
//! mainstay-worker session URL    then lines of work on standard input, see `session.rs`
//! mainstay-worker cache URL      then lines of work on standard input, see `cache.rs`
//! ```

mod cache;
mod clock;
mod holder;
mod prepaid;
mod queue;
mod session;

use std::env;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use mainstay::clock::{Clock, SystemClock};
use mainstay::lock::Acquire;
use mainstay::pubsub::Item;
use mainstay::ratelimit::Policy;
use mainstay::{Mainstay, Name, Options};
use serde_json::{Value, json};

use self::clock::{WorkerClock, since_boot_micros};

type Outcome = Result<(), Box<dyn Error>>;

const USAGE: &str = "expected limit URL POLICIES SUBJECTS SECONDS, prepaid URL POLICY SUBJECT SECONDS NODES, lock URL NAMES SECTIONS, subscribe URL CHANNEL, share URL NAME UNITS, holder URL NAME TTL_MS, deliver URL QUEUE LEASE_MS CONCURRENCY, serve URL QUEUE LEASE_MS, session URL or cache URL";
const LOCK_TTL: Duration = Duration::from_secs(5);
const LOCK_WAIT: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["limit", url, policies, subjects, seconds] => {
            limit(url, policies, subjects, seconds).await
        }
        ["prepaid", url, policy, subject, seconds, nodes] => {
            prepaid::run(url, policy, subject, seconds, nodes).await
        }
        ["lock", url, name, sections] => lock(url, name, sections).await,
        ["subscribe", url, channel] => subscribe(url, channel).await,
        ["share", url, name, units] => holder::share(url, name, units).await,
        ["holder", url, name, ttl] => holder::serve(url, name, ttl).await,
        ["deliver", url, name, lease, concurrency] => {
            queue::deliver(url, name, lease, concurrency).await
        }
        ["serve", url, name, lease] => queue::serve(url, name, lease).await,
        ["session", url] => session::serve(url).await,
        ["cache", url] => cache::serve(url).await,
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mainstay-worker: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn print(line: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Asks as fast as it can, each policy for its subject.
async fn limit(url: &str, policies: &str, subjects: &str, seconds: &str) -> Outcome {
    let stay = Mainstay::connect(url).await?;
    let mut policies = policies.split(';').map(str::parse::<Policy>);
    let first = policies.next().ok_or("a policy is missing")??;
    let mut limiter = stay.limiter(first);
    for policy in policies {
        limiter = limiter.and(policy?)?;
    }
    let subjects: Vec<_> = subjects.split(';').collect();
    let clock = SystemClock;
    let end = clock.now().after(Duration::from_secs(seconds.parse()?));
    while clock.now() < end {
        let decision = limiter.call_each(&subjects).check().await?;
        // A microsecond count since 1970 fits in 64 bits for 500,000 years.
        let micros = u64::try_from(decision.decided_at().as_micros())?;
        print(&json!({"decided_at": micros, "allowed": decision.is_allowed()}))?;
    }
    // What is counted while others go on, or have just ended.
    let seen = limiter.call_each(&subjects).cost(0).peek().await?;
    let micros = u64::try_from(seen.decided_at().as_micros())?;
    let left: Vec<_> = seen.quotas().iter().map(|quota| quota.remaining).collect();
    print(&json!({"seen_at": micros, "left": left}))?;
    Ok(())
}

/// A connection by the worker's own clock.
async fn connect(url: &str) -> mainstay::Result<Mainstay> {
    let options = Options::new().clock(Arc::new(WorkerClock));
    options.connect(url).await
}

/// Takes and releases locks, with the time at either end.
async fn lock(url: &str, names: &str, sections: &str) -> Outcome {
    let stay = connect(url).await?;
    let sections = sections.parse()?;
    let names = names.split(',');
    try_join_all(names.map(|name| one_lock(&stay, name, sections))).await?;
    Ok(())
}

async fn one_lock(stay: &Mainstay, name: &str, sections: u32) -> Outcome {
    let lock = stay.lock(name).ttl(LOCK_TTL).build()?;
    for _ in 0..sections {
        let Acquire::Acquired(guard) = lock.acquire(LOCK_WAIT).await? else {
            return Err("the lock did not become free".into());
        };
        let fence = guard.fence().get();
        let acquired = since_boot_micros()?;
        let unix = WorkerClock.unix().as_secs();
        print(&json!({"name": name, "acquired": acquired, "fence": fence, "unix": unix}))?;
        let released = since_boot_micros()?;
        print(&json!({"name": name, "released": released, "fence": fence}))?;
        guard.release().await?;
    }
    Ok(())
}

/// Prints a line once it listens, and one for each item; ends when killed.
async fn subscribe(url: &str, channel: &str) -> Outcome {
    let stay = Mainstay::connect(url).await?;
    let mut subscriber = stay.subscribe(&[Name::new(channel)?], 1 << 20).await?;
    print(&json!({"ready": channel}))?;
    loop {
        print(&match subscriber.next().await {
            Item::Event { event, .. } => {
                json!({"event": event.kind, "id": event.id, "data": event.data})
            }
            Item::Gap(reason) => json!({"gap": format!("{reason:?}")}),
            Item::Undecodable { payload, .. } => {
                json!({"undecodable": String::from_utf8_lossy(&payload)})
            }
            _ => return Err("an unknown item".into()),
        })?;
    }
}
