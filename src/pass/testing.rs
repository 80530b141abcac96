//! A world in memory for tests: releases, a cluster, and a ledger in a file of its own.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::{Ending, Interrupt, ReportBuilder, Session};
use crate::artifactory::{Checksum, Payload, Releases};
use crate::clock::System;
use crate::config::{ColorMode, DeployConfig, Dsn, OutputConfig, Rules};
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::ledger::{self, Access, Ledger};
use crate::model::attempt::Status;
use crate::model::listing::{AppFilter, Listing, ListingBuilder};
use crate::model::name::Scope;
use crate::model::report::{AppReport, Report};
use crate::model::request::DeployRequest;
use crate::model::units::Unit;
use crate::model::version::Order;
use crate::output::{Output, Terminal};
use crate::target::{Info, Probe, Submission, Target};

/// What the cluster does with a request to deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Deploys it, and says so.
    Deploy,
    /// Accepts it and fails; so many units of it run.
    Fail(u32),
    /// Deploys it; the reply is lost.
    LoseReply,
    /// Never gets it; nobody can tell.
    LoseRequest,
    /// Refuses it.
    Refuse,
    /// Accepts it, and never ends.
    Hang,
}

/// The state that a test looks at and changes.
#[derive(Default)]
pub struct State {
    /// The marked versions by app; each has a payload.
    pub markers: BTreeMap<String, Vec<String>>,
    /// The service that an app's payloads name, where it is not `example-<app>`.
    pub services: BTreeMap<String, String>,
    /// How many payloads were downloaded.
    pub downloads: usize,
    /// Markers that are gone once they were listed: app and version.
    pub withdrawn: Vec<(String, String)>,
    /// What every look at a marker fails of.
    pub unread_marker: Option<Kind>,
    /// How often a marker was looked at again.
    pub looks: usize,
    /// Payloads that are gone: app and version.
    pub gone: Vec<(String, String)>,
    /// What becomes of the next requests; [`Does::Deploy`] where nothing is said.
    pub next: VecDeque<Does>,
    /// The versions that were requested, in order.
    pub posted: Vec<String>,
    /// The units that run: service and unit.
    pub units: Vec<(String, Unit)>,
    /// The deploys that were accepted: id, service, version, status.
    pub deploys: Vec<(String, String, String, Status)>,
    /// Whether the target answers nobody.
    pub busy: bool,
    /// Whether it is quiet enough for verdicts that rest on absence.
    pub quiet: bool,
}

/// Releases, a cluster and a ledger that sessions share.
pub struct Lab {
    state: Arc<Mutex<State>>,
    directory: TempDir,
    output: Output,
    scope: Scope,
    /// The rules of the passes.
    pub rules: Rules,
    deploy: DeployConfig,
}

impl Default for Lab {
    /// An empty one.
    fn default() -> Self {
        let config = OutputConfig {
            json: true,
            quiet: true,
            verbose: 0,
            color: ColorMode::Never,
        };
        Self {
            state: Arc::default(),
            directory: tempfile::tempdir().unwrap(),
            output: Output::new(config, Terminal::detect(ColorMode::Never, &|_| None)),
            scope: Scope {
                domain: "example.com".into(),
                environment: "development".into(),
            },
            rules: Rules {
                order: Order::Natural,
                filter: AppFilter::default(),
                max_deploys: 25,
                max_failures: 3,
                max_attempts: 5,
                retry_after: Duration::ZERO,
                payload_wait: Duration::from_secs(3600),
                max_duration: Duration::from_secs(3600),
                lock_wait: Duration::ZERO,
                longest_hold: Duration::from_secs(4500),
            },
            deploy: DeployConfig {
                url: "http://127.0.0.1:1".into(),
                token: None,
                timeout: Duration::ZERO,
                unknown_hold: Some(Duration::ZERO),
                skip_scope_check: false,
            },
        }
    }
}

impl Lab {
    /// What a test looks at and changes.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Publishes and marks a version.
    pub fn publish(&self, app: &str, version: &str) {
        let mut state = self.state();
        let versions = state.markers.entry(app.into()).or_default();
        versions.push(version.into());
    }

    /// The ledger, past every session.
    pub fn ledger(&self) -> Box<dyn Ledger> {
        ledger::open(&Dsn::Sqlite(self.file()), Access::Write).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("ledger.db")
    }

    /// Does something in a session that holds the lease, and gives the report and the exit code.
    pub fn run(
        &self,
        command: &'static str,
        work: impl FnOnce(&mut Session<'_>) -> Result<()>,
    ) -> (Report, Exit) {
        let mut ledger = self.ledger();
        let lease = super::take_lease(
            ledger.as_mut(),
            &self.scope,
            &self.output,
            &self.rules,
            &System,
            &[],
        )
        .unwrap();
        let mut session = Session {
            rules: &self.rules,
            deploy: &self.deploy,
            scope: &self.scope,
            output: &self.output,
            interrupt: Interrupt::none(),
            releases: Box::new(Fake(Arc::clone(&self.state))),
            target: Box::new(Fake(Arc::clone(&self.state))),
            ledger,
            lease,
            deadline: Deadline::new(System::shared(), self.rules.max_duration),
            ending: Ending::new(
                Interrupt::none(),
                ReportBuilder::new(command, System::shared()),
            ),
            clock: System::shared(),
            services: BTreeMap::new(),
            asked_by: None,
            previous: None,
        };
        let error = work(&mut session).err();
        let (report, exit) = session.report().report(&self.scope, error.as_ref());
        let record = session.report().record(report.clone());
        session.ledger.finish_pass(&self.scope, &record).unwrap();
        (report, exit)
    }

    /// One pass.
    pub fn pass(&self) -> (Report, Exit) {
        self.run("run", super::run)
    }

    /// The attempts as `version state`, oldest first.
    pub fn attempts(&self, app: &str) -> Vec<String> {
        let history = self.ledger().history(&self.scope, Some(app), 100).unwrap();
        let line = |a: &ledger::Attempt| format!("{} {}", a.version, a.state.as_str());
        history.iter().rev().map(line).collect()
    }
}

/// One app of a report.
pub fn app<'a>(report: &'a Report, name: &str) -> &'a AppReport {
    report.apps.iter().find(|a| a.app == name).unwrap()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Fake(Arc<Mutex<State>>);

impl Releases for Fake {
    fn list(&self, mut builder: ListingBuilder) -> Result<Listing> {
        for (app, versions) in &lock(&self.0).markers {
            builder.folder(app);
            for version in versions {
                builder.file(app, &format!("{version}.deploy"));
            }
        }
        Ok(builder.finish("aql", true))
    }

    fn checksum(&self, app: &str, file: &str) -> Result<Option<Checksum>> {
        let state = lock(&self.0);
        let is_gone =
            |(a, v): &(String, String)| a == app && file.ends_with(&format!("-{v}.tar.gz"));
        Ok((!state.gone.iter().any(is_gone)).then(|| Checksum::Sha256("00".repeat(32))))
    }

    fn download(&self, app: &str, file: &str, checksum: &Checksum) -> Result<Payload> {
        let version = file
            .strip_prefix(&format!("example.com-development-{app}-"))
            .and_then(|rest| rest.strip_suffix(".tar.gz"))
            .ok_or_else(|| Error::new(Kind::Failed, file))?;
        let mut state = lock(&self.0);
        state.downloads += 1;
        let payload = simulator::Payload::sample(app, version);
        Ok(Payload {
            bytes: match state.services.get(app) {
                Some(service) => payload.name(service).build(),
                None => payload.build(),
            },
            checksum: checksum.clone(),
        })
    }

    fn marker_age(&self, _: &str, _: &str) -> Result<Duration> {
        Ok(Duration::ZERO)
    }

    fn is_marked(&self, app: &str, version: &str) -> Result<bool> {
        let mut state = lock(&self.0);
        state.looks += 1;
        if let Some(kind) = state.unread_marker {
            return Err(Error::new(kind, "Artifactory cannot be used"));
        }
        Ok(!state.withdrawn.contains(&(app.into(), version.into())))
    }

    fn until(&mut self, _: Deadline) {}

    fn requests(&self) -> u64 {
        0
    }
}

impl Target for Fake {
    fn until(&mut self, _: Deadline) {}

    fn info(&self) -> Probe {
        if lock(&self.0).busy {
            return Probe::Busy("silent".into());
        }
        Probe::Answered(Info {
            domain: "example.com".into(),
            environment: "development".into(),
            shown: "example.com development".into(),
        })
    }

    fn is_quiet(&self, _: &dyn Fn() -> bool) -> bool {
        lock(&self.0).quiet
    }

    fn units(&self, service_name: &str) -> Result<Vec<Unit>> {
        let state = lock(&self.0);
        let own = state.units.iter().filter(|(name, _)| name == service_name);
        Ok(own.map(|(_, unit)| unit.clone()).collect())
    }

    fn submit(&self, request: &DeployRequest) -> Submission {
        let mut state = lock(&self.0);
        state.posted.push(request.version.clone());
        let number = state.posted.len();
        let does = state.next.pop_front().unwrap_or(Does::Deploy);
        let (units, status) = match does {
            Does::Deploy | Does::LoseReply => (request.num_instances, Status::Succeeded),
            Does::Fail(units) => (units, Status::Failed("No machine.".into())),
            Does::Hang => (0, Status::Running),
            Does::LoseRequest => return Submission::Lost("no reply".into()),
            Does::Refuse => {
                return Submission::Refused {
                    reason: "400".into(),
                    counts: true,
                    stop: None,
                };
            }
        };
        if status == Status::Succeeded {
            state
                .units
                .retain(|(name, _)| *name != request.service_name);
        }
        state.units.extend((1..=units).map(|index| {
            let unit = Unit {
                version: request.version.clone(),
                suffix: format!("{number:08}"),
                cycle: 'A',
                index,
                running: true,
            };
            (request.service_name.clone(), unit)
        }));
        let id = format!("id-{number}");
        let (service, version) = (request.service_name.clone(), request.version.clone());
        state.deploys.push((id.clone(), service, version, status));
        match does {
            Does::LoseReply => Submission::Lost("no reply".into()),
            _ => Submission::Accepted(id),
        }
    }

    fn status(&self, id: &str, _: &str, version: &str) -> Status {
        let state = lock(&self.0);
        match state.deploys.iter().find(|(known, ..)| known == id) {
            None => Status::NoRows,
            Some((_, service, other, _)) if other != version => {
                Status::OtherDeploy(format!("{service} {other}"))
            }
            Some((.., status)) => status.clone(),
        }
    }
}
