//! What a database holds, and what each method of the ledger does to it. It is the ledger's
//! contract, written down once more; a test holds it against the real one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::LEASE_TTL;
use crate::ledger::{Attempt, AttemptEvent, Fence, Intended, Intent, PassRecord, Snapshot};
use crate::model::attempt::{Move, State};
use crate::model::plan::{EVERY_APP, Hold, Trouble};
use crate::model::version::Order;

/// The row of the lease.
#[derive(Clone, Debug, Default)]
pub struct LeaseRow {
    /// Fencing token of the last acquisition.
    pub token: i64,
    /// The command that holds it.
    pub holder: Option<usize>,
    /// Whether the process of that command is known to live.
    pub lives: bool,
    /// When it ends, if it isn't renewed.
    pub ends: Duration,
}

/// One scope of a ledger.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Oldest first.
    pub attempts: Vec<Attempt>,
    /// By attempt, oldest first.
    pub events: Vec<(String, AttemptEvent)>,
    /// By app.
    pub holds: BTreeMap<String, Hold>,
    /// The lease.
    pub lease: LeaseRow,
    /// The passes that were kept, oldest first.
    pub passes: Vec<PassRecord>,
    /// The server's time; none in a file.
    pub server_time: Option<Duration>,
    /// When each attempt was made, by that.
    made: BTreeMap<String, Duration>,
    /// Who made each attempt that was intended.
    makers: BTreeMap<String, String>,
}

impl Store {
    /// A process has ended without a word. A kernel lock is free then; a row stays.
    pub fn process_ended(&mut self, who: usize) {
        if self.lease.holder == Some(who) {
            self.lease.lives = false;
        }
    }

    /// Takes the lease where nobody has it.
    pub fn acquire(&mut self, who: usize, now: Duration, is_file: bool) -> Option<i64> {
        let is_held = self.lease.holder.is_some()
            && if is_file {
                self.lease.lives
            } else {
                now < self.lease.ends
            };
        if is_held {
            return None;
        }
        self.lease = LeaseRow {
            token: self.lease.token + 1,
            holder: Some(who),
            lives: true,
            ends: now + LEASE_TTL,
        };
        Some(self.lease.token)
    }

    /// Frees the lease if it is still that of this acquisition.
    pub fn free(&mut self, who: usize, token: i64) {
        if self.lease.holder == Some(who) && self.lease.token == token {
            self.lease.holder = None;
        }
    }

    /// Whether a write of this holder is still let through.
    fn is_fenced(&self, fence: &Fence) -> bool {
        let holder = self.lease.holder.map(|who| who.to_string());
        self.lease.token == fence.token && holder.as_ref() == Some(&fence.holder)
    }

    /// The attempts as they are read, oldest first.
    fn attempts(&self) -> impl DoubleEndedIterator<Item = Attempt> {
        self.attempts.iter().cloned().map(|mut attempt| {
            let made = self.server_time.zip(self.made.get(&attempt.id));
            let age = made.map(|(now, made)| now.saturating_sub(*made).as_millis());
            attempt.made.server_age = age.and_then(|age| i64::try_from(age).ok());
            attempt
        })
    }

    /// See [`crate::ledger::Ledger::snapshot`].
    pub fn snapshot(&self) -> Snapshot {
        let mut seen = Snapshot {
            holds: self.holds.clone(),
            ..Snapshot::default()
        };
        for attempt in self.attempts() {
            let record = seen.records.entry(attempt.app.clone()).or_default();
            let version = attempt.version.clone();
            if attempt.state == State::Retired {
                // It tells of the app, and of no version.
            } else if attempt.state.is_deployed() {
                record.deployed = Some(version.clone());
                record.troubled.remove(&version);
            } else {
                let before = record.troubled.get(&version);
                let (attempts, abandoned) = before.map_or((0, 0), |t| (t.attempts, t.abandoned));
                let is_used_up = attempt.counts && !attempt.state.is_open();
                let is_abandoned = is_used_up && attempt.state == State::Abandoned;
                let trouble = Trouble {
                    state: attempt.state,
                    attempts: attempts + u32::from(is_used_up),
                    abandoned: abandoned + u32::from(is_abandoned),
                    is_forgiven: false,
                    ended_at: attempt.updated_at,
                    message: attempt.message.clone(),
                };
                record.troubled.insert(version, trouble);
            }
            seen.latest.insert(attempt.app.clone(), attempt);
        }
        seen.open = self.attempts().filter(|a| a.state.is_open()).collect();
        for record in seen.records.values_mut() {
            record
                .troubled
                .retain(|_, trouble| !trouble.state.is_open());
        }
        let told = |p: &&PassRecord| p.report.error.is_none() || !p.report.apps.is_empty();
        let runs = self
            .passes
            .iter()
            .rev()
            .filter(|p| p.report.command == "run");
        seen.last_run = runs.clone().find(told).map(|p| p.report.clone());
        if let Some(last) = self.passes.last() {
            seen.bad_payloads = last.bad_payloads.clone();
            seen.unaccounted = last.unaccounted.clone();
            seen.forgive(&last.forgiven);
        }
        seen.drop_accounted();
        seen.retire();
        seen
    }

    /// See [`crate::ledger::Ledger::intend`].
    pub fn intend(&mut self, intent: &Intent, fence: &Fence, at: i64) -> Intended {
        if !self.is_fenced(fence) {
            return Intended::LeaseLost;
        }
        if let Some(open) = self.attempts.iter().find(|a| a.state.is_open()) {
            return Intended::OpenAttempt(open.id.clone());
        }
        let app = &intent.attempt.app;
        if self.latest(app) != intent.after {
            return Intended::Changed;
        }
        let holds = [app.as_str(), EVERY_APP].map(|name| self.holds.get(name));
        let stops = |hold: &&Hold| hold.stops(intent.order, &intent.attempt.version, at);
        if intent.respect_holds
            && let Some(hold) = holds.into_iter().flatten().find(stops)
        {
            return Intended::Held(hold.clone());
        }
        let hold = intent.place_hold.clone().map(|hold| (hold, intent.order));
        let id = intent.attempt.id.clone();
        self.makers.insert(id, fence.holder.clone());
        self.add(intent.attempt.clone(), hold, fence.token, at);
        Intended::Committed
    }

    /// The attempts that a command has intended, oldest first.
    pub fn made_by(&self, who: usize) -> impl Iterator<Item = &Attempt> {
        let holder = who.to_string();
        let own = move |a: &&Attempt| self.makers.get(&a.id) == Some(&holder);
        self.attempts.iter().filter(own)
    }

    /// The id of the latest attempt of an app.
    pub fn latest(&self, app: &str) -> Option<String> {
        let own = self.attempts.iter().rev().find(|a| a.app == app);
        own.map(|a| a.id.clone())
    }

    fn add(&mut self, mut attempt: Attempt, hold: Option<(Hold, Order)>, token: i64, at: i64) {
        attempt.token = token;
        attempt.created_at = at;
        attempt.updated_at = at;
        self.event(
            &attempt.id.clone(),
            attempt.state,
            &attempt.message.clone(),
            token,
            at,
        );
        if let Some((hold, order)) = hold {
            self.hold(&attempt.app, hold, order, at);
        }
        self.made
            .extend(self.server_time.map(|now| (attempt.id.clone(), now)));
        self.attempts.push(attempt);
    }

    fn event(&mut self, id: &str, state: State, message: &str, token: i64, at: i64) {
        let message = message.to_owned();
        let event = AttemptEvent {
            state,
            at,
            message,
            token,
        };
        self.events.push((id.to_owned(), event));
    }

    /// See [`crate::ledger::Ledger::advance`]; an error where only a holder may do it.
    pub fn advance(
        &mut self,
        id: &str,
        from: State,
        step: &Move,
        (counts, fence, at): (bool, &Fence, i64),
    ) -> Result<bool, ()> {
        let may = self.makers.get(id) == Some(&fence.holder) || self.is_fenced(fence);
        let Some(attempt) = self.attempts.iter_mut().find(|a| a.id == id) else {
            return Ok(false);
        };
        if attempt.state != from {
            return Ok(false);
        }
        if !may {
            return Err(());
        }
        attempt.state = step.to;
        attempt.message.clone_from(&step.message);
        attempt.counts = counts;
        if !step.accounted.is_empty() {
            attempt.accounted.clone_from(&step.accounted);
        }
        attempt.updated_at = at;
        if step.deploy_id.is_some() {
            attempt.deploy_id.clone_from(&step.deploy_id);
        }
        self.event(id, step.to, &step.message, fence.token, at);
        Ok(true)
    }

    /// See [`crate::ledger::Ledger::record`].
    pub fn record(
        &mut self,
        attempt: &Attempt,
        hold: Option<(Hold, Order)>,
        fence: &Fence,
        at: i64,
    ) -> Result<(), ()> {
        if self.attempts.iter().any(|a| a.id == attempt.id) {
            return Ok(());
        }
        if !self.is_fenced(fence) {
            return Err(());
        }
        self.add(attempt.clone(), hold, fence.token, at);
        Ok(())
    }

    /// See [`crate::ledger::Ledger::hold`].
    pub fn hold(&mut self, app: &str, hold: Hold, order: Order, at: i64) -> Hold {
        let stands = hold.beside(self.holds.get(app), order, at);
        self.holds.insert(app.to_owned(), stands.clone());
        stands
    }

    /// See [`crate::ledger::Ledger::history`].
    pub fn history(&self, app: Option<&str>, limit: u32) -> Vec<Attempt> {
        let own = self
            .attempts()
            .rev()
            .filter(|a| app.is_none_or(|app| a.app == app));
        own.take(limit as usize).collect()
    }
}
