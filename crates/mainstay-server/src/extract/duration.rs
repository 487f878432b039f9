//! Durations with a unit.

use std::time::Duration;

use serde_json::Value;

use crate::problem::Problem;

const SHOWN_CHARS: usize = 40;

/// The duration in a field or parameter, or the problem that names it.
pub(crate) fn duration(name: &str, value: &Value) -> Result<Duration, Problem> {
    value
        .as_str()
        .and_then(|text| humantime::parse_duration(text).ok())
        .ok_or_else(|| {
            let mut shown = value.to_string();
            if let Some((cut, _)) = shown.char_indices().nth(SHOWN_CHARS) {
                shown.truncate(cut);
                shown.push_str("..");
            }
            Problem::invalid(format!(
                "\"{name}\": {shown} is not a duration: \
                 write a number and a unit, as in 300s or 5m"
            ))
        })
}
