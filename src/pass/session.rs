//! What a command that may deploy works with.

use std::collections::BTreeMap;
use std::sync::MutexGuard;
use std::time::Duration;

use super::{Ending, Interrupt, Ports, ReportBuilder};
use crate::artifactory::Releases;
use crate::clock::{Clock, SharedClock};
use crate::config::{Config, DeployConfig, Rules};
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::ledger::{Access, Attempt, Lease, Ledger, Migrated};
use crate::model::name::Scope;
use crate::model::report::Report;
use crate::model::time::rfc3339;
use crate::output::Output;
use crate::target::Target;

/// What was asked for, by whom.
pub struct Invocation<'a> {
    /// The command.
    pub command: &'static str,
    /// The app that an operator asked something of.
    pub app: Option<&'a str>,
    /// The operator, if one has asked.
    pub asked_by: Option<String>,
    /// The id that the pass was announced under, if it was.
    pub pass: Option<&'a str>,
    /// Whether the end of standard input ends the pass.
    pub stop_at_eof: bool,
}

impl<'a> Invocation<'a> {
    /// What a person asks of one app.
    pub const fn about(command: &'static str, app: &'a str, asked_by: String) -> Self {
        Self {
            command,
            app: Some(app),
            asked_by: Some(asked_by),
            pass: None,
            stop_at_eof: false,
        }
    }
}

/// All that a pass, or a command for one app, works with once it holds the lease.
pub struct Session<'a> {
    /// The rules of a pass.
    pub rules: &'a Rules,
    /// How long a deploy is waited for, and when it is given up.
    pub deploy: &'a DeployConfig,
    /// The scope.
    pub scope: &'a Scope,
    /// Where results and progress go.
    pub output: &'a Output,
    /// Whether somebody wants us to stop.
    pub interrupt: Interrupt,
    /// The time.
    pub clock: SharedClock,
    /// Where releases come from.
    pub releases: Box<dyn Releases>,
    /// Where they go.
    pub target: Box<dyn Target>,
    /// What is deployed, and what was tried.
    pub ledger: Box<dyn Ledger>,
    /// The right to change that and to deploy.
    pub lease: Box<dyn Lease>,
    /// When the pass must end.
    pub deadline: Deadline,
    /// The services that attempts have named, and the app of each.
    pub services: BTreeMap<String, String>,
    /// The operator who has asked, if one has; stands with every attempt that is made.
    pub asked_by: Option<String>,
    /// What was found out, and how it is told.
    pub ending: Ending,
    /// The report of the pass before, against which is judged what is news.
    pub(super) previous: Option<Report>,
}

impl<'a> Session<'a> {
    /// Makes everything, in this order: what the options are wrong about ends it before anything
    /// is touched; nobody is asked anything before the lease is held; the time begins with it.
    pub fn open(
        config: &'a Config,
        output: &'a Output,
        ports: &dyn Ports,
        invocation: &Invocation<'_>,
        ending: &Ending,
    ) -> Result<Self> {
        let (scope, rules, deploy) = (config.scope()?, &config.rules, config.deploy()?);
        let (clock, mut releases, mut target) = (ports.clock(), ports.releases()?, ports.target()?);
        let interrupt = ending.interrupt().clone();
        if invocation.stop_at_eof {
            interrupt.stop_at_eof()?;
        }
        let mut ledger = open_to_write(ports, output)?;
        let apps: Vec<&str> = invocation.app.into_iter().collect();
        let lease = take_lease(ledger.as_mut(), scope, output, rules, clock.as_ref(), &apps)?;
        ending.with_lease();
        let deadline = Deadline::new(clock.clone(), rules.max_duration);
        releases.until(deadline.clone());
        target.until(deadline.clone());
        let previous = ledger.last_run(scope)?;
        Ok(Self {
            rules,
            deploy,
            scope,
            output,
            interrupt,
            releases,
            target,
            ledger,
            lease,
            deadline,
            services: BTreeMap::new(),
            asked_by: invocation.asked_by.clone(),
            ending: ending.clone(),
            clock,
            previous,
        })
    }

    /// What was found out so far.
    pub fn report(&self) -> MutexGuard<'_, ReportBuilder> {
        self.ending.report()
    }

    /// Why nothing new may be started, if so.
    pub fn stopped(&self) -> Option<Error> {
        stopped(&self.interrupt, &self.deadline)
    }

    /// Keeps and prints the report of a pass that ended, well or not, and says how to exit.
    pub fn finish(mut self, result: Result<()>) -> Exit {
        let error = result.err();
        let (mut report, mut exit) = self.report().report(self.scope, error.as_ref());
        let record = self.report().record(report.clone());
        self.ending.recording();
        if self.lease.is_held()
            && let Err(failed) = self.ledger.finish_pass(self.scope, &record)
        {
            exit = exit.and(Exit::of(failed.kind));
            report.exit_code = exit.code();
            report.error.get_or_insert_with(|| failed.one_line());
            self.output.error(&failed);
        }
        self.ending.recorded();
        self.ending.telling(exit);
        self.output.report(&report, self.previous.as_ref());
        if let Some(error) = &error {
            self.output.error(error);
        }
        exit
    }
}

/// Opens the ledger of a command that writes, and says so where that made it: whoever has one
/// already has mistyped its place, and the new one knows neither versions nor holds.
pub fn open_to_write(ports: &dyn Ports, output: &Output) -> Result<Box<dyn Ledger>> {
    let ledger = ports.ledger(Access::Write)?;
    if let (Migrated::Made, place) = ledger.opened() {
        output.notice(&format!("created the ledger {place}"));
    }
    Ok(ledger)
}

/// Why nothing new may be started, if so.
pub(super) fn stopped(interrupt: &Interrupt, deadline: &Deadline) -> Option<Error> {
    if let Some(kind) = interrupt.requested() {
        return Some(
            Error::new(kind, "interrupted")
                .hint("what was submitted stays recorded; the next pass carries on"),
        );
    }
    deadline
        .is_over()
        .then(|| deadline.missed("not everything was reached"))
}

/// Takes the lease, or says who has it (exit 75, or 69 where it stands still). Who asked something of an app had its state
/// before their eyes: where somebody else changed it while the lease was waited for, that is exit 5.
pub fn take_lease(
    ledger: &mut dyn Ledger,
    scope: &Scope,
    output: &Output,
    rules: &Rules,
    clock: &dyn Clock,
    apps: &[&str],
) -> Result<Box<dyn Lease>> {
    let wait = rules.lock_wait;
    let before = latest(ledger, scope, apps)?;
    let mut lease = ledger.acquire(scope, Duration::ZERO)?;
    if lease.is_none() && !wait.is_zero() {
        output.note(&format!("waiting for the lease of {scope}"));
        lease = ledger.acquire(scope, wait)?;
    }
    let Some(lease) = lease else {
        return Err(held_by_another(ledger, scope, rules.longest_hold, clock));
    };
    for ((app, before), now) in apps.iter().zip(before).zip(latest(ledger, scope, apps)?) {
        if now != before {
            return Err(changed_meanwhile(app, now.as_ref()));
        }
    }
    Ok(lease)
}

fn latest(ledger: &mut dyn Ledger, scope: &Scope, apps: &[&str]) -> Result<Vec<Option<Attempt>>> {
    apps.iter()
        .map(|app| {
            let mut latest = ledger.history(scope, Some(app), 1)?.pop();
            // How long ago it was made is another time at each look.
            if let Some(attempt) = &mut latest {
                attempt.made.server_age = None;
            }
            Ok(latest)
        })
        .collect()
}

/// Exit 75: somebody is at work. Exit 69 where that goes on for longer than any pass may: a process
/// that stands still would keep all others from working, and each would say that all is well.
pub(super) fn held_by_another(
    ledger: &mut dyn Ledger,
    scope: &Scope,
    longest: Duration,
    clock: &dyn Clock,
) -> Error {
    let message = format!("another pass holds the lease of {scope}");
    let Ok(Some(info)) = ledger.lease_info(scope) else {
        return Error::new(Kind::Busy, message).hint("--lock-wait waits for it");
    };
    let who = format!("held by {} since {}", info.holder, rfc3339(info.since));
    // A time in the future counts as now.
    let held = u64::try_from(clock.now_ms().saturating_sub(info.since)).unwrap_or(0);
    if info.held && Duration::from_millis(held) > longest {
        let longest = humantime::format_duration(longest);
        return Error::unavailable(message)
            .because(who)
            .because(format!("no pass takes longer than {longest}"))
            .hint("if that process stands still, kill it: the next pass takes over");
    }
    Error::new(Kind::Busy, message)
        .because(who)
        .hint("--lock-wait waits for it")
}

fn changed_meanwhile(app: &str, now: Option<&Attempt>) -> Error {
    let error = Error::new(
        Kind::Guard,
        format!("{app} was changed while this command waited for the lease: nothing was done"),
    );
    match now {
        Some(a) => error.because(format!(
            "`{}` of {} is {}: {}",
            a.command,
            a.version,
            a.state.as_str(),
            a.message
        )),
        None => error,
    }
    .hint(format!("look at `status {app}`, then ask again"))
}
