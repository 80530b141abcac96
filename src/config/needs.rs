//! Which of the peers a command speaks to.

use crate::cli::{Cli, Command};

/// Whether the command can't do without Artifactory.
pub(super) fn reads_artifactory(cli: &Cli) -> bool {
    match &cli.command {
        None
        | Some(
            Command::Run { .. }
            | Command::Serve
            | Command::Scan { .. }
            | Command::DryRun { .. }
            | Command::Deploy { .. }
            | Command::Rollback { .. },
        ) => true,
        // Apps that are named with their versions need no marker.
        Some(Command::Baseline { apps, .. }) => {
            apps.is_empty() || apps.iter().any(|app| !app.contains('='))
        }
        Some(
            Command::Status { .. }
            | Command::History { .. }
            | Command::Hold { .. }
            | Command::Release { .. }
            | Command::Settle { .. }
            | Command::Health
            | Command::Token { .. }
            | Command::Migrate
            | Command::Completions { .. }
            | Command::Man { .. },
        ) => false,
    }
}

/// Whether the command speaks to coreos-deploy.
pub(super) const fn deploys(cli: &Cli) -> bool {
    matches!(
        &cli.command,
        None | Some(
            Command::Run { .. }
                | Command::Serve
                | Command::Deploy { .. }
                | Command::Rollback { .. }
        )
    )
}

/// Whether the command opens the ledger.
pub(super) const fn uses_ledger(cli: &Cli) -> bool {
    !matches!(
        &cli.command,
        Some(Command::Health | Command::Completions { .. } | Command::Man { .. })
    )
}
