//! Attempts, as the ledger keeps them, and what one begins with.

use crate::error::{Error, Result};
use crate::model::attempt::State;
use crate::model::plan::Hold;
use crate::model::version::Order;

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
    /// Whether a failure of this attempt counts against `--max-attempts`.
    pub counts: bool,
    /// The command that made it: run, deploy, rollback, baseline, takeover.
    pub command: String,
    /// Fencing token of the lease it was made under.
    pub token: i64,
    /// Milliseconds since 1970 UTC: when the intent was committed.
    pub created_at: i64,
    /// Milliseconds since 1970 UTC: the last move.
    pub updated_at: i64,
    /// Why it is in this state.
    pub message: String,
}

impl Attempt {
    /// One that a command makes at a time (milliseconds since 1970 UTC) and says why; nothing else
    /// is known of it and no failure counts.
    pub fn new(
        app: &str,
        version: &str,
        state: State,
        (command, message): (&str, &str),
        now: i64,
    ) -> Self {
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
            counts: false,
            command: command.to_owned(),
            token: 0,
            created_at: now,
            updated_at: now,
            message: message.to_owned(),
        }
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
    /// The original's table has a row of this other name in the place of the app's.
    NameTaken(String),
}
