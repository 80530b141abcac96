//! The commands, one file each.

mod baseline;
mod completions;
mod deploy;
mod dry_run;
mod health;
mod history;
mod hold;
mod man;
mod migrate;
mod names;
mod rollback;
mod run;
mod scan;
mod serve;
mod status;
mod token;

use std::time::Instant;

use crate::artifactory::Artifactory;
use crate::cli::{self, Cli, Command};
use crate::config::{Config, OutputConfig};
use crate::coreos_deploy::CoreosDeploy;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{self, Access, Lease, Ledger};
use crate::model::name::Scope;
use crate::model::report::Report;
use crate::output::{Output, Terminal};
use crate::pass::{self, Desk, Interrupt, Tally, World};

/// Runs the command that was asked for, prints what came of it, and says how to exit.
pub fn dispatch(cli: &Cli, config: &Config) -> Exit {
    let env = |name: &str| std::env::var_os(name);
    let output = Output::new(config.output, Terminal::detect(config.output.color, &env));
    for warning in &config.exposed {
        output.warning(warning);
    }
    for warning in &config.warnings {
        output.caution(warning);
    }
    if config.output.verbose > 1 {
        output.log_libraries();
    }
    let command = cli.command.as_ref().unwrap_or(&cli::DEFAULT);
    let result = carry_out(cli, config, &output, command);
    let exit = result.unwrap_or_else(|error| fail(&output, command, config.scope.as_ref(), &error));
    if output.is_incomplete() {
        return exit.and(Exit::Unavailable);
    }
    exit
}

/// Runs one command.
fn carry_out(cli: &Cli, config: &Config, output: &Output, command: &Command) -> Result<Exit> {
    match command {
        Command::Run {
            pass_id,
            stop_at_eof,
        } => {
            let invocation = Invocation {
                command: "run",
                pass: pass_id.as_deref(),
                stop_at_eof: *stop_at_eof,
            };
            run::run(config, output, &invocation)
        }
        Command::Serve => serve::run(cli, config, output),
        Command::Health => health::run(config, output),
        Command::Token { action } => token::run(config, output, action),
        Command::Scan { exit_code } => scan::run(config, output, *exit_code),
        Command::DryRun {
            exit_code,
            show_values,
        } => dry_run::run(config, output, *show_values, *exit_code),
        Command::Deploy {
            app,
            version,
            force,
            no_hold,
        } => {
            let order = deploy::Order {
                command: "deploy",
                app,
                version,
                force: *force,
                no_hold: *no_hold,
            };
            deploy::run(config, output, &order)
        }
        Command::Status { app } => status::run(cli, config, output, app.as_deref()),
        Command::History { app, limit } => {
            history::run(cli, config, output, app.as_deref(), *limit)
        }
        Command::Hold {
            app,
            for_,
            newer_than,
            reason,
            new,
        } => {
            let wanted = hold::Wanted {
                app,
                for_: *for_,
                newer_than: newer_than.as_deref(),
                reason: reason.as_deref(),
                new: *new,
            };
            hold::hold(cli, config, output, &wanted)
        }
        Command::Release { app } => hold::release(cli, config, output, app),
        Command::Rollback { app } => rollback::run(config, output, app),
        Command::Baseline { apps, new } => baseline::run(cli, config, output, apps, *new),
        Command::Migrate => migrate::run(config, output),
        Command::Completions { shell } => Ok(completions::run(output, *shell)),
        Command::Man { directory } => man::run(output, directory.as_deref()),
    }
}

/// Says why a command was not begun.
pub fn refuse(cli: &Cli, error: &Error) -> Exit {
    let env = |name: &str| std::env::var_os(name);
    let config = OutputConfig::from_cli(cli);
    let output = Output::new(config, Terminal::detect(config.color, &env));
    let command = cli.command.as_ref().unwrap_or(&cli::DEFAULT);
    fail(&output, command, None, error)
}

/// Prints an error that ended a command, in JSON as the document that scripts wait for.
fn fail(output: &Output, command: &Command, scope: Option<&Scope>, error: &Error) -> Exit {
    if output.is_json() {
        let nowhere = Scope {
            domain: String::new(),
            environment: String::new(),
        };
        let scope = scope.unwrap_or(&nowhere);
        let pass = match command {
            Command::Run { pass_id, .. } => pass_id.as_deref(),
            _ => None,
        };
        let tally = Tally::new(name(command)).with_id(pass);
        let (report, _) = tally.report(scope, Some(error));
        output.json(&report);
    }
    output.error(error);
    error.exit
}

/// The command as it is typed.
const fn name(command: &Command) -> &'static str {
    match command {
        Command::Run { .. } => "run",
        Command::Serve => "serve",
        Command::Health => "health",
        Command::Token { .. } => "token",
        Command::Scan { .. } => "scan",
        Command::DryRun { .. } => "dry-run",
        Command::Deploy { .. } => "deploy",
        Command::Status { .. } => "status",
        Command::History { .. } => "history",
        Command::Hold { .. } => "hold",
        Command::Release { .. } => "release",
        Command::Rollback { .. } => "rollback",
        Command::Baseline { .. } => "baseline",
        Command::Migrate => "migrate",
        Command::Completions { .. } => "completions",
        Command::Man { .. } => "man",
    }
}

/// Which command takes the lease, and who started it.
struct Invocation<'a> {
    /// The command.
    command: &'static str,
    /// The id that the pass was announced under, if it was.
    pass: Option<&'a str>,
    /// Whether the end of standard input ends the pass.
    stop_at_eof: bool,
}

impl Invocation<'_> {
    /// A command that a person started.
    const fn of(command: &'static str) -> Self {
        Self {
            command,
            pass: None,
            stop_at_eof: false,
        }
    }
}

/// The adapters of a command that may write.
struct Tools {
    artifactory: Artifactory,
    service: CoreosDeploy,
    interrupt: Interrupt,
}

impl Tools {
    fn new(config: &Config) -> Result<Self> {
        config.scope()?;
        Ok(Self {
            artifactory: Artifactory::new(config.artifactory()?, &config.http)?,
            service: CoreosDeploy::new(config.deploy()?, &config.http)?,
            interrupt: Interrupt::install()?,
        })
    }
}

/// What a command does once it holds the lease.
type Work<'a> = dyn FnMut(&World<'_>, &Artifactory, &mut Desk<'_>, &mut Tally) -> Result<()> + 'a;

/// Runs a command that deploys: takes the lease, does the work, keeps and prints the report.
fn under_lease(
    config: &Config,
    output: &Output,
    invocation: &Invocation<'_>,
    work: &mut Work<'_>,
) -> Result<Exit> {
    let scope = config.scope()?;
    let tools = Tools::new(config)?;
    if invocation.stop_at_eof {
        tools.interrupt.stop_at_eof();
    }
    let mut ledger = ledger::open(config.dsn()?, Access::Write)?;
    let lease = pass::take_lease(ledger.as_mut(), scope, config.rules.lock_wait)?;
    let previous = ledger.snapshot(scope)?.last_run;
    let mut tally = Tally::new(invocation.command).with_id(invocation.pass);
    let result = {
        let world = world(config, output, &tools.interrupt)?;
        let mut desk = Desk {
            ledger: ledger.as_mut(),
            lease: lease.as_ref(),
            service: &tools.service,
            deploy: config.deploy()?,
        };
        work(&world, &tools.artifactory, &mut desk, &mut tally)
    };
    output.note(&format!(
        "requests sent to Artifactory: {}",
        tools.artifactory.requests()
    ));
    conclude(
        output,
        ledger.as_mut(),
        lease.as_ref(),
        &tally,
        config,
        previous.as_ref(),
        result.err().as_ref(),
    )
}

/// Prints and keeps the report of a pass that ended, well or not.
fn conclude(
    output: &Output,
    ledger: &mut dyn Ledger,
    lease: &dyn Lease,
    tally: &Tally,
    config: &Config,
    previous: Option<&Report>,
    error: Option<&Error>,
) -> Result<Exit> {
    let scope = config.scope()?;
    let (mut report, mut exit) = tally.report(scope, error);
    if lease.is_held()
        && let Err(failed) = ledger.finish_pass(scope, &tally.record(report.clone()))
    {
        exit = exit.and(failed.exit);
        report.exit_code = exit.code();
        report.error.get_or_insert_with(|| failed.one_line());
        output.error(&failed);
    }
    output.report(&report, previous);
    if let Some(error) = error {
        output.error(error);
    }
    Ok(exit)
}

fn world<'a>(
    config: &'a Config,
    output: &'a Output,
    interrupt: &'a Interrupt,
) -> Result<World<'a>> {
    Ok(World {
        config,
        scope: config.scope()?,
        output,
        interrupt,
        deadline: Instant::now() + config.rules.max_duration,
    })
}
