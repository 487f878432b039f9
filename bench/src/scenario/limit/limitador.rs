//! limitador on Redis: counters that are read, and then increased.

use std::collections::HashMap;
use std::sync::Arc;

use limitador::AsyncRateLimiter;
use limitador::limit::Limit;
use limitador::storage::redis::AsyncRedisStorage;
use mainstay_testkit::fixture::Server;

use super::LIMIT;
use super::exact::{PERIOD, callers};
use crate::Outcome;
use crate::measure::Contestant;

const NAMESPACE: &str = "bench";

pub(super) async fn contestant(server: &Arc<Server>) -> Outcome<Contestant> {
    let storage = AsyncRedisStorage::new(&server.url()).await?;
    let limiter = AsyncRateLimiter::new_with_storage(Box::new(storage));
    let unconditional: [&str; 0] = [];
    let limit = Limit::new(
        NAMESPACE,
        LIMIT as i64,
        PERIOD.as_secs(),
        unconditional,
        ["subject"],
    );
    limiter.add_limit(limit);
    let limiter = Arc::new(limiter);
    Ok(callers("limitador", server, 1, move |caller| {
        let limiter = Arc::clone(&limiter);
        async move {
            let values = HashMap::from([("subject".to_owned(), format!("subject-{caller}"))]);
            let namespace = NAMESPACE.into();
            let decided = limiter.check_rate_limited_and_update(&namespace, &values, 1, false);
            let decided = decided.await.map_err(|error| format!("{error:?}"))?;
            assert!(!decided.limited, "the limit is out of reach");
            Ok(())
        }
    }))
}
