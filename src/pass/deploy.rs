//! One deploy: look, commit the intent, POST once, poll, record.

use std::time::Duration;

use super::follow::{apply, circumstances, poll};
use super::{Ready, Session};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Attempt, Intended, Intent, Snapshot, TAKEOVER};
use crate::model::attempt::{Event, State};
use crate::model::name::Scope;
use crate::model::plan::{self, AppRecord, Hold};
use crate::model::report::Outcome;
use crate::model::units::{Unit, of_version, other_running, running_now, suffixes};
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
    /// A hold that was put meanwhile stops it.
    pub respect_holds: bool,
    /// A hold to put with the intent.
    pub place_hold: Option<Hold>,
    /// What the ledger knew when it was decided upon.
    pub snapshot: &'a Snapshot,
    /// Units that run already are taken for the deploy. An operator who asks for one gets it.
    pub observe: bool,
}

/// How a deploy, or the resuming of one, ended.
#[derive(Debug)]
pub struct Ended {
    /// What is reported; `None`: nothing was tried.
    pub outcome: Option<Outcome>,
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
        matches!(self.outcome, Some(Outcome::Unknown | Outcome::Submitted))
    }

    /// A word for the progress display.
    pub fn outcome_word(&self) -> &'static str {
        match self.outcome {
            Some(Outcome::Succeeded) => "deployed",
            Some(Outcome::Observed) => "runs already",
            Some(Outcome::Failed) => "failed",
            Some(Outcome::Refused) => "refused",
            Some(Outcome::Unknown) => "outcome unknown",
            Some(Outcome::Submitted) => "still running",
            Some(Outcome::Error) => "error",
            None => "not sent",
        }
    }

    /// Nothing was sent, and nothing recorded.
    fn unsent(outcome: Option<Outcome>, message: String) -> Self {
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
            State::Failed | State::Abandoned | State::Dismissed => Outcome::Failed,
            State::Refused => Outcome::Refused,
            State::Submitted => Outcome::Submitted,
            State::Submitting | State::Unknown => Outcome::Unknown,
        };
        Self {
            outcome: Some(outcome),
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
    wait_for_takeover(session);
    check_target(session)?;
    let mut attempt = new_attempt(job, session.clock.as_ref());
    match session.target.units(&ready.request.service_name) {
        Ok(units) => {
            attempt.suffixes_before = Some(suffixes(&of_version(&units, &ready.version)));
            if job.observe
                && runs_alone(&units, &attempt, job.snapshot)
                && !was_tried(session, ready)?
            {
                return observed(session, job, attempt);
            }
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
        Some(row) => Ended::unsent(Some(Outcome::Error), plan::name_taken(&row)),
        None => Ended::of(&attempt, None),
    })
}

/// Whether as many units of an attempt's version run as it asks for, and none of another version.
fn runs_alone(units: &[Unit], attempt: &Attempt, snapshot: &Snapshot) -> bool {
    let (service, version) = (&attempt.service_name, &attempt.version);
    let services: Vec<String> = snapshot
        .latest
        .values()
        .map(|a| a.service_name.clone())
        .filter(|name| !name.is_empty())
        .collect();
    let record = snapshot.records.get(&attempt.app);
    let known = record.into_iter().flat_map(AppRecord::versions);
    let latest = snapshot.latest.get(&attempt.app);
    let versions: Vec<&str> = known.chain(latest.map(|a| a.version.as_str())).collect();
    running_now(&of_version(units, version)) >= attempt.num_instances as usize
        && other_running(units, service, version, &services, &versions).is_none()
}

/// Whether the cluster shows what an earlier attempt deployed, and nothing else of that service.
/// False where that can't be told.
pub fn still_runs_alone(
    session: &mut Session<'_>,
    attempt: &Attempt,
    snapshot: &Snapshot,
) -> Result<bool> {
    if attempt.service_name.is_empty() || attempt.num_instances == 0 {
        return Ok(false);
    }
    check_target(session)?;
    match session.target.units(&attempt.service_name) {
        Ok(units) => Ok(runs_alone(&units, attempt, snapshot)),
        Err(error) if error.kind == Kind::Credentials => Err(error),
        Err(error) => {
            let what = format!("{}: {}", attempt.app, error.one_line());
            session.output.note(&what);
            Ok(false)
        }
    }
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

fn new_attempt(job: &Job<'_>, clock: &dyn Clock) -> Attempt {
    let ready = job.ready;
    Attempt {
        service_name: ready.request.service_name.clone(),
        num_instances: ready.request.num_instances,
        payload_sha256: ready.payload_sha256.clone(),
        template_sha256: Some(ready.template_sha256.clone()),
        counts: true,
        ..Attempt::new(
            &ready.app,
            &ready.version,
            State::Submitting,
            (job.command, "intent"),
            clock,
        )
    }
}

fn was_tried(session: &mut Session<'_>, ready: &Ready) -> Result<bool> {
    let history = session
        .ledger
        .history(session.scope, Some(&ready.app), HISTORY)?;
    Ok(history
        .iter()
        .any(|a| a.version == ready.version && !a.state.is_open() && !is_hearsay(a)))
}

/// A failure that was taken over from the original's table: the Go daemon records one for every deploy
/// that took longer than its patience (recorded), so it says nothing about what runs.
fn is_hearsay(attempt: &Attempt) -> bool {
    attempt.command == TAKEOVER && attempt.state == State::Failed
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
        respect_holds: job.respect_holds,
        order: session.rules.order,
        place_hold: job.place_hold.clone(),
        after: job.snapshot.latest.get(app).map(|a| a.id.clone()),
    };
    match session
        .ledger
        .intend(session.scope, &intent, session.lease.as_ref())?
    {
        Intended::Committed => Ok(None),
        Intended::Held(hold) => {
            let message = format!("held meanwhile: {}", hold.reason);
            Ok(Some(Ended::unsent(None, message)))
        }
        Intended::NameTaken(row) => {
            let message = plan::name_taken(&row);
            Ok(Some(Ended::unsent(Some(Outcome::Error), message)))
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
