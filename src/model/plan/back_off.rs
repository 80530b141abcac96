//! What becomes of a version whose latest attempt did not end well.

use std::time::Duration;

use super::{Decision, Inputs, Trouble};
use crate::model::attempt::State;
use crate::model::report::{Action, NEXT_TRY};

impl Trouble {
    /// Whether the version waits for its back-off. The first abandoned attempt of a version is
    /// made up for at once: it was the network's fault or the cluster's, not the release's.
    pub(super) const fn holds_back(&self) -> bool {
        match self.state {
            State::Failed | State::Refused | State::Dismissed => true,
            State::Abandoned => self.abandoned >= 2,
            _ => false,
        }
    }

    /// What became of it.
    const fn what(&self) -> &'static str {
        match self.state {
            State::Refused => "was refused",
            State::Abandoned => "was abandoned",
            State::Dismissed => "was dismissed",
            _ => "failed",
        }
    }

    /// How many of its attempts count for `--max-attempts`.
    const fn used_up(&self) -> u32 {
        self.attempts.saturating_sub(self.is_forgiven as u32)
    }

    /// Why it ended badly, to be put behind what it did: `: REASON`.
    fn why(&self) -> String {
        let message = self.message.trim().trim_end_matches('.');
        let end = message.char_indices().nth(MESSAGE);
        match (message, end) {
            ("", _) => String::new(),
            (message, Some((end, _))) => format!(": {}…", &message[..end]),
            (message, None) => format!(": {message}"),
        }
    }

    /// How many milliseconds the back-off still runs; 0 where it is over. It doubles with every
    /// attempt, and an attempt that was not counted has none.
    fn wait(&self, retry_after: Duration, now: i64) -> u128 {
        let Some(doublings) = self.attempts.checked_sub(1) else {
            return 0;
        };
        let factor = 1_u128.checked_shl(doublings).unwrap_or(u128::MAX);
        let delay = retry_after.as_millis().saturating_mul(factor);
        let elapsed = i128::from(now) - i128::from(self.ended_at);
        match u128::try_from(elapsed) {
            Ok(elapsed) => delay.saturating_sub(elapsed),
            // The clock was set back since, or is another host's. Where it was further ahead than
            // the delay is long, the time says nothing, and there is no harm in a try.
            Err(_) if elapsed.unsigned_abs() > delay => 0,
            Err(_) => delay.saturating_add(elapsed.unsigned_abs()),
        }
    }
}

/// The most characters of a message of an attempt that are told with what follows from it.
const MESSAGE: usize = 300;

/// Whether a version that ended badly is tried again now, later or not at all.
pub(super) fn decide(inputs: &Inputs<'_>, trouble: &Trouble) -> Decision {
    if trouble.state == State::Dismissed {
        let reason = "an operator said that it was not deployed; `settle --retry` or `deploy` tries it again";
        return Decision::failing(Action::GivenUp, reason);
    }
    let what = trouble.what();
    let (attempts, max) = (trouble.used_up(), inputs.max_attempts);
    let why = trouble.why();
    if attempts >= max {
        let reason = format!("attempt {attempts} of {max} {what}{why}; no more are made");
        return Decision::failing(Action::GivenUp, reason);
    }
    let last = match attempts {
        0 => format!("the last attempt {what}, which does not count"),
        n => format!("attempt {n} of {max} {what}"),
    };
    match trouble.wait(inputs.retry_after, inputs.now) {
        0 => Decision::new(Action::Retry, last),
        left => Decision::failing(
            Action::Waiting,
            format!("{last}{why}{NEXT_TRY}{}", time_left(left)),
        ),
    }
}

/// What is decided of a version that is deployed, and of which a later attempt ended badly: only an
/// operator can have asked for that one, and a pass does not repeat what he asked for.
pub(super) fn not_repeated(trouble: &Trouble) -> Decision {
    let (what, why) = (trouble.what(), trouble.why());
    let reason = format!(
        "it is deployed, and a later attempt that an operator asked for {what}{why}; \
         `deploy --force` tries again"
    );
    Decision::failing(Action::GivenUp, reason)
}

/// Milliseconds in whole seconds, rounded up, so that nobody comes back too early.
fn time_left(milliseconds: u128) -> humantime::FormattedDuration {
    let seconds = u64::try_from(milliseconds.div_ceil(1000)).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_secs(seconds))
}
