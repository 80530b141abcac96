//! The binary: parse, run, exit.

use std::io::Write;
use std::process::ExitCode;

use coreos_artifactory_monitor::catch_panic;
use coreos_artifactory_monitor::cli::Cli;
use coreos_artifactory_monitor::commands;
use coreos_artifactory_monitor::config::{Config, settings};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// What a defect of the program exits with (`EX_SOFTWARE` of sysexits.h).
const DEFECT: u8 = 70;

fn main() -> ExitCode {
    keep_memory_private();
    std::panic::set_hook(Box::new(|info| {
        if catch_panic::is_caught() {
            return;
        }
        // The payload of a panic may quote data, and data may be secret: the place is enough.
        let place = info.location().map(ToString::to_string);
        let place = place.unwrap_or_else(|| "an unknown place".to_string());
        let _ = writeln!(
            std::io::stderr(),
            "internal error at {place}: please report"
        );
    }));
    std::panic::catch_unwind(run).unwrap_or(ExitCode::from(DEFECT))
}

/// No core dump, and no debugger of another process of the same user: what is in memory is secret.
/// Where the kernel does not allow it, a command works without it.
fn keep_memory_private() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
}

fn run() -> ExitCode {
    let cli = match Cli::parse_from_args(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            commands::explain(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(DEFECT));
        }
    };
    let config =
        settings::apply(&cli).and_then(|()| Config::from_cli(&cli, &|name| std::env::var_os(name)));
    let exit = match config {
        Ok(config) => commands::dispatch(&cli, &config),
        Err(error) => commands::refuse(&cli, &error),
    };
    ExitCode::from(exit.code())
}
