//! `GET /v1/locks` and `GET /v1/locks/{name}`: who holds what. `:break` frees it for its holder.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::ALLOW;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use mainstay::lock::{Fence, Holding, LockKind, Release, ShareInfo};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::method_not_allowed;
use super::body;
use crate::app::App;
use crate::extract::{Query, segment, verb};
use crate::middleware::{RouteLabel, within};
use crate::problem::{Problem, millis};

pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["kind", "limit"])?;
    let kind = kind(query.one("kind")?)?;
    let limit = query.limit()?;
    let listing = app.stay.list_locks(kind, limit);
    let list = within(app.request_timeout(), listing).await??;
    let locks = list.locks.iter().map(|one| {
        let holdings: Vec<_> = one.info.holdings.iter().map(holding).collect();
        json!({
            "kind": one.lock.kind().as_str(),
            "name": one.lock.name().as_str(),
            "holdings": holdings,
            "waiting": one.info.waiting,
        })
    });
    let locks: Vec<Value> = locks.collect();
    Ok(Json(json!({"locks": locks, "is_all": list.is_all})).into_response())
}

pub(super) async fn show(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["kind"])?;
    if verb(&uri, 2)?.is_some() {
        return Err(method_not_allowed().header(ALLOW, "POST"));
    }
    let kind = kind(query.one("kind")?)?.unwrap_or(LockKind::Lock);
    let lock = app.stay.any_lock(kind, &segment(&uri, 2)?)?;
    let info = within(app.request_timeout(), lock.inspect()).await??;
    let mut response = Json(described(kind, &info)).into_response();
    response
        .extensions_mut()
        .insert(RouteLabel("/v1/locks/{name}"));
    Ok(response)
}

fn kind(text: Option<&str>) -> Result<Option<LockKind>, Problem> {
    Ok(text.map(str::parse).transpose()?)
}

/// One holder or none of a lock, all of what several may hold.
fn described(kind: LockKind, info: &ShareInfo) -> Value {
    let mut holdings: Vec<_> = info.holdings.iter().map(holding).collect();
    let last_break = info
        .last_break
        .as_ref()
        .map(|last| json!({"ago_ms": millis(last.ago), "by": last.by, "reason": last.reason}));
    let mut described = json!({"waiting": info.waiting, "last_break": last_break});
    match kind {
        LockKind::Lock => described["holding"] = json!(holdings.pop()),
        _ => described["holdings"] = json!(holdings),
    }
    described
}

fn holding(seen: &Holding) -> Value {
    json!({
        "holder": seen.holder,
        "fence": seen.fence.map(Fence::get),
        "left_ms": seen.left.map(millis),
        "held_for_ms": seen.held_for.map(millis),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Break {
    kind: Option<String>,
    /// Of the holder that was seen; none for a foreign value.
    fence: Option<u64>,
    reason: String,
}

pub(super) async fn break_hold(
    app: &App,
    name: &str,
    request: Request,
) -> Result<Response, Problem> {
    let asked: Break = body(app, request).await?;
    let kind = kind(asked.kind.as_deref())?.unwrap_or(LockKind::Lock);
    let lock = app.stay.any_lock(kind, name)?;
    let info = within(app.request_timeout(), lock.inspect()).await??;
    let mut holdings = info.holdings.into_iter();
    let Some(seen) = holdings.find(|seen| seen.fence.map(Fence::get) == asked.fence) else {
        return Err(not_held());
    };
    let ended = lock.force_release(&seen, &asked.reason);
    match within(app.request_timeout(), ended).await?? {
        Release::Released => Ok(StatusCode::NO_CONTENT.into_response()),
        Release::NotHeld => Err(not_held()),
    }
}

fn not_held() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "lock_not_held",
        "The lock is not held with this fence",
        "that hold has ended: GET the lock to see who holds it now",
    )
}
