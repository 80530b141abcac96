//! `migrate`: makes or updates the ledger's tables and does nothing else.

use serde_json::json;

use crate::config::Config;
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::{self, Migrated};
use crate::output::Output;

/// Migrates.
pub fn run(config: &Config, output: &Output) -> Result<Exit> {
    let migrated = ledger::migrate(config.dsn()?)?;
    if output.is_json() {
        let word = match migrated {
            Migrated::Made => "made",
            Migrated::Updated => "updated",
            Migrated::Unchanged => "unchanged",
        };
        output.json(&json!({ "ledger": word }));
    } else {
        output.line(match migrated {
            Migrated::Made => "the tables of the ledger are made",
            Migrated::Updated => "the tables of the ledger are brought up to date",
            Migrated::Unchanged => "the tables of the ledger are up to date already",
        });
    }
    Ok(Exit::Success)
}
