//! Types of error, and the way of an error from the body to the caller.

use std::error::Error as StdError;
use std::io;

use mainstay::cache::Cache;
use mainstay::{Error, ErrorKind};

use crate::{Runs, cache};

type BoxError = Box<dyn StdError + Send + Sync>;

fn offline() -> io::Error {
    io::Error::other("offline")
}

#[mainstay::cached(cache = values, key = id)]
async fn own(values: &Cache<u8>, id: String, runs: Runs) -> mainstay::Result<u8> {
    runs.add();
    Err(mainstay::Key::new("nul\0").unwrap_err())
}

#[tokio::test]
async fn an_error_of_the_body_is_the_source_and_is_not_kept() {
    let (values, runs) = (cache(), Runs::default());
    for count in 1..=2 {
        let error = own(&values, "k".to_owned(), runs.clone())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Loader);
        let source = error.source().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(source.kind(), ErrorKind::Invalid);
        assert_eq!(runs.count(), count);
    }
}

#[tokio::test]
async fn what_is_no_key_is_an_error_before_the_body_runs() {
    let (values, runs) = (cache(), Runs::default());
    let error = own(&values, String::new(), runs.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(runs.count(), 0);
}

#[mainstay::cached(cache = values, key = id)]
async fn boxed(values: &Cache<u8>, id: u8) -> Result<u8, BoxError> {
    if id == 0 {
        return Err("zero".into());
    }
    Err(offline())?
}

#[tokio::test]
async fn a_boxed_error_holds_the_cache_s_with_the_body_s_as_source() {
    let values = cache();
    for (id, text) in [(0, "zero"), (1, "offline")] {
        let error = boxed(&values, id).await.unwrap_err();
        let error = error.downcast_ref::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::Loader);
        assert_eq!(error.source().unwrap().to_string(), text);
    }
}

#[mainstay::cached(cache = values, key = id)]
async fn any(values: &Cache<u8>, id: u8) -> anyhow::Result<u8> {
    anyhow::ensure!(id > 0, "zero");
    Err(offline())?;
    Ok(id)
}

#[tokio::test]
async fn an_anyhow_error_holds_the_cache_s_with_the_body_s_as_source() {
    let values = cache();
    for (id, text) in [(0, "zero"), (1, "offline")] {
        let error = any(&values, id).await.unwrap_err();
        let error = error.downcast_ref::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::Loader);
        assert_eq!(error.source().unwrap().to_string(), text);
    }
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("no such user")]
    NoSuchUser,
    #[error("cannot read")]
    Read(#[from] io::Error),
    #[error("no answer from the cache")]
    Cache(#[from] Error),
}

#[mainstay::cached(cache = values, key = id)]
async fn app(values: &Cache<u8>, id: u8) -> Result<u8, AppError> {
    if id == 0 {
        return Err(AppError::NoSuchUser);
    }
    Err(offline())?;
    Ok(id)
}

#[tokio::test]
async fn an_own_error_is_found_again_as_the_source() {
    let values = cache();
    let body = async |id| {
        let AppError::Cache(error) = app(&values, id).await.unwrap_err() else {
            panic!("the cache's error is made into its variant");
        };
        assert_eq!(error.kind(), ErrorKind::Loader);
        let source = error.source().unwrap().downcast_ref::<AppError>();
        source.unwrap().to_string()
    };
    assert_eq!(body(0).await, "no such user");
    assert_eq!(body(1).await, "cannot read");
}
