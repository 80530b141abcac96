//! `rollback APP`: back, never forward.

use super::deploy::{Order, carry_out, hold_for, resolve};
use super::{Invocation, under_lease};
use crate::artifactory::Artifactory;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, Ledger, Snapshot};
use crate::model::attempt::State;
use crate::model::rollback::{self, Past, Rollback};
use crate::output::Output;
use crate::pass::{self, Desk, Tally, World};

/// The `command` of attempts that a rollback makes.
const COMMAND: &str = "rollback";
/// How many attempts are looked through.
const HISTORY: u32 = 10_000;
/// Of how many other good versions it is found out whether their payload is still there.
const OTHERS: usize = 10;

/// Rolls one app back.
pub fn run(config: &Config, output: &Output, app: &str) -> Result<Exit> {
    under_lease(
        config,
        output,
        &Invocation::about(COMMAND, app),
        &mut |world, artifactory, desk, tally| {
            let (snapshot, were_open) = resolve(world, desk, tally)?;
            let mut history = desk.ledger.history(world.scope, Some(app), HISTORY)?;
            history.reverse();
            let past = past(desk.ledger, &history)?;
            let Some(found) = rollback::rollback(&past, world.config.rules.order) else {
                let what = format!("{app} was never deployed: there is nothing to roll back from");
                return Err(Error::usage(what));
            };
            let Some(to) = found.to else {
                return Err(none_left(world, artifactory, app, &found));
            };
            let order = Order {
                command: COMMAND,
                app,
                version: to,
                force: true,
                no_hold: false,
                above: Some(found.from),
            };
            if let Some(known) = standing(&history, &snapshot, app, to) {
                let was_open = |a: &Attempt| a.command == COMMAND && were_open.contains(&a.id);
                if history.last().is_some_and(was_open)
                    || pass::still_runs_alone(world, desk, known, &snapshot, tally)?
                {
                    return keep(world, artifactory, desk, tally, &snapshot, &order, known);
                }
            }
            carry_out(world, artifactory, desk, tally, &snapshot, &order, None)
                .map_err(|error| with_others(error, app, &found))
        },
    )
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
fn keep(
    world: &World<'_>,
    artifactory: &Artifactory,
    desk: &mut Desk<'_>,
    tally: &mut Tally,
    snapshot: &Snapshot,
    order: &Order<'_>,
    known: &Attempt,
) -> Result<()> {
    let (app, version) = (order.app, order.version);
    let hold = hold_for(
        world,
        artifactory,
        snapshot,
        order,
        order.above.unwrap_or(version),
    )?;
    let what = format!("{version} runs already; nothing was sent");
    let seen = Attempt {
        service_name: known.service_name.clone(),
        num_instances: known.num_instances,
        ..Attempt::recorded(app, version, State::Observed, COMMAND, &what)
    };
    desk.ledger
        .record(world.scope, &seen, Some(&hold), desk.lease.token())?;
    tally.deployed_already(app, version);
    let what = format!(
        "{app} {version} is deployed already; it is {}",
        hold.describe()
    );
    world.output.warning(&what);
    Ok(())
}

fn none_left(
    world: &World<'_>,
    artifactory: &Artifactory,
    app: &str,
    found: &Rollback<'_>,
) -> Error {
    let error = Error::usage(format!(
        "{app}: no good version before {} is left to roll back to",
        found.from
    ));
    let error = found
        .others
        .iter()
        .take(OTHERS)
        .fold(error, |error, (version, why)| {
            let gone = match pass::has_payload(world, artifactory, app, version) {
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
    if names.is_empty() || error.exit != Exit::Failed || error.hint.is_some() {
        return error;
    }
    error.hint(format!(
        "good before it: {}; `deploy {app} VERSION` deploys one of them",
        names.join(", ")
    ))
}
