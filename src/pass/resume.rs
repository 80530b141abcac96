//! Finds out what became of open attempts.

use super::deploy::{HISTORY, check_target};
use super::follow::{apply, circumstances, is_quiet, poll};
use super::{Ended, Session};
use crate::error::{Kind, Result};
use crate::ledger::{Attempt, Snapshot};
use crate::model::attempt::{Event, State, wants_quiet};
use crate::model::units::{new_units, of_version};

/// Finds out what became of the open attempts of the scope, and reads the ledger again.
pub fn resolve_open(session: &mut Session<'_>, snapshot: &Snapshot) -> Result<Snapshot> {
    all(session, snapshot)?;
    session.ledger.snapshot(session.scope)
}

/// Resumes every open attempt of the scope, oldest first. Nothing is sent.
pub fn all(session: &mut Session<'_>, snapshot: &Snapshot) -> Result<()> {
    let progress = session
        .output
        .progress("resuming", snapshot.open.len() as u64);
    for open in &snapshot.open {
        let line = progress.deploy(&open.app, &open.version);
        let mut attempt = open.clone();
        let so_far = Ended::of(open, None);
        session.report().resumed(open, open.state, so_far);
        let ended =
            abandoned_before(session, open).and_then(|before| one(session, &mut attempt, before));
        line.finish(attempt.state.as_str());
        progress.inc();
        // An error that ends the pass leaves the attempt as open as it is, and that is told too.
        let (ended, stop) = match ended {
            Ok(ended) => (ended, Ok(())),
            Err(error) => (Ended::of(&attempt, None), Err(error)),
        };
        session.report().resumed(open, attempt.state, ended);
        stop?;
        if let Some(stop) = session.stopped().filter(|_| attempt.state.is_open()) {
            return Err(stop);
        }
    }
    Ok(())
}

/// Whether an earlier attempt of the version was abandoned since it was last deployed.
fn abandoned_before(session: &mut Session<'_>, open: &Attempt) -> Result<bool> {
    let history = session
        .ledger
        .history(session.scope, Some(&open.app), HISTORY)?;
    Ok(history
        .iter()
        .filter(|a| a.version == open.version && a.id != open.id)
        .take_while(|a| !a.state.is_deployed())
        .any(|a| a.state == State::Abandoned))
}

fn one(session: &mut Session<'_>, attempt: &mut Attempt, abandoned_before: bool) -> Result<Ended> {
    let started = session.clock.elapsed();
    if attempt.state == State::Submitting {
        let with = circumstances(session, attempt, false, abandoned_before);
        apply(session, attempt, &Event::FoundSubmitting, &with)?;
    }
    if attempt.state == State::Submitted {
        poll(session, attempt, session.deploy.timeout, abandoned_before)?;
    }
    if attempt.state == State::Unknown && session.stopped().is_none() {
        by_units(session, attempt, abandoned_before)?;
    }
    Ok(Ended::of(attempt, Some(session.clock.since(started))))
}

/// Looks for the attempt's units in the cluster.
fn by_units(
    session: &mut Session<'_>,
    attempt: &mut Attempt,
    abandoned_before: bool,
) -> Result<()> {
    let Some(before) = attempt.suffixes_before.clone() else {
        return by_id(session, attempt, abandoned_before);
    };
    // A wrong or silent server says nothing about this attempt; refused credentials end the pass.
    if let Err(error) = check_target(session) {
        if error.kind == Kind::Busy {
            attempt.message = "coreos-deploy is busy; the next pass looks again".to_owned();
            return Ok(());
        }
        return Err(error);
    }
    let Some(event) = units(session, attempt, &before) else {
        return Ok(());
    };
    let mut with = circumstances(session, attempt, false, abandoned_before);
    if wants_quiet(attempt.state, &event, &with) {
        with.quiet = is_quiet(session, &session.deadline);
        if with.quiet {
            // Quiet was waited for: only units that are not there now count as absent.
            if let Some(event) = units(session, attempt, &before) {
                apply(session, attempt, &event, &with)?;
            }
            return Ok(());
        }
    }
    if !apply(session, attempt, &event, &with)? {
        attempt.message = match session.deploy.unknown_hold {
            Some(hold) if with.age < hold => format!(
                "not known yet whether it was deployed; decided {} after it was sent",
                humantime::format_duration(hold)
            ),
            Some(_) if abandoned_before => {
                "no trace of it, for the second time: an operator decides (`settle`)".to_owned()
            }
            Some(_) => "coreos-deploy is not quiet; the next pass looks again".to_owned(),
            None => "--unknown-hold is never: an operator decides (`settle`)".to_owned(),
        };
    }
    Ok(())
}

/// Asks once more for an attempt of which the units from before are not known: its status may have
/// been out of reach for a moment.
fn by_id(session: &mut Session<'_>, attempt: &mut Attempt, abandoned_before: bool) -> Result<()> {
    if let Some(id) = attempt.deploy_id.clone() {
        let status = session
            .target
            .status(&id, &attempt.service_name, &attempt.version);
        let with = circumstances(session, attempt, false, abandoned_before);
        if apply(session, attempt, &Event::Status(status), &with)? {
            return Ok(());
        }
    }
    attempt.message = format!(
        "{}; the units from before it are not known: an operator decides (`settle`)",
        attempt.message
    );
    Ok(())
}

/// The new units of the attempt; none, and why in its message, where they can't be read.
fn units(session: &Session<'_>, attempt: &mut Attempt, before: &[String]) -> Option<Event> {
    match session.target.units(&attempt.service_name) {
        Ok(units) => {
            let own = of_version(&units, &attempt.version);
            Some(Event::Units(new_units(&own, before)))
        }
        Err(error) => {
            attempt.message = format!("the cluster's units cannot be read: {}", error.one_line());
            None
        }
    }
}
