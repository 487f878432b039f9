//! What is known of sessions, as text and as JSON.

use mainstay::session::{ListedSession, SessionRecord};
use serde_json::{Value, json};

use crate::output::{self, plain};
use crate::quantity::{for_people, millis};

/// Characters of a user agent that a table has room for.
const AGENT_CHARS: usize = 40;

const HEAD: [&str; 6] = [
    "SESSION",
    "AGE",
    "IDLE FOR",
    "EXPIRES IN",
    "NETWORK",
    "DEVICE",
];

pub(super) fn value(listed: &ListedSession) -> Value {
    let record = &listed.record;
    json!({
        "id_hash": listed.id_hash,
        "device": {"user_agent": record.device.user_agent, "network": record.device.network},
        "age_ms": millis(record.age),
        "authenticated_for_ms": millis(record.authenticated_for),
        "idle_for_ms": millis(record.idle_for),
        "expires_in_ms": millis(record.expires_in),
        "absolute_in_ms": millis(record.absolute_in),
    })
}

pub(super) fn table(listed: &[ListedSession]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(listed.iter().map(|listed| {
        let record = &listed.record;
        [
            listed.id_hash.clone(),
            for_people(record.age),
            for_people(record.idle_for),
            for_people(record.expires_in),
            network(record),
            shortened(&user_agent(record)),
        ]
    }));
    output::table(&rows)
}

pub(super) fn text(listed: &ListedSession) -> String {
    let record = &listed.record;
    let lines = [
        format!("session {}", listed.id_hash),
        format!("  device         {}", user_agent(record)),
        format!("  network        {}", network(record)),
        format!("  created        {} ago", for_people(record.age)),
        format!(
            "  authenticated  {} ago",
            for_people(record.authenticated_for)
        ),
        format!("  used           {} ago", for_people(record.idle_for)),
        format!(
            "  expires in     {}, unless it is used",
            for_people(record.expires_in)
        ),
        format!(
            "  ends in        {} in any case",
            for_people(record.absolute_in)
        ),
    ];
    lines.join("\n")
}

fn user_agent(record: &SessionRecord) -> String {
    let text = record.device.user_agent.as_deref();
    text.map_or_else(|| "-".to_owned(), plain)
}

fn network(record: &SessionRecord) -> String {
    let text = record.device.network.as_deref();
    text.map_or_else(|| "-".to_owned(), plain)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= AGENT_CHARS {
        return text.to_owned();
    }
    let start: String = text.chars().take(AGENT_CHARS - 1).collect();
    format!("{}…", start.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_user_agent_is_cut_with_a_sign_of_it() {
        assert_eq!(shortened(&"é".repeat(40)), "é".repeat(40));
        let cut = shortened(&"é".repeat(41));
        assert_eq!(cut, format!("{}…", "é".repeat(39)));
        let at_a_space = format!("{} x y", "a".repeat(38));
        assert_eq!(shortened(&at_a_space), format!("{}…", "a".repeat(38)));
    }
}
