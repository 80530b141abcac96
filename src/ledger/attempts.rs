//! Attempts, as the ledger keeps them, and what one begins with.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::model::attempt::State;
use crate::model::plan::Hold;
use crate::model::version::Order;

/// The `command` of what a history ends with once its app is retired.
pub const FORGET: &str = "forget";

/// One attempt, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// UUID, made by us.
    pub id: String,
    /// The app's folder.
    pub app: String,
    /// The version.
    pub version: String,
    /// The service name that was sent to the cluster (metadata `name`); empty where it was never known.
    pub service_name: String,
    /// Units asked for; 0 where it was never known.
    pub num_instances: u32,
    /// The state.
    pub state: State,
    /// coreos-deploy's id.
    pub deploy_id: Option<String>,
    /// SHA-256 of the payload, lower-case hex.
    pub payload_sha256: Option<String>,
    /// SHA-256 of the rendered template, lower-case hex.
    pub template_sha256: Option<String>,
    /// Suffixes of this name and version that stood in the cluster before the POST; `None` where
    /// the cluster could not be read.
    pub suffixes_before: Option<Vec<String>>,
    /// Versions of the service that ran beside it and that no attempt was of: an operator's word
    /// accounts for them.
    pub accounted: BTreeSet<String>,
    /// Whether a failure of this attempt counts against `--max-attempts`.
    pub counts: bool,
    /// The command that made it: run, deploy, rollback, baseline, takeover.
    pub command: String,
    /// Who asked for it; none where a pass decided by itself.
    pub asked_by: Option<String>,
    /// Fencing token of the lease it was made under.
    pub token: i64,
    /// Milliseconds since 1970 UTC: when the intent was committed.
    pub created_at: i64,
    /// Milliseconds since 1970 UTC: the last move.
    pub updated_at: i64,
    /// Why it is in this state.
    pub message: String,
    /// When it was made, by clocks that nobody sets.
    pub made: Made,
}

/// When an attempt was made, by clocks that nobody sets. An attempt of an earlier release, or of the
/// original's table, knows nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The boot of the host that made it, and the milliseconds from that boot to its intent.
    pub boot: Option<(String, i64)>,
    /// How long ago it was when it was read, by the clock of the database's server, in milliseconds.
    pub server_age: Option<i64>,
}

impl Attempt {
    /// One that a command makes now, and says why; nothing else is known of it and no failure
    /// counts.
    pub fn new(
        app: &str,
        version: &str,
        state: State,
        (command, message): (&str, &str),
        clock: &dyn Clock,
    ) -> Self {
        let now = clock.now_ms();
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            app: app.to_owned(),
            version: version.to_owned(),
            service_name: String::new(),
            num_instances: 0,
            state,
            deploy_id: None,
            payload_sha256: None,
            template_sha256: None,
            suffixes_before: None,
            accounted: BTreeSet::new(),
            counts: false,
            command: command.to_owned(),
            asked_by: None,
            token: 0,
            created_at: now,
            updated_at: now,
            message: message.to_owned(),
            made: Made {
                boot: Some((clock.boot_id(), milliseconds(clock.elapsed()))),
                server_age: None,
            },
        }
    }

    /// How long ago it was made, never more than that. Wall clocks count only where an earlier
    /// release has left nothing better: one that was set since would end the wait for an outcome
    /// too early, or never.
    pub fn age(&self, clock: &dyn Clock) -> Duration {
        let since_boot = milliseconds(clock.elapsed());
        let Made { boot, server_age } = &self.made;
        let age = match (boot, server_age) {
            (Some((id, made)), _) if *id == clock.boot_id() => since_boot - made,
            (_, Some(age)) => *age,
            // A file, which is this host's: it was made before the host was started.
            (Some(_), None) => since_boot,
            (None, None) => match clock.now_ms() - self.created_at {
                age @ 0.. => age,
                _ => since_boot,
            },
        };
        Duration::from_millis(u64::try_from(age).unwrap_or(0))
    }

    /// Only what has ended is recorded without an intent.
    pub(super) fn check_closed(&self) -> Result<()> {
        if !self.state.is_open() {
            return Ok(());
        }
        let (id, state) = (&self.id, self.state.as_str());
        Err(Error::unavailable(format!(
            "attempt {id} cannot be recorded without an intent: it is {state}"
        )))
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Only legal moves are recorded.
pub(super) fn check_move(attempt: &str, from: State, to: State) -> Result<()> {
    if from.may_become(to) {
        return Ok(());
    }
    let (from, to) = (from.as_str(), to.as_str());
    Err(Error::unavailable(format!(
        "attempt {attempt} cannot move from {from} to {to}"
    )))
}

/// One row of the append-only history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEvent {
    /// The state it moved to.
    pub state: State,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    /// Why.
    pub message: String,
    /// Fencing token of the lease that the move was made under.
    pub token: i64,
}

/// What an intent is made of.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The attempt, in state [`State::Submitting`]; its times and token are set by the ledger.
    pub attempt: Attempt,
    /// Commit only if no hold is on the app at this moment (a pass); an operator's `deploy` ignores holds.
    pub respect_holds: bool,
    /// The order in which a hold's version is compared.
    pub order: Order,
    /// A hold to put in the same transaction, as [`super::Ledger::hold`] puts it.
    pub place_hold: Option<Hold>,
    /// The latest attempt of the app that it was decided upon, if there was one: commit only if it
    /// still is.
    pub after: Option<String>,
}

/// Why an intent was not committed. Nothing was changed and nothing may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intended {
    /// Committed: the POST may be sent.
    Committed,
    /// A hold was put meanwhile.
    Held(Hold),
    /// Another attempt of the scope is open.
    OpenAttempt(String),
    /// The lease was lost.
    LeaseLost,
    /// The app has another latest attempt than the one that was decided upon.
    Changed,
    /// The original's table has a row of this other name in the place of the app's.
    NameTaken(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::Hand;

    #[test]
    fn an_age_rests_on_clocks_that_nobody_sets() {
        let hand = Hand::shared();
        hand.sleep(Duration::from_secs(1000));
        let boot = |id: &str, ms: i64| Some((id.to_owned(), ms));
        for (what, boot, server_age, created_at, age) in [
            ("this boot", boot("this boot", 400_000), None, 0, 600),
            (
                "this boot, a clock a year ahead",
                boot("this boot", 400_000),
                Some(5000),
                1 << 45,
                600,
            ),
            (
                "this boot, not begun",
                boot("this boot", 2_000_000),
                None,
                0,
                0,
            ),
            (
                "another host of a server",
                boot("other", 5),
                Some(30_000),
                0,
                30,
            ),
            (
                "a server whose clock was set",
                boot("other", 5),
                Some(-30_000),
                0,
                0,
            ),
            ("before this boot", boot("other", 5), None, 0, 1000),
            ("an earlier release", None, None, 300_000, 700),
            (
                "an earlier release, a clock ahead",
                None,
                None,
                1_300_000,
                1000,
            ),
        ] {
            let command = ("run", "");
            let mut attempt = Attempt::new("a", "1", State::Submitting, command, hand.as_ref());
            attempt.created_at = created_at;
            attempt.made = Made { boot, server_age };
            assert_eq!(
                attempt.age(hand.as_ref()),
                Duration::from_secs(age),
                "{what}"
            );
        }
    }
}
