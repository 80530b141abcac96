//! `deploy APP VERSION`: this version now, whatever is newest.

use super::settle::close;
use super::{Invocation, under_lease};
use crate::artifactory::Artifactory;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, Snapshot, operator};
use crate::model::attempt::{State, Word};
use crate::model::listing::{AppFilter, ListingBuilder};
use crate::model::plan::Hold;
use crate::output::Output;
use crate::pass::{self, Desk, Errand, Prepared, Tally, World, now_ms};

/// What an operator asks for.
pub(super) struct Order<'a> {
    pub(super) command: &'static str,
    pub(super) app: &'a str,
    pub(super) version: &'a str,
    /// Also where it is deployed already.
    pub(super) force: bool,
    pub(super) no_hold: bool,
    /// What it goes back from: passes are kept from deploying that again.
    pub(super) above: Option<&'a str>,
}

/// Deploys one version.
pub(super) fn run(config: &Config, output: &Output, order: &Order<'_>) -> Result<Exit> {
    under_lease(
        config,
        output,
        &Invocation::about(order.command, order.app),
        &mut |world, artifactory, desk, tally| {
            let prepared = if order.force {
                give_up_unknown(world, artifactory, desk, tally, order)?
            } else {
                None
            };
            let snapshot = match &prepared {
                // Nothing will be sent: what is wrong with the payload is what has to be told.
                Some(Prepared::Error(..) | Prepared::Waiting(_)) => begin(world, desk, tally)?,
                _ => resolve(world, desk, tally)?.0,
            };
            carry_out(world, artifactory, desk, tally, &snapshot, order, prepared)
        },
    )
}

/// Takes over, and reads the ledger.
fn begin(world: &World<'_>, desk: &mut Desk<'_>, tally: &mut Tally) -> Result<Snapshot> {
    desk.ledger.take_over(world.scope, desk.lease.token())?;
    let snapshot = desk.ledger.snapshot(world.scope)?;
    tally.begin(&snapshot);
    Ok(snapshot)
}

/// Takes over, and resolves what is open (else exit 4). Returns which attempts were open, too.
pub(super) fn resolve(
    world: &World<'_>,
    desk: &mut Desk<'_>,
    tally: &mut Tally,
) -> Result<(Snapshot, Vec<String>)> {
    let snapshot = begin(world, desk, tally)?;
    if snapshot.open.is_empty() {
        return Ok((snapshot, Vec::new()));
    }
    if !pass::resolve_open(world, desk, &snapshot, tally)? {
        return Err(Error::new(
            Exit::Unknown,
            "an attempt of this scope is still open: nothing was sent",
        )
        .hint(
            "`status` shows it; the next pass looks again, and `settle` closes it on your word",
        ));
    }
    let were_open = snapshot.open.into_iter().map(|a| a.id).collect();
    Ok((desk.ledger.snapshot(world.scope)?, were_open))
}

/// Gives up the `unknown` attempts of the app, once the payload that takes their place is ready.
fn give_up_unknown(
    world: &World<'_>,
    artifactory: &Artifactory,
    desk: &mut Desk<'_>,
    tally: &mut Tally,
    order: &Order<'_>,
) -> Result<Option<Prepared>> {
    let snapshot = begin(world, desk, tally)?;
    let is_unknown = |a: &Attempt| a.app == order.app && a.state == State::Unknown;
    if !snapshot.open.iter().any(is_unknown) {
        return Ok(None);
    }
    let (app, version) = (order.app, order.version);
    let prepared = pass::prepare_one(world, artifactory, &snapshot, app, version, false)?;
    if matches!(prepared, Prepared::Ready(_)) {
        let why = format!("given up for a deploy of {version} by {}", operator());
        let token = desk.lease.token();
        for attempt in close(
            desk.ledger,
            token,
            &snapshot,
            is_unknown,
            (Word::NotDeployed, &why),
        )? {
            let (id, version) = (&attempt.id, &attempt.version);
            world
                .output
                .warning(&format!("{app}: attempt {id} of {version} is given up"));
        }
    }
    Ok(Some(prepared))
}

/// Deploys what was ordered, unless it is deployed already.
pub(super) fn carry_out(
    world: &World<'_>,
    artifactory: &Artifactory,
    desk: &mut Desk<'_>,
    tally: &mut Tally,
    snapshot: &Snapshot,
    order: &Order<'_>,
    prepared: Option<Prepared>,
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
    let above = order.above.or(deployed.as_deref().filter(is_older));
    let place_hold = match above {
        Some(above) if !order.no_hold => {
            Some(hold_for(world, artifactory, snapshot, order, above)?)
        }
        _ => None,
    };
    tally.request(
        order.app,
        deployed,
        order.version,
        format!("asked for by `{}`", order.command),
    );
    let prepared = if let Some(prepared) = prepared {
        prepared
    } else {
        let (app, version) = (order.app, order.version);
        pass::prepare_one(world, artifactory, snapshot, app, version, false)?
    };
    match prepared {
        Prepared::Ready(ready) => {
            let errand = Errand {
                ready: &ready,
                command: order.command,
                respect_holds: false,
                place_hold,
                observe: None,
            };
            let result = pass::deploy_one(world, desk, &errand, tally);
            if let Some(hold) = errand
                .place_hold
                .as_ref()
                .filter(|_| tally.was_tried(order.app))
            {
                let what = format!("{} is {}", order.app, hold.describe());
                world.output.warning(&what);
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
/// the newest marker, and than `above`, is marked. No weaker than a hold that stands already.
pub(super) fn hold_for(
    world: &World<'_>,
    artifactory: &Artifactory,
    snapshot: &Snapshot,
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
    let hold = Hold {
        reason: format!("`{}` of {}", order.command, order.version),
        until: None,
        newer_than: Some(newest.unwrap_or_else(|| above.to_owned())),
        placed_by: order.command.to_owned(),
        placed_at: now_ms(),
    };
    let now = now_ms();
    let standing = snapshot
        .holds
        .get(order.app)
        .filter(|h| h.until.is_none_or(|until| until > now));
    Ok(hold.beside(standing, rules.order))
}
