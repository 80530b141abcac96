//! `scan`: what Artifactory offers beside what is deployed, and what a pass would do.

use serde::Serialize;

use super::context::Context;
use crate::config::Config;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::Access;
use crate::model::listing::{AppListing, Listing};
use crate::model::report::{Action, AppReport, Left, LeftAlone, Report};
use crate::model::version::Order;
use crate::output::Output;
use crate::pass::{self, ReportBuilder, Scanner};

/// The report of `scan`, with the names that were left alone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// What was left alone, the first few.
    ignored: Vec<&'a str>,
    /// How many there are.
    ignored_count: u64,
    /// Files that nobody meant as markers.
    other_files: u64,
    /// What the order can't know.
    notes: &'a [Note],
}

/// What a person should look at, because the order of versions can't tell.
#[derive(Serialize)]
struct Note {
    app: String,
    note: String,
}

/// Scans. Changes nothing anywhere.
pub(super) fn run(context: &Context<'_>, exit_code: bool) -> Result<Exit> {
    let (scope, config, output) = (context.scope()?, context.config, context.output);
    let rules = &config.rules;
    let (clock, mut releases) = (context.ports.clock(), context.ports.releases()?);
    releases.until(Deadline::new(clock.clone(), rules.max_duration));
    let mut ledger = context.ports.ledger(Access::ReadOnly)?;
    let snapshot = ledger.snapshot(scope)?;
    let detail = output.verbose() > 0 && !rules.filter.include.is_empty();
    let scan = Scanner {
        rules,
        scope,
        output,
        releases: releases.as_ref(),
        clock: clock.as_ref(),
    }
    .scan(ledger.as_mut(), &snapshot, detail)?;
    let mut builder = ReportBuilder::new("scan", clock);
    builder.plan(&scan);
    let (mut report, found) = builder.report(scope, None);
    report.complete = report.apps.iter().all(|a| a.action != Action::Unreadable);
    let exit = if exit_code && builder.any_due() {
        found.and(Exit::Pending)
    } else {
        found
    };
    report.exit_code = exit.code();
    if let Err(error) = pass::guard(rules, &scan.steps) {
        output.warning(&format!("a pass would stop here: {}", error.message));
    }
    let notes = notes(rules.order, &scan.listing);
    let left_alone = &scan.listing.left_alone;
    if output.is_json() {
        output.json(&Document {
            report: &report,
            ignored: left_alone.shown.iter().map(|l| l.name.as_str()).collect(),
            ignored_count: left_alone.count,
            other_files: scan.listing.others,
            notes: &notes,
        });
        return Ok(exit);
    }
    let rows: Vec<Vec<String>> = report.apps.iter().map(row).collect();
    if rows.is_empty() {
        output.line("no app has a marker");
    } else {
        output.table(&["APP", "DEPLOYED", "NEWEST", "ACTION", "WHY"], &rows);
    }
    if detail {
        for (app, listing) in &scan.listing.apps {
            markers(output, config, app, listing);
        }
    }
    for Note { app, note } in &notes {
        output.line(&format!("{app}: {note}"));
    }
    show_left_alone(output, &scan.listing);
    Ok(exit)
}

/// What the order of versions can't know of the newest markers.
fn notes(order: Order, listing: &Listing) -> Vec<Note> {
    let mut notes = Vec::new();
    for (app, offered) in &listing.apps {
        let Some(newest) = &offered.newest else {
            continue;
        };
        let mut add = |note: String| {
            let app = app.clone();
            notes.push(Note { app, note });
        };
        if let Some(later) = &offered.later {
            add(format!(
                "{later} was marked after {newest} and sorts lower: passes never take it (`scan --app {app} -v`)"
            ));
        }
        if let Some(word) = order.unknown_word(newest) {
            add(format!(
                "the order does not know the word {word} in {newest}: it is taken as a release, compared as text"
            ));
        }
    }
    notes
}

/// Names that were left alone, and why.
fn show_left_alone(output: &Output, listing: &Listing) {
    let LeftAlone { count, shown } = &listing.left_alone;
    if *count > 0 {
        output.line(&format!("left alone: {count}"));
    }
    for Left { name, why } in shown {
        output.line(&format!("  {name}: {why}"));
    }
    if *count > shown.len() as u64 {
        output.line(&format!("  and {} more", count - shown.len() as u64));
    }
    if listing.others > 0 {
        output.note(&format!(
            "{} other files are no markers: .deploy ends the name of one",
            listing.others
        ));
    }
}

fn row(app: &AppReport) -> Vec<String> {
    let or_dash = |v: &Option<String>| v.clone().unwrap_or_else(|| "-".into());
    vec![
        app.app.clone(),
        or_dash(&app.deployed),
        or_dash(&app.newest),
        app.action.as_str().into(),
        app.reason.clone(),
    ]
}

/// Every marker of one app, newest first: how its version is read, whether it is taken and why not.
fn markers(output: &Output, config: &Config, app: &str, listing: &AppListing) {
    let order = config.rules.order;
    let mut versions: Vec<&String> = listing.all.iter().flatten().collect();
    versions.sort_by(|a, b| order.key(b).cmp(&order.key(a)).then_with(|| b.cmp(a)));
    let mut rows: Vec<Vec<String>> = versions
        .into_iter()
        .map(|v| {
            let read = order.key(v).map_or_else(String::new, |k| k.to_string());
            let taken = if listing.newest.as_ref() == Some(v) {
                "taken: the newest"
            } else {
                "not taken: older, or equal to the newest"
            };
            vec![app.to_owned(), v.clone(), read, taken.to_owned()]
        })
        .collect();
    rows.extend(listing.left_alone.iter().map(|(v, why)| {
        vec![
            app.to_owned(),
            v.clone(),
            String::new(),
            format!("left alone: {why}"),
        ]
    }));
    output.table(&["APP", "MARKER", "READ AS", "TAKEN"], &rows);
}
