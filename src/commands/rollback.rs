//! `rollback APP`: back, never forward.

use super::context::Context;
use super::deploy::{Asked, carry_out, hold_for, resolve, warn_of_hold};
use super::in_session;
use super::names::with_nearest;
use super::operator::operator;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, Ledger, Snapshot};
use crate::model::attempt::State;
use crate::model::plan;
use crate::model::rollback::{self, Past, Rollback};
use crate::pass::{self, Invocation, Session};

/// The `command` of attempts that a rollback makes.
const COMMAND: &str = "rollback";
/// Of how many other good versions it is found out whether their payload is still there.
const OTHERS: usize = 10;

/// Rolls one app back.
pub fn run(context: &Context<'_>, app: &str) -> Result<Exit> {
    let invocation = Invocation::about(COMMAND, app, operator());
    in_session(context, &invocation, |session| {
        let (snapshot, were_open) = resolve(session, |_| false)?;
        let mut history = session
            .ledger
            .history(session.scope, Some(app), pass::HISTORY)?;
        history.retain(|attempt| attempt.state != State::Retired);
        history.reverse();
        let past = past(session.ledger.as_mut(), &history)?;
        let Some(found) = rollback::rollback(&past, session.rules.order) else {
            let what = format!("{app} was never deployed: there is nothing to roll back from");
            return Err(with_nearest(Error::usage(what), &snapshot, app));
        };
        let Some(to) = found.to else {
            return Err(none_left(session, app, &found));
        };
        let asked = Asked {
            command: COMMAND,
            app,
            version: to,
            force: true,
            no_hold: false,
            back_from: Some(found.from),
        };
        if let Some(known) = standing(&history, &snapshot, app, to) {
            let just_ended_well = known.command == COMMAND && were_open.contains(&known.id);
            if just_ended_well || pass::still_runs_alone(session, known)? {
                return keep(session, &asked, known);
            }
        }
        carry_out(session, &snapshot, &asked).map_err(|error| with_others(error, app, &found))
    })
}

/// The attempts of an app, oldest first, as the rules of a rollback see them.
fn past<'a>(ledger: &mut dyn Ledger, history: &'a [Attempt]) -> Result<Vec<Past<'a>>> {
    history
        .iter()
        .map(|attempt| {
            let (rollback, good) = (attempt.command == COMMAND, attempt.state.is_deployed());
            // Its end was recorded under the lease of the command that made it, or of a later one.
            let seen_to_end = rollback
                && good
                && ledger
                    .events(&attempt.id)?
                    .last()
                    .is_some_and(|end| end.token == attempt.token);
            Ok(Past {
                version: &attempt.version,
                reached: attempt.state != State::Refused,
                good,
                rollback,
                seen_to_end,
            })
        })
        .collect()
}

/// The attempt that deployed the target, where that is what the ledger has as deployed.
fn standing<'a>(
    history: &'a [Attempt],
    snapshot: &Snapshot,
    app: &str,
    target: &str,
) -> Option<&'a Attempt> {
    let deployed = snapshot.records.get(app)?.deployed.as_deref();
    let mut good = history.iter().rev().filter(|a| a.state.is_deployed());
    good.find(|a| deployed == Some(target) && a.version == target)
}

/// Keeps what runs: a hold, and the record that the rollback ended well.
fn keep(session: &mut Session<'_>, asked: &Asked<'_>, known: &Attempt) -> Result<()> {
    let (app, version) = (asked.app, asked.version);
    let hold = hold_for(session, asked, asked.back_from.unwrap_or(version))?;
    let what = format!("{version} runs already; nothing was sent");
    let seen = Attempt {
        service_name: known.service_name.clone(),
        num_instances: known.num_instances,
        asked_by: session.asked_by.clone(),
        ..Attempt::new(
            app,
            version,
            State::Observed,
            (COMMAND, &what),
            session.clock.as_ref(),
        )
    };
    let (hold, fence) = (Some((&hold, session.rules.order)), session.lease.fence());
    let other_name = session.ledger.record(session.scope, &seen, hold, fence)?;
    if let Some(row) = other_name {
        return Err(Error::new(Kind::Failed, plan::name_taken(&row)));
    }
    session.report().deployed_already(app, version);
    let what = format!("{app} {version} is deployed already; nothing was sent");
    session.output.warning(&what);
    warn_of_hold(session, app);
    Ok(())
}

fn none_left(session: &Session<'_>, app: &str, found: &Rollback<'_>) -> Error {
    let error = Error::usage(format!(
        "{app}: no good version before {} is left to roll back to",
        found.from
    ));
    let others = found.others.iter().take(OTHERS);
    let error = others.fold(error, |error, (version, why)| {
        let releases = session.releases.as_ref();
        let gone = match pass::has_payload(releases, session.scope, app, version) {
            Ok(false) => ", its payload is gone from Artifactory",
            _ => "",
        };
        error.because(format!("{version} was good: {why}{gone}"))
    });
    error.hint("`deploy APP VERSION` deploys any version whose payload is there")
}

/// Adds what else could be deployed to an error of the target's payload.
fn with_others(error: Error, app: &str, found: &Rollback<'_>) -> Error {
    let older = found.others.iter().filter(|(_, why)| *why == "older");
    let names: Vec<&str> = older.map(|(version, _)| *version).take(OTHERS).collect();
    if names.is_empty() || error.kind != Kind::Failed || error.hint.is_some() {
        return error;
    }
    error.hint(format!(
        "good before it: {}; `deploy {app} VERSION` deploys one of them",
        names.join(", ")
    ))
}
