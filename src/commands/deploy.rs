//! `deploy APP VERSION`: this version now, whatever is newest.

use super::{Invocation, under_lease};
use crate::artifactory::Artifactory;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Ledger, Snapshot};
use crate::model::attempt::{Circumstances, Event, State, advance};
use crate::model::listing::{AppFilter, ListingBuilder};
use crate::model::plan::Hold;
use crate::output::Output;
use crate::pass::{self, Desk, Errand, Prepared, Tally, World, now_ms};

/// What an operator asks for.
pub(super) struct Order<'a> {
    pub(super) command: &'static str,
    pub(super) app: &'a str,
    pub(super) version: &'a str,
    pub(super) force: bool,
    pub(super) no_hold: bool,
}

/// Deploys one version.
pub(super) fn run(config: &Config, output: &Output, order: &Order<'_>) -> Result<Exit> {
    under_lease(
        config,
        output,
        &Invocation::of(order.command),
        &mut |world, artifactory, desk, tally| {
            let snapshot = settle(world, desk, tally, order.force.then_some(order.app))?;
            carry_out(world, artifactory, desk, tally, &snapshot, order)
        },
    )
}

/// Takes over, gives up an unknown attempt of `give_up`'s, and resolves what is open (else exit 4).
pub(super) fn settle(
    world: &World<'_>,
    desk: &mut Desk<'_>,
    tally: &mut Tally,
    give_up: Option<&str>,
) -> Result<Snapshot> {
    desk.ledger.take_over(world.scope, desk.lease.token())?;
    let mut snapshot = desk.ledger.snapshot(world.scope)?;
    tally.begin(&snapshot);
    if let Some(app) = give_up {
        let token = desk.lease.token();
        give_up_unknown(world.output, desk.ledger, token, &snapshot, app)?;
        snapshot = desk.ledger.snapshot(world.scope)?;
    }
    if snapshot.open.is_empty() {
        return Ok(snapshot);
    }
    if !pass::resolve_open(world, desk, &snapshot, tally)? {
        return Err(Error::new(
            Exit::Unknown,
            "an attempt of this scope is still open: nothing was sent",
        )
        .hint("`status` shows it; `deploy --force` of the same app gives up an `unknown` one"));
    }
    desk.ledger.snapshot(world.scope)
}

/// Gives up an `unknown` attempt of one app, on an operator's word.
pub(super) fn give_up_unknown(
    output: &Output,
    ledger: &mut dyn Ledger,
    token: i64,
    snapshot: &Snapshot,
    app: &str,
) -> Result<()> {
    for attempt in snapshot
        .open
        .iter()
        .filter(|a| a.app == app && a.state == State::Unknown)
    {
        let with = Circumstances {
            num_instances: attempt.num_instances as usize,
            age: std::time::Duration::ZERO,
            unknown_hold: None,
            quiet: false,
            abandoned_before: false,
        };
        if let Some(step) = advance(
            attempt.state,
            &Event::GivenUp("given up by an operator".into()),
            &with,
        ) {
            ledger.advance(&attempt.id, attempt.state, &step, attempt.counts, token)?;
            output.note(&format!(
                "{app}: attempt {} of {} is given up",
                attempt.id, attempt.version
            ));
        }
    }
    Ok(())
}

/// Deploys what was ordered, unless it is deployed already.
pub(super) fn carry_out(
    world: &World<'_>,
    artifactory: &Artifactory,
    desk: &mut Desk<'_>,
    tally: &mut Tally,
    snapshot: &Snapshot,
    order: &Order<'_>,
) -> Result<()> {
    let deployed = snapshot
        .records
        .get(order.app)
        .and_then(|r| r.deployed.clone());
    if deployed.as_deref() == Some(order.version) && !order.force {
        tally.deployed_already(order.app, order.version);
        if !world.output.is_json() {
            let what = format!("{} {} is deployed already", order.app, order.version);
            world.output.line(&what);
        }
        return Ok(());
    }
    let rules = &world.config.rules;
    let is_older = |d: &&str| rules.order.key(order.version) < rules.order.key(d);
    let place_hold = match deployed.as_deref().filter(is_older) {
        Some(deployed) if !order.no_hold => Some(hold_for(world, artifactory, order, deployed)?),
        _ => None,
    };
    tally.request(
        order.app,
        deployed,
        order.version,
        format!("asked for by `{}`", order.command),
    );
    match pass::prepare_one(
        world,
        artifactory,
        snapshot,
        order.app,
        order.version,
        false,
    )? {
        Prepared::Ready(ready) => {
            let errand = Errand {
                ready: &ready,
                command: order.command,
                respect_holds: false,
                place_hold,
                observe: !order.force,
            };
            let result = pass::deploy_one(world, desk, &errand, tally);
            if errand.place_hold.is_some() && tally.was_tried(order.app) {
                warn_of_hold(world, desk, order.app);
            }
            result
        }
        Prepared::Error(error, bad) => {
            tally.not_sent(order.app, Prepared::Error(error.clone(), bad));
            Err(error)
        }
        Prepared::Waiting(reason) => Err(Error::new(Exit::Failed, reason)),
    }
}

/// The hold that keeps passes from undoing a deploy of an older version: until a version newer than
/// the newest marker, and than `above`, is marked.
pub(super) fn hold_for(
    world: &World<'_>,
    artifactory: &Artifactory,
    order: &Order<'_>,
    above: &str,
) -> Result<Hold> {
    let rules = &world.config.rules;
    let filter = AppFilter {
        include: vec![order.app.to_owned()],
        exclude: Vec::new(),
    };
    let nothing = std::collections::BTreeMap::new();
    let builder = ListingBuilder::new(rules.order, filter, nothing, false);
    let unread = |e: Error| {
        e.because("an older version is held until one newer than the newest marker appears, so the markers must be read")
            .hint("`deploy --no-hold` deploys without a hold")
    };
    let mut listing = artifactory.list(builder).map_err(unread)?;
    let offered = listing.apps.remove(order.app).unwrap_or_default();
    if let Some(reason) = offered.unreadable {
        return Err(unread(Error::unavailable(reason)));
    }
    let key = |v: &str| rules.order.key(v);
    let newest = offered.newest.filter(|newest| key(newest) > key(above));
    Ok(Hold {
        reason: format!("`{}` of {}", order.command, order.version),
        until: None,
        newer_than: Some(newest.unwrap_or_else(|| above.to_owned())),
        placed_by: order.command.to_owned(),
        placed_at: now_ms(),
    })
}

/// Says what stands on an app now; a hold that was put is put beside the one that stood.
fn warn_of_hold(world: &World<'_>, desk: &mut Desk<'_>, app: &str) {
    match desk.ledger.snapshot(world.scope) {
        Ok(snapshot) => {
            if let Some(hold) = snapshot.holds.get(app) {
                let what = format!("{app} is {}", hold.describe());
                world.output.warning(&what);
            }
        }
        Err(error) => world.output.note(&format!("{app}: {}", error.one_line())),
    }
}
