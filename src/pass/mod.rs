//! The story of one pass: resume, scan, plan, prepare, deploy, record.
//!
//! Read this file for the order of things; the steps stand in files of their own. Decisions are
//! made in [`crate::model`]; here they are carried out, one after the other.

mod deploy;
mod ending;
mod follow;
mod interrupt;
mod look;
mod ports;
mod prepare;
mod report;
mod resume;
mod scan;
mod session;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use deploy::{Ended, HISTORY, Job, check_target, deploy_one};
pub use ending::Ending;
pub use follow::changed_by_another;
pub use interrupt::Interrupt;
pub use look::{beside, service_taken, services, still_runs_alone};
pub use ports::Ports;
pub use prepare::{Prepared, Preparer, Ready, has_payload};
pub use report::{AppResult, ReportBuilder};
pub use resume::resolve_open;
pub use scan::{Scan, Scanner, guard};
pub use session::{Invocation, Session, open_to_write, take_lease};

use crate::error::{Error, Kind, Result};
use crate::ledger::Snapshot;
use crate::model::plan::{Brake, Step, in_turn};

/// One whole pass. What was found out is in the session's report, whatever the result; an error is
/// what ended the pass early. One that has lost its lease does not say that all is well: what another
/// has begun since, it can't know (exit 75).
pub fn run(session: &mut Session<'_>) -> Result<()> {
    carry_out(session)?;
    if session.lease.is_held() {
        return Ok(());
    }
    Err(
        Error::new(Kind::Busy, "the lease was lost before the pass ended")
            .because("the process stood still, or could not reach the ledger, for too long")
            .hint("another pass may be at work: the next one tells how things are"),
    )
}

fn carry_out(session: &mut Session<'_>) -> Result<()> {
    let mut snapshot = begin(session)?;
    if !snapshot.open.is_empty() {
        snapshot = resolve_open(session, &snapshot)?;
    }
    look::look_again(session, &mut snapshot);
    let scanner = Scanner {
        rules: session.rules,
        scope: session.scope,
        output: session.output,
        releases: session.releases.as_ref(),
        clock: session.clock.as_ref(),
    };
    let scan = scanner.scan(session.ledger.as_mut(), &snapshot, false)?;
    scan.tell_left_alone(session.output);
    session.report().plan(&scan);
    let due = in_turn(&scan.steps, &snapshot.records);
    if due.is_empty() {
        return Ok(());
    }
    if !snapshot.open.is_empty() {
        session.report().leave_due("an open attempt comes first");
        return Ok(());
    }
    guard(session.rules, &scan.steps)?;
    deploy_due(session, &snapshot, &due)
}

/// Takes over what the original's tables say, and reads the ledger.
pub fn begin(session: &mut Session<'_>) -> Result<Snapshot> {
    let fence = session.lease.fence();
    session.ledger.take_over(session.scope, fence)?;
    let snapshot = session.ledger.snapshot(session.scope)?;
    session.report().begin(&snapshot);
    session.services = look::services(&snapshot);
    Ok(snapshot)
}

/// Prepares what is due, all of it ahead, and deploys it, one after the other.
fn deploy_due(session: &mut Session<'_>, snapshot: &Snapshot, due: &[&Step]) -> Result<()> {
    let progress = session.output.progress("deploying", due.len() as u64);
    progress.set_message("reading payloads");
    let prepared = Preparer::of(session, snapshot).all(due);
    progress.set_message("");
    for ready in prepared.iter().flatten().filter_map(Prepared::ready) {
        let (service, app) = (&ready.request.service_name, &ready.app);
        let services = &mut session.services;
        services
            .entry(service.clone())
            .or_insert_with(|| app.clone());
    }
    let mut brake = Brake::new(session.rules.max_failures);
    for (step, prepared) in due.iter().zip(prepared) {
        let prepared = match prepared? {
            Prepared::Ready(ready) => still_marked(session, ready)?,
            other => other,
        };
        let Prepared::Ready(ready) = prepared else {
            session.report().not_sent(&step.app, prepared);
            progress.inc();
            continue;
        };
        let line = progress.deploy(&ready.app, &ready.version);
        let job = Job {
            ready: &ready,
            command: "run",
            unattended: true,
            decides: false,
            place_hold: None,
            snapshot,
        };
        let ended = deploy::deploy(session, &job);
        line.finish(ended.as_ref().map_or("not sent", Ended::outcome_word));
        progress.inc();
        let ended = ended.inspect_err(|e| session.report().leave_due(&e.message))?;
        let (open, stop) = (ended.is_open(), ended.stop.clone());
        if let Ok(outcome) = ended.outcome {
            brake.ended(&ready.app, &ready.version, outcome);
        }
        session.report().ended(&step.app, ended);
        if let Some(stop) = stop {
            session.report().leave_due(&stop.message);
            return Err(stop);
        }
        if open {
            let why = "the outcome of another deploy of this scope is not known yet";
            session.report().leave_due(why);
            return session.stopped().map_or(Ok(()), Err);
        }
        if let Some(failed) = brake.stops() {
            let stop = braked(failed.len());
            session.report().forgive(failed);
            session.report().leave_due(&stop.message);
            return Err(stop);
        }
    }
    Ok(())
}

/// Exit 1: nothing more is sent in this pass.
fn braked(failures: usize) -> Error {
    let deploys = match failures {
        1 => "the first deploy of this pass failed".to_owned(),
        n => format!("the first {n} deploys of this pass failed"),
    };
    Error::new(Kind::Failed, format!("{deploys}: nothing more is sent"))
        .because("it may be the cluster that is ill, not the releases (--max-failures)")
        .hint("the next pass begins with what has not failed; `status` tells what failed, and why")
}

/// Looks at the marker of what is sent next, unless nothing more may be sent: between the reading of
/// the markers and the last deploy lies up to `--max-duration`.
fn still_marked(session: &mut Session<'_>, ready: Box<Ready>) -> Result<Prepared> {
    deploy::wait_for_takeover(session);
    if let Some(stop) = session.stopped() {
        session.report().leave_due(&stop.message);
        return Err(stop);
    }
    prepare::look_again(session.releases.as_ref(), ready)
        .inspect_err(|e| session.report().leave_due(&e.message))
}
