//! What the cluster shows, before anything is sent.

use std::collections::{BTreeMap, BTreeSet};

use super::deploy::{HISTORY, check_target};
use super::{Ports, Ready, Session};
use crate::error::{Kind, Result};
use crate::ledger::{Attempt, Ledger, Snapshot, Unaccounted};
use crate::model::name::Scope;
use crate::model::plan::AppRecord;
use crate::model::units::{Unit, of_version, others_running, reads_as, running_now};
use crate::model::version::Order;
use crate::target::Probe;

/// What runs of a service.
pub struct Seen {
    /// Whether as many units of the attempt's version run as it asks for, and none of another one.
    pub runs_alone: bool,
    /// The other versions that run and that the ledger has no attempt of; none that may be another
    /// service's.
    pub unaccounted: BTreeSet<String>,
}

/// What runs of the service of an attempt, as `units` show it. What can't be told whose it is, is a
/// note.
pub fn seen(session: &mut Session<'_>, attempt: &Attempt, units: &[Unit]) -> Result<Seen> {
    let services = session.services.keys().map(String::as_str).collect();
    let ledger = session.ledger.as_mut();
    let (seen, ambiguous) = compare(
        ledger,
        (session.scope, session.rules.order),
        &services,
        attempt,
        units,
    )?;
    let (app, service) = (&attempt.app, &attempt.service_name);
    for rest in ambiguous {
        let what = format!("{app}: {service}-{rest} runs; it may be another service's");
        session.output.note(&what);
    }
    Ok(seen)
}

/// What runs, and what may be another service's.
///
/// Units that were just destroyed are listed for some seconds more: what the ledger has an attempt
/// of is accounted for, whatever became of that. What an operator's word accounts for is in the way
/// of older versions all the same, until the ledger has a deployed version to compare them with.
fn compare(
    ledger: &mut dyn Ledger,
    (scope, order): (&Scope, Order),
    services: &BTreeSet<&str>,
    attempt: &Attempt,
    units: &[Unit],
) -> Result<(Seen, BTreeSet<String>)> {
    let (service, version) = (&attempt.service_name, &attempt.version);
    let history = ledger.history(scope, Some(&attempt.app), HISTORY)?;
    let has_deployed = history.iter().any(|a| a.state.is_deployed());
    let key = |version: &str| order.key(version);
    let is_older = |seen: &&String| has_deployed || key(seen) < key(version);
    let known = |a: &'_ Attempt| {
        let accounted = a.accounted.iter().filter(is_older).cloned();
        accounted.chain([a.version.clone()]).collect::<Vec<_>>()
    };
    let known: BTreeSet<String> = history.iter().flat_map(known).collect();
    let versions = known.iter().map(String::as_str).collect();
    let others = others_running(units, service, version, services, &versions);
    let running = running_now(&of_version(units, version));
    let owned = |set: &BTreeSet<&str>| set.iter().map(|v| (*v).to_owned()).collect();
    let mut unaccounted: BTreeSet<String> = owned(&others.versions);
    unaccounted.retain(|version| !known.contains(version));
    let seen = Seen {
        runs_alone: others.is_none() && running >= attempt.num_instances as usize,
        unaccounted,
    };
    Ok((seen, owned(&others.ambiguous)))
}

/// The services that attempts have named last, and the app of each: who used one last has it.
pub fn services(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let mut named: Vec<&Attempt> = snapshot.latest.values().collect();
    named.retain(|attempt| !attempt.service_name.is_empty());
    named.sort_by_key(|attempt| (attempt.token, attempt.created_at));
    let of = |attempt: &Attempt| (attempt.service_name.clone(), attempt.app.clone());
    named.into_iter().map(of).collect()
}

/// Why a service name cannot be an app's: a deploy would replace another app's units, or be taken
/// for one of it.
pub fn service_taken(
    services: &BTreeMap<String, String>,
    snapshot: &Snapshot,
    ready: &Ready,
) -> Option<String> {
    let (app, service, version) = (&ready.app, &ready.request.service_name, &ready.version);
    let is_same = |other: &str, owner: &String| {
        let theirs = snapshot.records.get(owner);
        let mut theirs = theirs.into_iter().flat_map(AppRecord::versions);
        other == service
            || reads_as(service, version, other)
            || theirs.any(|version| reads_as(other, version, service))
    };
    let mut others = services.iter().filter(|(_, owner)| *owner != app);
    let (other, owner) = others.find(|(other, owner)| is_same(other, owner))?;
    Some(format!(
        "its metadata names the service {service}, whose units can't be told from those of {other}, \
         the service of {owner}: give each app a name of its own"
    ))
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

/// The versions that run beside the one that an operator gives his word on, and that the ledger
/// knows nothing of: his word accounts for them, and the next pass must not take them for the sign
/// of a lost ledger. Where the cluster can't be read, those that a pass has noted.
pub fn beside(
    ports: &dyn Ports,
    ledger: &mut dyn Ledger,
    (scope, order): (&Scope, Order),
    snapshot: &Snapshot,
    known: &Attempt,
) -> Result<BTreeSet<String>> {
    let noted = snapshot.unaccounted.get(&known.app);
    let mut versions = noted.map_or_else(BTreeSet::new, |noted| noted.versions.clone());
    if let Some(units) = units(ports, scope, &known.service_name) {
        let services = services(snapshot);
        let services = services.keys().map(String::as_str).collect();
        let (seen, _) = compare(ledger, (scope, order), &services, known, &units)?;
        versions.extend(seen.unaccounted);
    }
    versions.remove(&known.version);
    Ok(versions)
}

/// The units of a service, where a coreos-deploy of this scope tells them.
fn units(ports: &dyn Ports, scope: &Scope, service_name: &str) -> Option<Vec<Unit>> {
    if service_name.is_empty() {
        return None;
    }
    let target = ports.target().ok()?;
    match target.info() {
        Probe::Answered(info)
            if info.domain == scope.domain && info.environment == scope.environment =>
        {
            target.units(service_name).ok()
        }
        _ => None,
    }
}
