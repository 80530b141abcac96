//! `history [APP]`: every attempt, newest first.

use super::context::Context;
use super::names::Names;
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::{Access, Attempt, documents};
use crate::model::time;

/// Shows attempts; with `-v`, every move of each.
pub(super) fn run(context: &Context<'_>, app: Option<&str>, limit: usize) -> Result<Exit> {
    let (scope, output) = (context.scope()?, context.output);
    let mut ledger = context.ports.ledger(Access::ReadOnly)?;
    if let Some(app) = app {
        Names::new(context, &ledger.snapshot(scope)?).check(app)?;
    }
    let attempts = ledger.history(scope, app, u32::try_from(limit).unwrap_or(u32::MAX))?;
    if output.is_json() {
        output.json(&documents::history(&attempts));
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
            by(a),
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

/// The command that made an attempt, and who asked for it.
fn by(attempt: &Attempt) -> String {
    match &attempt.asked_by {
        Some(who) => format!("{}, {who}", attempt.command),
        None => attempt.command.clone(),
    }
}
