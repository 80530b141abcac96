//! `scan`: what Artifactory offers beside what is deployed, and what a pass would do.

use serde::Serialize;

use super::context::Context;
use crate::config::Config;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::Access;
use crate::model::listing::{AppListing, Listing};
use crate::model::report::{Action, AppReport, Report};
use crate::output::Output;
use crate::pass::{self, ReportBuilder, Scanner};

/// The report of `scan`, with what was left alone.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// Names that are no app's or no version's, the first few.
    ignored: &'a [String],
    /// How many there are.
    ignored_count: u64,
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
    if output.is_json() {
        let Listing {
            ignored,
            ignored_count,
            ..
        } = &scan.listing;
        output.json(&Document {
            report: &report,
            ignored,
            ignored_count: *ignored_count,
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
    if scan.listing.ignored_count > 0 {
        output.line(&format!(
            "left alone, being no name of an app or a version: {}",
            scan.listing.ignored_count
        ));
        scan.listing
            .ignored
            .iter()
            .for_each(|name| output.line(&format!("  {name}")));
    }
    Ok(exit)
}

fn row(app: &AppReport) -> Vec<String> {
    let or_dash = |v: &Option<String>| v.clone().unwrap_or_else(|| "-".into());
    vec![
        app.app.clone(),
        or_dash(&app.deployed),
        or_dash(&app.newest),
        word(app.action).into(),
        app.reason.clone(),
    ]
}

/// An action as `--output json` spells it.
pub(super) const fn word(action: Action) -> &'static str {
    match action {
        Action::New => "new",
        Action::Upgrade => "upgrade",
        Action::Retry => "retry",
        Action::Resume => "resume",
        Action::Waiting => "waiting",
        Action::GivenUp => "given-up",
        Action::UpToDate => "up-to-date",
        Action::Ahead => "ahead",
        Action::Gone => "gone",
        Action::Held => "held",
        Action::Unaccounted => "unaccounted",
        Action::Unreadable => "unreadable",
        Action::Requested => "requested",
    }
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
