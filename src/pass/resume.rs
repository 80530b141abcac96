//! Finds out what became of open attempts.

use std::time::Instant;

use super::follow::{apply, circumstances, poll};
use super::submit::{HISTORY, look};
use super::{Desk, Ended, Tally, World};
use crate::coreos_deploy::{Unit, new_units, of_version};
use crate::error::Result;
use crate::ledger::{Attempt, Snapshot};
use crate::model::attempt::{Event, State, wants_quiet};

/// Resumes every open attempt of the scope, oldest first. Nothing is sent.
pub fn all(
    world: &World<'_>,
    desk: &mut Desk<'_>,
    snapshot: &Snapshot,
    tally: &mut Tally,
) -> Result<()> {
    let progress = world
        .output
        .progress("resuming", snapshot.open.len() as u64);
    for open in &snapshot.open {
        let line = progress.deploy(&open.app, &open.version);
        let mut attempt = open.clone();
        let ended = abandoned_before(world, desk, open)
            .and_then(|before| one(world, desk, &mut attempt, before, tally));
        line.finish(attempt.state.as_str());
        progress.inc();
        // An error that ends the pass leaves the attempt as open as it is, and that is told too.
        let (ended, stop) = match ended {
            Ok(ended) => (ended, Ok(())),
            Err(error) => (Ended::of(&attempt, None), Err(error)),
        };
        tally.resumed(open, attempt.state, ended);
        stop?;
        if let Some(stop) = world.stopped().filter(|_| attempt.state.is_open()) {
            return Err(stop);
        }
    }
    Ok(())
}

/// Whether an earlier attempt of the version was abandoned since it was last deployed.
fn abandoned_before(world: &World<'_>, desk: &mut Desk<'_>, open: &Attempt) -> Result<bool> {
    let history = desk.ledger.history(world.scope, Some(&open.app), HISTORY)?;
    Ok(history
        .iter()
        .filter(|a| a.version == open.version && a.id != open.id)
        .take_while(|a| !a.state.is_deployed())
        .any(|a| a.state == State::Abandoned))
}

fn one(
    world: &World<'_>,
    desk: &mut Desk<'_>,
    attempt: &mut Attempt,
    abandoned_before: bool,
    tally: &mut Tally,
) -> Result<Ended> {
    let started = Instant::now();
    if attempt.state == State::Submitting {
        let with = circumstances(desk, attempt, false, abandoned_before);
        apply(desk, attempt, &Event::FoundSubmitting, &with)?;
    }
    if attempt.state == State::Submitted {
        poll(world, desk, attempt, desk.deploy.timeout, abandoned_before)?;
    }
    if attempt.state == State::Unknown && world.stopped().is_none() {
        by_units(world, desk, attempt, abandoned_before, tally)?;
    }
    Ok(Ended::of(attempt, Some(started)))
}

/// Looks for the attempt's units in the cluster.
fn by_units(
    world: &World<'_>,
    desk: &mut Desk<'_>,
    attempt: &mut Attempt,
    abandoned_before: bool,
    tally: &mut Tally,
) -> Result<()> {
    let Some(before) = attempt.suffixes_before.clone() else {
        attempt.message = format!(
            "{}; the units from before it are not known: an operator decides (`settle`)",
            attempt.message
        );
        return Ok(());
    };
    // A wrong or silent server says nothing about this attempt; refused credentials end the pass.
    if let Err(error) = look(world, desk, tally) {
        if error.exit == crate::exit::Exit::TryLater {
            attempt.message = "coreos-deploy is busy; the next pass looks again".to_owned();
            return Ok(());
        }
        return Err(error);
    }
    let units = match units_of(desk, attempt) {
        Ok(units) => units,
        Err(error) => {
            attempt.message = format!("the cluster's units cannot be read: {}", error.one_line());
            return Ok(());
        }
    };
    let event = Event::Units(new_units(&units, &before));
    let mut with = circumstances(desk, attempt, false, abandoned_before);
    if wants_quiet(attempt.state, &event, &with) {
        with.quiet = desk
            .service
            .is_quiet(&|| world.interrupt.requested().is_some());
        if with.quiet {
            // Quiet was waited for: only units that are not there now count as absent.
            return look_again(desk, attempt, &before, with);
        }
    }
    if !apply(desk, attempt, &event, &with)? {
        attempt.message = match desk.deploy.unknown_hold {
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

fn units_of(desk: &Desk<'_>, attempt: &Attempt) -> Result<Vec<Unit>> {
    let units = desk.service.units(&attempt.service_name)?;
    Ok(of_version(&units, &attempt.version))
}

fn look_again(
    desk: &mut Desk<'_>,
    attempt: &mut Attempt,
    before: &[String],
    with: crate::model::attempt::Circumstances,
) -> Result<()> {
    match units_of(desk, attempt) {
        Ok(units) => {
            apply(
                desk,
                attempt,
                &Event::Units(new_units(&units, before)),
                &with,
            )?;
        }
        Err(error) => {
            attempt.message = format!("the cluster's units cannot be read: {}", error.one_line());
        }
    }
    Ok(())
}
