//! One deploy: look, commit the intent, POST once, poll, record.

use std::time::{Duration, Instant};

use super::follow::{apply, circumstances, poll};
use super::{Desk, Ready, Tally, World, busy, now_ms};
use crate::coreos_deploy::{Probe, Submission, running_now, suffixes};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, Intended, Intent, TAKEOVER};
use crate::model::attempt::{Event, State};
use crate::model::plan::{self, Hold};
use crate::model::report::Outcome;

/// How many attempts of one app are looked through for one that ended.
pub(super) const HISTORY: u32 = 10_000;

/// One deploy to carry out.
pub struct Errand<'a> {
    /// What to send.
    pub ready: &'a Ready,
    /// The command that asks for it.
    pub command: &'a str,
    /// A hold that was put meanwhile stops it.
    pub respect_holds: bool,
    /// A hold to put with the intent.
    pub place_hold: Option<Hold>,
    /// Whether units that run already are taken for the deploy.
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
    pub fn of(attempt: &Attempt, started: Option<Instant>) -> Self {
        let outcome = match attempt.state {
            State::Succeeded | State::Baseline => Outcome::Succeeded,
            State::Observed => Outcome::Observed,
            State::Failed | State::Abandoned => Outcome::Failed,
            State::Refused => Outcome::Refused,
            State::Submitted => Outcome::Submitted,
            State::Submitting | State::Unknown => Outcome::Unknown,
        };
        Self {
            outcome: Some(outcome),
            attempt: Some(attempt.id.clone()),
            deploy_id: attempt.deploy_id.clone(),
            duration: started.map(|s| s.elapsed()),
            message: attempt.message.clone(),
            stop: None,
        }
    }
}

/// Carries out one deploy. An `Err` means that nothing was sent and ends the pass.
pub fn carry_out(
    world: &World<'_>,
    desk: &mut Desk<'_>,
    errand: &Errand<'_>,
    tally: &mut Tally,
) -> Result<Ended> {
    let ready = errand.ready;
    // A takeover: what the former holder sent last must have arrived before we look and send.
    world.interrupt.sleep(desk.lease.send_delay());
    look(world, desk, tally)?;
    let units = desk
        .service
        .units(&ready.request.service_name, &ready.version);
    let mut attempt = new_attempt(errand);
    match &units {
        Ok(units) => {
            attempt.suffixes_before = Some(suffixes(units));
            if errand.observe
                && running_now(units) >= ready.request.num_instances as usize
                && !was_tried(world, desk, ready)?
            {
                attempt.state = State::Observed;
                attempt.message = format!(
                    "{} units of it run already; nothing was sent",
                    ready.request.num_instances
                );
                let hold = errand.place_hold.as_ref();
                let taken =
                    desk.ledger
                        .record_deployed(world.scope, &attempt, hold, desk.lease.token())?;
                return Ok(match taken {
                    Some(row) => Ended::unsent(Some(Outcome::Error), plan::name_taken(&row)),
                    None => Ended::of(&attempt, None),
                });
            }
        }
        Err(error) if error.exit == Exit::Credentials => return Err(error.clone()),
        Err(error) => {
            world
                .output
                .note(&format!("{}: {}", ready.app, error.one_line()));
            // It may have hung because a deploy began after the first look.
            look(world, desk, tally)?;
        }
    }
    let started = Instant::now();
    let stop = match send(world, desk, errand, &mut attempt)? {
        Sent::Yes(stop) => stop,
        Sent::Held(hold) => {
            let message = format!("held meanwhile: {}", hold.reason);
            return Ok(Ended::unsent(None, message));
        }
        Sent::NameTaken(row) => {
            return Ok(Ended::unsent(Some(Outcome::Error), plan::name_taken(&row)));
        }
    };
    let polled = if attempt.state == State::Submitted {
        poll(world, desk, &mut attempt, desk.deploy.timeout, false)
    } else {
        Ok(())
    };
    // Something was sent: from here on an error is told beside the attempt, not in its place.
    Ok(Ended {
        stop: stop.or(polled.err()),
        ..Ended::of(&attempt, Some(started))
    })
}

/// Whether coreos-deploy answers, and for this scope.
pub fn look(world: &World<'_>, desk: &mut Desk<'_>, tally: &mut Tally) -> Result<()> {
    match desk.service.info() {
        Probe::Answered(info) => {
            tally.busy = Some(false);
            let theirs = (info.domain.as_str(), info.environment.as_str());
            if theirs
                == (
                    world.scope.domain.as_str(),
                    world.scope.environment.as_str(),
                )
                || desk.deploy.skip_scope_check
            {
                return Ok(());
            }
            let served = format!("{} {}", info.domain, info.environment);
            Err(Error::usage(format!(
                "coreos-deploy serves {}, not {}",
                desk.service.clean(&served),
                world.scope
            ))
            .hint("check --deploy-url, --domain and --environment (or give --skip-scope-check)"))
        }
        Probe::Busy(reason) => {
            tally.busy = Some(true);
            Err(busy(&reason, tally.busy_since))
        }
        Probe::Failed(error) => {
            tally.busy = Some(false);
            Err(error)
        }
    }
}

fn new_attempt(errand: &Errand<'_>) -> Attempt {
    let ready = errand.ready;
    let now = now_ms();
    Attempt {
        id: uuid::Uuid::new_v4().to_string(),
        app: ready.app.clone(),
        version: ready.version.clone(),
        service_name: ready.request.service_name.clone(),
        num_instances: ready.request.num_instances,
        state: State::Submitting,
        deploy_id: None,
        payload_sha256: ready.payload_sha256.clone(),
        template_sha256: Some(ready.template_sha256.clone()),
        suffixes_before: None,
        counts: true,
        command: errand.command.to_owned(),
        token: 0,
        created_at: now,
        updated_at: now,
        message: "intent".to_owned(),
    }
}

fn was_tried(world: &World<'_>, desk: &mut Desk<'_>, ready: &Ready) -> Result<bool> {
    let history = desk
        .ledger
        .history(world.scope, Some(&ready.app), HISTORY)?;
    Ok(history
        .iter()
        .any(|a| a.version == ready.version && !a.state.is_open() && !is_hearsay(a)))
}

/// A failure that was taken over from the original's table: the Go daemon records one for every deploy
/// that took longer than its patience (recorded), so it says nothing about what runs.
fn is_hearsay(attempt: &Attempt) -> bool {
    attempt.command == TAKEOVER && attempt.state == State::Failed
}

enum Sent {
    /// The POST was tried; an error that ends the pass.
    Yes(Option<Error>),
    /// A hold was put meanwhile.
    Held(Hold),
    /// Another name has the app's place in the original's table.
    NameTaken(String),
}

/// Commits the intent, sends the POST and records its reply. The process does not stop in between.
fn send(
    world: &World<'_>,
    desk: &mut Desk<'_>,
    errand: &Errand<'_>,
    attempt: &mut Attempt,
) -> Result<Sent> {
    let critical = world.interrupt.critical();
    if let Some(stop) = world.stopped() {
        return Err(stop);
    }
    let lost = || {
        Error::new(
            Exit::TryLater,
            format!("{}: the lease was lost; nothing was sent", attempt.app),
        )
    };
    if !desk.lease.is_held() {
        return Err(lost());
    }
    let intent = Intent {
        attempt: attempt.clone(),
        respect_holds: errand.respect_holds,
        order: world.config.rules.order,
        place_hold: errand.place_hold.clone(),
    };
    match desk.ledger.intend(world.scope, &intent, desk.lease)? {
        Intended::Committed => {}
        Intended::Held(hold) => return Ok(Sent::Held(hold)),
        Intended::LeaseLost => return Err(lost()),
        Intended::NameTaken(row) => return Ok(Sent::NameTaken(row)),
        Intended::OpenAttempt(id) => {
            return Err(Error::new(
                Exit::Unknown,
                format!(
                    "{}: attempt {id} of this scope is open; nothing was sent",
                    attempt.app
                ),
            ));
        }
    }
    let (event, counts, stop) = match submit(desk, errand) {
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
    let recorded = apply(
        desk,
        attempt,
        &event,
        &circumstances(desk, attempt, false, false),
    );
    drop(critical);
    if let Err(error) = &recorded {
        attempt.message = error.one_line();
    }
    Ok(Sent::Yes(recorded.err().or(stop)))
}

/// Sends the POST, if the lease is still ours: the process may have stood still since the commit.
fn submit(desk: &Desk<'_>, errand: &Errand<'_>) -> Submission {
    if desk.lease.is_held() {
        return desk.service.submit(&errand.ready.request);
    }
    let reason = "the lease was lost; nothing was sent".to_owned();
    Submission::Refused {
        stop: Some(Error::new(Exit::TryLater, reason.clone())),
        reason,
        counts: false,
    }
}
