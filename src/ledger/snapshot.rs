//! All that a pass or a read-only command needs to know.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{Attempt, original};
use crate::model::attempt::State;
use crate::model::plan::{AppRecord, EVERY_APP, Hold};
use crate::model::report::Report;
use crate::model::version::Order;

/// All that a pass or a read-only command needs to know, in a constant number of statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By app; rows of the original's table that no attempt accounts for are read as the
    /// attempts that [`super::Ledger::take_over`] makes of them.
    pub records: BTreeMap<String, AppRecord>,
    /// The latest attempt of each app.
    pub latest: BTreeMap<String, Attempt>,
    /// Open attempts, oldest first.
    pub open: Vec<Attempt>,
    /// Holds in force or ended by themselves, by app, or [`EVERY_APP`].
    pub holds: BTreeMap<String, Hold>,
    /// The report of the last finished `run` of the scope.
    pub last_run: Option<Report>,
    /// Bad payloads as of the last pass: app -> (version, checksum, error).
    pub bad_payloads: BTreeMap<String, BadPayload>,
    /// The apps of which other versions run than the ledger has, as of the last pass.
    pub unaccounted: BTreeMap<String, Unaccounted>,
    /// Since when every pass has found coreos-deploy busy, milliseconds since 1970 UTC.
    pub busy_since: Option<i64>,
}

/// Some of the apps of a scope, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Their records, their latest attempts, and the open ones that stand for rows of the original's.
    pub apps: Snapshot,
    /// The name to ask for the next part after; `None`: this was the last one.
    pub last: Option<String>,
}

/// A payload that was downloaded and refused: it isn't downloaded again until it changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BadPayload {
    /// The version.
    pub version: String,
    /// Its checksum, as Artifactory gives it.
    pub checksum: String,
    /// What is wrong with it.
    pub error: String,
}

/// Versions of a service that run, and that the ledger has no attempt of: it is a new one, or one of
/// before.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unaccounted {
    /// The service.
    pub service_name: String,
    /// The versions.
    pub versions: BTreeSet<String>,
    /// The latest attempt of the app then; a later one makes up for it.
    pub after: Option<String>,
}

impl Snapshot {
    /// Leaves out the apps that a later attempt has accounted for.
    pub fn drop_accounted(&mut self) {
        let latest = &self.latest;
        let id = |app: &String| latest.get(app).map(|attempt| &attempt.id);
        self.unaccounted
            .retain(|app, noted| id(app) == noted.after.as_ref());
    }

    /// Takes over of which versions the last pass has forgiven one failure, by app.
    pub fn forgive(&mut self, forgiven: &BTreeMap<String, String>) {
        for (app, version) in forgiven {
            let record = self.records.get_mut(app);
            if let Some(trouble) = record.and_then(|record| record.troubled.get_mut(version)) {
                trouble.is_forgiven = true;
            }
        }
    }

    /// The versions of which one failure is forgiven, by app.
    pub fn forgiven(&self) -> BTreeMap<String, String> {
        let of = |(app, record): (&String, &AppRecord)| {
            let mut troubled = record.troubled.iter();
            let (version, _) = troubled.rfind(|(_, trouble)| trouble.is_forgiven)?;
            Some((app.clone(), version.clone()))
        };
        self.records.iter().filter_map(of).collect()
    }

    /// At most `most` of the apps after that name.
    pub fn part_after(&self, after: &str, most: u32) -> Part {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut apps = Self::default();
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        for (app, latest) in self.latest.range::<str, _>(behind).take(most) {
            let record = self.records.get(app).cloned().unwrap_or_default();
            apps.records.insert(app.clone(), record);
            apps.latest.insert(app.clone(), latest.clone());
        }
        let last = apps
            .latest
            .keys()
            .next_back()
            .filter(|_| apps.latest.len() >= most);
        let last = last.cloned();
        Part { apps, last }
    }

    /// Adds open attempts that are not there yet: those that stand for rows of the original's.
    pub fn add_open(&mut self, open: impl Iterator<Item = Attempt>) {
        for attempt in open {
            if self.open.iter().all(|known| known.id != attempt.id) {
                self.open.push(attempt);
            }
        }
    }

    /// Whether an app is retired, and nothing was tried of it since.
    pub fn is_retired(&self, app: &str) -> bool {
        let latest = self.latest.get(app);
        latest.is_some_and(|attempt| attempt.state == State::Retired)
    }

    /// Has nothing deployed of apps that are retired. What was deployed last stays what nothing
    /// older may follow.
    pub fn retire(&mut self) {
        let retired: Vec<String> = self.retired().cloned().collect();
        for app in retired {
            let record = self.records.entry(app).or_default();
            record.floor = record.deployed.take().or(record.floor.take());
            record.is_retired = true;
        }
    }

    /// Leaves out the apps that are retired, and the holds of before: what is put since is shown.
    pub fn drop_retired(&mut self) {
        let retired: Vec<String> = self.retired().cloned().collect();
        for app in &retired {
            let since = self.latest.remove(app).map_or(0, |a| a.created_at);
            self.records.remove(app);
            self.holds
                .retain(|held, hold| held != app || hold.placed_at > since);
        }
    }

    fn retired(&self) -> impl Iterator<Item = &String> {
        self.latest.keys().filter(|app| self.is_retired(app))
    }

    /// The id of the latest attempt of an app.
    pub fn latest_id(&self, app: &str) -> Option<String> {
        self.latest.get(app).map(|attempt| attempt.id.clone())
    }

    /// Whether the ledger has anything of an app: an attempt, a row of the original's, a hold.
    pub fn knows(&self, app: &str) -> bool {
        self.latest.contains_key(app) || (app != EVERY_APP && self.holds.contains_key(app))
    }

    /// Whether a hold would stop the next pass, as far as the ledger tells.
    pub fn is_held(&self, app: &str, order: Order, now: i64) -> bool {
        self.holds.get(app).is_some_and(|hold| {
            let seen = self.newest_since(app, hold.placed_at);
            seen.map_or(!hold.is_over(now), |newest| hold.stops(order, newest, now))
        })
    }

    /// Leaves out the holds that would not stop the next pass.
    pub fn drop_ended_holds(&mut self, order: Order, now: i64) {
        let is_ended = |app: &&String| !self.is_held(app, order, now);
        let ended: Vec<String> = self.holds.keys().filter(is_ended).cloned().collect();
        for app in ended {
            self.holds.remove(&app);
        }
    }

    /// The newest marker that a pass has seen since a time, in milliseconds since 1970 UTC: the
    /// last one, or the one that sent what was tried last.
    fn newest_since(&self, app: &str, time: i64) -> Option<&str> {
        /// A report tells whole seconds.
        const SECOND: i64 = 1000;
        let runs = self.last_run.iter();
        let runs = runs.filter(|r| original::milliseconds(&r.started_at) + SECOND > time);
        let told = runs.flat_map(|run| &run.apps).find(|told| told.app == app);
        let tried = self.latest.get(app);
        let tried = tried.filter(|a| a.command == "run" && a.created_at > time);
        told.and_then(|told| told.newest.as_deref())
            .or_else(|| tried.map(|attempt| attempt.version.as_str()))
    }
}
