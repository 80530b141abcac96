//! `migrate`: makes or updates the ledger's tables and does nothing else.

use serde_json::json;

use super::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::{Access, Migrated};

/// Migrates.
pub(super) fn run(context: &Context<'_>) -> Result<Exit> {
    let output = context.output;
    let (migrated, place) = context.ports.ledger(Access::Write)?.opened();
    if output.is_json() {
        let word = match migrated {
            Migrated::Made => "made",
            Migrated::Updated => "updated",
            Migrated::Unchanged => "unchanged",
        };
        output.json(&json!({ "ledger": word }));
    } else {
        let what = match migrated {
            Migrated::Made => "the tables are made",
            Migrated::Updated => "the tables are brought up to date",
            Migrated::Unchanged => "the tables are up to date already",
        };
        output.line(&format!("the ledger {place}: {what}"));
    }
    Ok(Exit::Success)
}
