//! The date formats of the two servers.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// An instant in fields of the calendar.
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    weekday: &'static str,
    hour: i64,
    minute: i64,
    second: i64,
    millis: u32,
}

/// Splits an instant, seen at `offset` minutes east of Greenwich (Hinnant's `civil_from_days`).
fn fields(at: SystemTime, offset: i64) -> Fields {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0) + offset * 60;
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    Fields {
        year: yoe + era * 400 + i64::from(month <= 2),
        month,
        day: doy - (153 * mp + 2) / 5 + 1,
        weekday: DAYS[usize::try_from(days.rem_euclid(7)).unwrap_or(0)],
        hour: rest / 3_600,
        minute: rest / 60 % 60,
        second: rest % 60,
        millis: since.subsec_millis(),
    }
}

/// `Sun, 22 Nov 2026 10:04:14 ZONE`, in UTC under the name that the server gives it.
pub(crate) fn header(at: SystemTime, zone: &str) -> String {
    let f = fields(at, 0);
    format!(
        "{}, {:02} {} {} {:02}:{:02}:{:02} {zone}",
        f.weekday,
        f.day,
        MONTHS[usize::try_from(f.month - 1).unwrap_or(0)],
        f.year,
        f.hour,
        f.minute,
        f.second
    )
}

/// `2026-11-22 10:04:14`, in UTC, as MySQL prints it.
pub(crate) fn sql(at: SystemTime) -> String {
    let f = fields(at, 0);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        f.year, f.month, f.day, f.hour, f.minute, f.second
    )
}

/// `2026-11-22T02:04:14.123-08:00`, at `offset` minutes east; 0 is written `Z`.
pub(crate) fn iso(at: SystemTime, offset: i64) -> String {
    let f = fields(at, offset);
    let zone = if offset == 0 {
        "Z".to_owned()
    } else {
        let sign = if offset < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{zone}",
        f.year, f.month, f.day, f.hour, f.minute, f.second, f.millis
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn formats_known_instants() {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_341_854_123);
        assert_eq!(header(at, "+0000"), "Sun, 22 Nov 2026 10:04:14 +0000");
        assert_eq!(sql(at), "2026-11-22 10:04:14");
        assert_eq!(iso(at, 0), "2026-11-22T10:04:14.123Z");
        assert_eq!(iso(at, -480), "2026-11-22T02:04:14.123-08:00");
        let leap = UNIX_EPOCH + Duration::from_secs(951_782_400);
        assert_eq!(sql(leap), "2000-02-29 00:00:00");
    }
}
