//! The date formats of the two servers.

use std::time::{Duration, SystemTime};

use humantime::{format_rfc3339_millis, format_rfc3339_seconds};

/// `Sun, 22 Nov 2026 10:04:14 ZONE`, in UTC under the name that the server gives it.
pub(crate) fn header(at: SystemTime, zone: &str) -> String {
    httpdate::fmt_http_date(at).replace("GMT", zone)
}

/// `2026-11-22 10:04:14`, in UTC, as MySQL prints it.
pub(crate) fn sql(at: SystemTime) -> String {
    let utc = format_rfc3339_seconds(at).to_string();
    utc.replace('T', " ").replace('Z', "")
}

/// `2026-11-22T10:04:14.123Z`.
pub(crate) fn utc(at: SystemTime) -> String {
    format_rfc3339_millis(at).to_string()
}

/// `2026-11-22T02:04:14.123-08:00`, the time of a server this many hours west of Greenwich.
pub(crate) fn west(at: SystemTime, hours: u64) -> String {
    let there = at.checked_sub(Duration::from_secs(hours * 3_600));
    utc(there.unwrap_or(SystemTime::UNIX_EPOCH)).replace('Z', &format!("-{hours:02}:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_known_instants() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_341_854_123);
        assert_eq!(header(at, "+0000"), "Sun, 22 Nov 2026 10:04:14 +0000");
        assert_eq!(sql(at), "2026-11-22 10:04:14");
        assert_eq!(utc(at), "2026-11-22T10:04:14.123Z");
        assert_eq!(west(at, 8), "2026-11-22T02:04:14.123-08:00");
        let leap = SystemTime::UNIX_EPOCH + Duration::from_secs(951_782_400);
        assert_eq!(sql(leap), "2000-02-29 00:00:00");
    }
}
