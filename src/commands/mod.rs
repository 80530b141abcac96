//! The commands, one file each.
#![doc = include_str!("table.md")]

mod baseline;
mod completions;
mod context;
mod deploy;
mod dry_run;
mod forget;
mod health;
mod history;
mod hold;
mod man;
mod migrate;
mod names;
mod operator;
mod ping;
mod rollback;
mod scan;
mod serve;
mod settle;
mod status;
mod token;

use self::context::Configured;
pub(crate) use self::context::Context;
use crate::cli::{self, Cli, Command};
use crate::clock::System;
use crate::config::{Config, OutputConfig};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::model::name::Scope;
use crate::model::plan::EVERY_APP;
use crate::output::{self, Actions, Output, Terminal};
use crate::pass::{self, Ending, Invocation, ReportBuilder, Session};

/// Runs the command that was asked for, prints what came of it, and says how to exit.
pub fn dispatch(cli: &Cli, config: &Config) -> Exit {
    let output = output_of(cli, config.output);
    for warning in &config.alerts {
        output.warning(warning);
    }
    let command = cli.command.as_ref().unwrap_or(&cli::DEFAULT);
    for warning in &config.warnings {
        output.caution(warning, matches!(command, Command::Serve));
    }
    if config.output.verbose > 1 {
        output.log_libraries();
    }
    let context = Context {
        cli,
        config,
        output: &output,
        ports: &Configured { cli, config },
    };
    let check = ping::Check::begin(config, &output);
    let result = carry_out(&context, command);
    let exit = result.unwrap_or_else(|error| fail(&output, command, config.scope.as_ref(), &error));
    let exit = if output.is_incomplete() {
        exit.and(Exit::Unavailable)
    } else {
        exit
    };
    if let Some(check) = check {
        check.end(exit);
    }
    exit
}

/// Runs one command. An error is what stopped it.
pub(crate) fn carry_out(context: &Context<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::Run {
            pass_id,
            stop_at_eof,
        } => {
            let invocation = Invocation {
                command: "run",
                app: None,
                asked_by: None,
                pass: pass_id.as_deref(),
                stop_at_eof: *stop_at_eof,
            };
            in_session(context, &invocation, pass::run)
        }
        Command::Serve => serve::run(context),
        Command::Health => health::run(context.config, context.output),
        Command::Token { action } => token::run(context, action),
        Command::Scan { exit_code } => scan::run(context, *exit_code),
        Command::DryRun {
            exit_code,
            show_values,
        } => dry_run::run(context, *show_values, *exit_code),
        Command::Deploy {
            app,
            version,
            force,
            no_hold,
        } => {
            let asked = deploy::Asked {
                command: "deploy",
                app,
                version,
                force: *force,
                no_hold: *no_hold,
                back_from: None,
            };
            deploy::run(context, &asked)
        }
        Command::Status { app } => status::run(context, app.as_deref()),
        Command::History { app, limit } => history::run(context, app.as_deref(), *limit),
        Command::Hold {
            app,
            all: _,
            for_,
            newer_than,
            reason,
            new,
        } => {
            let wanted = hold::Wanted {
                app: app.as_deref().unwrap_or(EVERY_APP),
                for_: *for_,
                newer_than: newer_than.as_deref(),
                reason: reason.as_deref(),
                new: *new,
            };
            hold::hold(context, &wanted)
        }
        Command::Release { app, all: _ } => {
            hold::release(context, app.as_deref().unwrap_or(EVERY_APP))
        }
        Command::Rollback { app } => rollback::run(context, app),
        Command::Forget { app } => forget::run(context, app),
        Command::Settle {
            app,
            as_,
            retry,
            reason,
        } => {
            let wanted = settle::Wanted {
                app,
                word: *as_,
                retry: *retry,
                reason: reason.as_deref(),
            };
            settle::run(context, &wanted)
        }
        Command::Baseline { apps, new } => baseline::run(context, apps, *new),
        Command::Migrate => migrate::run(context),
        Command::Completions { shell } => Ok(completions::run(context.output, *shell)),
        Command::Man { directory } => man::run(context.output, directory.as_deref()),
    }
}

/// Says what is wrong with a command line, or gives the help that it asks for.
pub fn explain(error: &clap::Error) {
    output::usage(error, &|name| std::env::var_os(name));
}

/// Where a command of this process prints, and who else is told.
fn output_of(cli: &Cli, config: OutputConfig) -> Output {
    let env = |name: &str| std::env::var_os(name);
    Output::new(config, Terminal::detect(config.color, &env))
        .with_metrics_file(cli.global.output.metrics_file.as_deref())
        .with_actions(Actions::detect(&env))
}

/// Says why a command was not begun.
pub fn refuse(cli: &Cli, error: &Error) -> Exit {
    let output = output_of(cli, OutputConfig::from_cli(cli));
    let command = cli.command.as_ref().unwrap_or(&cli::DEFAULT);
    let args = &cli.global.scope;
    let scope = args.domain.as_ref().map(|domain| Scope {
        domain: domain.clone(),
        environment: args.environment.clone(),
    });
    fail(&output, command, scope.as_ref(), error)
}

/// Prints an error that ended a command, in JSON as the document that scripts wait for.
fn fail(output: &Output, command: &Command, scope: Option<&Scope>, error: &Error) -> Exit {
    let nowhere = Scope {
        domain: String::new(),
        environment: String::new(),
    };
    let scope = scope.unwrap_or(&nowhere);
    let pass = match command {
        Command::Run { pass_id, .. } => pass_id.as_deref(),
        _ => None,
    };
    let built = ReportBuilder::new(name(command), System::shared()).with_id(pass);
    let (report, _) = built.report(scope, Some(error));
    let deploys = matches!(
        command,
        Command::Run { .. }
            | Command::DryRun { .. }
            | Command::Deploy { .. }
            | Command::Rollback { .. }
    );
    if deploys {
        output.file(&report);
    }
    if output.is_json() {
        output.json(&report);
    }
    output.error(error);
    Exit::of(error.kind)
}

/// The command as it is typed.
pub(crate) const fn name(command: &Command) -> &'static str {
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
        Command::Forget { .. } => "forget",
        Command::Settle { .. } => "settle",
        Command::Baseline { .. } => "baseline",
        Command::Migrate => "migrate",
        Command::Completions { .. } => "completions",
        Command::Man { .. } => "man",
    }
}

/// Runs a command that deploys: opens the session, does the work, keeps and prints the report.
fn in_session(
    context: &Context<'_>,
    invocation: &Invocation<'_>,
    work: impl FnOnce(&mut Session<'_>) -> Result<()>,
) -> Result<Exit> {
    let Context {
        config,
        output,
        ports,
        ..
    } = *context;
    let report = ReportBuilder::new(invocation.command, ports.clock()).with_id(invocation.pass);
    let ending = Ending::new(ports.interrupt()?, report);
    // What precedes the lease has the same margin.
    let limit = (config.rules.lock_wait).saturating_add(config.rules.longest_hold);
    ending.watched(ports, (config.scope()?, output), limit, || {
        let mut session = Session::open(config, output, ports, invocation, &ending)?;
        let result = work(&mut session);
        let requests = session.releases.requests();
        output.note(&format!("requests sent to Artifactory: {requests}"));
        Ok(session.finish(result))
    })
}
