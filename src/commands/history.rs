//! `history [APP]`: every attempt, newest first.

use serde_json::{Value, json};

use crate::config::Config;
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::{self, Access, Attempt};
use crate::model::time;
use crate::output::Output;

/// Shows attempts; with `-v`, every move of each.
pub fn run(config: &Config, output: &Output, app: Option<&str>, limit: usize) -> Result<Exit> {
    let scope = config.scope()?;
    let mut ledger = ledger::open(&config.dsn, Access::ReadOnly)?;
    let attempts = ledger.history(scope, app, u32::try_from(limit).unwrap_or(u32::MAX))?;
    if output.is_json() {
        output.json(&json!({ "attempts": attempts.iter().map(attempt).collect::<Vec<_>>() }));
        return Ok(Exit::Success);
    }
    if attempts.is_empty() {
        output.line("no attempt is recorded");
        return Ok(Exit::Success);
    }
    let mut rows = Vec::new();
    for a in &attempts {
        rows.push(vec![
            time::rfc3339(a.created_at),
            a.app.clone(),
            a.version.clone(),
            a.state.as_str().to_owned(),
            a.command.clone(),
            a.message.clone(),
        ]);
        if output.verbose() > 0 {
            for event in ledger.events(&a.id)? {
                rows.push(vec![
                    time::rfc3339(event.at),
                    String::new(),
                    String::new(),
                    event.state.as_str().to_owned(),
                    String::new(),
                    event.message,
                ]);
            }
        }
    }
    output.table(&["WHEN", "APP", "VERSION", "STATE", "BY", "NOTE"], &rows);
    Ok(Exit::Success)
}

/// An attempt as JSON.
pub(super) fn attempt(a: &Attempt) -> Value {
    json!({
        "attempt": a.id, "app": a.app, "version": a.version, "serviceName": a.service_name,
        "numInstances": a.num_instances, "state": a.state.as_str(), "deployID": a.deploy_id,
        "payloadSha256": a.payload_sha256, "templateSha256": a.template_sha256, "command": a.command,
        "createdAt": time::rfc3339(a.created_at), "updatedAt": time::rfc3339(a.updated_at), "message": a.message,
    })
}
