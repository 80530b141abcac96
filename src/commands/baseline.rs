//! `baseline [APP[=VERSION]…]`: records as deployed without deploying.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::names::Names;
use super::operator::operator;
use super::settle::close;
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, Ledger, Snapshot};
use crate::model::attempt::{State, Word};
use crate::model::listing::AppListing;
use crate::model::plan;
use crate::output::Output;
use crate::pass::{self, Scanner};

/// Records versions as deployed: the newest markers of apps that the ledger doesn't know, or the
/// ones that are named. Sends nothing to coreos-deploy.
pub(super) fn run(context: &Context<'_>, named: &[String], new: bool) -> Result<Exit> {
    let (scope, output, ports) = (context.scope()?, context.output, context.ports);
    let rules = &context.config.rules;
    let mut ledger = pass::open_to_write(ports, output)?;
    let wanted = parse(named);
    refuse_twice(&wanted)?;
    let apps: Vec<&str> = wanted.iter().map(|(app, _)| app.as_str()).collect();
    let lease = pass::take_lease(
        ledger.as_mut(),
        scope,
        output,
        rules,
        ports.clock().as_ref(),
        &apps,
    )?;
    ledger.take_over(scope, lease.fence())?;
    let snapshot = ledger.snapshot(scope)?;
    let newest = if wanted.is_empty() || wanted.iter().any(|(_, v)| v.is_none()) {
        markers(context, ledger.as_mut(), &snapshot)?
    } else {
        BTreeMap::new()
    };
    let known = Names::new(context, &snapshot).or("--new records an app that nobody knows.");
    if !new {
        let apps: Vec<&str> = wanted.iter().map(|(app, _)| app.as_str()).collect();
        known.check_all(&apps)?;
    }
    let newest_of = |app: &str| newest.get(app).and_then(|a| a.newest.clone());
    let mut records: Vec<(String, String)> = Vec::new();
    if wanted.is_empty() {
        let unknown = newest
            .keys()
            .filter(|app| !snapshot.latest.contains_key(*app));
        records.extend(unknown.filter_map(|app| Some((app.clone(), newest_of(app)?))));
    }
    for (app, version) in wanted.clone() {
        let version = version.or_else(|| newest_of(&app)).ok_or_else(|| {
            Error::usage(format!("{app} has no marker in Artifactory"))
                .hint(format!("name the version: `baseline {app}=VERSION`"))
        })?;
        records.push((app, version));
    }
    refuse_what_is_open(&snapshot, &records)?;
    if !named.is_empty() {
        for (app, version) in &records {
            let which = |a: &Attempt| a.app == *app && a.state == State::Unknown;
            let of_it = |a: &Attempt| which(a) && a.version == *version;
            let other = |a: &Attempt| which(a) && a.version != *version;
            let why = format!("{version} was recorded as deployed by {}", operator());
            let (fence, nothing) = (lease.fence(), BTreeSet::new());
            close(
                ledger.as_mut(),
                fence,
                &snapshot,
                of_it,
                (Word::Deployed, &why, &nothing),
            )?;
            close(
                ledger.as_mut(),
                fence,
                &snapshot,
                other,
                (Word::NotDeployed, &why, &nothing),
            )?;
        }
    }
    let (clock, operator) = (ports.clock(), operator());
    let mut attempts = Vec::new();
    for (app, version) in &records {
        let message = format!("recorded as deployed by {operator}");
        let said = ("baseline", message.as_str());
        let mut attempt = Attempt {
            asked_by: Some(operator.clone()),
            ..Attempt::new(app, version, State::Baseline, said, clock.as_ref())
        };
        let known = Attempt {
            service_name: service_of(&snapshot, app),
            ..attempt.clone()
        };
        attempt.accounted = pass::beside(
            ports,
            ledger.as_mut(),
            (scope, context.config.rules.order),
            &snapshot,
            &known,
        )?;
        attempts.push(attempt);
    }
    if let Some((at, row)) = ledger.record_all(scope, &attempts, lease.fence())? {
        let (app, version) = &records[at];
        return Err(Error::new(
            Kind::Failed,
            format!("nothing was recorded: {app} {version} cannot be"),
        )
        .because(plan::name_taken(&row))
        .hint("leave it out with --exclude-app, or name the apps that are meant"));
    }
    show(output, &records);
    Ok(Exit::Success)
}

/// The service of an app, as far as the ledger knows; else empty.
fn service_of(snapshot: &Snapshot, app: &str) -> String {
    let noted = snapshot.unaccounted.get(app).map(|n| &n.service_name);
    let latest = snapshot.latest.get(app).map(|a| &a.service_name);
    noted.or(latest).cloned().unwrap_or_default()
}

/// What Artifactory offers, by app.
fn markers(
    context: &Context<'_>,
    ledger: &mut dyn Ledger,
    snapshot: &Snapshot,
) -> Result<BTreeMap<String, AppListing>> {
    let (rules, clock) = (&context.config.rules, context.ports.clock());
    let mut releases = context.ports.releases()?;
    releases.until(Deadline::new(clock.clone(), rules.max_duration));
    let scanner = Scanner {
        rules,
        scope: context.scope()?,
        output: context.output,
        releases: releases.as_ref(),
        clock: clock.as_ref(),
    };
    Ok(scanner.scan(ledger, snapshot, false)?.listing.apps)
}

/// Errors (exit 2): an app that is named twice.
fn refuse_twice(wanted: &[(String, Option<String>)]) -> Result<()> {
    let is_again = |at: usize| wanted[..at].iter().any(|(app, _)| *app == wanted[at].0);
    match (0..wanted.len()).find(|at| is_again(*at)) {
        Some(at) => Err(Error::usage(format!("{} is named twice", wanted[at].0))),
        None => Ok(()),
    }
}

/// Errors (exit 4): an attempt of one of the apps that a pass may still find out about.
fn refuse_what_is_open(snapshot: &Snapshot, records: &[(String, String)]) -> Result<()> {
    let is_in_the_way = |open: &&Attempt| {
        open.state != State::Unknown && records.iter().any(|(app, _)| *app == open.app)
    };
    let Some(open) = snapshot.open.iter().find(is_in_the_way) else {
        return Ok(());
    };
    let (app, id, version) = (&open.app, &open.id, &open.version);
    let what = format!(
        "{app}: attempt {id} of {version} is {}",
        open.state.as_str()
    );
    Err(Error::new(Kind::Unknown, what).hint(
        "a pass finds out what became of it, and `settle` closes it on your word; nothing was recorded",
    ))
}

fn parse(named: &[String]) -> Vec<(String, Option<String>)> {
    named
        .iter()
        .map(|word| {
            let (app, version) = word
                .split_once('=')
                .map_or((word.as_str(), None), |(a, v)| (a, Some(v)));
            (app.to_owned(), version.map(str::to_owned))
        })
        .collect()
}

fn show(output: &Output, records: &[(String, String)]) {
    if output.is_json() {
        let apps: Vec<_> = records
            .iter()
            .map(|(a, v)| serde_json::json!({"app": a, "version": v}))
            .collect();
        return output.json(&serde_json::json!({ "baseline": apps }));
    }
    for (app, version) in records {
        output.line(&format!("{app} {version} is recorded as deployed"));
    }
    if records.is_empty() {
        output.line("every app with a marker is in the ledger already: nothing was recorded");
    }
}
