//! What is known of locks, as text and as JSON.

use std::time::Duration;

use mainstay::lock::{AnyLock, Fence, Holding, LockKind, ShareInfo};
use serde_json::{Value, json};

use crate::output::plain;
use crate::quantity::{for_people, millis};

/// One holder or none for a lock, all of them for what several may hold.
pub(super) fn value(kind: LockKind, info: &ShareInfo) -> Value {
    let mut holdings = info.holdings.iter().map(holding);
    let mut value = match kind {
        LockKind::Lock => json!({"holding": holdings.next()}),
        _ => json!({"holdings": holdings.collect::<Vec<_>>()}),
    };
    let last_break = info
        .last_break
        .as_ref()
        .map(|last| json!({"ago_ms": millis(last.ago), "by": last.by, "reason": last.reason}));
    value["waiting"] = json!(info.waiting);
    value["last_break"] = json!(last_break);
    value
}

/// The same in a list of all kinds.
pub(super) fn listed(lock: &AnyLock, info: &ShareInfo) -> Value {
    json!({
        "kind": lock.kind().as_str(),
        "name": lock.name().as_str(),
        "holdings": info.holdings.iter().map(holding).collect::<Vec<_>>(),
        "waiting": info.waiting,
    })
}

pub(super) fn holding(seen: &Holding) -> Value {
    json!({
        "holder": seen.holder,
        "fence": seen.fence.map(Fence::get),
        "left_ms": seen.left.map(millis),
        "held_for_ms": seen.held_for.map(millis),
    })
}

pub(super) fn who(seen: &Holding) -> String {
    match seen.holder.as_str() {
        "" => "a program without mainstay".to_owned(),
        holder => plain(holder),
    }
}

pub(super) fn time(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), for_people)
}

pub(super) fn fence(seen: &Holding) -> String {
    seen.fence
        .map_or_else(|| "-".to_owned(), |fence| fence.to_string())
}

pub(super) fn text(lock: &AnyLock, info: &ShareInfo) -> String {
    let (kind, name) = (lock.kind(), lock.name());
    let mut lines = Vec::new();
    if info.holdings.is_empty() {
        lines.push(format!("{kind} {name} is free"));
    }
    for seen in &info.holdings {
        lines.push(format!("{kind} {name} is held by {}", who(seen)));
        lines.push(format!("  held for  {}", time(seen.held_for)));
        lines.push(format!(
            "  left      {}, unless it is renewed",
            time(seen.left)
        ));
        lines.push(format!("  fence     {}", fence(seen)));
    }
    lines.push(format!("  waiting   {}", info.waiting));
    if let Some(last) = &info.last_break {
        lines.push(format!(
            "  broken    {} ago by {}: {}",
            for_people(last.ago),
            plain(&last.by),
            plain(&last.reason)
        ));
    }
    lines.join("\n")
}
