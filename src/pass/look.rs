//! What the cluster shows, before anything is sent.

use std::collections::BTreeSet;

use super::Session;
use super::deploy::{HISTORY, check_target};
use crate::clock::Clock;
use crate::error::{Kind, Result};
use crate::ledger::{Attempt, Fence, Ledger, Snapshot, Unaccounted};
use crate::model::attempt::State;
use crate::model::name::Scope;
use crate::model::units::{Unit, may_be_of_longer_name, of_version, others_running, running_now};

/// What runs of a service.
pub struct Seen {
    /// Whether as many units of the attempt's version run as it asks for, and none of another one.
    pub runs_alone: bool,
    /// The other versions that run and that the ledger has no attempt of; none that may be another
    /// service's.
    pub unaccounted: BTreeSet<String>,
}

/// What runs of the service of an attempt, as `units` show it.
///
/// Units that were just destroyed are listed for some seconds more: what the ledger has an attempt
/// of is accounted for, whatever became of that.
pub fn seen(session: &mut Session<'_>, attempt: &Attempt, units: &[Unit]) -> Result<Seen> {
    let (service, version) = (&attempt.service_name, &attempt.version);
    let app = Some(attempt.app.as_str());
    let history = session.ledger.history(session.scope, app, HISTORY)?;
    let versions: BTreeSet<&str> = history.iter().map(|a| a.version.as_str()).collect();
    let services: BTreeSet<&str> = session.services.keys().map(String::as_str).collect();
    let others = others_running(units, service, version, &services, &versions);
    let running = running_now(&of_version(units, version));
    let unaccounted = others
        .iter()
        .filter(|other| !versions.contains(*other) && !may_be_of_longer_name(other));
    Ok(Seen {
        runs_alone: others.is_empty() && running >= attempt.num_instances as usize,
        unaccounted: unaccounted.map(|version| (*version).to_owned()).collect(),
    })
}

/// Whether the cluster shows what an earlier attempt deployed, and nothing else of that service.
/// False where that can't be told.
pub fn still_runs_alone(session: &mut Session<'_>, attempt: &Attempt) -> Result<bool> {
    if attempt.service_name.is_empty() || attempt.num_instances == 0 {
        return Ok(false);
    }
    check_target(session)?;
    match session.target.units(&attempt.service_name) {
        Ok(units) => Ok(seen(session, attempt, &units)?.runs_alone),
        Err(error) if error.kind == Kind::Credentials => Err(error),
        Err(error) => {
            let what = format!("{}: {}", attempt.app, error.one_line());
            session.output.note(&what);
            Ok(false)
        }
    }
}

/// Why nothing is sent of an app of which other versions run than the ledger has.
pub fn reason(app: &str, unaccounted: &Unaccounted) -> String {
    let versions: Vec<&str> = unaccounted.versions.iter().map(String::as_str).collect();
    let (service, versions) = (&unaccounted.service_name, versions.join(", "));
    format!(
        "{versions} of service {service} runs, and the ledger has nothing of it; \
         `baseline {app}=VERSION` records what is right, `deploy {app} VERSION` deploys"
    )
}

/// Looks again at the apps that an earlier pass found unaccounted for, and leaves those out of the
/// snapshot that no longer are. Where the cluster can't be read they stay as they were.
pub fn look_again(session: &mut Session<'_>, snapshot: &mut Snapshot) {
    for (app, noted) in std::mem::take(&mut snapshot.unaccounted) {
        let mut still = noted.clone();
        if check_target(session).is_ok()
            && let Ok(units) = session.target.units(&noted.service_name)
        {
            let running: BTreeSet<&str> = units
                .iter()
                .filter(|unit| unit.running)
                .map(|unit| unit.version.as_str())
                .collect();
            still
                .versions
                .retain(|version| running.contains(version.as_str()));
        }
        if !still.versions.is_empty() {
            snapshot.unaccounted.insert(app, still);
        }
    }
    session.report().begin(snapshot);
}

/// What an attempt is made under.
pub struct Made<'a> {
    /// The scope.
    pub scope: &'a Scope,
    /// What lets the write through.
    pub fence: &'a Fence,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The command, and why.
    pub by: (&'a str, &'a str),
    /// The operator, if one has asked.
    pub asked_by: Option<&'a str>,
}

/// Records versions of an app's service that run and that the ledger knows nothing of, for an
/// operator who has decided what is right: the next pass must not take them for the sign of a lost
/// ledger. Returns the id of the last one.
pub fn account_for(
    ledger: &mut dyn Ledger,
    made: &Made<'_>,
    (app, service_name): (&str, &str),
    versions: &BTreeSet<String>,
) -> Result<Option<String>> {
    let mut last = None;
    for version in versions {
        let seen = Attempt {
            service_name: service_name.to_owned(),
            asked_by: made.asked_by.map(str::to_owned),
            ..Attempt::new(app, version, State::Abandoned, made.by, made.clock)
        };
        ledger.record(made.scope, &seen, None, made.fence)?;
        last = Some(seen.id);
    }
    Ok(last)
}
