//! Artifactory and coreos-deploy, as a command of an episode reaches them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::check;
use super::cluster::{Deploy, Fate, STRANGER};
use super::fault::Fault;
use super::host::Ports;
use super::world::{Flight, World};
use crate::artifactory::{Checksum, Payload, Releases};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::model::attempt::Status;
use crate::model::listing::{Listing, ListingBuilder};
use crate::model::request::DeployRequest;
use crate::model::units::Unit;
use crate::target::{Info, Probe, Submission, Target};

/// How long coreos-deploy waits for a request, and a client for its reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(15);
/// When a reply comes that is nearly too late.
const LATE_REPLY: Duration = Duration::from_secs(14);
/// How long a request is on its way that is slow, at most: coreos-deploy waits 10 s for one.
const SLOW: u64 = 14;
/// How long one is on its way that is late, at most: less than `--unknown-hold`.
const LATE: u64 = 830;

/// A payload is the sample with another name in it; what is wrong with payloads is tested elsewhere.
impl Releases for Ports {
    fn list(&self, mut builder: ListingBuilder) -> Result<Listing> {
        let time = self.0.look().reading;
        if !time.is_zero() {
            self.0.sleep(time);
        }
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
            world.tasks[self.0.who].was_busy = true;
            return Probe::Busy("it does not answer".to_owned());
        }
        world.tasks[self.0.who].was_busy = false;
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
        let who = self.0.who;
        check::sent(&mut world, who, request);
        let attempt = world.tasks[who].intent.clone();
        if world.draws(who, Fault::Stranger) {
            let takes = Duration::from_secs(world.rng.u64(600..4000));
            stranger(&mut world, takes);
        }
        let deploy = deploy(&mut world, who, request);
        let slow = world.draw(who, &[Fault::SlowRequest, Fault::LateRequest]);
        if let Some(slow) = slow {
            let longest = if slow == Fault::SlowRequest {
                SLOW
            } else {
                LATE
            };
            let seconds = world.rng.u64(8..=longest);
            let at = world.now + Duration::from_secs(seconds);
            let (request, lifted) = (request.clone(), world.lifted);
            world.flights.push(Flight {
                is_late: slow == Fault::LateRequest,
                at,
                who,
                request,
                attempt,
                lifted,
                deploy,
            });
            self.0.done(world);
            self.0.sleep(REPLY_TIMEOUT);
            return Submission::Lost("no reply".to_owned());
        }
        check::arrival(&mut world, who, request, attempt.as_deref());
        let (id, now) = (deploy.id(), world.now);
        let is_answered = world.cluster.post(deploy, now);
        let fault = world.draw(who, &[Fault::LostReply, Fault::LateReply]);
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
    let some = match world.up {
        Some(up) => up,
        None => world.rng.u32(..request.num_instances.max(1)),
    };
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
        is_given_up: false,
    }
}

/// A deploy of somebody else's service.
fn stranger(world: &mut World, takes: Duration) {
    let deploy = Deploy {
        number: world.cluster.next_number(),
        service: STRANGER.to_owned(),
        version: "1".to_owned(),
        instances: 1,
        fate: Fate::Succeeds,
        takes,
        ended: false,
        is_given_up: false,
    };
    let now = world.now;
    world.cluster.post(deploy, now);
}
