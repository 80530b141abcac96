//! Durations as Go writes them.

use std::time::Duration;

/// Reads what Go's `time.ParseDuration` reads: `5s`, `1m30s`, `1.5h`, `500ms`, `0`. `None` is a
/// text that Go refuses, a negative duration, or one of centuries.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let unit = nanoseconds(&after[..end])?;
        nanos = nanos.checked_add(number(whole)?.checked_mul(unit)?)?;
        // More digits than these say less than a nanosecond, of any unit.
        let fraction = &fraction[..fraction.len().min(15)];
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        nanos = nanos.checked_add(number(fraction)? * unit / scale)?;
        rest = &after[end..];
    }
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn number(digits: &str) -> Option<u128> {
    match digits {
        "" => Some(0),
        digits => digits.parse::<u64>().ok().map(u128::from),
    }
}

/// Both characters that look like a mu are in use (U+00B5, U+03BC).
fn nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_reads() {
        for (text, micros) in [
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("5s", 5_000_000),
            ("+5s", 5_000_000),
            ("1m30s", 90_000_000),
            ("500ms", 500_000),
            ("1.5h", 5_400_000_000),
            (".5s", 500_000),
            ("1.s", 1_000_000),
            ("1s1s", 2_000_000),
            ("1h0.25m3us", 3_615_000_003),
            ("7\u{b5}s8\u{3bc}s1000ns", 16),
            ("0.0000000000000000000000001s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_and_what_is_negative() {
        for text in [
            "",
            "+",
            "5",
            "s",
            ".s",
            "-5s",
            "5 s",
            "5s ",
            "1d",
            "5S",
            "1..5s",
            "5s3",
            "\u{665}s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.+\u{b5}a-z-]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn whole_units_are_exact(h in 0u64..99, m in 0u64..99, ms in 0u64..99_999) {
            let expected = Duration::from_millis((h * 60 + m) * 60_000 + ms);
            proptest::prop_assert_eq!(parse(&format!("{h}h{m}m{ms}ms")), Some(expected));
        }
    }
}
