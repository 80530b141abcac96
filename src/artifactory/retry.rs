//! When a read is tried again, and how long after.

use std::time::Duration;

use super::date::parse_http;

/// How often a read is tried again.
pub const RETRIES: u32 = 3;

/// The first wait, before jitter; each one after it is twice as long.
pub const BASE_DELAY: Duration = Duration::from_millis(500);

/// The longest `Retry-After` that is waited for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long to wait before the next try, or `None` to give up.
///
/// `attempt` counts from 0; `status` is `None` where no complete reply came. The wait is
/// `base` × 2^`attempt` ± 50 % (`jitter` from 0 up to 1), or what `Retry-After` asks for if that is
/// longer. 401 and 403 are never tried again: that locks accounts.
pub fn retry_delay(
    base: Duration,
    attempt: u32,
    status: Option<u16>,
    retry_after: Option<Duration>,
    jitter: f64,
) -> Option<Duration> {
    let transient = matches!(status, None | Some(408 | 429 | 500..=599));
    if attempt >= RETRIES || !transient {
        return None;
    }
    let own = (base * 2_u32.pow(attempt)).mul_f64(0.5 + jitter.clamp(0.0, 1.0));
    match retry_after {
        Some(asked) if asked > LONGEST_WAIT => None,
        Some(asked) => Some(own.max(asked)),
        None => Some(own),
    }
}

/// The time that a `Retry-After` header asks for: seconds, or a date of HTTP seen from `now`
/// (milliseconds since 1970).
pub fn parse_retry_after(text: &str, now: i64) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let wait = parse_http(text)?.saturating_sub(now);
    Some(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trap_24_what_is_tried_again() {
        let delay = |status| retry_delay(BASE_DELAY, 0, status, None, 0.5);
        for status in [None, Some(408), Some(429), Some(500), Some(502), Some(503)] {
            assert_eq!(delay(status), Some(BASE_DELAY), "{status:?}");
        }
        for status in [200, 302, 400, 401, 403, 404, 405, 415] {
            assert_eq!(delay(Some(status)), None, "{status}");
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_minute() {
        let wait = |text: &str| {
            let asked = parse_retry_after(text, 784_111_777_000);
            retry_delay(BASE_DELAY, 0, Some(429), asked, 0.5)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("0"), Some(BASE_DELAY));
        assert_eq!(wait("60"), Some(Duration::from_secs(60)));
        assert_eq!(wait("61"), None);
        assert_eq!(wait("99999999999999999999999"), None);
        assert_eq!(
            wait("Sun, 06 Nov 1994 08:49:47 GMT"),
            Some(Duration::from_secs(10))
        );
        assert_eq!(wait("Sun, 06 Nov 1994 08:59:47 GMT"), None);
        assert_eq!(wait("soon"), Some(BASE_DELAY));
    }

    proptest! {
        #[test]
        fn bounds(attempt in 0_u32..9, jitter in 0.0..1.0_f64, asked in proptest::option::of(0_u64..120)) {
            let asked = asked.map(Duration::from_secs);
            match retry_delay(BASE_DELAY, attempt, Some(503), asked, jitter) {
                Some(delay) => {
                    let middle = BASE_DELAY * 2_u32.pow(attempt);
                    prop_assert!(attempt < RETRIES);
                    prop_assert!(delay >= middle / 2);
                    prop_assert!(delay <= (middle * 3 / 2).max(asked.unwrap_or_default()));
                    prop_assert!(delay <= LONGEST_WAIT);
                }
                None => prop_assert!(attempt >= RETRIES || asked > Some(LONGEST_WAIT)),
            }
        }
    }
}
