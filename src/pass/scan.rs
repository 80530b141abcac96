//! What Artifactory offers, and the plan that follows from it.

use super::look;
use crate::artifactory::Releases;
use crate::clock::Clock;
use crate::config::Rules;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Ledger, Snapshot};
use crate::model::listing::{Listing, ListingBuilder};
use crate::model::name::Scope;
use crate::model::plan::{self, Inputs, OpenAttempt, Step};
use crate::model::report::{Action, Left};
use crate::output::Output;

/// The listing and the plan.
pub struct Scan {
    /// What Artifactory offers.
    pub listing: Listing,
    /// What a pass would do.
    pub steps: Vec<Step>,
    /// Known apps of which no marker is left, with the version that is deployed, if one is.
    pub missing: Vec<(String, Option<String>)>,
}

impl Scan {
    /// Tells, with `-v`, what was read and left alone.
    pub fn tell_left_alone(&self, output: &Output) {
        for Left { name, why } in &self.listing.left_alone.shown {
            output.note(&format!("left alone: {name}: {why}"));
        }
        let left = self.listing.left_alone.count - self.listing.left_alone.shown.len() as u64;
        if left > 0 {
            output.note(&format!("left alone: {left} more"));
        }
    }
}

/// Reads Artifactory and plans. Changes nothing.
pub struct Scanner<'a> {
    /// The rules of a pass.
    pub rules: &'a Rules,
    /// The scope.
    pub scope: &'a Scope,
    /// Where notes go.
    pub output: &'a Output,
    /// Where the markers are.
    pub releases: &'a dyn Releases,
    /// The time.
    pub clock: &'a dyn Clock,
}

impl Scanner<'_> {
    /// What is offered, and what a pass would do. With `detail` the listing has every marker.
    ///
    /// Errors: what [`Releases::list`] gives; 69 for a repository without any marker while apps
    /// are deployed (narrowed permissions look like this); 2 for an `--app` that matches nothing.
    pub fn scan(&self, ledger: &mut dyn Ledger, snapshot: &Snapshot, detail: bool) -> Result<Scan> {
        let rules = self.rules;
        let deployed = snapshot
            .records
            .iter()
            .filter_map(|(app, record)| Some((app.clone(), record.deployed.clone()?)))
            .collect();
        let builder = ListingBuilder::new(rules.order, rules.filter.clone(), deployed, detail);
        let listing = self.releases.list(builder)?;
        if let Some(reason) = &listing.aql_refused {
            self.output
                .note(&format!("read folder by folder: {reason}"));
        }
        check(rules, &listing, snapshot)?;
        let unrecorded: Vec<&str> = listing
            .apps
            .keys()
            .map(String::as_str)
            .filter(|app| !snapshot.records.contains_key(*app))
            .collect();
        let conflicts = ledger.name_conflicts(self.scope, &unrecorded)?;
        let open: Vec<OpenAttempt> = snapshot
            .open
            .iter()
            .map(|a| OpenAttempt {
                attempt: a.id.clone(),
                app: a.app.clone(),
                version: a.version.clone(),
                state: a.state,
            })
            .collect();
        let unaccounted = snapshot
            .unaccounted
            .iter()
            .filter_map(|(app, noted)| {
                // What is to be sent may be what runs.
                let mut noted = noted.clone();
                let newest = listing.apps.get(app).and_then(|a| a.newest.as_ref());
                noted.versions.retain(|version| Some(version) != newest);
                let is_left = !noted.versions.is_empty();
                is_left.then(|| (app.clone(), look::reason(app, &noted)))
            })
            .collect();
        let steps = plan::plan(&Inputs {
            conflicts: &conflicts,
            unaccounted: &unaccounted,
            listing: &listing,
            records: &snapshot.records,
            open: &open,
            holds: &snapshot.holds,
            order: rules.order,
            max_attempts: rules.max_attempts,
            retry_after: rules.retry_after,
            now: self.clock.now_ms(),
        });
        let missing = plan::missing(&listing, &snapshot.records, &rules.filter)
            .into_iter()
            .filter_map(|app| Some((app.to_owned(), snapshot.records.get(app)?.deployed.clone())))
            .collect();
        Ok(Scan {
            listing,
            steps,
            missing,
        })
    }
}

/// Refuses a listing that nothing may be concluded from.
fn check(rules: &Rules, listing: &Listing, snapshot: &Snapshot) -> Result<()> {
    if plan::suspicious_emptiness(listing, &snapshot.records) {
        return Err(Error::unavailable("the deploy request repository holds no marker at all, but apps of it are deployed")
            .because("a narrowed permission or a wrong repository looks like this; absence is never acted on")
            .hint("check --art-deploy-repo and what this user may read there"));
    }
    for app in rules.filter.literals() {
        if !listing.apps.contains_key(app) && !snapshot.records.contains_key(app) {
            return Err(Error::usage(format!(
                "--app {app} matches no app in Artifactory"
            )));
        }
    }
    Ok(())
}

/// The guard against deploying the world: more deploys than `--max-deploys` are none (exit 5).
pub fn guard(rules: &Rules, steps: &[Step]) -> Result<()> {
    let limit = rules.max_deploys;
    let Some(due) = plan::over_limit(steps, limit) else {
        return Ok(());
    };
    let new = steps.iter().filter(|s| s.action == Action::New).count();
    let error = Error::new(
        Kind::Guard,
        format!("{due} deploys are due, more than --max-deploys {limit}: none was submitted"),
    );
    Err(if new > 0 {
        error
            .because(format!("{new} of them are of apps that the ledger does not know"))
            .hint("if they run already, record them with `baseline`; to deploy them all, give --max-deploys 0")
    } else {
        error.hint(format!(
            "look at `scan`, then give --max-deploys {due} to go on"
        ))
    })
}
