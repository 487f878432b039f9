//! Two instances of the service over one database, and what each may serve after a write.

#![expect(clippy::unwrap_used, reason = "what the tests share fails as they do")]

mod pair;

use std::error::Error;
use std::time::Duration;

use futures_util::poll;
use mainstay::cache::Source;
use mainstay::key;
use mainstay_testkit::fixture::eventually;
use orders::{Orders, Page, Total, database};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};
use tokio::time::Instant;

use pair::{Backend, Pair};

const BOUND: Duration = Duration::from_secs(20);
const CUSTOMERS: i64 = 4;

/// Stamps each `async fn(Pair)` for every backend.
macro_rules! on_each_backend {
    ($($module:ident $Backend:ident,)* => $names:tt) => {
        $(on_each_backend! { @ $module $Backend $names })*
    };
    (@ $module:ident $Backend:ident [$($name:ident)*]) => {
        mod $module {$(
            #[tokio::test]
            async fn $name() {
                super::$name(super::Pair::on(super::Backend::$Backend).await).await;
            }
        )*}
    };
}

on_each_backend! {
    memory Memory,
    redis Redis,
    valkey Valkey,
    => [
        a_write_is_seen_at_once_by_its_instance_and_within_the_bound_by_the_other
        a_batch_write_reaches_the_entries_of_every_customer
        a_page_that_was_read_before_a_commit_is_not_stored_after_it
        a_write_goes_on_without_its_caller
        readers_and_writers_leave_both_instances_equal_to_the_database
    ]
}

async fn a_write_is_seen_at_once_by_its_instance_and_within_the_bound_by_the_other(pair: Pair) {
    for orders in [&pair.a, &pair.b] {
        eventually("a near hit", BOUND, async || {
            match orders.page(7, 0).await.unwrap().source {
                Source::Near => Ok(()),
                source => Err(format!("{source:?}")),
            }
        })
        .await;
    }
    let order = pair.a.place(7, "lamp", 900).await.unwrap();
    let written = Instant::now();
    let page = Page {
        customer: 7,
        orders: vec![order],
    };
    assert_eq!(pair.a.page(7, 0).await.unwrap().value, page);
    pair.is_right_within_the_bound(&pair.b, written).await;
    assert_eq!(pair.b.page(7, 0).await.unwrap().value, page);
}

async fn a_batch_write_reaches_the_entries_of_every_customer(pair: Pair) {
    for customer in [1, 2] {
        pair.a.place(customer, "lamp", 1_000).await.unwrap();
        for orders in [&pair.a, &pair.b] {
            assert_eq!(orders.total(customer).await.unwrap().value.cents, 1_000);
        }
    }
    pair.b.discount(25).await.unwrap();
    let written = Instant::now();
    for customer in [1, 2] {
        let cheaper = Total {
            customer,
            orders: 1,
            cents: 750,
        };
        assert_eq!(pair.b.total(customer).await.unwrap().value, cheaper);
    }
    pair.is_right_within_the_bound(&pair.a, written).await;
}

async fn a_page_that_was_read_before_a_commit_is_not_stored_after_it(pair: Pair) {
    let (has_read, read) = oneshot::channel();
    let (open, opened) = oneshot::channel::<()>();
    let database = pair.database.clone();
    let load = move || async move {
        let page = database::page(&database, 7, 0).await?;
        has_read
            .send(())
            .map_err(|()| "nobody waits for the read")?;
        opened.await?;
        Ok::<_, Box<dyn Error + Send + Sync>>(page)
    };
    let pages = pair.b.pages().clone();
    let slow = tokio::spawn(async move { pages.get_or_load(key![7, 0]?, load).await });
    read.await.unwrap();

    let order = pair.a.place(7, "lamp", 900).await.unwrap();
    open.send(()).unwrap();
    // Its caller asked before the write.
    assert_eq!(slow.await.unwrap().unwrap().orders, []);

    for orders in [&pair.b, &pair.a] {
        let page = orders.page(7, 0).await.unwrap().value;
        assert_eq!(page.orders, std::slice::from_ref(&order));
    }
    let stats = pair.b.pages().stats();
    assert_eq!((stats.loads, stats.superseded), (2, 1));
}

async fn a_write_goes_on_without_its_caller(pair: Pair) {
    assert_eq!(pair.a.total(7).await.unwrap().value.orders, 0);
    let mut write = Box::pin(pair.a.place(7, "lamp", 900));
    assert!(poll!(&mut write).is_pending());
    drop(write);
    eventually(
        "the order of a caller who has left",
        BOUND,
        async || match pair.a.total(7).await.unwrap().value.orders {
            1 => Ok(()),
            orders => Err(format!("{orders} orders")),
        },
    )
    .await;
}

async fn readers_and_writers_leave_both_instances_equal_to_the_database(pair: Pair) {
    const WRITES: i64 = 40;
    let mut writers = JoinSet::new();
    let mut readers = JoinSet::new();
    for orders in [&pair.a, &pair.b, &pair.a, &pair.b] {
        writers.spawn(write(orders.clone(), WRITES));
        readers.spawn(read_without_end(orders.clone()));
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let written = Instant::now();
    for orders in [&pair.a, &pair.b] {
        pair.is_right_within_the_bound(orders, written).await;
    }
    readers.shutdown().await;
    for orders in [&pair.a, &pair.b] {
        assert_eq!(pair.seen_by(orders).await, pair.truth().await);
        let stats = orders.pages().stats();
        assert!(stats.near_hits > 0);
        assert_eq!((stats.incoherent, stats.not_stored), (0, 0));
    }
    let (placed, _): (i64, i64) = sqlx::query_as("SELECT count(*), sum(cents) FROM orders")
        .fetch_one(&pair.database)
        .await
        .unwrap();
    assert_eq!(placed, 4 * WRITES);
}

/// Places orders, each of which its own instance shows from then on.
async fn write(orders: Orders, count: i64) {
    for number in 0..count {
        let customer = number % CUSTOMERS;
        let order = orders.place(customer, "lamp", 1_000).await.unwrap();
        let page = orders.page(customer, 0).await.unwrap().value;
        // Others write as well: theirs may be newer, none may be missing.
        assert!(page.orders.iter().any(|shown| shown.id >= order.id));
        if number % 10 == 9 {
            orders.discount(1).await.unwrap();
        }
    }
}

async fn read_without_end(orders: Orders) {
    for customer in (0..CUSTOMERS).cycle() {
        let page = orders.page(customer, 0).await.unwrap().value;
        assert!(page.orders.iter().all(|order| order.customer == customer));
        assert!(page.orders.is_sorted_by(|newer, older| newer.id > older.id));
        orders.total(customer).await.unwrap();
        yield_now().await;
    }
}
