//! Methods: by reference with handed clones, and by value.

use std::sync::Arc;

use mainstay::Result;
use mainstay::cache::Cache;

use crate::{Runs, cache};

#[derive(Debug, Clone)]
struct Users {
    cache: Cache<String>,
    runs: Runs,
    prefix: String,
}

impl Users {
    fn new() -> Self {
        Self {
            cache: cache(),
            runs: Runs::default(),
            prefix: "user".to_owned(),
        }
    }

    #[mainstay::cached(
        cache = self.cache,
        key = [self.prefix, id],
        with(runs = self.runs.clone(), prefix = self.prefix.clone()),
    )]
    async fn by_reference(&self, id: u64) -> Result<String> {
        runs.add();
        Ok(format!("{prefix} {id}"))
    }

    #[mainstay::cached(cache = self.cache, key = id)]
    async fn by_handle(self: Arc<Self>, id: u64) -> Result<String> {
        self.runs.add();
        Ok(format!("{} {id}", self.prefix))
    }

    #[mainstay::cached(cache = self.cache, key = id)]
    async fn by_value(self, id: u64) -> Result<String> {
        self.runs.add();
        Ok(self.prefix + " by value")
    }

    fn place(&self) -> &Cache<String> {
        &self.cache
    }

    #[mainstay::cached(cache = self.place(), key = id)]
    async fn in_a_place_that_is_called_for(&self, id: u64) -> Result<String> {
        Ok(Self::fallback(id))
    }

    fn fallback(id: u64) -> String {
        format!("fallback {id}")
    }
}

#[tokio::test]
async fn a_method_uses_what_with_hands_over() {
    let users = Users::new();
    assert_eq!(users.by_reference(7).await.unwrap(), "user 7");
    assert_eq!(users.by_reference(7).await.unwrap(), "user 7");
    assert_eq!(users.runs.count(), 1);
    let entry = users.cache.get(mainstay::key!["user", 7].unwrap()).await;
    assert_eq!(entry.unwrap().as_deref(), Some("user 7"));
}

#[tokio::test]
async fn a_self_that_is_owned_serves_the_cache_and_the_body() {
    let users = Arc::new(Users::new());
    for _ in 0..2 {
        assert_eq!(Arc::clone(&users).by_handle(7).await.unwrap(), "user 7");
    }
    for _ in 0..2 {
        let users = Users::clone(&users);
        assert_eq!(users.by_value(8).await.unwrap(), "user by value");
    }
    assert_eq!(users.runs.count(), 2);
}

#[tokio::test]
async fn a_cache_is_found_by_any_expression() {
    let users = Users::new();
    let value = users.in_a_place_that_is_called_for(7).await.unwrap();
    assert_eq!(value, "fallback 7");
    assert_eq!(users.cache.get("7").await.unwrap(), Some(value));
}

#[mainstay::cached(cache = users.cache, key = id)]
async fn of_an_argument(users: Arc<Users>, id: u64) -> Result<String> {
    users.runs.add();
    Ok(format!("{} {id}", users.prefix))
}

#[tokio::test]
async fn an_argument_that_is_owned_serves_the_cache_and_the_body() {
    let users = Arc::new(Users::new());
    for _ in 0..2 {
        assert_eq!(
            of_an_argument(Arc::clone(&users), 7).await.unwrap(),
            "user 7"
        );
    }
    assert_eq!(users.runs.count(), 1);
}

trait Directory {
    async fn entry(&self, id: u64) -> Result<String>;
}

impl Directory for Users {
    #[mainstay::cached(cache = self.cache, key = id, with(runs = self.runs.clone()))]
    async fn entry(&self, id: u64) -> Result<String> {
        runs.add();
        Ok(format!("entry {id}"))
    }
}

#[tokio::test]
async fn a_method_of_a_trait_is_cached() {
    let users = Users::new();
    assert_eq!(Directory::entry(&users, 7).await.unwrap(), "entry 7");
    assert_eq!(Directory::entry(&users, 7).await.unwrap(), "entry 7");
    assert_eq!(users.runs.count(), 1);
}
