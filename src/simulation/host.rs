//! What a command of an episode works with: the ports, each call a step in which something may go
//! wrong.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::cluster::{Deploy, Fate};
use super::world::{Actor, Fault, LEASE_TTL, World};
use crate::artifactory::{Checksum, Payload, Releases};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::ledger::{
    Attempt, AttemptEvent, Fence, Intended, Intent, Lease, LeaseInfo, Ledger, Migrated, PassRecord,
    PassRow, Snapshot, TokenRow,
};
use crate::model::attempt::{Move, State, Status};
use crate::model::listing::{Listing, ListingBuilder};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::report::Report;
use crate::model::request::DeployRequest;
use crate::model::units::Unit;
use crate::model::version::Order;
use crate::target::{Info, Probe, Submission, Target};

/// How long coreos-deploy waits for a request, and a client for its reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(15);

/// When a reply comes that is nearly too late.
const LATE_REPLY: Duration = Duration::from_secs(14);
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
                let renewed = Mutex::new(actor.elapsed());
                return Ok(Some(Box::new(Held {
                    renewed,
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
        self.ledger("reads the ledger", |world| world.store.snapshot())
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
        self.write(&what, |world| world.store.intend(intent, fence, at))
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
        let done = self.write(&what, |world| world.store.record(attempt, hold, fence, at))?;
        done.map_err(|()| Error::new(Kind::Busy, "the lease was lost"))?;
        Ok(None)
    }

    fn name_conflicts(&mut self, _: &Scope, _: &[&str]) -> Result<BTreeMap<String, String>> {
        Ok(BTreeMap::new())
    }

    fn hold(&mut self, _: &Scope, app: &str, hold: &Hold, order: Order) -> Result<Hold> {
        let at = self.0.now_ms();
        self.write(&format!("holds {app}"), |world| {
            world.store.hold(app, hold.clone(), order, at)
        })
    }

    fn release(&mut self, _: &Scope, app: &str) -> Result<bool> {
        self.write(&format!("releases {app}"), |world| {
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
        if world.now >= *renewed + RENEWAL {
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
            LEASE_TTL / 4
        } else {
            Duration::ZERO
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.actor.is_crashed() {
            let mut world = self.actor.look();
            world.store.free(self.actor.who, self.fence.token);
        }
    }
}

/// A payload is the sample with another name in it; what is wrong with payloads is tested elsewhere.
impl Releases for Ports {
    fn list(&self, mut builder: ListingBuilder) -> Result<Listing> {
        let mut world = self.0.step("reads the markers", true);
        if world.draws(self.0.who, Fault::MarkersAway) {
            return Err(Error::unavailable("Artifactory cannot be used"));
        }
        for (app, versions) in &world.markers {
            builder.folder(app);
            for version in versions {
                if world.is_marked(app, version) {
                    builder.file(app, &format!("{version}.deploy"));
                }
            }
        }
        self.0.done(world);
        Ok(builder.finish("aql", true))
    }

    fn checksum(&self, _: &str, _: &str) -> Result<Option<Checksum>> {
        Ok(Some(Checksum::Sha256("00".repeat(32))))
    }

    fn download(&self, app: &str, file: &str, checksum: &Checksum) -> Result<Payload> {
        /// Packing takes longer than all the rest.
        static PACKED: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
        let version = file
            .strip_prefix(&format!("example.com-development-{app}-"))
            .and_then(|rest| rest.strip_suffix(".tar.gz"))
            .ok_or_else(|| Error::new(Kind::Failed, file))?;
        let mut packed = PACKED.lock().unwrap_or_else(PoisonError::into_inner);
        let payload = packed.entry(file.to_owned());
        let bytes = payload
            .or_insert_with(|| simulator::Payload::sample(app, version).build())
            .clone();
        Ok(Payload {
            bytes,
            checksum: checksum.clone(),
        })
    }

    fn marker_age(&self, _: &str, _: &str) -> Result<Duration> {
        Ok(Duration::ZERO)
    }

    fn is_marked(&self, app: &str, version: &str) -> Result<bool> {
        let what = format!("looks at the marker of {app} {version}");
        let mut world = self.0.step(&what, true);
        let who = self.0.who;
        world.tasks[who].saw = None;
        if world.draws(who, Fault::MarkersAway) {
            return Err(Error::unavailable("Artifactory cannot be used"));
        }
        let is_marked = world.is_marked(app, version);
        world.tasks[who].saw = is_marked.then(|| (app.to_owned(), version.to_owned()));
        self.0.done(world);
        Ok(is_marked)
    }

    fn until(&mut self, _: Deadline) {}

    fn requests(&self) -> u64 {
        0
    }
}

impl Target for Ports {
    fn until(&mut self, _: Deadline) {}

    fn info(&self) -> Probe {
        let mut world = self.0.step("asks who it is", true);
        if world.draws(self.0.who, Fault::TargetAway) {
            return Probe::Failed(Error::unavailable("coreos-deploy is not reached"));
        }
        if world.cluster.is_busy() {
            return Probe::Busy("it does not answer".to_owned());
        }
        self.0.done(world);
        Probe::Answered(Info {
            domain: "example.com".to_owned(),
            environment: "development".to_owned(),
            shown: "example.com development".to_owned(),
        })
    }

    fn is_quiet(&self, cancelled: &dyn Fn() -> bool) -> bool {
        for answer in 0..3 {
            if answer > 0 {
                self.0.sleep(Duration::from_secs(5));
            }
            if cancelled() || !matches!(self.info(), Probe::Answered(_)) {
                return false;
            }
        }
        true
    }

    fn units(&self, service_name: &str) -> Result<Vec<Unit>> {
        let mut world = self.0.step("looks at the units", true);
        let is_blind = world.draws(self.0.who, Fault::TargetAway) || world.cluster.is_busy();
        world.tasks[self.0.who].is_blind = is_blind;
        if is_blind {
            return Err(Error::unavailable("the units cannot be read"));
        }
        let units = world.cluster.units(service_name);
        self.0.done(world);
        Ok(units)
    }

    fn submit(&self, request: &DeployRequest) -> Submission {
        let what = format!("POST {} {}", request.service_name, request.version);
        let mut world = self.0.step(&what, false);
        let chances = [Fault::TargetAway, Fault::Refused, Fault::LostRequest];
        match world.draw(self.0.who, &chances) {
            Some(Fault::LostRequest) => {
                drop(world);
                self.0.sleep(REPLY_TIMEOUT);
                return Submission::Lost("no reply".to_owned());
            }
            Some(fault) => {
                return Submission::Refused {
                    reason: "not accepted".to_owned(),
                    counts: fault == Fault::Refused,
                    stop: None,
                };
            }
            None => {}
        }
        super::check::arrival(&mut world, self.0.who, request);
        let deploy = deploy(&mut world, self.0.who, request);
        let (id, now) = (deploy.id(), world.now);
        let is_answered = world.cluster.post(deploy, now);
        let fault = world.draw(self.0.who, &[Fault::LostReply, Fault::LateReply]);
        self.0.done(world);
        match fault {
            None if is_answered => Submission::Accepted(id),
            Some(Fault::LateReply) if is_answered => {
                self.0.sleep(LATE_REPLY);
                Submission::Accepted(id)
            }
            _ => {
                self.0.sleep(REPLY_TIMEOUT);
                Submission::Lost("no reply".to_owned())
            }
        }
    }

    fn status(&self, id: &str, _: &str, version: &str) -> Status {
        let mut world = self.0.step("asks for the outcome", true);
        if world.draws(self.0.who, Fault::TargetAway) || world.cluster.is_busy() {
            return Status::Inconclusive("no answer".to_owned());
        }
        let status = match world.cluster.deploys.iter().find(|d| d.id() == id) {
            None => Status::NoRows,
            Some(d) if d.version != version => Status::OtherDeploy(d.version.clone()),
            Some(d) => match d.fate {
                Fate::Succeeds => Status::Succeeded,
                Fate::Fails(_) => Status::Failed("no machine".to_owned()),
                Fate::Dies(_) => Status::Running,
            },
        };
        self.0.done(world);
        status
    }
}

/// What becomes of a request that has arrived.
fn deploy(world: &mut World, who: usize, request: &DeployRequest) -> Deploy {
    let chances = [Fault::DeployFails, Fault::DeployDies, Fault::DeployHangs];
    let fault = world.draw(who, &chances);
    let some = world.rng.u32(..request.num_instances.max(1));
    let seconds = match fault {
        Some(Fault::DeployHangs) => world.rng.u64(700..4000),
        _ => world.rng.u64(1..30),
    };
    Deploy {
        number: world.cluster.next_number(),
        service: request.service_name.clone(),
        version: request.version.clone(),
        instances: request.num_instances,
        fate: match fault {
            Some(Fault::DeployFails) => Fate::Fails(some),
            Some(Fault::DeployDies) => Fate::Dies(some),
            _ => Fate::Succeeds,
        },
        takes: Duration::from_secs(seconds),
        ended: false,
    }
}
