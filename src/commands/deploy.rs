//! `deploy APP VERSION`: this version now, whatever is newest.

use super::under_lease;
use crate::artifactory::Artifactory;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::Snapshot;
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
        order.command,
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
        give_up_unknown(world, desk, &snapshot, app)?;
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
    world: &World<'_>,
    desk: &mut Desk<'_>,
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
            desk.ledger.advance(
                &attempt.id,
                attempt.state,
                &step,
                attempt.counts,
                desk.lease.token(),
            )?;
            world.output.note(&format!(
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
        if !world.output.is_json() {
            world.output.line(&format!(
                "{} {} is deployed already",
                order.app, order.version
            ));
        }
        return Ok(());
    }
    // A hold that ends only when it is released is not made weaker.
    let is_held = snapshot
        .holds
        .get(order.app)
        .is_some_and(|h| h.until.is_none() && h.newer_than.is_none());
    let place_hold = if order.no_hold || is_held {
        None
    } else {
        hold_for(world, artifactory, order, deployed.as_deref())?
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
            pass::deploy_one(world, desk, &errand, tally)?;
            if let Some(hold) = &errand.place_hold {
                world
                    .output
                    .warning(&format!("{} is {}", order.app, hold.describe()));
            }
            Ok(())
        }
        Prepared::Waiting(reason) => Err(Error::new(Exit::Failed, reason)),
        Prepared::Error(error, _) => Err(error),
    }
}

/// The hold that keeps passes from undoing a deploy of an older version.
pub(super) fn hold_for(
    world: &World<'_>,
    artifactory: &Artifactory,
    order: &Order<'_>,
    deployed: Option<&str>,
) -> Result<Option<Hold>> {
    let rules = &world.config.rules;
    let key = |v: &str| rules.order.key(v);
    let precedes = |than: &str| key(order.version) < key(than);
    let Some(deployed) = deployed.filter(|d| precedes(d)) else {
        return Ok(None);
    };
    let filter = AppFilter {
        include: vec![order.app.to_owned()],
        exclude: Vec::new(),
    };
    let builder = ListingBuilder::new(
        rules.order,
        filter,
        std::collections::BTreeMap::new(),
        false,
    );
    let listing = artifactory.list(builder).map_err(|e| {
        e.because("an older version is held until a newer one than the newest marker appears: the markers must be read")
            .hint("--no-hold deploys without")
    })?;
    let newest = listing.apps.get(order.app).and_then(|a| a.newest.clone());
    let bar = match newest {
        Some(newest) if key(&newest) > key(deployed) => newest,
        _ => deployed.to_owned(),
    };
    Ok(Some(Hold {
        reason: format!(
            "`{}` of {}, older than {deployed}",
            order.command, order.version
        ),
        until: None,
        newer_than: Some(bar),
        placed_by: order.command.to_owned(),
        placed_at: now_ms(),
    }))
}
