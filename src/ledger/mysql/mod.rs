//! The ledger on `MySQL` and `MariaDB`, a Galera cluster among them.

mod lease;
mod migrations;
mod session;
mod statements;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::session::{Session, place};
use super::schema::Schema;
use super::sql::{PATIENCE, SqlLedger, Tries, persist};
use super::{Access, Ledger, Migrated, sqlite};
use crate::clock::{Clock, SharedClock, System};
use crate::config::MysqlConfig;
use crate::error::Result;

/// How long a migration by another process is waited for.
const MIGRATION: Duration = Duration::from_secs(5);

/// Opens the ledger in the database that `config` names.
pub fn open(config: &MysqlConfig, access: Access) -> Result<Box<dyn Ledger>> {
    open_by(System::shared(), config, access)
}

fn open_by(clock: SharedClock, config: &MysqlConfig, access: Access) -> Result<Box<dyn Ledger>> {
    let mut session = Session::open(config)?;
    let (schema, migrated) = match access {
        Access::Write => {
            let found = persist(&*clock, PATIENCE, |_| session.call(migrations::migrate))?;
            (found.migrated(), found.into())
        }
        Access::ReadOnly => (schema_at_rest(&*clock, &mut session)?, Migrated::Unchanged),
    };
    let who = " as a user with the grants for migrating";
    match schema.refusal(&place(config), who) {
        Some(refusal) => Err(refusal),
        None if schema == Schema::Empty => Ok(Box::new(sqlite::empty_ledger()?)),
        None if schema == Schema::Original => {
            Ok(Box::new(sqlite::ledger_of_original(&mut session)?))
        }
        None => Ok(Box::new(SqlLedger::new(session, access, migrated, clock))),
    }
}

/// The schema, once nobody is migrating it: the servers can't do that in one step, so a look in
/// between finds an older one.
fn schema_at_rest(clock: &dyn Clock, session: &mut Session) -> Result<Schema> {
    let mut tries = Tries::within(clock, MIGRATION);
    loop {
        let schema = persist(clock, PATIENCE, |_| session.call(migrations::schema))?;
        if schema != Schema::Older || !tries.wait() {
            return Ok(schema);
        }
    }
}
