//! The ledger: what is deployed, what was tried, what is held.
//!
//! [`Ledger`] is the one interface that every database implements; `contract` is the test suite
//! that every implementation passes.

#[cfg(test)]
mod contract;
pub mod documents;
mod holder;
pub mod mysql;
mod schema;
pub mod sqlite;
mod takeover;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Dsn;
pub use holder::host;
use schema::Schema;
pub use takeover::{COMMAND as TAKEOVER, now as now_ms};

use crate::error::{Error, Result};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::{AppRecord, Hold};
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
            Schema::Older => Self::Updated,
            Schema::Current | Schema::Newer(_) => Self::Unchanged,
        }
    }
}

/// One attempt, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// UUID, made by us.
    pub id: String,
    /// The app's folder.
    pub app: String,
    /// The version.
    pub version: String,
    /// The service name that was sent to the cluster (metadata `name`); empty where it was never known.
    pub service_name: String,
    /// Units asked for; 0 where it was never known.
    pub num_instances: u32,
    /// The state.
    pub state: State,
    /// coreos-deploy's id.
    pub deploy_id: Option<String>,
    /// SHA-256 of the payload, lower-case hex.
    pub payload_sha256: Option<String>,
    /// SHA-256 of the rendered template, lower-case hex.
    pub template_sha256: Option<String>,
    /// Suffixes of this name and version that stood in the cluster before the POST; `None` where
    /// the cluster could not be read.
    pub suffixes_before: Option<Vec<String>>,
    /// Whether a failure of this attempt counts against `--max-attempts`.
    pub counts: bool,
    /// The command that made it: run, deploy, rollback, baseline, takeover.
    pub command: String,
    /// Fencing token of the lease it was made under.
    pub token: i64,
    /// Milliseconds since 1970 UTC: when the intent was committed.
    pub created_at: i64,
    /// Milliseconds since 1970 UTC: the last move.
    pub updated_at: i64,
    /// Why it is in this state.
    pub message: String,
}

impl Attempt {
    /// One that is made now, of which nothing else is known and no failure counts.
    pub fn new(app: &str, version: &str, state: State, command: &str, message: &str) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            app: app.to_owned(),
            version: version.to_owned(),
            service_name: String::new(),
            num_instances: 0,
            state,
            deploy_id: None,
            payload_sha256: None,
            template_sha256: None,
            suffixes_before: None,
            counts: false,
            command: command.to_owned(),
            token: 0,
            created_at: now_ms(),
            updated_at: now_ms(),
            message: message.to_owned(),
        }
    }

    /// Only what has ended is recorded without an intent.
    fn check_closed(&self) -> Result<()> {
        if !self.state.is_open() {
            return Ok(());
        }
        let (id, state) = (&self.id, self.state.as_str());
        Err(Error::unavailable(format!(
            "attempt {id} cannot be recorded without an intent: it is {state}"
        )))
    }
}

/// Only legal moves are recorded.
fn check_move(attempt: &str, from: State, to: State) -> Result<()> {
    if from.may_become(to) {
        return Ok(());
    }
    let (from, to) = (from.as_str(), to.as_str());
    Err(Error::unavailable(format!(
        "attempt {attempt} cannot move from {from} to {to}"
    )))
}

/// One row of the append-only history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEvent {
    /// The state it moved to.
    pub state: State,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    /// Why.
    pub message: String,
    /// Fencing token of the lease that the move was made under.
    pub token: i64,
}

/// All that a pass or a read-only command needs to know, in a constant number of statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By app; rows of the original's table that no attempt accounts for are read as the
    /// attempts that [`Ledger::take_over`] makes of them.
    pub records: BTreeMap<String, AppRecord>,
    /// The latest attempt of each app.
    pub latest: BTreeMap<String, Attempt>,
    /// Open attempts, oldest first.
    pub open: Vec<Attempt>,
    /// Holds in force or ended by themselves, by app.
    pub holds: BTreeMap<String, Hold>,
    /// The report of the last finished `run` of the scope.
    pub last_run: Option<Report>,
    /// Bad payloads as of the last pass: app -> (version, checksum, error).
    pub bad_payloads: BTreeMap<String, BadPayload>,
    /// Since when every pass has found coreos-deploy busy, milliseconds since 1970 UTC.
    pub busy_since: Option<i64>,
}

/// A payload that was downloaded and refused: it isn't downloaded again until it changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BadPayload {
    /// The version.
    pub version: String,
    /// Its checksum, as Artifactory gives it.
    pub checksum: String,
    /// What is wrong with it.
    pub error: String,
}

/// What an intent is made of.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The attempt, in state [`State::Submitting`]; its times and token are set by the ledger.
    pub attempt: Attempt,
    /// Commit only if no hold is on the app at this moment (a pass); an operator's `deploy` ignores holds.
    pub respect_holds: bool,
    /// The order in which a hold's version is compared.
    pub order: Order,
    /// A hold to put in the same transaction, as [`Ledger::hold`] puts it.
    pub place_hold: Option<Hold>,
}

impl Snapshot {
    /// Whether the ledger has anything of an app: an attempt, a row of the original's, a hold.
    pub fn knows(&self, app: &str) -> bool {
        self.latest.contains_key(app) || self.holds.contains_key(app)
    }

    /// Whether a hold would stop the next pass, as far as the ledger tells.
    pub fn is_held(&self, app: &str, order: Order, now: i64) -> bool {
        self.holds.get(app).is_some_and(|hold| {
            let seen = self.newest_since(app, hold.placed_at);
            seen.map_or(!hold.is_over(now), |newest| hold.stops(order, newest, now))
        })
    }

    /// Leaves out the holds that would not stop the next pass.
    pub fn drop_ended_holds(&mut self, order: Order, now: i64) {
        let is_ended = |app: &&String| !self.is_held(app, order, now);
        let ended: Vec<String> = self.holds.keys().filter(is_ended).cloned().collect();
        for app in ended {
            self.holds.remove(&app);
        }
    }

    /// The newest marker that a pass has seen since a time, in milliseconds since 1970 UTC: the
    /// last one, or the one that sent what was tried last.
    fn newest_since(&self, app: &str, time: i64) -> Option<&str> {
        /// A report tells whole seconds.
        const SECOND: i64 = 1000;
        let runs = self.last_run.iter();
        let runs = runs.filter(|r| takeover::milliseconds(&r.started_at) + SECOND > time);
        let told = runs.flat_map(|run| &run.apps).find(|told| told.app == app);
        let tried = self.latest.get(app);
        let tried = tried.filter(|a| a.command == "run" && a.created_at > time);
        told.and_then(|told| told.newest.as_deref())
            .or_else(|| tried.map(|attempt| attempt.version.as_str()))
    }
}

/// Why an intent was not committed. Nothing was changed and nothing may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intended {
    /// Committed: the POST may be sent.
    Committed,
    /// A hold was put meanwhile.
    Held(Hold),
    /// Another attempt of the scope is open.
    OpenAttempt(String),
    /// The lease was lost.
    LeaseLost,
    /// The original's table has a row of this other name in the place of the app's.
    NameTaken(String),
}

/// A finished pass, to be kept.
#[derive(Clone, Debug)]
pub struct PassRecord {
    /// Its report.
    pub report: Report,
    /// Bad payloads known at its end.
    pub bad_payloads: BTreeMap<String, BadPayload>,
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

/// A lease that is held; dropping it releases it.
pub trait Lease: Send {
    /// The fencing token: +1 at every acquisition.
    fn token(&self) -> i64;
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

    /// Makes attempts of the rows of the original's table that no attempt accounts for: status 2
    /// is a baseline, 1 with an id is submitted, 1 without an id and 3 are one failed attempt;
    /// a row with version "" is nothing. May be called any number of times.
    fn take_over(&mut self, scope: &Scope, token: i64) -> Result<()>;

    /// Commits an intent: the attempt, its first event, the original's row, the hold. Durable when
    /// it returns [`Intended::Committed`].
    fn intend(&mut self, scope: &Scope, intent: &Intent, lease: &dyn Lease) -> Result<Intended>;

    /// Moves an attempt out of `from`, adds the event and updates the original's row. Returns
    /// false, having changed nothing, where it was no longer in `from`. Needs no lease: the
    /// attempt's id and state are the guard. `counts` replaces [`Attempt::counts`].
    fn advance(
        &mut self,
        attempt: &str,
        from: State,
        step: &Move,
        counts: bool,
        token: i64,
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
        token: i64,
    ) -> Result<Option<String>>;

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

    /// The events of one attempt, oldest first.
    fn events(&mut self, attempt: &str) -> Result<Vec<AttemptEvent>>;

    /// Keeps the report of a pass; the last 200 of a scope are kept.
    fn finish_pass(&mut self, scope: &Scope, pass: &PassRecord) -> Result<()>;

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
