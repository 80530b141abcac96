//! What a pass did, as `--output json` prints it.

use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// What a pass does with an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Deploy: never deployed before.
    New,
    /// Deploy: newer than what is deployed.
    Upgrade,
    /// Deploy again after a failed attempt.
    Retry,
    /// Find out what became of an open attempt.
    Resume,
    /// Not yet: the payload is not there, or the back-off of a failed attempt runs.
    Waiting,
    /// No attempts are left.
    GivenUp,
    /// The newest marker is deployed.
    UpToDate,
    /// What is deployed is newer than the newest marker.
    Ahead,
    /// An operator holds it.
    Held,
    /// The ledger knows it, and it has no marker any more.
    Gone,
    /// Its folder or its versions cannot be read.
    Unreadable,
    /// Other versions of it run than the ledger has: an operator decides.
    Unaccounted,
    /// An operator asked for it (`deploy`, `rollback`).
    Requested,
}

impl Action {
    /// Whether a pass sends something for it.
    pub const fn is_deploy(self) -> bool {
        matches!(self, Action::New | Action::Upgrade | Action::Retry)
    }

    /// The name in JSON and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::New => "new",
            Action::Upgrade => "upgrade",
            Action::Retry => "retry",
            Action::Resume => "resume",
            Action::Waiting => "waiting",
            Action::GivenUp => "given-up",
            Action::UpToDate => "up-to-date",
            Action::Ahead => "ahead",
            Action::Gone => "gone",
            Action::Held => "held",
            Action::Unaccounted => "unaccounted",
            Action::Unreadable => "unreadable",
            Action::Requested => "requested",
        }
    }
}

/// What came of an app that something was tried for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// coreos-deploy said so.
    Succeeded,
    /// coreos-deploy said so, or only some units are there.
    Failed,
    /// Certainly not accepted.
    Refused,
    /// Seen running in the cluster.
    Observed,
    /// Not known.
    Unknown,
    /// Still running at the deadline.
    Submitted,
    /// Nothing was sent; `error` says why.
    Error,
}

/// One app of a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppReport {
    /// The app's folder.
    pub app: String,
    /// The version that was deployed when the pass began.
    pub deployed: Option<String>,
    /// The newest marker (of `deploy`: the version asked for; of `resume`: the attempt's).
    pub newest: Option<String>,
    /// What the plan says.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// What came of it; `null` when nothing was tried.
    pub outcome: Option<Outcome>,
    /// The attempt, if one was made or resumed.
    pub attempt: Option<String>,
    /// coreos-deploy's id, if known.
    #[serde(rename = "deployID")]
    pub deploy_id: Option<String>,
    /// From the intent to the outcome, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What went wrong.
    pub error: Option<String>,
    /// What to do about it, where there is something to do.
    pub hint: Option<String>,
    /// Whether it counts as a failure though nothing was tried: `waiting` or `given-up` after a
    /// failed attempt, unreadable. Scripts tell it by the exit code and the counts.
    #[serde(skip)]
    pub failing: bool,
}

/// What the reason of an app says that waits after a failed attempt, before the time.
pub const NEXT_TRY: &str = "; next try in ";

impl AppReport {
    /// Whether it counts as a failure, told by what a document holds.
    pub fn is_failing(&self) -> bool {
        use Action::{GivenUp, Unaccounted, Unreadable, Waiting};
        match self.outcome {
            Some(outcome) => outcome.exit() == Exit::Failed,
            None if self.action == Waiting => self.reason.contains(NEXT_TRY),
            None => matches!(self.action, GivenUp | Unaccounted | Unreadable),
        }
    }
}

/// Counts of a [`Report`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// All apps.
    pub apps: u64,
    /// Nothing to do.
    pub up_to_date: u64,
    /// To be deployed or resumed.
    pub due: u64,
    /// Outcome succeeded or observed.
    pub deployed: u64,
    /// Outcome failed, refused or error; given up; waiting after a failed attempt; unaccounted;
    /// unreadable.
    pub failed: u64,
    /// Held, ahead, gone, or waiting for a payload.
    pub skipped: u64,
    /// Outcome unknown or submitted.
    pub unknown: u64,
}

/// What was read in Artifactory and left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAlone {
    /// How many names there were.
    pub count: u64,
    /// The first few.
    pub shown: Vec<Left>,
}

impl LeftAlone {
    /// Whether all that was read was taken.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// One name that was left alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Left {
    /// Its path in the deploy request repository.
    pub name: String,
    /// Why.
    pub why: String,
}

/// The one document that `--output json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The id of the pass, a UUID.
    pub pass: String,
    /// The command.
    pub command: String,
    /// The domain of the scope.
    pub domain: String,
    /// The environment of the scope.
    pub environment: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC.
    pub finished_at: String,
    /// Whether every app was read and every due deploy tried.
    pub complete: bool,
    /// By name.
    pub apps: Vec<AppReport>,
    /// Counts.
    pub summary: Summary,
    /// The exit code of the process.
    pub exit_code: u8,
    /// What stopped the pass, if something did.
    pub error: Option<String>,
    /// What was read and left alone; not there where nothing was.
    #[serde(default, skip_serializing_if = "LeftAlone::is_empty")]
    pub left_alone: LeftAlone,
}

impl Report {
    /// How many apps have a release that is not deployed yet.
    pub fn pending(&self) -> u64 {
        use Action::{New, Resume, Retry, Upgrade, Waiting};
        let pending = self.apps.iter().filter(|app| {
            let due = matches!(app.action, New | Upgrade | Retry | Resume | Waiting);
            let open = matches!(
                app.outcome,
                None | Some(Outcome::Unknown | Outcome::Submitted | Outcome::Error)
            );
            due && open
        });
        pending.count() as u64
    }
}

impl Outcome {
    /// The name in JSON and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Refused => "refused",
            Outcome::Observed => "observed",
            Outcome::Unknown => "unknown",
            Outcome::Submitted => "submitted",
            Outcome::Error => "error",
        }
    }

    /// The exit code that this outcome asks for.
    pub const fn exit(self) -> Exit {
        match self {
            Outcome::Succeeded | Outcome::Observed => Exit::Success,
            Outcome::Failed | Outcome::Refused | Outcome::Error => Exit::Failed,
            Outcome::Unknown | Outcome::Submitted => Exit::Unknown,
        }
    }
}
