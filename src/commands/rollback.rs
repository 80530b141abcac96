//! `rollback APP`: the last good version before the one last tried.

use super::deploy::{Order, carry_out, hold_for, settle};
use super::{Invocation, under_lease};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::model::attempt::State;
use crate::output::Output;

/// How many attempts are looked through.
const HISTORY: u32 = 10_000;

/// Rolls one app back.
pub fn run(config: &Config, output: &Output, app: &str) -> Result<Exit> {
    under_lease(
        config,
        output,
        &Invocation::of("rollback"),
        &mut |world, artifactory, desk, tally| {
            let snapshot = settle(world, desk, tally, None)?;
            let history = desk.ledger.history(world.scope, Some(app), HISTORY)?;
            let Some(tried) = history.first().map(|a| a.version.clone()) else {
                return Err(Error::usage(format!(
                    "{app} has no history: there is nothing to roll back to"
                )));
            };
            let good = |state: State| state.is_deployed();
            let Some(target) = history.iter().find(|a| a.version != tried && good(a.state)) else {
                return Err(Error::usage(format!(
                    "{app}: no good version before {tried} is known"
                ))
                .hint("`deploy APP VERSION` deploys any version whose payload is there"));
            };
            let version = target.version.clone();
            let deployed = snapshot.records.get(app).and_then(|r| r.deployed.clone());
            let order = Order {
                command: "rollback",
                app,
                version: &version,
                force: false,
                no_hold: false,
            };
            if deployed.as_deref() == Some(version.as_str()) {
                // The try of the newer version failed, so this one still runs: keep it there.
                let hold = hold_for(world, artifactory, &order, &tried)?;
                let rules = &world.config.rules;
                let hold = desk.ledger.hold(world.scope, app, &hold, rules.order)?;
                tally.deployed_already(app, &version);
                let what = format!(
                    "{app} {version} is deployed already; it is {}",
                    hold.describe()
                );
                world.output.warning(&what);
                return Ok(());
            }
            carry_out(world, artifactory, desk, tally, &snapshot, &order)
        },
    )
}
