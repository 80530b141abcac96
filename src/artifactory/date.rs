//! The two forms of dates that Artifactory sends, as milliseconds since 1970.

/// An RFC 3339 date with an offset or `Z`, such as `2020-11-04T03:20:30.406-08:00`. The offset may
/// lack its colon, as in the answers to `?lastModified`.
pub fn parse_iso(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (
        number(parts.next()?, 4)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    let at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let offset = offset_minutes(zone)?;
    let seconds = epoch_seconds(year, month, day, clock)? - offset * 60;
    Some(seconds * 1000 + milliseconds(fraction)?)
}

/// A date of HTTP (IMF-fixdate, RFC 9110 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn parse_http(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut parts = text.trim().split_once(", ")?.1.split(' ');
    let day = number(parts.next()?, 2)?;
    let name = parts.next()?;
    let month = MONTHS.iter().zip(1..).find(|(m, _)| **m == name)?.1;
    let year = number(parts.next()?, 4)?;
    let clock = parts.next()?;
    if parts.next()? != "GMT" || parts.next().is_some() {
        return None;
    }
    Some(epoch_seconds(year, month, day, clock)? * 1000)
}

fn epoch_seconds(year: i64, month: i64, day: i64, clock: &str) -> Option<i64> {
    let mut parts = clock.splitn(3, ':');
    let hour = number(parts.next()?, 2)?;
    let minute = number(parts.next()?, 2)?;
    let second = number(parts.next()?, 2)?;
    let sane = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    sane.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    let all = number(&digits, 4)?;
    let minutes = all / 100 * 60 + all % 100;
    Some(if zone.starts_with('-') {
        -minutes
    } else {
        minutes
    })
}

fn milliseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    digits.parse().ok()
}

fn number(text: &str, width: usize) -> Option<i64> {
    (text.len() == width && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trap_16_offsets_are_compared_as_instants() {
        let instant = Some(1_604_488_830_406);
        for text in [
            "2020-11-04T03:20:30.406-08:00",
            "2020-11-04T11:20:30.406Z",
            "2020-11-04T15:20:30.406+04:00",
            "2020-11-04T11:20:30.406+0000",
            "2020-11-04T11:20:30.406789Z",
        ] {
            assert_eq!(parse_iso(text), instant, "{text}");
        }
        assert_eq!(parse_iso("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_iso("2000-02-29T00:00:00Z"), Some(951_782_400_000));
    }

    #[test]
    fn http_dates() {
        assert_eq!(
            parse_http("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777_000)
        );
        for bad in [
            "",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "1994-11-06",
            "Sun, 06 Nov 1994 08:49:37 PST",
        ] {
            assert_eq!(parse_http(bad), None, "{bad}");
        }
    }

    #[test]
    fn nonsense_is_no_date() {
        for bad in [
            "",
            "T",
            "2020-13-01T00:00:00Z",
            "2020-01-01T25:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00+é",
            "2015-01-01T10:10;10",
            "2020-01-01T00:00:00.Z",
        ] {
            assert_eq!(parse_iso(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = (parse_iso(&text), parse_http(&text));
        }

        #[test]
        fn agrees_with_humantime(seconds in 0_u64..4_000_000_000) {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            let text = humantime::format_rfc3339_millis(time).to_string();
            prop_assert_eq!(parse_iso(&text), Some(i64::try_from(seconds).unwrap() * 1000));
        }
    }
}
