//! `forget APP`: the app is retired.

use serde_json::json;

use super::context::Context;
use super::names::{Names, known_before, unknown};
use super::operator::operator;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, FORGET, Snapshot};
use crate::model::attempt::State;
use crate::model::listing::Listing;
use crate::model::plan;
use crate::pass::{open_to_write, take_lease};

/// Retires an app without markers: it is no longer shown or compared. Sends nothing; what runs,
/// runs on.
pub(super) fn run(context: &Context<'_>, app: &str) -> Result<Exit> {
    let (scope, output, ports) = (context.scope()?, context.output, context.ports);
    let before = known_before(context)?;
    if !before.latest.contains_key(app) {
        return Err(nothing_of(context, &before, app)?);
    }
    let mut ledger = open_to_write(ports, output)?;
    let lease = take_lease(
        ledger.as_mut(),
        scope,
        output,
        &context.config.rules,
        ports.clock().as_ref(),
        &[app],
    )?;
    ledger.take_over(scope, lease.fence())?;
    let snapshot = ledger.snapshot(scope)?;
    let is_new = !snapshot.is_retired(app);
    if is_new {
        refuse_what_is_open(&snapshot, app)?;
        refuse_what_is_marked(&markers(context, &snapshot, app)?, app)?;
        let retired = retired(&snapshot, app, context)?;
        let other_name = ledger.record(scope, &retired, None, lease.fence())?;
        if let Some(row) = other_name {
            return Err(Error::new(Kind::Failed, plan::name_taken(&row)));
        }
    }
    if output.is_json() {
        output.json(&json!({ "app": app, "retired": true, "changed": is_new }));
    } else if is_new {
        output.line(&format!("{app} is retired; its history stays"));
    } else {
        output.line(&format!("{app} is retired already"));
    }
    Ok(Exit::Success)
}

/// What the history of the app ends with. Its version is what was deployed last, else what was
/// tried last.
fn retired(snapshot: &Snapshot, app: &str, context: &Context<'_>) -> Result<Attempt> {
    let latest = snapshot.latest.get(app);
    let latest = latest.ok_or_else(|| Error::usage(format!("the ledger has nothing of {app}")))?;
    let deployed = snapshot.records.get(app).and_then(|r| r.deployed.as_ref());
    let (operator, clock) = (operator(), context.ports.clock());
    let message = format!("retired by {operator}");
    let version = deployed.unwrap_or(&latest.version);
    let made = (FORGET, message.as_str());
    Ok(Attempt {
        asked_by: Some(operator),
        ..Attempt::new(app, version, State::Retired, made, clock.as_ref())
    })
}

/// Why there is nothing to forget (exit 2): nobody knows the app, or the markers alone do.
fn nothing_of(context: &Context<'_>, snapshot: &Snapshot, app: &str) -> Result<Error> {
    let names = Names::new(context, snapshot);
    // A name that nobody knows is told as such, whether or not the markers can be read.
    let listing = names.markers().unwrap_or_default();
    if !listing.apps.contains_key(app) && !snapshot.knows(app) {
        return Ok(unknown(snapshot, &listing, context.scope()?, app));
    }
    refuse_what_is_marked(&listing, app)?;
    Ok(Error::usage(format!(
        "the ledger has no attempt of {app}: there is nothing to forget"
    )))
}

/// What is marked. That there is no marker at all is believed where no other app is deployed.
fn markers(context: &Context<'_>, snapshot: &Snapshot, app: &str) -> Result<Listing> {
    let mut others = snapshot.clone();
    others.records.remove(app);
    Names::new(context, &others).markers()
}

/// Errors (exit 4): an attempt whose outcome is not known.
fn refuse_what_is_open(snapshot: &Snapshot, app: &str) -> Result<()> {
    let Some(open) = snapshot.open.iter().find(|open| open.app == app) else {
        return Ok(());
    };
    let (version, state) = (&open.version, open.state.as_str());
    let what = format!("{app}: the attempt of {version} is {state}: nothing was done");
    Err(Error::new(Kind::Unknown, what)
        .hint("a pass finds out what became of it, and `settle` closes it on your word"))
}

/// Errors: an app that has markers (exit 2), or of which that can't be told (exit 69).
fn refuse_what_is_marked(listing: &Listing, app: &str) -> Result<()> {
    let Some(offered) = listing.apps.get(app) else {
        return Ok(());
    };
    if let Some(reason) = &offered.unreadable {
        let what = format!("whether {app} has markers is not known");
        return Err(Error::unavailable(what).because(reason));
    }
    let left_alone = offered.left_alone.first().map(|(version, _)| version);
    let Some(version) = offered.newest.as_ref().or(left_alone) else {
        return Ok(());
    };
    Err(
        Error::usage(format!("{app} has markers: it cannot be retired"))
            .because(format!("{version} is marked"))
            .hint(format!(
                "`hold {app}` keeps passes from deploying it, and --exclude-app has them leave it out"
            )),
    )
}
