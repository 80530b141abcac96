//! What a command of an episode works with: the ports, each call a step in which something may go
//! wrong.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::check;
use super::fault::Fault;
use super::turns::Actor;
use super::world::{LEASE_TTL, VALIDITY, World};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::ledger::{
    Attempt, AttemptEvent, Fence, Intended, Intent, Lease, LeaseInfo, Ledger, Migrated, PassRecord,
    PassRow, Snapshot, TokenRow,
};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::report::Report;
use crate::model::version::Order;

/// How often the lease is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// The ports of one command.
#[derive(Clone, Debug)]
pub struct Ports(pub Actor);

impl Ports {
    /// A call of the ledger.
    fn ledger<T>(&self, what: &str, effect: impl FnOnce(&mut World) -> T) -> Result<T> {
        let mut world = self.0.step(what, true);
        let who = self.0.who;
        if world.draws(who, Fault::LedgerAway) {
            return Err(away());
        }
        if world.copy.is_some() && world.draws(who, Fault::FailOver) {
            let before = world.copy.take();
            world.store = before.unwrap_or_default();
        }
        world.store.server_time = (!world.is_file).then_some(world.now);
        let at = effect(&mut world);
        if world.draws(who, Fault::LostCommit) {
            return Err(away());
        }
        self.0.done(world);
        Ok(at)
    }

    /// A call of the ledger that changes it: every copy of it has seen the write before.
    fn write<T>(&self, what: &str, effect: impl FnOnce(&mut World) -> T) -> Result<T> {
        self.ledger(what, |world| {
            world.copy = None;
            effect(world)
        })
    }
}

fn away() -> Error {
    Error::unavailable("the ledger cannot be used")
}

impl Ledger for Ports {
    fn opened(&self) -> (Migrated, String) {
        (Migrated::Unchanged, "memory".to_owned())
    }

    fn acquire(&mut self, _: &Scope, wait: Duration) -> Result<Option<Box<dyn Lease>>> {
        let end = self.0.elapsed().saturating_add(wait);
        loop {
            let who = self.0.who;
            let taken = self.write("takes the lease", |world| {
                world.renew();
                let (now, is_file) = (world.now, world.is_file);
                let was_held = world.store.lease.holder.is_some();
                let before = world.store.clone();
                let token = world.store.acquire(who, now, is_file);
                world.copy = (token.is_some() && !is_file).then_some(before);
                token.map(|token| (token, was_held && !is_file))
            })?;
            if let Some((token, is_takeover)) = taken {
                let actor = self.0.clone();
                let taken = actor.elapsed();
                return Ok(Some(Box::new(Held {
                    renewed: Mutex::new(taken),
                    taken,
                    actor,
                    fence: Fence {
                        token,
                        holder: who.to_string(),
                    },
                    is_takeover,
                })));
            }
            if self.0.elapsed() >= end {
                return Ok(None);
            }
            self.0.sleep(Duration::from_secs(5));
        }
    }

    fn lease_info(&mut self, _: &Scope) -> Result<Option<LeaseInfo>> {
        Ok(None)
    }

    fn snapshot(&mut self, _: &Scope) -> Result<Snapshot> {
        let who = self.0.who;
        self.ledger("reads the ledger", |world| {
            let seen = world.store.snapshot();
            let open = seen.open.iter().map(|a| a.id.clone());
            world.tasks[who].knows.extend(open);
            seen
        })
    }

    fn take_over(&mut self, _: &Scope, _: &Fence) -> Result<()> {
        Ok(())
    }

    fn intend(&mut self, _: &Scope, intent: &Intent, lease: &dyn Lease) -> Result<Intended> {
        let what = format!("intends {} {}", intent.attempt.app, intent.attempt.version);
        if !lease.is_held() {
            return Ok(Intended::LeaseLost);
        }
        let (fence, at) = (lease.fence(), self.0.now_ms());
        let who = self.0.who;
        self.write(&what, |world| {
            let intended = world.store.intend(intent, fence, at);
            if intended == Intended::Committed {
                check::intended(world, who, intent);
            }
            intended
        })
    }

    fn advance(
        &mut self,
        attempt: &str,
        from: State,
        step: &Move,
        counts: bool,
        fence: &Fence,
    ) -> Result<bool> {
        let what = format!("records {} -> {}", from.as_str(), step.to.as_str());
        if !from.may_become(step.to) {
            self.0.look().broken.push(format!("illegal: {what}"));
        }
        let at = self.0.now_ms();
        let how = (counts, fence, at);
        let moved = self.write(&what, |world| world.store.advance(attempt, from, step, how))?;
        moved.map_err(|()| Error::new(Kind::Busy, "the lease was lost"))
    }

    fn record_all(
        &mut self,
        _: &Scope,
        attempts: &[Attempt],
        fence: &Fence,
    ) -> Result<Option<(usize, String)>> {
        let at = self.0.now_ms();
        let shown = attempts.iter().map(|a| format!("{} {}", a.app, a.version));
        let what = format!(
            "records {} as what runs",
            shown.collect::<Vec<_>>().join(", ")
        );
        let done = self.write(&what, |world| {
            let mut all = attempts.iter();
            all.try_for_each(|attempt| world.store.record(attempt, None, fence, at))
        })?;
        done.map_err(|()| Error::new(Kind::Busy, "the lease was lost"))?;
        Ok(None)
    }

    fn record(
        &mut self,
        _: &Scope,
        attempt: &Attempt,
        hold: Option<(&Hold, Order)>,
        fence: &Fence,
    ) -> Result<Option<String>> {
        let (state, app, version) = (attempt.state.as_str(), &attempt.app, &attempt.version);
        let at = self.0.now_ms();
        let hold = hold.map(|(hold, order)| (hold.clone(), order));
        let what = format!("records {app} {version} as {state}");
        let done = self.write(&what, |world| {
            let placed = hold.as_ref().map(|(hold, _)| hold.clone());
            let done = world.store.record(attempt, hold, fence, at);
            if let Some(placed) = placed.filter(|_| done.is_ok()) {
                world.stand(&attempt.app, &placed);
            }
            done
        })?;
        done.map_err(|()| Error::new(Kind::Busy, "the lease was lost"))?;
        Ok(None)
    }

    fn name_conflicts(&mut self, _: &Scope, _: &[&str]) -> Result<BTreeMap<String, String>> {
        Ok(BTreeMap::new())
    }

    fn hold(&mut self, _: &Scope, app: &str, hold: &Hold, order: Order) -> Result<Hold> {
        let at = self.0.now_ms();
        self.write(&format!("holds {app}"), |world| {
            world.stand(app, hold);
            world.store.hold(app, hold.clone(), order, at)
        })
    }

    fn release(&mut self, _: &Scope, app: &str) -> Result<bool> {
        self.write(&format!("releases {app}"), |world| {
            world.standing.retain(|hold| hold.app != app);
            world.store.holds.remove(app).is_some()
        })
    }

    fn history(&mut self, _: &Scope, app: Option<&str>, limit: u32) -> Result<Vec<Attempt>> {
        self.ledger("reads the history", |world| world.store.history(app, limit))
    }

    fn scopes_of(&mut self, _: &str) -> Result<Vec<Scope>> {
        Ok(Vec::new())
    }

    fn events(&mut self, attempt: &str) -> Result<Vec<AttemptEvent>> {
        self.ledger("reads the events", |world| {
            let own = world.store.events.iter().filter(|(id, _)| id == attempt);
            own.map(|(_, event)| event.clone()).collect()
        })
    }

    fn finish_pass(&mut self, _: &Scope, pass: &PassRecord) -> Result<()> {
        self.write("keeps its report", |world| {
            world.store.passes.push(pass.clone());
        })
    }

    fn last_run(&mut self, _: &Scope) -> Result<Option<Report>> {
        self.ledger("reads the last report", |world| {
            world.store.snapshot().last_run
        })
    }

    fn passes(&mut self, _: &Scope, _: u32) -> Result<Vec<PassRow>> {
        Ok(Vec::new())
    }

    fn pass_report(&mut self, _: &Scope, _: &str) -> Result<Option<String>> {
        Ok(None)
    }

    fn tokens(&mut self) -> Result<Vec<TokenRow>> {
        Ok(Vec::new())
    }

    fn add_token(&mut self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn revoke_token(&mut self, _: i64) -> Result<bool> {
        Ok(false)
    }
}

/// A lease that was taken.
#[derive(Debug)]
struct Held {
    actor: Actor,
    fence: Fence,
    is_takeover: bool,
    taken: Duration,
    /// When it was renewed last.
    renewed: Mutex<Duration>,
}

impl Lease for Held {
    fn fence(&self) -> &Fence {
        &self.fence
    }

    /// The renewal runs beside the command, every now and then, and stands still when its process
    /// does. What has become of the row since it ran last is not seen.
    fn is_held(&self) -> bool {
        let mut world = self.actor.look();
        let who = self.actor.who;
        if world.is_file {
            return world.store.lease.token == self.fence.token;
        }
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if !world.tasks[who].ended && world.draws(who, Fault::RenewalsCut) {
            // Nearly for as long as the lease may be relied upon.
            let time = Duration::from_secs(world.rng.u64(45..VALIDITY.as_secs()));
            let since = self.taken.max(world.now.saturating_sub(time));
            world.cut(who, since);
        }
        if let Some(since) = world.tasks[who].cut_since {
            world.tasks[who].has_lost_lease |= world.now >= since + VALIDITY;
        } else if world.now >= *renewed + RENEWAL {
            world.renew();
            let row = &world.store.lease;
            let is_ours = row.token == self.fence.token && row.holder == Some(who);
            world.tasks[who].has_lost_lease |= !is_ours;
            *renewed = world.now;
        }
        !world.tasks[who].has_lost_lease
    }

    fn send_delay(&self) -> Duration {
        if self.is_takeover {
            (self.taken + LEASE_TTL / 4).saturating_sub(self.actor.elapsed())
        } else {
            Duration::ZERO
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.actor.is_crashed() && self.send_delay().is_zero() {
            let mut world = self.actor.look();
            world.store.free(self.actor.who, self.fence.token);
        }
    }
}
