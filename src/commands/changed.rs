//! Whether somebody else changed an app while a command waited for the lease.

use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, Ledger};
use crate::model::name::Scope;

/// The latest attempts of some apps, as they were before the lease was waited for. Who asked for
/// something had this state before their eyes.
pub(super) struct Watch<'a> {
    before: Vec<(&'a str, Option<Attempt>)>,
}

impl<'a> Watch<'a> {
    /// Looks at the apps.
    pub(super) fn begin(ledger: &mut dyn Ledger, scope: &Scope, apps: &[&'a str]) -> Result<Self> {
        let latest = |app: &&'a str| Ok((*app, latest(ledger, scope, app)?));
        let before = apps.iter().map(latest).collect::<Result<_>>()?;
        Ok(Self { before })
    }

    /// Looks again, under the lease: exit 5 where an app is no longer as it was.
    pub(super) fn check(&self, ledger: &mut dyn Ledger, scope: &Scope) -> Result<()> {
        for (app, before) in &self.before {
            let now = latest(ledger, scope, app)?;
            if now == *before {
                continue;
            }
            let error = Error::new(
                Exit::Guard,
                format!(
                    "{app} was changed while this command waited for the lease: nothing was done"
                ),
            );
            return Err(match now {
                Some(a) => error.because(format!(
                    "`{}` of {} is {}: {}",
                    a.command,
                    a.version,
                    a.state.as_str(),
                    a.message
                )),
                None => error,
            }
            .hint(format!("look at `status {app}`, then ask again")));
        }
        Ok(())
    }
}

fn latest(ledger: &mut dyn Ledger, scope: &Scope, app: &str) -> Result<Option<Attempt>> {
    Ok(ledger.history(scope, Some(app), 1)?.pop())
}
