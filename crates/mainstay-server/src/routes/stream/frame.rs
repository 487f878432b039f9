//! Frames of `text/event-stream` (WHATWG HTML, "Server-sent events").
//!
//! Written by hand because publishers choose ids and types: a line break in one must neither
//! end its line nor the connection.

use serde_json::Value;

/// Event types that only the server, or the browser itself, may raise.
const RESERVED: [&str; 4] = ["reset", "undecodable", "error", "open"];

/// A comment, after the time to wait before reconnecting.
pub(super) fn retry(comment: &str) -> String {
    format!("retry: 1000\n: {comment}\n\n")
}

pub(super) fn comment(text: &str) -> String {
    format!(": {text}\n\n")
}

/// Tells a browser how far it has come, without an event.
pub(super) fn place(id: &str) -> String {
    let mut frame = String::new();
    line(&mut frame, "id", id);
    frame.push('\n');
    frame
}

/// A published event. An id or type that does not fit on a line, and a type that the server
/// keeps for itself, stand in the data only.
pub(super) fn event(id: &str, kind: &str, json: &[u8]) -> String {
    let mut frame = String::with_capacity(json.len() + id.len() + kind.len() + 32);
    if is_line(id) {
        line(&mut frame, "id", id);
    }
    if is_line(kind) && !RESERVED.contains(&kind) {
        line(&mut frame, "event", kind);
    }
    line(&mut frame, "data", &String::from_utf8_lossy(json));
    frame.push('\n');
    frame
}

/// An event of the server's own; with an id, it tells how far a browser has come.
pub(super) fn control(id: Option<&str>, kind: &str, data: &Value) -> String {
    let mut frame = String::new();
    if let Some(id) = id {
        line(&mut frame, "id", id);
    }
    line(&mut frame, "event", kind);
    line(&mut frame, "data", &data.to_string());
    frame.push('\n');
    frame
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

fn line(frame: &mut String, field: &str, value: &str) {
    frame.push_str(field);
    frame.push_str(": ");
    frame.push_str(value);
    frame.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_id_type_and_data() {
        let frame = event("1", "alarm.raised", b"{}");
        assert_eq!(frame, "id: 1\nevent: alarm.raised\ndata: {}\n\n");
    }

    #[test]
    fn a_publisher_cannot_write_lines_of_its_own() {
        assert_eq!(event("1\nretry: 1", "a\r\ndata: x", b"{}"), "data: {}\n\n");
        assert_eq!(event("nul\0", "", b"{}"), "data: {}\n\n");
    }

    #[test]
    fn a_publisher_cannot_speak_for_the_server() {
        assert_eq!(event("1", "reset", b"{}"), "id: 1\ndata: {}\n\n");
        assert_eq!(event("1", "undecodable", b"{}"), "id: 1\ndata: {}\n\n");
        // A browser's EventSource raises these two itself.
        assert_eq!(event("1", "error", b"{}"), "id: 1\ndata: {}\n\n");
        assert_eq!(event("1", "open", b"{}"), "id: 1\ndata: {}\n\n");
    }
}
