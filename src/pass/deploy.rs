//! One deploy: look, commit the intent, POST once, poll, record.

use std::collections::BTreeSet;
use std::time::Duration;

use super::follow::{apply, circumstances, poll};
use super::{Ready, Session, look};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Attempt, Intended, Intent, Snapshot, Unaccounted};
use crate::model::attempt::{Event, State};
use crate::model::name::Scope;
use crate::model::plan::{self, Hold};
use crate::model::report::{Action, Outcome};
use crate::model::units::{of_version, suffixes};
use crate::target::{Probe, Submission};

/// How long coreos-deploy may be busy at every pass before that is an error of its own.
const BUSY_LIMIT_MS: i64 = 3_600_000;
/// How many attempts of one app are looked through for one that ended.
pub const HISTORY: u32 = 10_000;

/// One deploy to carry out.
pub struct Job<'a> {
    /// What to send.
    pub ready: &'a Ready,
    /// The command that asks for it.
    pub command: &'a str,
    /// Nobody has asked for it: a hold that was put meanwhile stops it, units that run already are
    /// taken for it, and versions that the ledger knows nothing of are not replaced.
    pub unattended: bool,
    /// An operator decides what is to run: versions that the ledger knows nothing of are replaced, and
    /// accounted for.
    pub decides: bool,
    /// A hold to put with the intent.
    pub place_hold: Option<Hold>,
    /// What the ledger knew when it was decided upon.
    pub snapshot: &'a Snapshot,
}

/// How a deploy, or the resuming of one, ended.
#[derive(Debug)]
pub struct Ended {
    /// What came of it; or, where nothing was tried, what the app is in place of due.
    pub outcome: std::result::Result<Outcome, Action>,
    /// The attempt.
    pub attempt: Option<String>,
    /// coreos-deploy's id.
    pub deploy_id: Option<String>,
    /// From the intent to now.
    pub duration: Option<Duration>,
    /// What went wrong, or is not known.
    pub message: String,
    /// An error that ends the pass.
    pub stop: Option<Error>,
}

impl Ended {
    /// Whether the attempt is still open.
    pub fn is_open(&self) -> bool {
        matches!(self.outcome, Ok(Outcome::Unknown | Outcome::Submitted))
    }

    /// A word for the progress display.
    pub fn outcome_word(&self) -> &'static str {
        match self.outcome {
            Ok(Outcome::Succeeded) => "deployed",
            Ok(Outcome::Observed) => "runs already",
            Ok(Outcome::Failed) => "failed",
            Ok(Outcome::Refused) => "refused",
            Ok(Outcome::Unknown) => "outcome unknown",
            Ok(Outcome::Submitted) => "still running",
            Ok(Outcome::Error) => "error",
            Err(_) => "not sent",
        }
    }

    /// Nothing was sent, and nothing recorded.
    fn unsent(outcome: std::result::Result<Outcome, Action>, message: String) -> Self {
        Self {
            outcome,
            attempt: None,
            deploy_id: None,
            duration: None,
            message,
            stop: None,
        }
    }

    /// What the state of an attempt says.
    pub fn of(attempt: &Attempt, duration: Option<Duration>) -> Self {
        let outcome = match attempt.state {
            State::Succeeded | State::Baseline | State::Settled => Outcome::Succeeded,
            State::Observed => Outcome::Observed,
            State::Failed | State::Abandoned | State::Dismissed | State::Retired => Outcome::Failed,
            State::Refused => Outcome::Refused,
            State::Submitted => Outcome::Submitted,
            State::Submitting | State::Unknown => Outcome::Unknown,
        };
        Self {
            outcome: Ok(outcome),
            attempt: Some(attempt.id.clone()),
            deploy_id: attempt.deploy_id.clone(),
            duration,
            message: attempt.message.clone(),
            stop: None,
        }
    }
}

/// Deploys one version on an operator's word. Open attempts are resolved first.
pub fn deploy_one(session: &mut Session<'_>, job: &Job<'_>) -> Result<()> {
    let ready = job.ready;
    let progress = session.output.progress("deploying", 1);
    let line = progress.deploy(&ready.app, &ready.version);
    let ended = deploy(session, job)?;
    line.finish(ended.outcome_word());
    let interrupted = || session.stopped().filter(|_| ended.is_open());
    let stop = ended.stop.clone().or_else(interrupted);
    session.report().ended(&ready.app, ended);
    stop.map_or(Ok(()), Err)
}

/// Carries out one deploy. An `Err` means that nothing was sent and ends the pass.
pub fn deploy(session: &mut Session<'_>, job: &Job<'_>) -> Result<Ended> {
    let ready = job.ready;
    if let Some(message) = look::service_taken(&session.services, job.snapshot, ready) {
        return Ok(Ended::unsent(Ok(Outcome::Error), message));
    }
    wait_for_takeover(session);
    check_target(session)?;
    let mut attempt = new_attempt(session, job);
    match session.target.units(&ready.request.service_name) {
        Ok(units) => {
            attempt.suffixes_before = Some(suffixes(&of_version(&units, &ready.version)));
            let seen = look::seen(session, &attempt, &units)?;
            if job.unattended && seen.runs_alone {
                return observed(session, job, attempt);
            }
            if !seen.unaccounted.is_empty() && !job.decides {
                return Ok(unaccounted(session, job, &attempt, seen.unaccounted));
            }
            attempt.accounted = seen.unaccounted;
        }
        Err(error) if error.kind == Kind::Credentials => return Err(error),
        Err(error) => {
            let what = format!("{}: {}", ready.app, error.one_line());
            session.output.note(&what);
            // It may have hung because a deploy began after the first look.
            check_target(session)?;
        }
    }
    let started = session.clock.elapsed();
    let stop = match send(session, job, &mut attempt)? {
        Ok(stop) => stop,
        Err(unsent) => return Ok(*unsent),
    };
    session.report().in_flight(&attempt);
    let polled = if attempt.state == State::Submitted {
        // The wait for the reply is a part of the time that the deploy is given.
        let sent = session.clock.since(started);
        let limit = session.deploy.timeout.saturating_sub(sent);
        poll(session, &mut attempt, limit, false)
    } else {
        Ok(())
    };
    // Something was sent: from here on an error is told beside the attempt, not in its place.
    Ok(Ended {
        stop: stop.or(polled.err()),
        ..Ended::of(&attempt, Some(session.clock.since(started)))
    })
}

/// Notes that versions run which the ledger knows nothing of.
fn unaccounted(
    session: &mut Session<'_>,
    job: &Job<'_>,
    attempt: &Attempt,
    versions: BTreeSet<String>,
) -> Ended {
    let noted = Unaccounted {
        service_name: attempt.service_name.clone(),
        versions,
        after: job.snapshot.latest_id(&attempt.app),
    };
    let reason = look::reason(&attempt.app, &noted);
    session
        .report()
        .unaccounted
        .insert(attempt.app.clone(), noted);
    Ended::unsent(Err(Action::Unaccounted), reason)
}

/// Waits, after a takeover, until what the former holder sent last has arrived: only then we look and
/// send.
pub(super) fn wait_for_takeover(session: &Session<'_>) {
    let delay = session.deadline.left(session.lease.send_delay());
    session.interrupt.sleep(session.clock.as_ref(), delay);
}

/// Records what runs already.
fn observed(session: &mut Session<'_>, job: &Job<'_>, mut attempt: Attempt) -> Result<Ended> {
    attempt.state = State::Observed;
    attempt.message = format!(
        "{} units of it run already; nothing was sent",
        attempt.num_instances
    );
    let order = session.rules.order;
    let hold = job.place_hold.as_ref().map(|hold| (hold, order));
    let fence = session.lease.fence();
    let other_name = session
        .ledger
        .record(session.scope, &attempt, hold, fence)?;
    Ok(match other_name {
        Some(row) => Ended::unsent(Ok(Outcome::Error), plan::name_taken(&row)),
        None => Ended::of(&attempt, None),
    })
}

/// Whether coreos-deploy answers, and for this scope.
pub fn check_target(session: &mut Session<'_>) -> Result<()> {
    let Scope {
        domain,
        environment,
    } = session.scope;
    let probe = session.target.info();
    session.report().busy = Some(matches!(probe, Probe::Busy(_)));
    match probe {
        Probe::Answered(info)
            if session.deploy.skip_scope_check
                || (&info.domain, &info.environment) == (domain, environment) =>
        {
            Ok(())
        }
        Probe::Answered(info) => Err(Error::usage(format!(
            "coreos-deploy serves {}, not {}",
            info.shown, session.scope
        ))
        .hint("check --deploy-url, --domain and --environment (or give --skip-scope-check)")),
        Probe::Busy(reason) => {
            let since = session.report().busy_since;
            let time = since.map_or(0, |since| session.clock.now_ms() - since);
            Err(busy(&reason, time))
        }
        Probe::Failed(error) => Err(error),
    }
}

/// Exit 75, or 69 once coreos-deploy has been busy at every pass for over an hour.
fn busy(reason: &str, time: i64) -> Error {
    let long = time > BUSY_LIMIT_MS;
    let kind = if long { Kind::Unavailable } else { Kind::Busy };
    let error = Error::new(kind, "coreos-deploy is busy: nothing was sent").because(reason);
    if long {
        error.because("it was busy at every pass for over an hour").hint("a unit that fleet can't schedule blocks it for ever: look at its fleetctl processes")
    } else {
        error
    }
}

fn new_attempt(session: &Session<'_>, job: &Job<'_>) -> Attempt {
    let ready = job.ready;
    Attempt {
        service_name: ready.request.service_name.clone(),
        num_instances: ready.request.num_instances,
        payload_sha256: ready.payload_sha256.clone(),
        template_sha256: Some(ready.template_sha256.clone()),
        counts: true,
        asked_by: session.asked_by.clone(),
        ..Attempt::new(
            &ready.app,
            &ready.version,
            State::Submitting,
            (job.command, "intent"),
            session.clock.as_ref(),
        )
    }
}

/// What came of sending: an error that ends the pass, beside the attempt; or why nothing was sent.
type Sent = std::result::Result<Option<Error>, Box<Ended>>;

/// Commits the intent, sends the POST and records its reply. The process does not stop in between.
fn send(session: &mut Session<'_>, job: &Job<'_>, attempt: &mut Attempt) -> Result<Sent> {
    let interrupt = session.interrupt.clone();
    let critical = interrupt.critical();
    if let Some(stop) = session.stopped() {
        return Err(stop);
    }
    if let Some(unsent) = intend(session, job, attempt)? {
        return Ok(Err(Box::new(unsent)));
    }
    session.report().in_flight(attempt);
    let (event, counts, stop) = match submit(session, job) {
        Submission::Accepted(id) => (Event::Accepted(id), true, None),
        Submission::Refused {
            reason,
            counts,
            stop,
        } => (Event::Refused(reason), counts, stop),
        Submission::Lost(reason) => (Event::Lost(reason), true, None),
    };
    attempt.counts = counts;
    if let Event::Accepted(id) = &event {
        attempt.deploy_id = Some(id.clone());
    }
    let with = circumstances(session, attempt, false, false);
    let recorded = apply(session, attempt, &event, &with);
    drop(critical);
    if let Err(error) = &recorded {
        attempt.message = error.one_line();
    }
    Ok(Ok(recorded.err().or(stop)))
}

/// Commits the intent; why nothing may be sent, where that is this app's.
fn intend(session: &mut Session<'_>, job: &Job<'_>, attempt: &Attempt) -> Result<Option<Ended>> {
    let app = &attempt.app;
    let lost = || {
        Error::new(
            Kind::Busy,
            format!("{app}: the lease was lost; nothing was sent"),
        )
    };
    if !session.lease.is_held() {
        return Err(lost());
    }
    let intent = Intent {
        attempt: attempt.clone(),
        respect_holds: job.unattended,
        order: session.rules.order,
        place_hold: job.place_hold.clone(),
        after: job.snapshot.latest_id(app),
    };
    match session
        .ledger
        .intend(session.scope, &intent, session.lease.as_ref())?
    {
        Intended::Committed => Ok(None),
        Intended::Held(hold) => {
            let message = format!("held meanwhile: {}", hold.reason);
            Ok(Some(Ended::unsent(Err(Action::Held), message)))
        }
        Intended::NameTaken(row) => {
            let message = plan::name_taken(&row);
            Ok(Some(Ended::unsent(Ok(Outcome::Error), message)))
        }
        Intended::LeaseLost => Err(lost()),
        Intended::Changed => Err(Error::new(
            Kind::Guard,
            format!("{app}: another command changed it meanwhile; nothing was sent"),
        )),
        Intended::OpenAttempt(id) => Err(Error::new(
            Kind::Unknown,
            format!("{app}: attempt {id} of this scope is open; nothing was sent"),
        )),
    }
}

/// Sends the POST, if the lease is still ours: the process may have stood still since the commit.
fn submit(session: &Session<'_>, job: &Job<'_>) -> Submission {
    if session.lease.is_held() {
        return session.target.submit(&job.ready.request);
    }
    let reason = "the lease was lost; nothing was sent".to_owned();
    Submission::Refused {
        stop: Some(Error::new(Kind::Busy, reason.clone())),
        reason,
        counts: false,
    }
}
