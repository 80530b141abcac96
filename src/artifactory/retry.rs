//! When a read is tried again, and how long after.

use std::time::{Duration, SystemTime};

use super::failure::Retry;

/// How often a read is tried again.
pub const RETRIES: u32 = 3;

/// The first wait, before jitter; each one after it is twice as long.
pub const BASE_DELAY: Duration = Duration::from_millis(500);

/// The longest `Retry-After` that is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long to wait before the next try, or `None` to give up.
///
/// `attempt` counts from 0. The wait is `base` × 2^`attempt` ± 50 % (`jitter` from 0 up to 1), or
/// what `Retry-After` asks for if that is longer.
pub fn retry_delay(base: Duration, attempt: u32, retry: Retry, jitter: f64) -> Option<Duration> {
    if attempt >= RETRIES {
        return None;
    }
    let own = (base * 2_u32.pow(attempt)).mul_f64(0.5 + jitter.clamp(0.0, 1.0));
    match retry {
        Retry::Never => None,
        Retry::Soon => Some(own),
        Retry::After(asked) => (asked <= LONGEST_WAIT).then(|| own.max(asked)),
    }
}

/// The time that a `Retry-After` header asks for: seconds, or a date of HTTP.
pub fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::artifactory::failure::Failure;
    use crate::error::Error;
    use proptest::prelude::*;

    #[test]
    fn trap_24_what_is_tried_again() {
        let delay = |failure: Failure| retry_delay(BASE_DELAY, 0, failure.retry, 0.5);
        let error = || Error::unavailable("x");
        assert_eq!(delay(Failure::passing(error())), Some(BASE_DELAY));
        assert_eq!(delay(Failure::lasting(error())), None);
        for status in [408, 429, 500, 502, 503] {
            let delay = delay(Failure::answered(status, error()));
            assert_eq!(delay, Some(BASE_DELAY), "{status}");
        }
        for status in [200, 302, 400, 401, 403, 404, 405, 415] {
            assert_eq!(delay(Failure::answered(status, error())), None, "{status}");
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_minute() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let wait = |text: &str| {
            let retry = parse_retry_after(text, now).map_or(Retry::Soon, Retry::After);
            retry_delay(BASE_DELAY, 0, retry, 0.5)
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
        assert_eq!(wait("Sun, 06 Nov 1994 08:39:47 GMT"), Some(BASE_DELAY));
        for text in ["soon", "", "Sun, 06 Nov 1994 08:59:47 PST", "1994-11-06"] {
            assert_eq!(wait(text), Some(BASE_DELAY), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bounds(attempt in 0_u32..9, jitter in 0.0..1.0_f64, asked in proptest::option::of(0_u64..120)) {
            let asked = asked.map(Duration::from_secs);
            match retry_delay(BASE_DELAY, attempt, asked.map_or(Retry::Soon, Retry::After), jitter) {
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

        #[test]
        fn any_text_is_an_answer(text in "\\PC{0,40}") {
            let _ = parse_retry_after(&text, UNIX_EPOCH);
        }
    }
}
