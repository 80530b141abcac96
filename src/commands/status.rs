//! `status [APP]`: what the ledger holds.

use super::context::Context;
use super::names::Names;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Access, Ledger, Snapshot, documents};
use crate::model::plan::{EVERY_APP, Hold};
use crate::model::time;
use crate::output::json;

/// Shows what is deployed, open, held and failing, and who holds the lease.
pub(super) fn run(context: &Context<'_>, app: Option<&str>) -> Result<Exit> {
    let (scope, output, now) = (context.scope()?, context.output, context.now_ms());
    let mut ledger = context.ports.ledger(Access::ReadOnly)?;
    if output.is_json() && app.is_none() {
        return print_all(context, ledger.as_mut());
    }
    let mut snapshot = ledger.snapshot(scope)?;
    let lease = ledger.lease_info(scope)?;
    if let Some(app) = app {
        Names::new(context, &snapshot).check(app)?;
        snapshot.records.retain(|a, _| a == app);
        snapshot.latest.retain(|a, _| a == app);
        snapshot.holds.retain(|a, _| a == app || a == EVERY_APP);
        snapshot.open.retain(|a| a.app == app);
    } else {
        snapshot.drop_retired();
    }
    let stored = snapshot.holds.clone();
    snapshot.drop_ended_holds(context.config.rules.order, now);
    if output.is_json() {
        let mut listing = json::Listing::new("apps", true);
        let apps = listing.items(&documents::apps(&snapshot));
        let rest = documents::in_force(&snapshot, lease.as_ref());
        output.text(
            &(apps.map_err(|e| unwritten(&e))? + &listing.end(&rest).map_err(|e| unwritten(&e))?),
        );
        return Ok(Exit::Success);
    }
    let names: std::collections::BTreeSet<&String> = snapshot
        .records
        .keys()
        .chain(snapshot.latest.keys())
        .chain(snapshot.holds.keys())
        .filter(|name| *name != EVERY_APP)
        .collect();
    if let Some(hold) = snapshot.holds.get(EVERY_APP) {
        output.line(&format!("every app is {}", hold.describe()));
    }
    let ended = |app: &str| stored.get(app).filter(|_| output.verbose() > 0);
    let rows: Vec<Vec<String>> = names
        .iter()
        .map(|app| row(&snapshot, app, ended(app), now))
        .collect();
    if rows.is_empty() {
        output.line(&format!(
            "the ledger holds nothing of {}",
            app.map_or_else(|| scope.to_string(), |a| format!("{a} in {scope}"))
        ));
    } else {
        output.table(
            &["APP", "DEPLOYED", "LAST TRIED", "STATE", "WHEN", "NOTE"],
            &rows,
        );
    }
    for open in &snapshot.open {
        let (app, version, state) = (&open.app, &open.version, open.state.as_str());
        if snapshot.latest.get(app).is_none_or(|a| a.id != open.id) {
            output.line(&format!("open: the deploy of {app} {version} is {state}"));
        }
    }
    match lease {
        Some(info) if info.held => output.line(&format!(
            "lease: held by {} since {}",
            info.holder,
            time::rfc3339(info.since)
        )),
        Some(info) if output.verbose() > 0 => {
            output.line(&format!("lease: free; last held by {}", info.holder));
        }
        _ => {}
    }
    Ok(Exit::Success)
}

/// Prints the document of all apps while they are read, so that it takes little memory.
fn print_all(context: &Context<'_>, ledger: &mut dyn Ledger) -> Result<Exit> {
    let (scope, output) = (context.scope()?, context.output);
    let mut in_force = ledger.in_force(scope)?;
    in_force.drop_ended_holds(context.config.rules.order, context.now_ms());
    in_force.drop_retired();
    let lease = ledger.lease_info(scope)?;
    let mut listing = json::Listing::new("apps", true);
    let mut after = Some(String::new());
    while let Some(name) = after {
        let mut part = ledger.apps_after(scope, &name, documents::PART)?;
        part.apps.drop_retired();
        in_force.add_open(part.apps.open.drain(..));
        let apps = listing.items(&documents::apps(&part.apps));
        output.text(&apps.map_err(|e| unwritten(&e))?);
        after = part.last;
    }
    let rest = documents::in_force(&in_force, lease.as_ref());
    output.text(&listing.end(&rest).map_err(|e| unwritten(&e))?);
    Ok(Exit::Success)
}

fn unwritten(cause: &serde_json::Error) -> Error {
    Error::unavailable("the result cannot be written as JSON").because_of(cause)
}

/// A line of the table; a hold that has ended is told where it is given.
fn row(snapshot: &Snapshot, app: &str, ended: Option<&Hold>, now: i64) -> Vec<String> {
    let deployed = snapshot
        .records
        .get(app)
        .and_then(|r| r.deployed.clone())
        .unwrap_or_else(|| "-".into());
    let (tried, state, when, message) = snapshot.latest.get(app).map_or_else(
        || ("-".to_owned(), "-", "-".to_owned(), String::new()),
        |a| {
            (
                a.version.clone(),
                a.state.as_str(),
                time::ago(a.updated_at, now),
                a.message.clone(),
            )
        },
    );
    let note = match snapshot.holds.get(app) {
        Some(hold) => hold.describe(),
        None if !matches!(state, "succeeded" | "-") => message,
        None => ended.map_or_else(String::new, |hold| format!("no longer {}", hold.describe())),
    };
    vec![
        app.to_owned(),
        deployed,
        tried,
        state.to_owned(),
        when,
        note,
    ]
}
