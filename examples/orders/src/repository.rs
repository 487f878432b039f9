//! Reads through the cache; writes to the database, and invalidates after the commit.

use std::time::Duration;

use mainstay::cache::{Cache, Fetched, Near};
use mainstay::{Mainstay, key};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::{Order, Page, Total, database};

/// How old a page or a total may be, in a process that did not change it.
pub const MAX_STALENESS: Duration = Duration::from_secs(2);

/// What bounds the age of an entry whose invalidation never came: the writer died after its commit.
const TTL: Duration = Duration::from_secs(300);

/// The tag of everything that was computed from orders.
const ORDERS: &str = "orders";

/// The tag of everything that was computed from one customer's orders.
fn customer_tag(customer: i64) -> String {
    format!("customer/{customer}")
}

/// The orders in a database, with what was read of them in caches. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Orders {
    database: SqlitePool,
    pages: Cache<Page>,
    totals: Cache<Total>,
}

/// Why a write may not have taken effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The database refused it, or cannot be reached.
    #[error("the database did not take the write")]
    Database(#[from] sqlx::Error),
    /// Its task was stopped, as the runtime does when it shuts down.
    #[error("the write was stopped")]
    Stopped(#[from] tokio::task::JoinError),
}

impl Orders {
    /// Puts caches in front of a database.
    ///
    /// # Errors
    /// None that depends on the input: the definitions of the caches are checked.
    pub fn new(database: SqlitePool, stay: &Mainstay) -> mainstay::Result<Self> {
        Ok(Self {
            database,
            pages: cache(stay, "orders/pages", |page: &Page| page.customer)?,
            totals: cache(stay, "orders/totals", |total: &Total| total.customer)?,
        })
    }

    /// A page of a customer's orders, newest first; pages are counted from 0.
    ///
    /// # Errors
    /// [`Loader`](mainstay::ErrorKind::Loader) when the database fails.
    pub async fn page(&self, customer: i64, number: u32) -> mainstay::Result<Fetched<Page>> {
        let database = self.database.clone();
        let load = move || async move { database::page(&database, customer, number).await };
        self.pages.fetch(key![customer, number]?, load).await
    }

    /// All that a customer has ordered.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub async fn total(&self, customer: i64) -> mainstay::Result<Fetched<Total>> {
        let database = self.database.clone();
        let load = move || async move { database::total(&database, customer).await };
        self.totals.fetch(key![customer]?, load).await
    }

    /// Adds an order. Cancel safe: the write goes on without its caller.
    ///
    /// # Errors
    /// When the database does not take it. What becomes of the invalidation is no error of the
    /// write: the order stands.
    pub async fn place(&self, customer: i64, item: &str, cents: i64) -> Result<Order, WriteError> {
        let (orders, item) = (self.clone(), item.to_owned());
        // A task of its own: a handler that is dropped when its client hangs up must not leave a
        // commit without its invalidation.
        let write = async move {
            let mut transaction = orders.begin().await?;
            let order = database::insert(&mut transaction, customer, item, cents).await?;
            transaction.commit().await?;
            orders.invalidate(&customer_tag(customer)).await;
            Ok(order)
        };
        tokio::spawn(write).await?
    }

    /// Makes every order cheaper by some percent. Cancel safe, as [`place`](Self::place).
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub async fn discount(&self, percent: u8) -> Result<(), WriteError> {
        let orders = self.clone();
        let write = async move {
            let mut transaction = orders.begin().await?;
            database::discount(&mut transaction, percent).await?;
            transaction.commit().await?;
            orders.invalidate(ORDERS).await;
            Ok(())
        };
        tokio::spawn(write).await?
    }

    /// Drops all that is cached; for a database that was replaced as a whole.
    ///
    /// # Errors
    /// When the backend does not answer.
    pub async fn forget(&self) -> mainstay::Result<()> {
        self.pages.clear().await?;
        self.totals.clear().await
    }

    /// The cache of pages, for its statistics and for loads of one's own.
    pub fn pages(&self) -> &Cache<Page> {
        &self.pages
    }

    /// The cache of totals.
    pub fn totals(&self) -> &Cache<Total> {
        &self.totals
    }

    /// A transaction that writes: it waits for its turn now, and not at its commit.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.database.begin_with("BEGIN IMMEDIATE").await
    }

    /// Called after the commit: before it, a load could still read, and then store, the old state.
    ///
    /// A tag belongs to one cache, so each is told; the second also when the first cannot be. What
    /// could not be sent is sent later by this process; others are bounded by the ttl meanwhile.
    async fn invalidate(&self, tag: &str) {
        let outcomes = [
            self.pages.invalidate_tags([tag]).await,
            self.totals.invalidate_tags([tag]).await,
        ];
        for error in outcomes.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, tag, "committed, and not yet invalidated");
        }
    }
}

/// A cache of what is computed from the orders of one customer.
fn cache<T>(stay: &Mainstay, name: &str, customer_of: fn(&T) -> i64) -> mainstay::Result<Cache<T>>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    stay.cache::<T>(name)
        .ttl(TTL)
        .near(Near::new(16 << 20).max_staleness(MAX_STALENESS))
        .tag(ORDERS)
        .tags(move |value| [customer_tag(customer_of(value))])
        .build()
}
