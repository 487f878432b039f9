//! Two instances over one database and one store.

use mainstay::Mainstay;
use mainstay_testkit::fixture::{Flavor, Server};
use orders::{MAX_STALENESS, Orders, Page, Total, database};
use sqlx::SqlitePool;
use tempfile::TempDir;
use tokio::task::yield_now;
use tokio::time::Instant;

/// Pages of a customer that are compared; the last ones are empty.
const PAGES: u32 = 6;
/// Customers that are compared.
const CUSTOMERS: std::ops::Range<i64> = 0..8;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Backend {
    Memory,
    Redis,
    Valkey,
}

pub(crate) struct Pair {
    pub(crate) a: Orders,
    pub(crate) b: Orders,
    pub(crate) database: SqlitePool,
    // Dropped last.
    _server: Option<Server>,
    _folder: TempDir,
}

impl Pair {
    /// On a server, with a handle for each; in memory, which two handles do not share, with one.
    pub(crate) async fn on(backend: Backend) -> Self {
        let server = match backend {
            Backend::Memory => None,
            Backend::Redis => Some(Server::start(Flavor::Redis).await),
            Backend::Valkey => Some(Server::start(Flavor::Valkey).await),
        };
        let url = server.as_ref().map_or("memory:".to_owned(), Server::url);
        let a = Mainstay::connect(&url).await.unwrap();
        let b = match server {
            Some(_) => Mainstay::connect(&url).await.unwrap(),
            None => a.clone(),
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orders.db");
        Self {
            a: Orders::new(database::open(&file).await.unwrap(), &a).unwrap(),
            b: Orders::new(database::open(&file).await.unwrap(), &b).unwrap(),
            database: database::open(&file).await.unwrap(),
            _server: server,
            _folder: folder,
        }
    }

    /// Waits until an instance shows what the database has; a read that begins later than the
    /// bound after the write must do so.
    pub(crate) async fn is_right_within_the_bound(&self, orders: &Orders, written: Instant) {
        let truth = self.truth().await;
        loop {
            let began = Instant::now();
            let seen = self.seen_by(orders).await;
            if seen == truth {
                return;
            }
            assert!(
                began < written + MAX_STALENESS,
                "a read that began {:?} after the write is of before it: {seen:?}",
                began - written
            );
            yield_now().await;
        }
    }

    /// What an instance shows.
    pub(crate) async fn seen_by(&self, orders: &Orders) -> Vec<(Total, Vec<Page>)> {
        let mut all = Vec::new();
        for customer in CUSTOMERS {
            let mut pages = Vec::new();
            for number in 0..PAGES {
                pages.push(orders.page(customer, number).await.unwrap().value);
            }
            all.push((orders.total(customer).await.unwrap().value, pages));
        }
        all
    }

    /// What the database has.
    pub(crate) async fn truth(&self) -> Vec<(Total, Vec<Page>)> {
        let mut all = Vec::new();
        for customer in CUSTOMERS {
            let mut pages = Vec::new();
            for number in 0..PAGES {
                let page = database::page(&self.database, customer, number).await;
                pages.push(page.unwrap());
            }
            let total = database::total(&self.database, customer).await;
            all.push((total.unwrap(), pages));
        }
        all
    }
}
