//! Functions whose bodies are loaders.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mainstay::Mainstay;
use mainstay::cache::Cache;

#[derive(Clone, Default)]
struct Db(Arc<AtomicU32>);

impl Db {
    async fn price(&self, sku: &str) -> Result<f64, AppError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        sku.parse()
            .map_err(|_| AppError("no such price".to_owned()))
    }
}

#[derive(Debug, PartialEq)]
struct AppError(String);

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AppError {}

impl From<mainstay::Error> for AppError {
    fn from(error: mainstay::Error) -> Self {
        Self(error.to_string())
    }
}

/// The price of something.
#[mainstay::cached(cache = *prices, key = sku)]
async fn price(prices: &Cache<f64>, db: Db, sku: String) -> Result<f64, AppError> {
    let price = db.price(&sku).await?;
    Ok(price)
}

struct Shop {
    prices: Cache<f64>,
    db: Db,
}

impl Shop {
    #[mainstay::cached(cache = self.prices, key = [tenant, sku], with(db = self.db.clone(), sku = sku.to_owned()))]
    pub(crate) async fn price(&self, tenant: u32, sku: &str) -> Result<f64, AppError> {
        assert_ne!(tenant, 0);
        db.price(&sku).await
    }

    #[mainstay::cached(cache = self.prices, key = id, optional, with(db = self.db.clone()))]
    async fn maybe<I: fmt::Display + Send + 'static>(
        &self,
        id: I,
    ) -> mainstay::Result<Option<f64>> {
        db.0.fetch_add(1, Ordering::SeqCst);
        Ok(None)
    }
}

fn shop() -> Shop {
    Shop {
        prices: Mainstay::memory()
            .cache("prices")
            .build()
            .expect("the definition is valid"),
        db: Db::default(),
    }
}

#[tokio::test]
async fn a_hit_does_not_run_the_body() {
    let Shop { prices, db } = shop();
    for _ in 0..3 {
        assert_eq!(price(&prices, db.clone(), "9.5".to_owned()).await, Ok(9.5));
    }
    assert_eq!(db.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn concurrent_callers_share_one_run() {
    let shop = shop();
    let (a, b, c) = tokio::join!(shop.price(7, "1"), shop.price(7, "1"), shop.price(8, "1"));
    assert_eq!((a, b, c), (Ok(1.0), Ok(1.0), Ok(1.0)));
    assert_eq!(shop.db.0.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_error_of_the_body_is_a_failed_load_and_not_kept() {
    let shop = shop();
    for calls in 1..=2 {
        let error = shop.price(7, "free").await.unwrap_err();
        assert_eq!(error.0, "loader of cache prices failed");
        assert_eq!(shop.db.0.load(Ordering::SeqCst), calls);
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_an_error_before_the_body_runs() {
    let shop = shop();
    let error = shop.price(7, "").await.unwrap_err();
    assert!(error.0.contains("empty"), "{error}");
    assert_eq!(shop.db.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_does_not_exist_is_remembered() {
    let shop = shop();
    for _ in 0..3 {
        assert_eq!(shop.maybe(7).await.unwrap(), None);
    }
    assert_eq!(shop.db.0.load(Ordering::SeqCst), 1);
}
