//! `migrate`: makes or updates the ledger's tables and does nothing else.

use serde_json::json;

use crate::config::Config;
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::{self, Access, Migrated};
use crate::output::Output;

/// Migrates.
pub fn run(config: &Config, output: &Output) -> Result<Exit> {
    let (migrated, place) = ledger::open(config.dsn()?, Access::Write)?.opened();
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
