//! The ledger on `MySQL` and `MariaDB`, a Galera cluster among them.

mod lease;
mod migrations;
mod original;
mod read;
mod session;
#[cfg(test)]
mod tests;
mod tokens;
mod write;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mysql::Conn;

use self::session::{Failure, Session, Sql, place};
use super::schema::Schema;
use super::{
    Access, Attempt, AttemptEvent, Intended, Intent, Lease, LeaseInfo, Ledger, Migrated,
    PassRecord, PassRow, Snapshot, TokenRow, sqlite,
};
use crate::config::MysqlConfig;
use crate::error::{Error, Result};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::version::Order;

/// How long a statement is tried again, over locks and lost connections.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where a deploy has been sent and its outcome must be recorded: a server that is
/// started anew is back by then.
const PATIENCE_AFTER_SENDING: Duration = Duration::from_secs(30);
/// How long a migration by another process is waited for.
const MIGRATION: Duration = Duration::from_secs(5);
/// The first and the longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A ledger in a database of a server.
pub struct MysqlLedger {
    session: Session,
    access: Access,
    migrated: Migrated,
}

/// Opens the ledger in the database that `config` names.
pub fn open(config: &MysqlConfig, access: Access) -> Result<Box<dyn Ledger>> {
    let session = Session::open(config)?;
    let mut ledger = MysqlLedger {
        session,
        access,
        migrated: Migrated::Unchanged,
    };
    let schema = match access {
        Access::Write => {
            let found = ledger.run(migrations::migrate)?;
            ledger.migrated = found.into();
            found.migrated()
        }
        Access::ReadOnly => ledger.schema_at_rest()?,
    };
    let who = " as a user with the grants for migrating";
    match schema.refusal(&place(config), who) {
        Some(refusal) => Err(refusal),
        None if schema == Schema::Empty => Ok(Box::new(sqlite::empty_ledger()?)),
        None => Ok(Box::new(ledger)),
    }
}

/// The pauses between tries: doubled, with jitter, until the time is up.
struct Tries {
    end: Instant,
    pause: Duration,
}

impl Tries {
    fn within(patience: Duration) -> Self {
        Self {
            end: Instant::now() + patience,
            pause: PAUSE.0,
        }
    }

    /// Waits before the next try; false when there is no time for one.
    fn wait(&mut self) -> bool {
        let pause = self.pause.mul_f64(0.5 + fastrand::f64());
        if Instant::now() + pause >= self.end {
            return false;
        }
        std::thread::sleep(pause);
        self.pause = (self.pause * 2).min(PAUSE.1);
        true
    }
}

impl MysqlLedger {
    /// Runs what may be run again until it is done, or the time is up. `work` is told whether an
    /// earlier run was cut off and may have been done all the same.
    fn persist<T>(
        &mut self,
        patience: Duration,
        mut work: impl FnMut(&mut Conn, bool) -> Sql<T>,
    ) -> Result<T> {
        let mut tries = Tries::within(patience);
        let mut again = false;
        loop {
            match self.session.call(|conn| work(conn, again)) {
                Ok(value) => return Ok(value),
                Err(Failure::Refused(error)) => return Err(error),
                Err(failure) => {
                    again |= matches!(failure, Failure::Lost(_));
                    if !tries.wait() {
                        return Err(failure.into());
                    }
                }
            }
        }
    }

    fn run<T>(&mut self, mut work: impl FnMut(&mut Conn) -> Sql<T>) -> Result<T> {
        self.persist(PATIENCE, |conn, _| work(conn))
    }

    /// The schema, once nobody is migrating it: the servers can't do that in one step, so a look
    /// in between finds an older one.
    fn schema_at_rest(&mut self) -> Result<Schema> {
        let mut tries = Tries::within(MIGRATION);
        loop {
            let schema = self.run(migrations::schema)?;
            if schema != Schema::Older || !tries.wait() {
                return Ok(schema);
            }
        }
    }

    fn check_writable(&self) -> Result<()> {
        match self.access {
            Access::Write => Ok(()),
            Access::ReadOnly => Err(Error::unavailable("the ledger was opened for reading only")),
        }
    }
}

impl Ledger for MysqlLedger {
    fn opened(&self) -> (Migrated, String) {
        (self.migrated, place(self.session.config()))
    }

    fn acquire(&mut self, scope: &Scope, wait: Duration) -> Result<Option<Box<dyn Lease>>> {
        self.check_writable()?;
        lease::acquire(self.session.config(), scope, wait)
    }

    fn lease_info(&mut self, scope: &Scope) -> Result<Option<LeaseInfo>> {
        self.run(|conn| lease::info(conn, scope))
    }

    fn snapshot(&mut self, scope: &Scope) -> Result<Snapshot> {
        self.run(|conn| read::snapshot(conn, scope))
    }

    fn take_over(&mut self, scope: &Scope, token: i64) -> Result<()> {
        self.run(|conn| write::take_over(conn, scope, token))
    }

    fn intend(&mut self, scope: &Scope, intent: &Intent, lease: &dyn Lease) -> Result<Intended> {
        let mut tries = Tries::within(PATIENCE);
        loop {
            if !lease.is_held() {
                return Ok(Intended::LeaseLost);
            }
            let result = self
                .session
                .call(|conn| write::intend(conn, scope, intent, lease.token()));
            match result {
                Ok(intended) => return Ok(intended),
                Err(Failure::Conflict(_)) if tries.wait() => {}
                Err(Failure::Lost(error)) => {
                    // Committed or not: what the server says now decides. Not there may be not
                    // there yet, so that is no leave to try again.
                    let id = &intent.attempt.id;
                    let found = self.run(|conn| read::attempt_of(conn, id));
                    return match found {
                        Ok(Some(attempt)) if attempt.state == State::Submitting => {
                            Ok(Intended::Committed)
                        }
                        _ => Err(error.because("nothing was sent")),
                    };
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    fn advance(
        &mut self,
        attempt: &str,
        from: State,
        step: &Move,
        counts: bool,
        token: i64,
    ) -> Result<bool> {
        super::check_move(attempt, from, step.to)?;
        self.persist(PATIENCE_AFTER_SENDING, |conn, again| {
            write::advance(conn, attempt, from, step, (counts, token, again))
        })
    }

    fn record(
        &mut self,
        scope: &Scope,
        attempt: &Attempt,
        hold: Option<(&Hold, Order)>,
        token: i64,
    ) -> Result<Option<String>> {
        attempt.check_closed()?;
        self.run(|conn| write::record_closed(conn, scope, attempt, hold, token))
    }

    fn name_conflicts(&mut self, scope: &Scope, apps: &[&str]) -> Result<BTreeMap<String, String>> {
        self.run(|conn| original::name_conflicts(conn, scope, apps))
    }

    fn hold(&mut self, scope: &Scope, app: &str, hold: &Hold, order: Order) -> Result<Hold> {
        self.run(|conn| write::put_hold(conn, scope, app, (hold, order)))
    }

    fn release(&mut self, scope: &Scope, app: &str) -> Result<bool> {
        self.persist(PATIENCE, |conn, again| {
            Ok(write::lift_hold(conn, scope, app)? || again)
        })
    }

    fn history(&mut self, scope: &Scope, app: Option<&str>, limit: u32) -> Result<Vec<Attempt>> {
        self.run(|conn| read::history(conn, scope, app, limit))
    }

    fn events(&mut self, attempt: &str) -> Result<Vec<AttemptEvent>> {
        self.run(|conn| read::events(conn, attempt))
    }

    fn finish_pass(&mut self, scope: &Scope, pass: &PassRecord) -> Result<()> {
        self.run(|conn| write::finish_pass(conn, scope, pass))
    }

    fn passes(&mut self, scope: &Scope, limit: u32) -> Result<Vec<PassRow>> {
        self.run(|conn| read::pass_rows(conn, scope, limit))
    }

    fn pass_report(&mut self, scope: &Scope, pass: &str) -> Result<Option<String>> {
        self.run(|conn| read::pass_report(conn, scope, pass))
    }

    fn tokens(&mut self) -> Result<Vec<TokenRow>> {
        self.run(read::tokens)
    }

    fn add_token(&mut self, name: &str, stored: &str) -> Result<()> {
        /// The unique key has it already.
        const DUPLICATE: u16 = 1062;
        self.persist(PATIENCE, |conn, again| {
            match tokens::add_token(conn, name, stored) {
                Err(fault) if again && fault.code() == Some(DUPLICATE) => Ok(()),
                other => other,
            }
        })
    }

    fn revoke_token(&mut self, id: i64) -> Result<bool> {
        self.persist(PATIENCE, |conn, again| {
            Ok(tokens::revoke_token(conn, id)? || again)
        })
    }
}
