//! RFC 3339 times, with any offset.

use std::time::{Duration, SystemTime};

/// Milliseconds and `Z`, as most programs write it.
pub(super) fn format(time: SystemTime) -> String {
    // Before 1970 or after 9999 there is no such text; the ends of that range stand for it.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since.min(LAST)).to_string()
}

pub(super) fn parse(text: &str) -> Result<SystemTime, humantime::TimestampError> {
    let Some((local, offset)) = split_offset(text) else {
        return humantime::parse_rfc3339(&text.to_ascii_uppercase());
    };
    let time = humantime::parse_rfc3339(&format!("{}Z", local.to_ascii_uppercase()))?;
    let shifted = match offset {
        Offset::East(offset) => time.checked_sub(offset),
        Offset::West(offset) => time.checked_add(offset),
    };
    shifted.ok_or(humantime::TimestampError::OutOfRange)
}

enum Offset {
    East(Duration),
    West(Duration),
}

/// Splits `+01:30` or `-01:30` off the end.
fn split_offset(text: &str) -> Option<(&str, Offset)> {
    let (local, offset) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
    let (sign, offset) = offset.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let number = |digits: &str, most: u64| {
        let number = digits.parse::<u64>().ok().filter(|number| *number <= most);
        number.filter(|_| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let seconds: u64 = number(hours, 23)? * 3600 + number(minutes, 59)? * 60;
    let offset = Duration::from_secs(seconds);
    match sign {
        "+" => Some((local, Offset::East(offset))),
        "-" => Some((local, Offset::West(offset))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_moment_is_read_as_that_moment() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_millis(1_714_564_800_250);
        for text in [
            "2024-05-01T12:00:00.250Z",
            "2024-05-01t12:00:00.25z",
            "2024-05-01T12:00:00.250000+00:00",
            "2024-05-01T14:30:00.250+02:30",
            "2024-05-01T04:00:00.250-08:00",
        ] {
            assert_eq!(parse(text).ok(), Some(expected), "{text}");
        }
        assert_eq!(format(expected), "2024-05-01T12:00:00.250Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2024-05-01",
            "2024-05-01T12:00:00+1:00",
            "2024-05-01T12:00:00+99:00",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
