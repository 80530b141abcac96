//! `dry-run`: a pass up to, but without, the submit.

use std::collections::BTreeMap;

use serde::Serialize;

use super::context::Context;
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::ledger::Access;
use crate::model::plan::Step;
use crate::model::report::{Action, Report};
use crate::model::request::DeployRequest;
use crate::output::Output;
use crate::pass::{self, Interrupt, Prepared, Preparer, ReportBuilder, Scanner};

/// The report of `dry-run`, with what would be sent.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// By app; etcd values are `***` without `--show-values`.
    requests: &'a BTreeMap<String, DeployRequest>,
}

/// Downloads, verifies and renders every due payload and shows what would be sent. Changes nothing.
pub(super) fn run(context: &Context<'_>, show_values: bool, exit_code: bool) -> Result<Exit> {
    let (scope, output, rules) = (context.scope()?, context.output, &context.config.rules);
    let (clock, mut releases) = (context.ports.clock(), context.ports.releases()?);
    let deadline = Deadline::new(clock.clone(), rules.max_duration);
    releases.until(deadline.clone());
    let mut ledger = context.ports.ledger(Access::ReadOnly)?;
    let snapshot = ledger.snapshot(scope)?;
    let scan = Scanner {
        rules,
        scope,
        output,
        releases: releases.as_ref(),
        clock: clock.as_ref(),
    }
    .scan(ledger.as_mut(), &snapshot, false)?;
    scan.tell_left_alone(output);
    let mut builder = ReportBuilder::new("dry-run", clock.clone());
    builder.begin(&snapshot);
    builder.plan(&scan);
    let due: Vec<&Step> = scan.steps.iter().filter(|s| s.is_deploy()).collect();
    let guarded = pass::guard(rules, &scan.steps).err();
    let preparer = Preparer {
        releases: releases.as_ref(),
        scope,
        output,
        bad_payloads: &snapshot.bad_payloads,
        payload_wait: rules.payload_wait,
        interrupt: &Interrupt::none(),
        deadline: &deadline,
    };
    let mut requests = BTreeMap::new();
    let mut services = pass::services(&snapshot);
    for (step, prepared) in due.iter().zip(preparer.all(&due)) {
        match prepared? {
            Prepared::Ready(ready) => {
                if let Some(taken) = pass::service_taken(&services, &snapshot, &ready) {
                    let error = Error::new(Kind::Failed, taken);
                    builder.not_sent(&step.app, Prepared::Error(error, None));
                    continue;
                }
                services.insert(ready.request.service_name.clone(), ready.app.clone());
                let mut request = ready.request;
                if !show_values {
                    request
                        .etcd2_keys
                        .values_mut()
                        .for_each(|value| "***".clone_into(value));
                }
                requests.insert(step.app.clone(), request);
            }
            other => builder.not_sent(&step.app, other),
        }
    }
    let (mut report, found) = builder.report(scope, guarded.as_ref());
    report.complete = report.apps.iter().all(|a| a.action != Action::Unreadable);
    let exit = if exit_code && !requests.is_empty() {
        found.and(Exit::Pending)
    } else {
        found
    };
    report.exit_code = exit.code();
    output.file(&report);
    if let Some(error) = &guarded {
        output.error(error);
    }
    if output.is_json() {
        output.json(&Document {
            report: &report,
            requests: &requests,
        });
        return Ok(exit);
    }
    for app in report
        .apps
        .iter()
        .filter(|a| !requests.contains_key(&a.app))
    {
        if let Some(error) = &app.error {
            output.line(&format!(
                "{} {}: cannot be deployed: {error}",
                app.app,
                app.newest.as_deref().unwrap_or("-")
            ));
        } else if app.failing || output.verbose() > 0 {
            output.line(&format!(
                "{}: {}: {}",
                app.app,
                app.action.as_str(),
                app.reason
            ));
        }
    }
    for (app, request) in &requests {
        show(output, app, request);
    }
    if requests.is_empty() && (output.stdout_is_terminal() || output.verbose() > 0) {
        output.line("nothing would be sent");
    }
    Ok(exit)
}

fn show(output: &Output, app: &str, request: &DeployRequest) {
    output.line(&format!(
        "{app} {}: would be sent as service {}, {} unit{}",
        request.version,
        request.service_name,
        request.num_instances,
        if request.num_instances == 1 { "" } else { "s" }
    ));
    for (key, value) in &request.etcd2_keys {
        output.line(&format!("  etcd {key} = {value}"));
    }
    if output.verbose() > 0 {
        for line in request.service_template.lines() {
            output.line(&format!("  | {line}"));
        }
    }
}
