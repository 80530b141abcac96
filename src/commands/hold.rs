//! `hold APP` and `release APP`.

use std::time::Duration;

use serde_json::json;

use super::context::Context;
use super::names::{Names, known_before};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::Snapshot;
use crate::model::plan::{EVERY_APP, Hold, NO_REASON};
use crate::output::Output;
use crate::pass::open_to_write;

/// A hold that ends sooner has ended before anybody looks, in milliseconds.
const SHORTEST: i64 = 1000;

/// The hold that an operator asks for.
pub(super) struct Wanted<'a> {
    pub(super) app: &'a str,
    pub(super) for_: Option<Duration>,
    pub(super) newer_than: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    /// The app need not be known yet.
    pub(super) new: bool,
}

impl Wanted<'_> {
    /// Errors (exit 2): a hold that would hold nothing, whatever the markers are.
    fn hold(&self, config: &Config, now: i64) -> Result<Hold> {
        let milliseconds = self.for_.map(|time| i64::try_from(time.as_millis()));
        let time = milliseconds.map(|ms| ms.unwrap_or(i64::MAX));
        if time.is_some_and(|time| time < SHORTEST) {
            return Err(Error::usage(
                "a hold --for less than a second would hold nothing",
            ));
        }
        let order = config.rules.order;
        if let Some(version) = self.newer_than.filter(|v| order.key(v).is_none()) {
            let order = order.as_str();
            return Err(
                Error::usage(format!("--newer-than cannot be {version}")).because(format!(
                    "the order {order} cannot compare it with a version"
                )),
            );
        }
        Ok(Hold {
            reason: self.reason.unwrap_or(NO_REASON).to_owned(),
            until: time.map(|time| now.saturating_add(time)),
            newer_than: self.newer_than.map(str::to_owned),
            placed_by: "hold".to_owned(),
            placed_at: now,
        })
    }
}

/// Keeps passes from deploying an app.
pub(super) fn hold(context: &Context<'_>, wanted: &Wanted<'_>) -> Result<Exit> {
    let (app, scope) = (wanted.app, context.scope()?);
    let (config, output) = (context.config, context.output);
    let hold = wanted.hold(config, context.now_ms())?;
    let snapshot = known_before(context)?;
    let names = Names::new(context, &snapshot).or("--new holds an app ahead of its first release.");
    if app != EVERY_APP {
        check_against_markers(&names, output, wanted, &hold)?;
    }
    let order = config.rules.order;
    let standing = open_to_write(context.ports, output)?.hold(scope, app, &hold, order)?;
    if output.is_json() {
        output.json(&json!({"app": app, "held": true, "reason": standing.reason, "until": standing.until, "newerThan": standing.newer_than}));
        return Ok(Exit::Success);
    }
    output.line(&format!("{} is {}", shown(app), standing.describe()));
    if standing.until != hold.until || standing.newer_than != hold.newer_than {
        tell_what_stood(output, &snapshot, app);
    }
    Ok(Exit::Success)
}

/// A hold's app, as people read it.
fn shown(app: &str) -> &str {
    if app == EVERY_APP { "every app" } else { app }
}

/// Says why an app is held for longer than was asked for.
fn tell_what_stood(output: &Output, snapshot: &Snapshot, app: &str) {
    let stood = match snapshot.holds.get(app) {
        Some(hold) => format!("{} was {} already", shown(app), hold.describe()),
        None => format!("{} was held already", shown(app)),
    };
    let by = if app == EVERY_APP { "--all" } else { app };
    output.warning(&format!(
        "{stood}: a hold only ends as it said, or by `release {by}`"
    ));
}

/// Errors (exit 2): an app that nobody knows, a hold that does not hold the newest marker. Where
/// the markers are needed and can't be read, what was asked for is done, with a warning.
fn check_against_markers(
    names: &Names<'_>,
    output: &Output,
    wanted: &Wanted<'_>,
    hold: &Hold,
) -> Result<()> {
    let app = wanted.app;
    if !wanted.new {
        names.check_scope(app)?;
    }
    let is_known = wanted.new || names.snapshot.knows(app);
    if is_known && wanted.newer_than.is_none() {
        return Ok(());
    }
    let listing = match names.markers() {
        Ok(listing) => listing,
        Err(error) => {
            let what = if is_known {
                format!("whether {app} is held now is not known")
            } else {
                format!("the ledger does not know {app}; whether there is such an app is not known")
            };
            let why = error.one_line();
            output.warning(&format!("{what}, since the markers cannot be read: {why}"));
            return Ok(());
        }
    };
    if !wanted.new {
        names.check_among(&listing, app)?;
    }
    let order = names.context.config.rules.order;
    let newest = listing.apps.get(app).and_then(|app| app.newest.as_deref());
    match (newest, wanted.newer_than) {
        (Some(newest), Some(than)) if !hold.stops(order, newest, hold.placed_at) => Err(
            Error::usage(format!("{app}: --newer-than {than} would hold nothing"))
                .because(format!("{newest} is marked, which is newer"))
                .hint(format!("--newer-than {newest} holds it")),
        ),
        _ => Ok(()),
    }
}

/// Lifts a hold.
pub(super) fn release(context: &Context<'_>, app: &str) -> Result<Exit> {
    let (scope, output) = (context.scope()?, context.output);
    let snapshot = known_before(context)?;
    if app != EVERY_APP {
        Names::new(context, &snapshot).check(app)?;
    }
    let lifted = open_to_write(context.ports, output)?.release(scope, app)?;
    if output.is_json() {
        output.json(&json!({"app": app, "held": false, "lifted": lifted}));
    } else if lifted {
        output.line(&format!("{} is released", shown(app)));
    } else {
        output.line(&format!("{} was not held", shown(app)));
    }
    Ok(Exit::Success)
}
