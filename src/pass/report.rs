//! What a pass has found out so far, and the report it makes.

use std::collections::BTreeMap;

use super::{Ended, Prepared, Scan};
use crate::clock::SharedClock;
use crate::error::Error;
use crate::exit::Exit;
use crate::ledger::{Attempt, BadPayload, PassRecord, Snapshot, Unaccounted};
use crate::model::attempt::State;
use crate::model::name::Scope;
use crate::model::plan::Step;
use crate::model::report::{Action, AppReport, LeftAlone, Outcome, Report, Summary};
use crate::model::time::rfc3339;

/// One app of a pass, and what it means for the exit code.
#[derive(Clone, Debug)]
pub struct AppResult {
    /// What is reported.
    pub report: AppReport,
    /// The exit code that this app asks for.
    pub exit: Exit,
    /// `waiting` or `given-up` after a failed attempt.
    pub failing: bool,
}

impl AppResult {
    fn of(step: &Step) -> Self {
        let exit = if step.failing || step.action == Action::Unreadable {
            Exit::Failed
        } else {
            Exit::Success
        };
        Self {
            report: AppReport {
                app: step.app.clone(),
                deployed: step.deployed.clone(),
                newest: step.newest.clone(),
                action: step.action,
                reason: step.reason.clone(),
                outcome: None,
                attempt: step.attempt.clone(),
                deploy_id: None,
                duration_ms: None,
                error: None,
                hint: None,
                failing: exit != Exit::Success,
            },
            exit,
            failing: step.failing,
        }
    }

    fn is_due(&self) -> bool {
        matches!(
            self.report.action,
            Action::New | Action::Upgrade | Action::Retry | Action::Resume | Action::Requested
        )
    }

    fn end(&mut self, ended: Ended) {
        self.report.attempt = ended.attempt;
        self.report.deploy_id = ended.deploy_id;
        self.report.duration_ms = ended
            .duration
            .map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        let outcome = match ended.outcome {
            Ok(outcome) => outcome,
            Err(action) => {
                self.report.action = action;
                self.report.reason = ended.message;
                self.failing = action == Action::Unaccounted;
                self.report.failing = self.failing;
                if self.failing {
                    self.exit = Exit::Failed;
                }
                return;
            }
        };
        self.report.outcome = Some(outcome);
        self.exit = outcome.exit();
        if outcome.exit() != Exit::Success {
            self.report.error = Some(ended.message);
        } else if outcome == Outcome::Observed {
            self.report.reason = ended.message;
        }
    }
}

/// Collects what a pass finds out.
pub struct ReportBuilder {
    pass: String,
    command: &'static str,
    clock: SharedClock,
    started_at: i64,
    apps: BTreeMap<String, AppResult>,
    planned: bool,
    unread: bool,
    deployed: BTreeMap<String, String>,
    bad_payloads: BTreeMap<String, BadPayload>,
    left_alone: LeftAlone,
    /// The apps of which other versions run than the ledger has.
    pub unaccounted: BTreeMap<String, Unaccounted>,
    /// The versions of which one failure is forgiven, by app.
    forgiven: BTreeMap<String, String>,
    /// Since when every pass has found coreos-deploy busy.
    pub busy_since: Option<i64>,
    /// What this pass found: see [`PassRecord::busy`].
    pub busy: Option<bool>,
}

impl ReportBuilder {
    /// Nothing is known yet.
    pub fn new(command: &'static str, clock: SharedClock) -> Self {
        Self {
            pass: uuid::Uuid::new_v4().to_string(),
            command,
            started_at: clock.now_ms(),
            clock,
            apps: BTreeMap::new(),
            planned: false,
            unread: false,
            deployed: BTreeMap::new(),
            bad_payloads: BTreeMap::new(),
            left_alone: LeftAlone::default(),
            unaccounted: BTreeMap::new(),
            forgiven: BTreeMap::new(),
            busy_since: None,
            busy: None,
        }
    }

    /// Gives the pass the id that it was announced under.
    #[must_use]
    pub fn with_id(mut self, pass: Option<&str>) -> Self {
        if let Some(pass) = pass {
            pass.clone_into(&mut self.pass);
        }
        self
    }

    /// Takes over what the last pass knew.
    pub fn begin(&mut self, snapshot: &Snapshot) {
        self.bad_payloads.clone_from(&snapshot.bad_payloads);
        self.unaccounted.clone_from(&snapshot.unaccounted);
        self.forgiven = snapshot.forgiven();
        self.busy_since = snapshot.busy_since;
        self.deployed = snapshot
            .records
            .iter()
            .filter_map(|(app, record)| Some((app.clone(), record.deployed.clone()?)))
            .collect();
    }

    /// Takes the plan in. What was resumed and settled stays, unless the app is due again.
    pub fn plan(&mut self, scan: &Scan) {
        self.planned = true;
        self.left_alone.clone_from(&scan.listing.left_alone);
        for step in &scan.steps {
            self.unread |= step.action == Action::Unreadable;
            match self.apps.get(&step.app) {
                Some(resumed) if !step.is_deploy() || resumed.exit == Exit::Unknown => {}
                _ => {
                    self.apps.insert(step.app.clone(), AppResult::of(step));
                }
            }
        }
        for (app, deployed) in &scan.missing {
            self.apps.entry(app.clone()).or_insert_with(|| {
                AppResult::of(&Step {
                    app: app.clone(),
                    deployed: deployed.clone(),
                    newest: None,
                    action: Action::Gone,
                    reason: gone(app, deployed.as_deref()),
                    attempt: None,
                    failing: false,
                })
            });
        }
        let steps: BTreeMap<&str, &Step> = scan.steps.iter().map(|s| (s.app.as_str(), s)).collect();
        self.bad_payloads.retain(|app, bad| {
            steps
                .get(app.as_str())
                .is_none_or(|s| s.newest.as_ref() == Some(&bad.version))
        });
    }

    /// Notes an operator's request for one app.
    pub fn request(&mut self, app: &str, deployed: Option<String>, version: &str, reason: String) {
        let step = Step {
            app: app.to_owned(),
            deployed,
            newest: Some(version.to_owned()),
            action: Action::Requested,
            reason,
            attempt: None,
            failing: false,
        };
        self.planned = true;
        self.apps.insert(app.to_owned(), AppResult::of(&step));
        // Its payload is looked at afresh.
        self.bad_payloads.remove(app);
    }

    /// Says why due deploys that were not tried are left.
    pub fn leave_due(&mut self, why: &str) {
        for app in self
            .apps
            .values_mut()
            .filter(|a| a.is_due() && a.report.outcome.is_none())
        {
            app.report.reason = format!("{}; not tried: {why}", app.report.reason);
        }
    }

    /// Notes a deploy of which nothing was sent.
    pub fn not_sent(&mut self, name: &str, prepared: Prepared) {
        let Some(app) = self.apps.get_mut(name) else {
            return;
        };
        match prepared {
            Prepared::Ready(_) => {}
            Prepared::Waiting(reason) => {
                app.report.action = Action::Waiting;
                app.report.reason = reason;
            }
            Prepared::Error(error, bad) => {
                app.report.outcome = Some(Outcome::Error);
                app.report.error = Some(error.one_line());
                app.report.hint = error.hint;
                app.exit = Exit::of(error.kind);
                match bad {
                    Some(bad) => self.bad_payloads.insert(name.to_owned(), bad),
                    None => self.bad_payloads.remove(name),
                };
            }
        }
    }

    /// Notes what is known of an attempt that is under way, should the pass get no further.
    pub fn in_flight(&mut self, attempt: &Attempt) {
        let ended = Ended {
            message: "the pass ended before its outcome; the next one finds out".to_owned(),
            ..Ended::of(attempt, None)
        };
        if ended.is_open() {
            self.ended(&attempt.app, ended);
        }
    }

    /// Notes how a deploy ended.
    pub fn ended(&mut self, app: &str, ended: Ended) {
        if let Some(result) = self.apps.get_mut(app) {
            result.end(ended);
        }
    }

    /// Notes that the brake has stopped the pass after these versions, by app.
    pub fn forgive(&mut self, failed: &BTreeMap<String, String>) {
        self.forgiven.extend(failed.clone());
    }

    /// Notes how the resuming of an open attempt ended.
    pub fn resumed(&mut self, open: &Attempt, state: State, ended: Ended) {
        let mut result = AppResult::of(&Step {
            app: open.app.clone(),
            deployed: self.deployed.get(&open.app).cloned(),
            newest: Some(open.version.clone()),
            action: Action::Resume,
            reason: format!(
                "attempt {} was {}, now {}",
                open.id,
                open.state.as_str(),
                state.as_str()
            ),
            attempt: Some(open.id.clone()),
            failing: false,
        });
        result.end(ended);
        self.apps.insert(open.app.clone(), result);
    }

    /// Notes that what an operator asked for is deployed already.
    pub fn deployed_already(&mut self, app: &str, version: &str) {
        let (app, version) = (app.to_owned(), version.to_owned());
        let step = Step {
            app: app.clone(),
            deployed: Some(version.clone()),
            newest: Some(version.clone()),
            action: Action::UpToDate,
            reason: format!("{version} is deployed already"),
            attempt: None,
            failing: false,
        };
        self.planned = true;
        self.apps.insert(app, AppResult::of(&step));
    }

    /// Whether something was sent for an app, or found to run.
    pub fn was_tried(&self, app: &str) -> bool {
        self.apps
            .get(app)
            .is_some_and(|a| a.report.outcome.is_some_and(|o| o != Outcome::Error))
    }

    /// Whether anything was due.
    pub fn any_due(&self) -> bool {
        self.apps.values().any(AppResult::is_due)
    }

    /// The report, and the exit code it stands for.
    pub fn report(&self, scope: &Scope, error: Option<&Error>) -> (Report, Exit) {
        let mut exit = error.map_or(Exit::Success, |e| Exit::of(e.kind));
        let mut complete = self.planned && error.is_none() && !self.unread;
        if self.unread {
            exit = exit.and(Exit::Failed);
        }
        for app in self.apps.values() {
            exit = exit.and(app.exit);
            complete &= app.report.action != Action::Unreadable
                && (!app.is_due() || app.report.outcome.is_some());
        }
        let report = Report {
            pass: self.pass.clone(),
            command: self.command.to_owned(),
            domain: scope.domain.clone(),
            environment: scope.environment.clone(),
            started_at: rfc3339(self.started_at),
            finished_at: rfc3339(self.clock.now_ms()),
            complete,
            apps: self.apps.values().map(|a| a.report.clone()).collect(),
            summary: self.summary(),
            exit_code: exit.code(),
            error: error.map(Error::one_line),
            left_alone: self.left_alone.clone(),
        };
        (report, exit)
    }

    /// What the ledger keeps of the pass.
    pub fn record(&self, report: Report) -> PassRecord {
        PassRecord {
            report,
            bad_payloads: self.bad_payloads.clone(),
            unaccounted: self.unaccounted.clone(),
            forgiven: self.forgiven.clone(),
            busy: self.busy,
        }
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for app in self.apps.values() {
            summary.apps += 1;
            summary.due += u64::from(app.is_due());
            let count = match (app.report.outcome, app.report.action) {
                (Some(Outcome::Succeeded | Outcome::Observed), _) => &mut summary.deployed,
                (Some(Outcome::Unknown | Outcome::Submitted), _) => &mut summary.unknown,
                (Some(_), _)
                | (None, Action::GivenUp | Action::Unreadable | Action::Unaccounted) => {
                    &mut summary.failed
                }
                (None, Action::Waiting) if app.failing => &mut summary.failed,
                (None, Action::UpToDate) => &mut summary.up_to_date,
                (None, Action::Held | Action::Ahead | Action::Gone | Action::Waiting) => {
                    &mut summary.skipped
                }
                (None, _) => continue,
            };
            *count += 1;
        }
        summary
    }
}

/// What is told of an app without markers.
fn gone(app: &str, deployed: Option<&str>) -> String {
    let deployed = deployed.map_or("nothing of it was deployed".to_owned(), |version| {
        format!("{version} stays deployed")
    });
    format!("its markers are gone from Artifactory; {deployed}; `forget {app}` retires it")
}
