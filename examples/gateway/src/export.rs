//! Exports: a few at a time, and so many a day.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use mainstay::ratelimit::Entry;

use crate::{Limits, undecided};

/// The permit is renewed while the handler runs, and given back when it ends, also when the client goes
/// away and the handler is dropped.
pub(crate) async fn export(
    State(limits): State<Arc<Limits>>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    let account = headers.get("x-account").and_then(|it| it.to_str().ok());
    let Some(account) = account else {
        return (
            StatusCode::UNAUTHORIZED,
            "whose export? set X-Account\n".to_owned(),
        );
    };
    let permit = match limits.exports.call(account).enter().await {
        Ok(Entry::Entered(permit)) => permit,
        Ok(Entry::Denied(denied)) => {
            let policy = &denied.tightest().policy;
            return (
                StatusCode::TOO_MANY_REQUESTS,
                format!("not now: {policy}\n"),
            );
        }
        Err(error) => return undecided(&error),
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = permit.decision().tightest().remaining;
    (StatusCode::OK, format!("exported, {left} more\n"))
}
