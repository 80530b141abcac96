//! Which of the peers a command speaks to.

use crate::cli::{Cli, Command, DEFAULT};

/// What a command can't do without.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    pub(super) ledger: bool,
    pub(super) artifactory: bool,
    pub(super) deploy: bool,
}

/// Which of them the command needs.
pub(super) fn needs(cli: &Cli) -> Needs {
    let (ledger, artifactory, deploy) = match cli.command.as_ref().unwrap_or(&DEFAULT) {
        Command::Run { .. }
        | Command::Serve
        | Command::Deploy { .. }
        | Command::Rollback { .. } => (true, true, true),
        Command::Scan { .. } | Command::DryRun { .. } => (true, true, false),
        // Apps that are named with their versions need no marker.
        Command::Baseline { apps, .. } => {
            let is_listed = apps.is_empty() || apps.iter().any(|app| !app.contains('='));
            (true, is_listed, false)
        }
        Command::Status { .. }
        | Command::History { .. }
        | Command::Hold { .. }
        | Command::Release { .. }
        | Command::Settle { .. }
        | Command::Token { .. }
        | Command::Migrate => (true, false, false),
        Command::Health | Command::Completions { .. } | Command::Man { .. } => {
            (false, false, false)
        }
    };
    Needs {
        ledger,
        artifactory,
        deploy,
    }
}
