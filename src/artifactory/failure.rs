//! A read that failed: in which words it is told, and when it is tried again.

use std::time::Duration;

use crate::config::HttpConfig;
use crate::error::{Error, Kind};
use crate::http::{self, BodyError, LONGEST_WAIT, Meaning};
use crate::mask::Masker;

/// How often a read is tried again.
const RETRIES: u32 = 3;
/// The first wait, before jitter; each one after it is twice as long.
pub const BASE_DELAY: Duration = Duration::from_millis(500);
/// A read that failed.
#[derive(Debug)]
pub struct Failure {
    /// What it means for the caller.
    pub error: Error,
    /// What became of the request.
    pub meaning: Meaning,
}

/// The result of a read.
pub type ReadResult<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that another try may mend.
    pub fn passing(error: Error) -> Self {
        let meaning = Meaning::Passing(Duration::ZERO);
        Self { error, meaning }
    }

    /// The failure of an app alone, not of the pass.
    pub fn of_app(mut self) -> Self {
        self.error.kind = Kind::Failed;
        self
    }

    /// No answer came from `who`.
    pub fn no_answer(what: &str, who: &str, cause: &reqwest::Error, config: &HttpConfig) -> Self {
        let told = if http::is_of_tls(cause) {
            format!("no TLS connection to {who}")
        } else if cause.is_connect() {
            format!("{who} was not reached")
        } else {
            format!("{who} did not answer")
        };
        let error = Error::unavailable(format!("{what}: {told}"));
        let mut error = error.because(http::describe(cause, config));
        if let Some(hint) = http::hint(cause, config) {
            error = error.hint(hint);
        }
        let meaning = match cause {
            _ if cause.is_builder() => Meaning::Lasting,
            _ if cause.is_connect() => Meaning::Unreachable,
            _ if cause.is_timeout() => Meaning::Silent,
            _ => return Self::passing(error),
        };
        Self { error, meaning }
    }

    /// A body could not be read.
    pub fn of_body(what: &str, cause: &BodyError) -> Self {
        let error =
            Error::unavailable(format!("{what}: the answer could not be read")).because_of(cause);
        match cause {
            BodyError::Cut(_) => Self::passing(error),
            BodyError::TooLarge(_) | BodyError::TooSlow(_) => error.into(),
        }
    }

    /// A body is not the JSON that it should be; one that merely ends early is tried again.
    pub fn of_json(what: &str, cause: serde_json::Error, masker: &Masker) -> Self {
        if cause.is_io() {
            return Self::of_body(what, &std::io::Error::from(cause).into());
        }
        let error = malformed(what, &masker.text(cause.to_string()));
        if cause.is_eof() {
            Self::passing(error)
        } else {
            error.into()
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// What another try would only repeat.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let meaning = Meaning::Lasting;
        Self { error, meaning }
    }
}

/// How long to wait before the next try, or `None` to give up.
///
/// `attempt` counts from 0. The wait is `base` × 2^`attempt` ± 50 % (`jitter` from 0 up to 1), or
/// what `Retry-After` asks for if that is longer.
pub fn retry_delay(
    base: Duration,
    attempt: u32,
    meaning: Meaning,
    jitter: f64,
) -> Option<Duration> {
    let asked = meaning.wait().filter(|asked| *asked <= LONGEST_WAIT)?;
    let own = || (base * 2_u32.pow(attempt)).mul_f64(0.5 + jitter.clamp(0.0, 1.0));
    (attempt < RETRIES).then(|| own().max(asked))
}

/// An answer that is not what Artifactory sends.
pub fn malformed(what: &str, reason: &str) -> Error {
    Error::unavailable(format!("{what}: the answer is not what Artifactory sends")).because(reason)
}

/// The owner of the server has let it go.
pub fn deactivated(what: &str) -> Error {
    Error::unavailable(format!("{what}: this JFrog cloud server is deactivated"))
        .hint("its owner can reactivate it on the page that a browser shows")
}

/// Whether a redirect leads to the page that stands in for a deactivated JFrog cloud server: every
/// address of such a server redirects to `https://landing.jfrog.com/reactivate-server/NAME`.
pub fn is_reactivation_page(location: &str) -> bool {
    location.contains("landing.jfrog.com") || location.contains("/reactivate-server/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn retry_after_is_honoured_up_to_a_minute() {
        let wait = |meaning| retry_delay(BASE_DELAY, 0, meaning, 0.5);
        let seconds = Duration::from_secs;
        for (asked, waited) in [
            (Duration::ZERO, Some(BASE_DELAY)),
            (seconds(7), Some(seconds(7))),
            (seconds(60), Some(seconds(60))),
            (seconds(61), None),
            (Duration::MAX, None),
        ] {
            assert_eq!(wait(Meaning::Passing(asked)), waited, "{asked:?}");
        }
        assert_eq!(wait(Meaning::Unreachable), Some(BASE_DELAY));
        assert_eq!(wait(Meaning::Lasting), None);
    }

    proptest! {
        #[test]
        fn bounds(attempt in 0_u32..9, jitter in 0.0..1.0_f64, asked in 0_u64..120) {
            let asked = Duration::from_secs(asked);
            match retry_delay(BASE_DELAY, attempt, Meaning::Passing(asked), jitter) {
                Some(delay) => {
                    let middle = BASE_DELAY * 2_u32.pow(attempt);
                    prop_assert!(attempt < RETRIES);
                    prop_assert!(delay >= middle / 2);
                    prop_assert!(delay <= (middle * 3 / 2).max(asked));
                    prop_assert!(delay <= LONGEST_WAIT);
                }
                None => prop_assert!(attempt >= RETRIES || asked > LONGEST_WAIT),
            }
        }
    }
}
