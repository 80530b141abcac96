//! The ledger: what is deployed, what was tried, what is held.
//!
//! [`Ledger`] is the one interface that every database implements; `contract` is the test suite
//! that every implementation passes.

mod attempts;
#[cfg(test)]
mod contract;
pub mod documents;
mod holder;
pub mod mysql;
mod original;
#[cfg(test)]
mod scale;
mod schema;
mod snapshot;
mod sql;
pub mod sqlite;

use std::collections::BTreeMap;
use std::time::Duration;

use attempts::check_move;
pub use attempts::{Attempt, AttemptEvent, FORGET, Intended, Intent, Made};
pub use holder::host;
pub use original::{COMMAND as TAKEOVER, FAILED as TAKEN_OVER_FAILED};
use schema::Schema;
pub use snapshot::{BadPayload, Part, Snapshot, Unaccounted};

use crate::config::Dsn;
use crate::error::Result;
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::report::Report;
use crate::model::version::Order;
use crate::secret::Secret;

/// What a command does with the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing is changed. A missing database is an empty ledger; an older schema is an error
    /// (exit 2) whose hint is to run a command that writes.
    ReadOnly,
    /// The database is created where it is missing, and its schema brought up to date.
    Write,
}

/// Opens a ledger. A schema newer than this program is refused (exit 2) either way.
pub fn open(dsn: &Dsn, access: Access) -> Result<Box<dyn Ledger>> {
    match dsn {
        Dsn::Sqlite(path) => Ok(Box::new(sqlite::open(path, access)?)),
        Dsn::Mysql(config) => mysql::open(config, access),
    }
}

/// What was done to the tables when the ledger was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrated {
    /// The tables were not there.
    Made,
    /// Some were older, or only those of the original were there.
    Updated,
    /// Nothing.
    Unchanged,
}

impl From<Schema> for Migrated {
    /// What had to be done with a schema that was found.
    fn from(found: Schema) -> Self {
        match found {
            Schema::Empty => Self::Made,
            Schema::Original | Schema::Older => Self::Updated,
            Schema::Current | Schema::Newer(_) => Self::Unchanged,
        }
    }
}

/// A finished pass, to be kept.
#[derive(Clone, Debug)]
pub struct PassRecord {
    /// Its report.
    pub report: Report,
    /// Bad payloads known at its end.
    pub bad_payloads: BTreeMap<String, BadPayload>,
    /// The apps of which other versions run than the ledger has.
    pub unaccounted: BTreeMap<String, Unaccounted>,
    /// The versions of which one failure is forgiven, by app.
    pub forgiven: BTreeMap<String, String>,
    /// Whether coreos-deploy was busy: `Some(true)` connected but silent, `Some(false)` it
    /// answered, `None` it was not asked.
    pub busy: Option<bool>,
}

/// Who holds the lease of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Host, pid and program version.
    pub holder: String,
    /// Milliseconds since 1970 UTC.
    pub since: i64,
    /// The fencing token.
    pub token: i64,
    /// Whether it is held at this moment.
    pub held: bool,
}

/// What a write under a lease is let through by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The fencing token: +1 at every acquisition.
    pub token: i64,
    /// The acquisition. A database that has lost its last writes gives a token twice.
    pub holder: String,
}

/// A lease that is held; dropping it releases it.
pub trait Lease: Send {
    /// What its holder's writes are let through by.
    fn fence(&self) -> &Fence;
    /// Whether the lease is still ours; asked before every effect.
    fn is_held(&self) -> bool;
    /// How long from now nothing may be sent yet: after a takeover, a request of the former holder
    /// may still be on its way.
    fn send_delay(&self) -> Duration;
}

/// What the column `token` begins with where a token is stored as its SHA-256, in lower-case hex.
pub const HASHED_TOKEN: &str = "sha256:";

/// A bearer token of the HTTP API, as the table holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Number of the row.
    pub id: i64,
    /// The column `token`: `sha256:` and lower-case hex, or the token itself (rows of the original).
    pub stored: Secret,
    /// Whose it is.
    pub name: Option<String>,
    /// `YYYY-MM-DD HH:MM:SS`, UTC.
    pub created_at: String,
}

/// A pass that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassRow {
    /// Its id.
    pub pass: String,
    /// The command.
    pub command: String,
    /// Milliseconds since 1970 UTC.
    pub started_at: i64,
    /// Milliseconds since 1970 UTC.
    pub finished_at: i64,
    /// How it ended.
    pub exit_code: u8,
}

/// The ledger of one database. Every method is atomic. Errors are exit 69 (the database cannot be
/// used) or 2 (a schema that this program cannot work with, a path that cannot be one); nobody
/// above retries, the implementation waits for locks by itself (at most 10 s).
pub trait Ledger: Send {
    /// What opening it did to the tables, and where it is: a file, or the database of a server.
    fn opened(&self) -> (Migrated, String);

    /// Takes the lease of the scope, waiting at most `wait`. `None`: somebody else holds it.
    fn acquire(&mut self, scope: &Scope, wait: Duration) -> Result<Option<Box<dyn Lease>>>;

    /// Who holds the lease, or last held it.
    fn lease_info(&mut self, scope: &Scope) -> Result<Option<LeaseInfo>>;

    /// Reads everything a plan needs. Changes nothing.
    fn snapshot(&mut self, scope: &Scope) -> Result<Snapshot>;

    /// The apps that have attempts, or rows of the original's, in the order of their names: at most
    /// `most` after that name, so that any number of them can be read in bounded memory.
    fn apps_after(&mut self, scope: &Scope, after: &str, most: u32) -> Result<Part> {
        Ok(self.snapshot(scope)?.part_after(after, most))
    }

    /// What is open and held, as [`Ledger::snapshot`] has it, without the apps that are neither. Open
    /// attempts that stand for rows of the original's come with their apps.
    fn in_force(&mut self, scope: &Scope) -> Result<Snapshot> {
        self.snapshot(scope)
    }

    /// Makes attempts of the rows of the original's table that no attempt accounts for: status 2
    /// is a baseline, 1 with an id is submitted, 1 without an id and 3 are one failed attempt;
    /// a row with version "" is nothing. May be called any number of times.
    fn take_over(&mut self, scope: &Scope, fence: &Fence) -> Result<()>;

    /// Commits an intent: the attempt, its first event, the original's row, the hold. Durable when
    /// it returns [`Intended::Committed`].
    fn intend(&mut self, scope: &Scope, intent: &Intent, lease: &dyn Lease) -> Result<Intended>;

    /// Moves an attempt out of `from`, adds the event and updates the original's row. Returns
    /// false, having changed nothing, where it was no longer in `from`. What became of an attempt that was
    /// intended here is recorded without the lease too; another one only who holds it may judge. `counts` replaces [`Attempt::counts`].
    fn advance(
        &mut self,
        attempt: &str,
        from: State,
        step: &Move,
        counts: bool,
        fence: &Fence,
    ) -> Result<bool>;

    /// Records what became of a version without deploying it: that it runs ([`State::Baseline`],
    /// [`State::Observed`]), or that it may be tried again ([`State::Abandoned`]); and puts the hold
    /// as [`Ledger::hold`] does. Where the original's table has a row of another name in the place
    /// of the app's, nothing is recorded and that name is the result.
    fn record(
        &mut self,
        scope: &Scope,
        attempt: &Attempt,
        hold: Option<(&Hold, Order)>,
        fence: &Fence,
    ) -> Result<Option<String>>;

    /// Records what runs of many apps, as [`Ledger::record`] does of one: all of it, or nothing. Of the
    /// first app in whose place the original's table has a row of another name, its number and that
    /// name are the result.
    fn record_all(
        &mut self,
        scope: &Scope,
        attempts: &[Attempt],
        fence: &Fence,
    ) -> Result<Option<(usize, String)>>;

    /// The apps that the original's unique key can't hold beside a row that is there already
    /// (`app3` beside `APP3` under a case-insensitive collation), with the name of that row.
    fn name_conflicts(&mut self, scope: &Scope, apps: &[&str]) -> Result<BTreeMap<String, String>>;

    /// Puts a hold beside the one that stands ([`Hold::beside`]: never a weaker one), and returns
    /// what stands then. `order` compares their versions.
    fn hold(&mut self, scope: &Scope, app: &str, hold: &Hold, order: Order) -> Result<Hold>;

    /// Lifts a hold. Returns false where there was none.
    fn release(&mut self, scope: &Scope, app: &str) -> Result<bool>;

    /// Attempts, newest first, at most `limit`; of one app, or of all.
    fn history(&mut self, scope: &Scope, app: Option<&str>, limit: u32) -> Result<Vec<Attempt>>;

    /// The scopes in which the ledger has an attempt of an app.
    fn scopes_of(&mut self, app: &str) -> Result<Vec<Scope>>;

    /// The events of one attempt, oldest first.
    fn events(&mut self, attempt: &str) -> Result<Vec<AttemptEvent>>;

    /// Keeps the report of a pass; the last 200 of a scope are kept.
    fn finish_pass(&mut self, scope: &Scope, pass: &PassRecord) -> Result<()>;

    /// The report of the last finished `run` of the scope, as [`Snapshot::last_run`].
    fn last_run(&mut self, scope: &Scope) -> Result<Option<Report>>;

    /// The passes that are kept, newest first, at most `limit`.
    fn passes(&mut self, scope: &Scope, limit: u32) -> Result<Vec<PassRow>>;

    /// The report of a pass, a JSON document.
    fn pass_report(&mut self, scope: &Scope, pass: &str) -> Result<Option<String>>;

    /// The tokens of the HTTP API, oldest first.
    fn tokens(&mut self) -> Result<Vec<TokenRow>>;

    /// Stores a token; `stored` is what the column holds.
    fn add_token(&mut self, name: &str, stored: &str) -> Result<()>;

    /// Removes a token. Returns false where there was none of this number.
    fn revoke_token(&mut self, id: i64) -> Result<bool>;
}
