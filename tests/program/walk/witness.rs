//! What is seen at the moment of each POST.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::VERSIONS;
use crate::support::Ledger;

/// Reads the ledger while coreos-deploy has a POST in its hands and has not acted yet.
pub(super) struct Witness {
    ledger: Ledger,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The attempts of the POSTs so far.
    posted: BTreeSet<String>,
    /// What was rolled back from: app and version.
    fled: BTreeSet<(String, String)>,
    wrong: Vec<String>,
}

impl Witness {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            seen: Mutex::default(),
        }
    }

    pub(super) fn see(&self, body: &Value) {
        let text = |key: &str| body[key].as_str().unwrap_or("-").to_owned();
        let (service, version) = (text("serviceName"), text("version"));
        let app = service.trim_start_matches("example-").to_owned();
        let what = format!("POST {app} {version}");
        let open = self.rows(
            "SELECT id, app, version, state, command FROM artifactory_attempts
              WHERE state IN ('submitting', 'submitted', 'unknown')",
        );
        let [own] = open.as_slice() else {
            return self.note(format!("{what}: open are {open:?}"));
        };
        if own[1..4] != [app.clone(), version.clone(), "submitting".to_owned()] {
            return self.note(format!("{what}: its intent is {own:?}"));
        }
        let deployed = self.rows(&format!(
            "SELECT version FROM artifactory_attempts WHERE app = '{app}'
              AND state IN ('succeeded', 'observed', 'baseline') ORDER BY seq"
        ));
        let holds = self.rows(&format!(
            "SELECT app, COALESCE(newer_than, '') FROM artifactory_holds WHERE app = '{app}'"
        ));
        let mut wrong = Vec::new();
        let mut seen = self.lock();
        if !seen.posted.insert(own[0].clone()) {
            wrong.push(format!("{what}: the second one of its attempt"));
        }
        let deployed = deployed.last().map(|row| row[0].clone());
        let newer = deployed.filter(|deployed| rank(deployed) > rank(&version));
        match own[4].as_str() {
            "run" => {
                if seen.fled.contains(&(app.clone(), version.clone())) {
                    wrong.push(format!("{what}: it was rolled back from"));
                }
                let keeps =
                    |hold: &&Vec<String>| hold[1].is_empty() || rank(&version) <= rank(&hold[1]);
                if let Some(hold) = holds.iter().find(keeps) {
                    wrong.push(format!("{what}: held by {hold:?}"));
                }
                if let Some(newer) = newer {
                    wrong.push(format!("{what}: {newer} is deployed"));
                }
            }
            "rollback" => seen.fled.extend(newer.map(|newer| (app, newer))),
            _ => seen.fled.retain(|(fled, _)| *fled != app),
        }
        seen.wrong.extend(wrong);
    }

    /// The open attempts: app and version.
    pub(super) fn open(&self) -> Vec<(String, String)> {
        let open = self.rows(
            "SELECT app, version FROM artifactory_attempts
              WHERE state IN ('submitting', 'submitted', 'unknown')",
        );
        open.into_iter()
            .map(|row| (row[0].clone(), row[1].clone()))
            .collect()
    }

    /// A hold is lifted: what was rolled back from may come back.
    pub(super) fn allow_again(&self) {
        self.lock().fled.clear();
    }

    pub(super) fn note(&self, wrong: String) {
        self.lock().wrong.push(wrong);
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self, query: &str) -> Vec<Vec<String>> {
        match self.ledger.sql(query) {
            Ok(rows) => rows
                .into_iter()
                .map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
                .collect(),
            Err(error) => {
                self.note(format!("the ledger: {error}"));
                Vec::new()
            }
        }
    }
}

fn rank(version: &str) -> Option<usize> {
    VERSIONS.iter().position(|known| *known == version)
}
