//! Two instances of a service over one database, and where their answers come from.

use std::error::Error;

use mainstay::Mainstay;
use mainstay::cache::{Fetched, Source};
use orders::{MAX_STALENESS, Orders, Page, database};
use tokio::time::Instant;

const CUSTOMER: i64 = 7;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .init();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("orders.db");
    let stay = Mainstay::from_env().await?;
    // On Redis the second instance is a process of its own in all but name. Memory is not shared
    // between two handles: there both instances have one.
    let other = match stay.backend() {
        "memory" => stay.clone(),
        _ => Mainstay::from_env().await?,
    };
    let a = Orders::new(database::open(&file).await?, &stay)?;
    let b = Orders::new(database::open(&file).await?, &other)?;
    // The database is new. What an earlier run has left in Redis is not about it.
    a.forget().await?;
    println!(
        "instances A and B, one database, cache: {}\n",
        stay.backend()
    );

    for (name, orders) in [("A", &a), ("A", &a), ("A", &a), ("B", &b), ("B", &b)] {
        show(name, &orders.page(CUSTOMER, 0).await?);
    }

    a.place(CUSTOMER, "notebook", 1_250).await?;
    let written = Instant::now();
    println!("A  places an order: commits, then invalidates customer/{CUSTOMER}");
    show("A", &a.page(CUSTOMER, 0).await?);
    let seen = loop {
        let seen = b.page(CUSTOMER, 0).await?;
        if !seen.value.orders.is_empty() {
            break seen;
        }
    };
    show("B", &seen);
    let lag = written.elapsed();
    println!("   B was right {lag:.1?} after the write; at most {MAX_STALENESS:?} by contract");

    b.discount(20).await?;
    println!("B  makes everything 20 % cheaper: commits, then invalidates orders");
    show("B", &b.page(CUSTOMER, 0).await?);

    let crowd: Vec<_> = (0..100)
        .map(|number| {
            let orders = if number % 2 == 0 { &a } else { &b }.clone();
            tokio::spawn(async move { orders.total(CUSTOMER).await })
        })
        .collect();
    for caller in crowd {
        caller.await??;
    }
    let loads = a.totals().stats().loads + b.totals().stats().loads;
    println!("   100 callers at once ask A and B for the total: loaded {loads} time(s)\n");

    for (name, orders) in [("A", &a), ("B", &b)] {
        let stats = orders.pages().stats();
        println!(
            "{name}  pages: {} near hits, {} from the store, {} loads, {} invalidations, {} incoherent",
            stats.near_hits, stats.remote_hits, stats.loads, stats.invalidations, stats.incoherent
        );
    }
    Ok(())
}

fn show(instance: &str, fetched: &Fetched<Page>) {
    let source = match fetched.source {
        Source::Near => "near cache",
        Source::Remote => "store, kept near",
        Source::Loaded => "database",
        _ => "an entry past its ttl",
    };
    let orders = fetched.value.orders.iter().map(|order| {
        let (whole, rest) = (order.cents / 100, order.cents % 100);
        format!("{} {whole}.{rest:02}", order.item)
    });
    let orders: Vec<_> = orders.collect();
    let orders = if orders.is_empty() {
        "none".to_owned()
    } else {
        orders.join(", ")
    };
    println!("{instance}  orders of customer {CUSTOMER}: {orders:<16} <- {source}");
}
