//! The story of one pass: resume, scan, plan, prepare, submit, record.
//!
//! Read this file for the order of things; the steps stand in files of their own. Decisions are
//! made in [`crate::model`]; here they are carried out, one after the other.

mod follow;
mod interrupt;
mod prepare;
mod resume;
mod submit;
mod tally;

use std::time::{Duration, Instant};

pub use interrupt::Interrupt;
pub use prepare::{Prepared, Ready, prepare, prepare_one};
pub use submit::{Ended, Errand};
pub use tally::{AppResult, Tally};

pub use crate::ledger::now_ms;

use crate::artifactory::Artifactory;
use crate::config::{Config, DeployConfig};
use crate::coreos_deploy::CoreosDeploy;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Lease, Ledger, Snapshot};
use crate::model::listing::{Listing, ListingBuilder};
use crate::model::name::Scope;
use crate::model::plan::{self, Inputs, OpenAttempt, Step};
use crate::model::report::Action;
use crate::output::Output;

/// How long coreos-deploy may be busy at every pass before that is an error of its own.
const BUSY_LIMIT_MS: i64 = 3_600_000;

/// What every step of a pass is given.
pub struct World<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The scope.
    pub scope: &'a Scope,
    /// Where results and progress go.
    pub output: &'a Output,
    /// Whether somebody wants us to stop.
    pub interrupt: &'a Interrupt,
    /// When the pass must end (`--max-duration`).
    pub deadline: Instant,
}

impl World<'_> {
    /// Why nothing new may be started, if so.
    pub fn stopped(&self) -> Option<Error> {
        if let Some(exit) = self.interrupt.requested() {
            return Some(
                Error::new(exit, "interrupted")
                    .hint("what was submitted stays recorded; the next pass carries on"),
            );
        }
        (Instant::now() >= self.deadline).then(|| {
            let limit = humantime::format_duration(self.config.rules.max_duration);
            Error::new(
                Exit::TryLater,
                format!("not everything was reached within --max-duration {limit}"),
            )
        })
    }
}

/// The listing and the plan that follows from it.
pub struct Survey {
    /// What Artifactory offers.
    pub listing: Listing,
    /// What a pass would do.
    pub steps: Vec<Step>,
    /// Known apps of which no marker is left, with the version that is deployed.
    pub missing: Vec<(String, String)>,
}

/// Reads Artifactory and plans. Changes nothing.
///
/// Errors: what [`Artifactory::list`] gives; 69 for a repository without any marker while apps
/// are deployed (narrowed permissions look like this); 2 for an `--app` that matches nothing.
pub fn survey(
    world: &World<'_>,
    artifactory: &Artifactory,
    ledger: &mut dyn Ledger,
    snapshot: &Snapshot,
    detail: bool,
) -> Result<Survey> {
    let rules = &world.config.rules;
    let deployed = snapshot
        .records
        .iter()
        .filter_map(|(app, record)| Some((app.clone(), record.deployed.clone()?)))
        .collect();
    let builder = ListingBuilder::new(rules.order, rules.filter.clone(), deployed, detail);
    let listing = artifactory.list(builder)?;
    if let Some(reason) = &listing.aql_refused {
        world
            .output
            .note(&format!("read folder by folder: {reason}"));
    }
    if plan::suspicious_emptiness(&listing, &snapshot.records) {
        return Err(Error::unavailable("the deploy request repository holds no marker at all, but apps of it are deployed")
            .because("a narrowed permission or a wrong repository looks like this; absence is never acted on")
            .hint("check --art-deploy-repo and what this user may read there"));
    }
    for app in rules.filter.literals() {
        if !listing.apps.contains_key(app) && !snapshot.records.contains_key(app) {
            return Err(Error::usage(format!(
                "--app {app} matches no app in Artifactory"
            )));
        }
    }
    let open: Vec<OpenAttempt> = snapshot
        .open
        .iter()
        .map(|a| OpenAttempt {
            attempt: a.id.clone(),
            app: a.app.clone(),
            version: a.version.clone(),
            state: a.state,
        })
        .collect();
    let unrecorded: Vec<&str> = listing
        .apps
        .keys()
        .map(String::as_str)
        .filter(|app| !snapshot.records.contains_key(*app))
        .collect();
    let conflicts = ledger.name_conflicts(world.scope, &unrecorded)?;
    let steps = plan::plan(&Inputs {
        conflicts: &conflicts,
        listing: &listing,
        records: &snapshot.records,
        open: &open,
        holds: &snapshot.holds,
        order: rules.order,
        max_attempts: rules.max_attempts,
        retry_after: rules.retry_after,
        now: now_ms(),
    });
    let missing = plan::missing(&listing, &snapshot.records, &rules.filter)
        .into_iter()
        .filter_map(|app| Some((app.to_owned(), snapshot.records.get(app)?.deployed.clone()?)))
        .collect();
    Ok(Survey {
        listing,
        steps,
        missing,
    })
}

/// What a writing command works with once it holds the lease.
pub struct Desk<'a> {
    /// The ledger.
    pub ledger: &'a mut dyn Ledger,
    /// The lease.
    pub lease: &'a dyn Lease,
    /// coreos-deploy.
    pub service: &'a CoreosDeploy,
    /// How it is spoken to.
    pub deploy: &'a DeployConfig,
}

/// Takes the lease, or says who has it (exit 75).
pub fn take_lease(
    ledger: &mut dyn Ledger,
    scope: &Scope,
    wait: Duration,
) -> Result<Box<dyn Lease>> {
    if let Some(lease) = ledger.acquire(scope, wait)? {
        return Ok(lease);
    }
    let error = Error::new(
        Exit::TryLater,
        format!("another pass holds the lease of {scope}"),
    );
    Err(match ledger.lease_info(scope) {
        Ok(Some(info)) => error.because(format!(
            "held by {} since {}",
            info.holder,
            crate::model::time::rfc3339(info.since)
        )),
        _ => error,
    }
    .hint("--lock-wait waits for it"))
}

/// One whole pass. What was found out is in `tally`, whatever the result; an error is what ended
/// the pass early.
pub fn run(
    world: &World<'_>,
    artifactory: &Artifactory,
    desk: &mut Desk<'_>,
    tally: &mut Tally,
) -> Result<()> {
    desk.ledger.take_over(world.scope, desk.lease.token())?;
    let mut snapshot = desk.ledger.snapshot(world.scope)?;
    tally.begin(&snapshot);
    if !snapshot.open.is_empty() {
        resume::all(world, desk, &snapshot, tally)?;
        snapshot = desk.ledger.snapshot(world.scope)?;
    }
    let survey = survey(world, artifactory, desk.ledger, &snapshot, false)?;
    tally.plan(&survey);
    let due: Vec<&Step> = survey.steps.iter().filter(|s| s.is_deploy()).collect();
    if due.is_empty() {
        return Ok(());
    }
    if !snapshot.open.is_empty() {
        tally.leave_due("an open attempt comes first");
        return Ok(());
    }
    guard(world, &survey.steps)?;
    deploy_due(world, artifactory, desk, tally, &snapshot, &due)
}

/// Prepares what is due, all of it ahead, and deploys it, one after the other.
fn deploy_due(
    world: &World<'_>,
    artifactory: &Artifactory,
    desk: &mut Desk<'_>,
    tally: &mut Tally,
    snapshot: &Snapshot,
    due: &[&Step],
) -> Result<()> {
    let progress = world.output.progress("deploying", due.len() as u64);
    progress.set_message("reading payloads");
    let prepared = prepare(world, artifactory, snapshot, due);
    progress.set_message("");
    for (step, prepared) in due.iter().zip(prepared) {
        let ready = match prepared? {
            Prepared::Ready(ready) => ready,
            other => {
                tally.not_sent(&step.app, other);
                progress.inc();
                continue;
            }
        };
        if let Some(stop) = world.stopped() {
            tally.leave_due(&stop.message);
            return Err(stop);
        }
        let line = progress.deploy(&ready.app, &ready.version);
        let errand = Errand {
            ready: &ready,
            command: "run",
            respect_holds: true,
            place_hold: None,
            observe: true,
        };
        let ended = submit::carry_out(world, desk, &errand, tally);
        line.finish(ended.as_ref().map_or("not sent", |e| e.outcome_word()));
        progress.inc();
        let ended = ended.inspect_err(|e| tally.leave_due(&e.message))?;
        let (open, stop) = (ended.is_open(), ended.stop.clone());
        tally.ended(&step.app, ended);
        if let Some(stop) = stop {
            tally.leave_due(&stop.message);
            return Err(stop);
        }
        if open {
            tally.leave_due("the outcome of another deploy of this scope is not known yet");
            return world.stopped().map_or(Ok(()), Err);
        }
    }
    Ok(())
}

/// Deploys one version on an operator's word. Open attempts are resolved first.
pub fn deploy_one(
    world: &World<'_>,
    desk: &mut Desk<'_>,
    errand: &Errand<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let ready = errand.ready;
    let progress = world.output.progress("deploying", 1);
    let line = progress.deploy(&ready.app, &ready.version);
    let ended = submit::carry_out(world, desk, errand, tally)?;
    line.finish(ended.outcome_word());
    let interrupted = || world.stopped().filter(|_| ended.is_open());
    let stop = ended.stop.clone().or_else(interrupted);
    tally.ended(&ready.app, ended);
    stop.map_or(Ok(()), Err)
}

/// Finds out what became of the open attempts of the scope; true when none is open any more.
pub fn resolve_open(
    world: &World<'_>,
    desk: &mut Desk<'_>,
    snapshot: &Snapshot,
    tally: &mut Tally,
) -> Result<bool> {
    resume::all(world, desk, snapshot, tally)?;
    Ok(desk.ledger.snapshot(world.scope)?.open.is_empty())
}

/// The guard against deploying the world: more deploys than `--max-deploys` are none (exit 5).
pub fn guard(world: &World<'_>, steps: &[Step]) -> Result<()> {
    let limit = world.config.rules.max_deploys;
    let Some(due) = plan::over_limit(steps, limit) else {
        return Ok(());
    };
    let new = steps.iter().filter(|s| s.action == Action::New).count();
    let error = Error::new(
        Exit::Guard,
        format!("{due} deploys are due, more than --max-deploys {limit}: none was submitted"),
    );
    Err(if new > 0 {
        error
            .because(format!("{new} of them are of apps that the ledger does not know"))
            .hint("if they run already, record them with `baseline`; to deploy them all, give --max-deploys 0")
    } else {
        error.hint(format!(
            "look at `scan`, then give --max-deploys {due} to go on"
        ))
    })
}

/// Exit 75, or 69 once coreos-deploy has been busy at every pass for over an hour.
fn busy(reason: &str, since: Option<i64>) -> Error {
    let long = since.is_some_and(|since| now_ms() - since > BUSY_LIMIT_MS);
    let exit = if long {
        Exit::Unavailable
    } else {
        Exit::TryLater
    };
    let error = Error::new(exit, "coreos-deploy is busy: nothing was sent").because(reason);
    if long {
        error.because("it was busy at every pass for over an hour").hint("a unit that fleet can't schedule blocks it for ever: look at its fleetctl processes")
    } else {
        error
    }
}
