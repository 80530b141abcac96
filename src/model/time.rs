//! Times and durations, for people.

use std::time::{Duration, UNIX_EPOCH};

/// A time as RFC 3339 in UTC, whole seconds; `ms` counts from 1970.
pub fn rfc3339(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    // The year 9999 is the last that the format can print.
    let time = UNIX_EPOCH + since.min(Duration::from_secs(253_402_300_799));
    humantime::format_rfc3339_seconds(time).to_string()
}

/// A time that is written as RFC 3339 in UTC, in seconds since 1970; 0 where it isn't.
pub fn seconds(rfc3339: &str) -> f64 {
    let time = humantime::parse_rfc3339(rfc3339).unwrap_or(UNIX_EPOCH);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}

/// How long ago a time was: `3m ago`.
pub fn ago(ms: i64, now_ms: i64) -> String {
    let seconds = (now_ms - ms).max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..172_800 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

/// A duration in milliseconds: `250ms`, `13s`, `1m 5s`.
pub fn duration(ms: u64) -> String {
    let rounded = if ms < 1000 {
        Duration::from_millis(ms)
    } else {
        Duration::from_secs(ms / 1000)
    };
    humantime::format_duration(rounded).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(rfc3339(1_795_344_652_047), "2026-11-22T10:50:52Z");
        assert_eq!(rfc3339(-5), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(
            (ago(0, 59_999), ago(0, 3_600_000), ago(5, 0)),
            ("59s ago".into(), "1h ago".into(), "0s ago".into())
        );
        assert_eq!(
            (duration(250), duration(13_400), duration(65_000)),
            ("250ms".into(), "13s".into(), "1m 5s".into())
        );
    }
}
