//! The plan: what a pass will do, as data.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::attempt::State;
use super::listing::{AppFilter, AppListing, Listing};
use super::report::Action;
use super::version::{Order, VersionKey};
use crate::text::printable;

mod back_off;
mod brake;
mod hold;

#[cfg(test)]
mod tests;

pub use brake::{Brake, in_turn};
pub use hold::{EVERY_APP, Hold, NO_REASON};

/// What the ledger knows of one app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppRecord {
    /// The version of the latest attempt that succeeded, was observed, or is a baseline.
    pub deployed: Option<String>,
    /// The greatest-standing version that nothing older may follow: the version that the
    /// original's table holds at status 1 or 3 (taken over, never deployed for certain).
    pub floor: Option<String>,
    /// Whether the app is retired; its floor is what was deployed last.
    pub is_retired: bool,
    /// Versions whose latest attempt failed, was refused or was abandoned.
    pub troubled: BTreeMap<String, Trouble>,
}

impl AppRecord {
    /// The versions that the ledger knows of.
    pub fn versions(&self) -> impl Iterator<Item = &str> {
        let standing = [&self.deployed, &self.floor].into_iter().flatten();
        standing.chain(self.troubled.keys()).map(String::as_str)
    }
}

/// The latest attempt of one version, and it did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Failed, Refused or Abandoned.
    pub state: State,
    /// How many attempts of this version used up an attempt (failed, refused by 400, 404, 405,
    /// 415, or abandoned), this one included.
    pub attempts: u32,
    /// How many of them were abandoned.
    pub abandoned: u32,
    /// Whether one of them does not count for `--max-attempts`: see [`Brake`].
    pub is_forgiven: bool,
    /// When it ended, milliseconds since 1970 UTC.
    pub ended_at: i64,
    /// Why.
    pub message: String,
}

/// An open attempt, as far as the plan needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAttempt {
    /// Its id.
    pub attempt: String,
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// Submitting, Submitted or Unknown.
    pub state: State,
}

/// All that a plan is made of.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// Apps whose place in the original's table another name has, with that name.
    pub conflicts: &'a BTreeMap<String, String>,
    /// What Artifactory offers.
    pub listing: &'a Listing,
    /// What the ledger knows, by app.
    pub records: &'a BTreeMap<String, AppRecord>,
    /// Open attempts of the scope.
    pub open: &'a [OpenAttempt],
    /// Of apps of which other versions run than the ledger has, why nothing is sent.
    pub unaccounted: &'a BTreeMap<String, String>,
    /// Holds, by app, or [`EVERY_APP`].
    pub holds: &'a BTreeMap<String, Hold>,
    /// The order of versions.
    pub order: Order,
    /// `--max-attempts`.
    pub max_attempts: u32,
    /// `--retry-after`.
    pub retry_after: Duration,
    /// Milliseconds since 1970 UTC.
    pub now: i64,
}

/// What the plan says of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The app.
    pub app: String,
    /// The deployed version.
    pub deployed: Option<String>,
    /// The newest marker (of `resume`: the attempt's version).
    pub newest: Option<String>,
    /// What to do.
    pub action: Action,
    /// Why, for a person.
    pub reason: String,
    /// Of `resume`: the attempt.
    pub attempt: Option<String>,
    /// `waiting` or `given-up` after a failed attempt: counts as a failure (exit 1).
    pub failing: bool,
}

impl Step {
    /// Whether the step deploys something.
    pub const fn is_deploy(&self) -> bool {
        self.action.is_deploy()
    }
}

/// The plan of a pass, by app; the same whatever order the inputs came in. Of these rows the first
/// that applies to an app decides:
///
/// | row | action | before the next, because |
/// |---|---|---|
/// | an open attempt | `resume` | what was sent is found out, whatever is held |
/// | its folder or versions cannot be read, or it is known and none of its markers is a version | `unreadable` | nothing is known that could be compared |
/// | held | `held` | an operator's word |
/// | the newest marker is older than what is deployed, or was tried before | `ahead` | no downgrade, however it ended |
/// | it is deployed, and a later attempt of it ended badly | `given-up` | only an operator can have asked for that |
/// | its latest attempt ended badly | `retry`, `waiting`, `given-up` | it must not look like an upgrade |
/// | it is deployed | `up-to-date` | nothing would be sent, so nothing has to be accounted for |
/// | other versions run than the ledger has | `unaccounted` | what is due would replace them |
/// | else | `new`, `upgrade` | |
///
/// An app with an open attempt gets one `resume` step per open attempt and nothing else, whatever
/// the listing and the holds say. An app that has no marker gets no step; see [`missing`].
pub fn plan(inputs: &Inputs<'_>) -> Vec<Step> {
    let mut steps: Vec<Step> = inputs.open.iter().map(|o| resume(inputs, o)).collect();
    let open: BTreeSet<&str> = inputs.open.iter().map(|o| o.app.as_str()).collect();
    for (app, offered) in &inputs.listing.apps {
        if !open.contains(app.as_str()) {
            steps.extend(step(inputs, app, offered));
        }
    }
    steps.sort_by(|a, b| {
        let key = |s: &Step| (s.app.clone(), s.newest.clone(), s.attempt.clone());
        key(a).cmp(&key(b))
    });
    steps
}

/// The apps of the ledger that are not retired, that the filter wants and the listing has no marker
/// of, not even one that is left alone. An app whose folder could not be read is not one of them: nothing is known of it.
pub fn missing<'a>(
    listing: &Listing,
    records: &'a BTreeMap<String, AppRecord>,
    filter: &AppFilter,
) -> Vec<&'a str> {
    let gone = |app: &str| {
        listing
            .apps
            .get(app)
            .is_none_or(|a| a.newest.is_none() && a.unreadable.is_none() && a.left_alone.is_empty())
    };
    records
        .iter()
        .filter(|(_, record)| !record.is_retired)
        .map(|(app, _)| app.as_str())
        .filter(|app| filter.wants(app) && gone(app))
        .collect()
}

/// Whether the repository holds no marker at all although something is deployed: what narrowed
/// permissions look like.
pub fn suspicious_emptiness(listing: &Listing, records: &BTreeMap<String, AppRecord>) -> bool {
    listing.empty && records.values().any(|record| record.deployed.is_some())
}

/// How many deploys a plan holds, where that is more than `--max-deploys` allows (0 allows any
/// number). Resumed attempts do not count: they were sent before.
pub fn over_limit(steps: &[Step], max_deploys: usize) -> Option<usize> {
    let deploys = steps.iter().filter(|step| step.is_deploy()).count();
    (max_deploys != 0 && deploys > max_deploys).then_some(deploys)
}

fn resume(inputs: &Inputs<'_>, open: &OpenAttempt) -> Step {
    let what = match open.state {
        State::Submitting => "may have been sent, no answer is recorded",
        State::Submitted => "was accepted, its outcome is not known yet",
        _ => "has an unknown outcome",
    };
    Step {
        app: open.app.clone(),
        deployed: inputs
            .records
            .get(&open.app)
            .and_then(|record| record.deployed.clone()),
        newest: Some(open.version.clone()),
        action: Action::Resume,
        reason: printable(&format!("the deploy of {} {what}", open.version)),
        attempt: Some(open.attempt.clone()),
        failing: false,
    }
}

/// What is decided about one app, and why.
struct Decision {
    action: Action,
    reason: String,
    failing: bool,
}

impl Decision {
    /// The reason may hold text of operators, of Artifactory and of a database.
    fn new(action: Action, reason: impl AsRef<str>) -> Self {
        Self {
            action,
            reason: printable(reason.as_ref()),
            failing: false,
        }
    }

    fn failing(action: Action, reason: impl AsRef<str>) -> Self {
        Self {
            failing: true,
            ..Self::new(action, reason)
        }
    }
}

/// The step of an app without an open attempt; none where it has no marker.
fn step(inputs: &Inputs<'_>, app: &str, offered: &AppListing) -> Option<Step> {
    let unknown = AppRecord::default();
    let record = inputs.records.get(app).unwrap_or(&unknown);
    // What was read of a folder before reading failed proves nothing.
    let newest = match offered.unreadable {
        Some(_) => None,
        None => offered.newest.as_deref(),
    };
    let decision = match (&offered.unreadable, newest) {
        (Some(reason), _) => Decision::new(Action::Unreadable, reason),
        (None, Some(_)) if inputs.conflicts.contains_key(app) => {
            let row = &inputs.conflicts[app];
            Decision::new(Action::Unreadable, name_taken(row))
        }
        (None, Some(newest)) => {
            let decision = decide(inputs, record, inputs.holds.get(app), newest);
            match inputs.unaccounted.get(app) {
                Some(reason) if decision.action.is_deploy() => {
                    Decision::failing(Action::Unaccounted, reason)
                }
                _ => decision,
            }
        }
        (None, None) => {
            // Of an app that the ledger does not know, it is a note.
            let is_known = inputs.records.contains_key(app) && !record.is_retired;
            let (version, why) = offered.left_alone.first().filter(|_| is_known)?;
            let reason = format!("none of its markers can be a version: {version} is {why}");
            Decision::new(Action::Unreadable, reason)
        }
    };
    Some(Step {
        app: app.to_owned(),
        deployed: record.deployed.clone(),
        newest: newest.map(str::to_owned),
        action: decision.action,
        reason: decision.reason,
        attempt: None,
        failing: decision.failing,
    })
}

/// Why an app can't be recorded: another name has its place in the original's table.
pub fn name_taken(row: &str) -> String {
    printable(&format!(
        "the database takes this name for {row}, which is in the ledger already; rename one of the two"
    ))
}

/// The rules, in order: the first that applies decides.
fn decide(inputs: &Inputs<'_>, record: &AppRecord, hold: Option<&Hold>, newest: &str) -> Decision {
    let every = inputs.holds.get(EVERY_APP);
    let mut holds = hold.into_iter().chain(every);
    if let Some(reason) = holds
        .find(|hold| hold.stops(inputs.order, newest, inputs.now))
        .map(Hold::describe)
    {
        return Decision::new(Action::Held, reason);
    }
    let (key, deployed, floor) = match keys(inputs.order, record, newest) {
        Ok(keys) => keys,
        Err(reason) => return Decision::new(Action::Unreadable, reason),
    };
    if let Some((version, than)) = &deployed
        && key < *than
    {
        let reason = format!("{newest} is older than {version}, which is deployed");
        return Decision::new(Action::Ahead, reason);
    }
    if let Some((version, than)) = &floor
        && key < *than
    {
        let when = if record.is_retired {
            "deployed last before it was retired"
        } else {
            "tried before"
        };
        let reason = format!("{newest} is older than {version}, which was {when}");
        return Decision::new(Action::Ahead, reason);
    }
    let trouble = record.troubled.get(newest);
    if let Some(trouble) = trouble.filter(|t| t.holds_back()) {
        let is_deployed = deployed.as_ref().is_some_and(|(_, than)| *than == key);
        return if is_deployed {
            back_off::not_repeated(trouble)
        } else {
            back_off::decide(inputs, trouble)
        };
    }
    let once_more = match trouble {
        Some(t) if t.state == State::Abandoned => "; an earlier attempt did not happen",
        _ => "",
    };
    match deployed {
        None if record.is_retired => {
            Decision::new(Action::New, "it was retired, and is marked again")
        }
        None => Decision::new(Action::New, format!("nothing is deployed{once_more}")),
        Some((version, _)) if version == newest => {
            Decision::new(Action::UpToDate, format!("{newest} is deployed"))
        }
        Some((version, than)) => match key.cmp(&than) {
            Ordering::Equal => Decision::new(
                Action::UpToDate,
                format!("{version} is deployed, {newest} is the same version"),
            ),
            _ => Decision::new(
                Action::Upgrade,
                format!("{newest} is newer than {version}{once_more}"),
            ),
        },
    }
}

type Keyed<'a> = (&'a str, VersionKey);

/// The keys of the newest marker, the deployed version and the floor, or what has none.
fn keys<'a>(
    order: Order,
    record: &'a AppRecord,
    newest: &str,
) -> Result<(VersionKey, Option<Keyed<'a>>, Option<Keyed<'a>>), String> {
    let order_name = match order {
        Order::Natural => "natural",
        Order::Semver => "SemVer",
    };
    let keyed = |version: &'a str, whose: &str| match order.key(version) {
        Some(key) => Ok((version, key)),
        None => Err(format!("{version}, {whose}, is not {order_name}")),
    };
    let key = order
        .key(newest)
        .ok_or_else(|| format!("{newest}, the newest marker, is not {order_name}"))?;
    let known = |version: &'a Option<String>, whose| {
        version.as_deref().map(|v| keyed(v, whose)).transpose()
    };
    Ok((
        key,
        known(&record.deployed, "which is deployed")?,
        known(&record.floor, "which was tried before")?,
    ))
}
