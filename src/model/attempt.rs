//! One attempt to deploy one version: its states and the only legal moves between them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::printable;

#[cfg(test)]
mod tests;

/// The state of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The intent is committed; the POST may or may not have been sent.
    Submitting,
    /// coreos-deploy accepted it; its id is known.
    Submitted,
    /// Neither an id nor a refusal is known, or the deploy died.
    Unknown,
    /// coreos-deploy said status 2.
    Succeeded,
    /// coreos-deploy said status 3, or some but not all units are there.
    Failed,
    /// Certainly not accepted.
    Refused,
    /// Seen running in the cluster.
    Observed,
    /// Looked for, not seen: did not happen.
    Abandoned,
    /// Recorded as deployed by an operator, or taken over from the original's table.
    Baseline,
    /// Open until an operator said that it was deployed.
    Settled,
    /// Open until an operator said that it was not deployed.
    Dismissed,
    /// No attempt: the app was retired by an operator (`forget`).
    Retired,
}

impl State {
    /// All states.
    pub const ALL: [State; 12] = [
        State::Submitting,
        State::Submitted,
        State::Unknown,
        State::Succeeded,
        State::Failed,
        State::Refused,
        State::Observed,
        State::Abandoned,
        State::Baseline,
        State::Settled,
        State::Dismissed,
        State::Retired,
    ];

    /// The name in the ledger, in JSON and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Submitting => "submitting",
            State::Submitted => "submitted",
            State::Unknown => "unknown",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Refused => "refused",
            State::Observed => "observed",
            State::Abandoned => "abandoned",
            State::Baseline => "baseline",
            State::Settled => "settled",
            State::Dismissed => "dismissed",
            State::Retired => "retired",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<State> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// Whether what became of the attempt is still to be found out. No POST while one is open.
    pub const fn is_open(self) -> bool {
        matches!(self, State::Submitting | State::Submitted | State::Unknown)
    }

    /// Whether the version counts as deployed.
    pub const fn is_deployed(self) -> bool {
        matches!(
            self,
            State::Succeeded | State::Observed | State::Baseline | State::Settled
        )
    }

    /// The status number of the original's table: 1 started, 2 success, 3 failed.
    pub const fn legacy_status(self) -> i64 {
        match self {
            State::Submitting | State::Submitted | State::Unknown => 1,
            State::Succeeded | State::Observed | State::Baseline | State::Settled => 2,
            State::Failed
            | State::Refused
            | State::Abandoned
            | State::Dismissed
            | State::Retired => 3,
        }
    }

    /// What the column `state` holds: an operator's word stands in a column of its own, beside the
    /// state that it amounts to; that an app is retired is told by the command.
    #[must_use]
    pub const fn stored(self) -> State {
        match self {
            State::Settled => State::Observed,
            State::Dismissed => State::Failed,
            State::Retired => State::Abandoned,
            other => other,
        }
    }

    /// What the column `verdict` holds.
    pub fn verdict(self) -> Option<&'static str> {
        matches!(self, State::Settled | State::Dismissed).then_some(self.as_str())
    }

    /// Whether the ledger may move an attempt from this state to `to`.
    pub const fn may_become(self, to: State) -> bool {
        matches!(
            (self, to),
            (
                State::Submitting,
                State::Submitted | State::Refused | State::Unknown
            ) | (
                State::Submitted,
                State::Succeeded | State::Failed | State::Unknown
            ) | (
                State::Unknown,
                State::Observed
                    | State::Failed
                    | State::Abandoned
                    | State::Settled
                    | State::Dismissed
            )
        )
    }
}

/// What `GET /v1.0/status/<id>` said of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Status 2, with this id, name and version.
    Succeeded,
    /// Status 3, with this id, name and version; the server's message.
    Failed(String),
    /// Status 1: a running deploy hangs its polls, so this is seen of one that died (recorded).
    Running,
    /// "no rows": not recorded yet, never recorded, or its record failed (recorded).
    NoRows,
    /// The id is that of a deploy of something else; of what.
    OtherDeploy(String),
    /// A hang, EOF, 401, 5xx or nonsense: what a running deploy looks like; why.
    Inconclusive(String),
}

/// The units of one name and version in the cluster that were not there before the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NewUnits {
    /// The most units of one new suffix that are active and running.
    pub running: usize,
    /// All units of new suffixes, whatever their state.
    pub any: usize,
}

/// Something that was learned about an open attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The POST was accepted with this id.
    Accepted(String),
    /// The POST was certainly not accepted; why.
    Refused(String),
    /// The POST may have been accepted; no id is known; why.
    Lost(String),
    /// A pass found the intent without an outcome.
    FoundSubmitting,
    /// The status route answered.
    Status(Status),
    /// The cluster was looked at.
    Units(NewUnits),
    /// An operator said what became of it; who, and why.
    Word(Word, String),
}

/// An operator's word on an open attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It was deployed.
    Deployed,
    /// It was not deployed, and passes leave that version alone.
    NotDeployed,
    /// It was not deployed, and passes may try that version again.
    TryAgain,
}

/// What, besides the event, a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The units that the attempt asked for.
    pub num_instances: usize,
    /// Time since the POST may last have been sent.
    pub age: Duration,
    /// `--unknown-hold`; `None` is `never`.
    pub unknown_hold: Option<Duration>,
    /// Three `/info` answers within 1 s each, at least 5 s apart, were just seen.
    pub quiet: bool,
    /// An earlier attempt of this version was abandoned.
    pub abandoned_before: bool,
    /// The attempt was made of a row of the original's table. The daemon wrote the version before
    /// the POST and the id after it, so an id may be the one of the deploy before.
    pub taken_over: bool,
    /// The row said that it failed. It is asked for, since a daemon that was stopped may have missed
    /// the outcome; what is not heard of it changes nothing.
    pub had_failed: bool,
}

/// The move that an event causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The new state.
    pub to: State,
    /// The id of the deploy, where it became known.
    pub deploy_id: Option<String>,
    /// Why, for the history.
    pub message: String,
    /// The versions that run beside it and that an operator's word accounts for.
    pub accounted: BTreeSet<String>,
}

/// The move that an event causes, or `None` where the attempt stays as it is.
///
/// Only coreos-deploy's own word makes an attempt succeeded. Absence (a deploy that never ends,
/// units that never come, a status that can't be read) is a verdict only of a quiet server, and
/// only past [`Circumstances::unknown_hold`]. An operator's word ends any open attempt; one that
/// is not `unknown` yet becomes that first.
pub fn advance(state: State, event: &Event, with: &Circumstances) -> Option<Move> {
    match (state, event) {
        (State::Submitting | State::Submitted, Event::Word(..)) => Some(Move::to(
            State::Unknown,
            "an operator does not wait for its outcome",
        )),
        (State::Submitting, event) => after_submitting(event),
        (State::Submitted, Event::Status(status)) => after_status(status, with),
        (State::Unknown, Event::Units(units)) => after_units(*units, with),
        (State::Unknown, Event::Status(status)) => after_late_status(status, with),
        (State::Unknown, Event::Word(word, why)) => Some(Move::to(word.state(), printable(why))),
        _ => None,
    }
}

/// Whether it is worth finding out if the server is quiet: the event causes a move if it is, and
/// none if it is not. [`Circumstances::quiet`] is not looked at.
pub fn wants_quiet(state: State, event: &Event, with: &Circumstances) -> bool {
    let move_if = |quiet| advance(state, event, &Circumstances { quiet, ..*with });
    move_if(true).is_some() && move_if(false).is_none()
}

impl Word {
    const fn state(self) -> State {
        match self {
            Word::Deployed => State::Settled,
            Word::NotDeployed => State::Dismissed,
            Word::TryAgain => State::Abandoned,
        }
    }
}

impl Circumstances {
    fn past_hold(&self) -> bool {
        self.unknown_hold.is_some_and(|hold| self.age >= hold)
    }
}

impl Move {
    fn to(to: State, message: impl Into<String>) -> Self {
        Self {
            to,
            deploy_id: None,
            message: message.into(),
            accounted: BTreeSet::new(),
        }
    }
}

fn after_submitting(event: &Event) -> Option<Move> {
    match event {
        // An empty id can't be asked for: the deploy may run, and nobody knows under which id.
        Event::Accepted(id) if id.is_empty() => {
            Some(Move::to(State::Unknown, "accepted without an id"))
        }
        Event::Accepted(id) => Some(Move {
            deploy_id: Some(id.clone()),
            ..Move::to(State::Submitted, "accepted")
        }),
        Event::Refused(why) => Some(Move::to(State::Refused, printable(why))),
        Event::Lost(why) => Some(Move::to(State::Unknown, printable(why))),
        Event::FoundSubmitting => Some(Move::to(
            State::Unknown,
            "the pass that submitted it ended before it recorded an answer",
        )),
        Event::Status(_) | Event::Units(_) | Event::Word(..) => None,
    }
}

fn after_status(status: &Status, with: &Circumstances) -> Option<Move> {
    let died = |what: &str| {
        (with.quiet && with.past_hold()).then(|| {
            let age = whole_seconds(with.age);
            let to = if with.had_failed {
                State::Failed
            } else {
                State::Unknown
            };
            Move::to(
                to,
                format!("{what} {age} after it was submitted, on a quiet server"),
            )
        })
    };
    match status {
        Status::Succeeded => Some(Move::to(State::Succeeded, "coreos-deploy reports success")),
        Status::Failed(why) if why.is_empty() => {
            Some(Move::to(State::Failed, "coreos-deploy reports failure"))
        }
        Status::Failed(why) => Some(Move::to(State::Failed, printable(why))),
        Status::OtherDeploy(what) if with.taken_over => Some(Move::to(
            State::Failed,
            format!(
                "taken over: {}; its id is of another deploy ({})",
                if with.had_failed { "failed" } else { "started" },
                printable(what)
            ),
        )),
        Status::NoRows if with.had_failed => Some(Move::to(
            State::Failed,
            "taken over: failed; coreos-deploy has no record of it",
        )),
        Status::Running => died("the deploy died: still running"),
        Status::NoRows => died("the deploy died: not on record"),
        Status::OtherDeploy(what) => died(&format!(
            "its id is of another deploy ({}), still so",
            printable(what)
        )),
        Status::Inconclusive(why) => died(&format!(
            "its status cannot be read ({}), still so",
            printable(why)
        )),
    }
}

/// Of one that was given up as unreadable, and is heard of after all. Only what coreos-deploy says of
/// this very deploy counts; the ledger's word for its success is `observed`.
fn after_late_status(status: &Status, with: &Circumstances) -> Option<Move> {
    match status {
        Status::Succeeded => Some(Move::to(
            State::Observed,
            "coreos-deploy reports success after all",
        )),
        Status::Failed(_) => after_status(status, with),
        Status::OtherDeploy(_) if with.taken_over => after_status(status, with),
        _ => None,
    }
}

fn after_units(units: NewUnits, with: &Circumstances) -> Option<Move> {
    let NewUnits { running, any } = units;
    let wanted = with.num_instances;
    if wanted > 0 && running >= wanted {
        return Some(Move::to(
            State::Observed,
            format!("{running} new units run of {wanted} asked for"),
        ));
    }
    if !with.quiet || !with.past_hold() {
        return None;
    }
    let age = whole_seconds(with.age);
    if any > 0 || running > 0 {
        let wanted = match wanted {
            0 => "an unknown number".to_owned(),
            n => n.to_string(),
        };
        return Some(Move::to(
            State::Failed,
            format!("{running} new units run of {wanted} asked for, {age} after it was submitted"),
        ));
    }
    // A second deploy of one version that left no trace points at something that a third won't
    // cure; an operator decides.
    (!with.abandoned_before).then(|| {
        Move::to(
            State::Abandoned,
            format!(
                "no new unit {age} after it was submitted, on a quiet server: it was not deployed"
            ),
        )
    })
}

fn whole_seconds(age: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(age.as_secs()))
}
