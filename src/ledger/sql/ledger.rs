//! A ledger of any database that has SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::database::{Database, Failure, Sql};
use super::passes::Shortening;
use super::{attempts, deploys, holds, intents, passes, snapshot, tokens};
use crate::clock::{Clock, SharedClock};
use crate::error::{Error, Result};
use crate::ledger::{
    Access, Attempt, AttemptEvent, Fence, Intended, Intent, Lease, LeaseInfo, Ledger, Migrated,
    Part, PassRecord, PassRow, Snapshot, TokenRow, check_move,
};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::report::Report;
use crate::model::version::Order;

/// How long a statement is tried again, over locks and lost connections.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The same where a deploy has been sent and its outcome must be recorded: a server that is
/// started anew is back by then.
const PATIENCE_AFTER_SENDING: Duration = Duration::from_secs(30);
/// The first and the longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A database of one kind, with the lease in it or beside it.
pub trait Engine: Send {
    /// Runs `work` once, on a connection that is made first where there is none.
    fn with<T>(&mut self, work: impl FnOnce(&mut dyn Database) -> Sql<T>) -> Sql<T>;

    /// Where the database is, without user and password.
    fn place(&self) -> String;

    /// Takes the lease of the scope, waiting at most `wait`. `None`: somebody else holds it.
    fn acquire(&mut self, scope: &Scope, wait: Duration) -> Result<Option<Box<dyn Lease>>>;

    /// Who holds the lease, or last held it.
    fn lease_info(&mut self, scope: &Scope) -> Sql<Option<LeaseInfo>>;
}

/// A ledger in such a database.
pub struct SqlLedger<E> {
    /// The database.
    pub engine: E,
    access: Access,
    migrated: Migrated,
    clock: SharedClock,
    /// The attempts that were intended here. Their token does not tell: it may have been given twice.
    own: BTreeSet<String>,
}

/// The pauses between tries: doubled, with jitter, until the time is up.
pub struct Tries<'a> {
    clock: &'a dyn Clock,
    /// By [`Clock::elapsed`].
    end: Duration,
    pause: Duration,
}

impl<'a> Tries<'a> {
    /// Until the end of `patience`.
    pub fn within(clock: &'a dyn Clock, patience: Duration) -> Self {
        Self {
            clock,
            end: clock.elapsed() + patience,
            pause: PAUSE.0,
        }
    }

    /// Waits before the next try; false when there is no time for one.
    pub fn wait(&mut self) -> bool {
        let pause = self.pause.mul_f64(0.5 + fastrand::f64());
        if self.clock.elapsed() + pause >= self.end {
            return false;
        }
        self.clock.sleep(pause);
        self.pause = (self.pause * 2).min(PAUSE.1);
        true
    }
}

/// Runs what may be run again until it is done, or the time is up. `work` is told whether an
/// earlier run was cut off and may have been done all the same.
pub fn persist<T>(
    clock: &dyn Clock,
    patience: Duration,
    mut work: impl FnMut(bool) -> Sql<T>,
) -> Result<T> {
    let mut tries = Tries::within(clock, patience);
    let mut again = false;
    loop {
        match work(again) {
            Ok(value) => return Ok(value),
            Err(Failure::Refused(error) | Failure::Passing(error)) => return Err(error),
            Err(failure) => {
                again |= matches!(failure, Failure::Lost(_));
                if !tries.wait() {
                    return Err(failure.into());
                }
            }
        }
    }
}

impl<E: Engine> SqlLedger<E> {
    /// A ledger whose tables are there.
    pub fn new(engine: E, access: Access, migrated: Migrated, clock: SharedClock) -> Self {
        Self {
            engine,
            access,
            migrated,
            clock,
            own: BTreeSet::new(),
        }
    }

    fn run<T>(&mut self, mut work: impl FnMut(&mut dyn Database) -> Sql<T>) -> Result<T> {
        persist(&*self.clock, PATIENCE, |_| self.engine.with(&mut work))
    }
}

impl<E: Engine> Ledger for SqlLedger<E> {
    fn opened(&self) -> (Migrated, String) {
        (self.migrated, self.engine.place())
    }

    fn acquire(&mut self, scope: &Scope, wait: Duration) -> Result<Option<Box<dyn Lease>>> {
        match self.access {
            Access::Write => self.engine.acquire(scope, wait),
            Access::ReadOnly => Err(Error::unavailable("the ledger was opened for reading only")),
        }
    }

    fn lease_info(&mut self, scope: &Scope) -> Result<Option<LeaseInfo>> {
        persist(&*self.clock, PATIENCE, |_| self.engine.lease_info(scope))
    }

    fn snapshot(&mut self, scope: &Scope) -> Result<Snapshot> {
        self.run(|db| snapshot::snapshot(db, scope))
    }

    fn apps_after(&mut self, scope: &Scope, after: &str, most: u32) -> Result<Part> {
        self.run(|db| snapshot::apps_after(db, scope, after, most))
    }

    fn in_force(&mut self, scope: &Scope) -> Result<Snapshot> {
        self.run(|db| snapshot::in_force(db, scope))
    }

    fn take_over(&mut self, scope: &Scope, fence: &Fence) -> Result<()> {
        let made = (fence, self.clock.now_ms());
        self.run(|db| intents::take_over(db, scope, made))
    }

    fn intend(&mut self, scope: &Scope, intent: &Intent, lease: &dyn Lease) -> Result<Intended> {
        let clock = self.clock.clone();
        let mut tries = Tries::within(&*clock, PATIENCE);
        self.own.insert(intent.attempt.id.clone());
        loop {
            if !lease.is_held() {
                return Ok(Intended::LeaseLost);
            }
            let made = (lease.fence(), self.clock.now_ms());
            let work = |db: &mut dyn Database| intents::intend(db, scope, intent, made);
            match self.engine.with(work) {
                Ok(intended) => return Ok(intended),
                Err(Failure::Conflict(_)) if tries.wait() => {}
                Err(Failure::Lost(error)) => {
                    // Committed or not: what the server says now decides. Not there may be not
                    // there yet, so that is no leave to try again.
                    let id = &intent.attempt.id;
                    return match self.run(|db| attempts::find(db, id)) {
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
        fence: &Fence,
    ) -> Result<bool> {
        check_move(attempt, from, step.to)?;
        let made = (fence, self.clock.now_ms());
        let is_own = self.own.contains(attempt);
        persist(&*self.clock, PATIENCE_AFTER_SENDING, |again| {
            let how = (counts, is_own, again);
            self.engine
                .with(|db| intents::advance(db, attempt, from, step, how, made))
                .map_err(Failure::awaited)
        })
    }

    fn record(
        &mut self,
        scope: &Scope,
        attempt: &Attempt,
        hold: Option<(&Hold, Order)>,
        fence: &Fence,
    ) -> Result<Option<String>> {
        attempt.check_closed()?;
        let (made, attempts) = ((fence, self.clock.now_ms()), std::slice::from_ref(attempt));
        let taken = self.run(|db| intents::record(db, scope, attempts, hold, made))?;
        Ok(taken.map(|(_, row)| row))
    }

    fn record_all(
        &mut self,
        scope: &Scope,
        attempts: &[Attempt],
        fence: &Fence,
    ) -> Result<Option<(usize, String)>> {
        attempts.iter().try_for_each(Attempt::check_closed)?;
        let made = (fence, self.clock.now_ms());
        self.run(|db| intents::record(db, scope, attempts, None, made))
    }

    fn name_conflicts(&mut self, scope: &Scope, apps: &[&str]) -> Result<BTreeMap<String, String>> {
        self.run(|db| deploys::name_conflicts(db, scope, apps))
    }

    fn hold(&mut self, scope: &Scope, app: &str, hold: &Hold, order: Order) -> Result<Hold> {
        let at = self.clock.now_ms();
        self.run(|db| holds::put(db, scope, app, (hold, order), at))
    }

    fn release(&mut self, scope: &Scope, app: &str) -> Result<bool> {
        let work = |db: &mut dyn Database| holds::lift(db, scope, app);
        persist(&*self.clock, PATIENCE, |again| {
            Ok(self.engine.with(work)? || again)
        })
    }

    fn history(&mut self, scope: &Scope, app: Option<&str>, limit: u32) -> Result<Vec<Attempt>> {
        self.run(|db| attempts::history(db, scope, app, limit))
    }

    fn scopes_of(&mut self, app: &str) -> Result<Vec<Scope>> {
        self.run(|db| attempts::scopes_of(db, app))
    }

    fn events(&mut self, attempt: &str) -> Result<Vec<AttemptEvent>> {
        self.run(|db| attempts::events(db, attempt))
    }

    fn finish_pass(&mut self, scope: &Scope, pass: &PassRecord) -> Result<()> {
        let mut kept = Shortening::default();
        persist(&*self.clock, PATIENCE, |_| {
            self.engine
                .with(|db| passes::finish(db, scope, pass, kept.extent()))
                .map_err(|failure| kept.after(failure))
        })
    }

    fn last_run(&mut self, scope: &Scope) -> Result<Option<Report>> {
        self.run(|db| passes::last_run(db, scope))
    }

    fn passes(&mut self, scope: &Scope, limit: u32) -> Result<Vec<PassRow>> {
        self.run(|db| passes::passes(db, scope, limit))
    }

    fn pass_report(&mut self, scope: &Scope, pass: &str) -> Result<Option<String>> {
        self.run(|db| passes::report(db, scope, pass))
    }

    fn tokens(&mut self) -> Result<Vec<TokenRow>> {
        self.run(tokens::tokens)
    }

    fn add_token(&mut self, name: &str, stored: &str) -> Result<()> {
        let at = self.clock.now_ms();
        persist(&*self.clock, PATIENCE, |again| {
            self.engine
                .with(|db| tokens::add(db, name, stored, (at, again)))
        })
    }

    fn revoke_token(&mut self, id: i64) -> Result<bool> {
        let work = |db: &mut dyn Database| tokens::revoke(db, id);
        persist(&*self.clock, PATIENCE, |again| {
            Ok(self.engine.with(work)? || again)
        })
    }
}
