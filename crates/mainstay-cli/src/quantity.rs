//! Durations and sizes as people write them.

use std::time::Duration;

/// Reads `300ms`, `30s`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "expected a duration with a unit, such as 300ms, 30s or 5m".to_owned())
}

/// Reads `4096`, `64KiB`, `1MiB`, `1GiB`.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.len());
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => 0,
    };
    number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "expected a number of bytes above 0, such as 4096, 64KiB or 1MiB".to_owned())
}

/// As [`bytes`], and 0 for none.
pub(crate) fn bytes_or_none(text: &str) -> Result<usize, String> {
    if text == "0" { Ok(0) } else { bytes(text) }
}

/// A duration for people, rounded so that it stays short: `4m 59s`, `250ms`.
pub(crate) fn for_people(duration: Duration) -> String {
    let rounded = if duration >= Duration::from_secs(1) {
        Duration::from_secs(duration.as_secs())
    } else {
        Duration::from_millis(u64::from(duration.subsec_millis()))
    };
    humantime::format_duration(rounded).to_string()
}

/// Whole milliseconds, for fields named `_ms`.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_unit_and_no_sign() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for wrong in ["-5s", "5", "", "soon"] {
            assert!(
                duration(wrong).unwrap_err().contains("with a unit"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_size_is_bytes_or_has_a_binary_unit() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("1MiB"), Ok(1_048_576));
        for wrong in ["0", "-1", "1MB", "", "KiB", "99999999999GiB"] {
            assert!(
                bytes(wrong).unwrap_err().contains("number of bytes"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn people_get_no_more_precision_than_they_can_read() {
        assert_eq!(for_people(Duration::from_micros(299_999_999)), "4m 59s");
        assert_eq!(for_people(Duration::from_micros(250_900)), "250ms");
    }
}
