//! Names of apps that a command was given: one that nobody knows is a slip of the hand.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::ledger::{Access, Snapshot};
use crate::model::listing::{AppFilter, Listing, ListingBuilder};
use crate::model::name::Scope;
use crate::model::plan::{self, EVERY_APP};
use crate::pass::open_to_write;

/// How long the markers are waited for, where a command can do without.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who may know the name of an app: the ledger, and the markers in Artifactory.
pub(super) struct Names<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) snapshot: &'a Snapshot,
    /// What helps where a name is meant that nobody knows; may be empty.
    otherwise: &'static str,
}

/// The names of a command, with what the ledger knows before it changes anything: a name that was
/// mistyped, or a ledger that was, is found out before anything is made.
pub(super) fn known_before(context: &Context<'_>) -> Result<Snapshot> {
    let scope = context.scope()?;
    match context.ports.ledger(Access::ReadOnly) {
        Ok(mut ledger) => ledger.snapshot(scope),
        // What must be migrated first, or cannot be opened, is told by opening it to write.
        Err(_) => open_to_write(context.ports, context.output)?.snapshot(scope),
    }
}

/// Why there is no such app (exit 2), with the nearest name that there is.
pub(super) fn unknown(snapshot: &Snapshot, listing: &Listing, scope: &Scope, app: &str) -> Error {
    let mut error = Error::usage(format!("there is no app {app} in {scope}"))
        .because("neither the ledger nor a marker in Artifactory knows it");
    if snapshot.latest.is_empty() && snapshot.holds.is_empty() {
        error = error.because(format!("the ledger has nothing of {scope}"));
    }
    let known = snapshot.latest.keys().chain(snapshot.holds.keys());
    let known = known.chain(listing.apps.keys()).map(String::as_str);
    let known = known.filter(|name| *name != EVERY_APP);
    let near = nearest(app, known).map(|name| format!("did you mean {name}?"));
    error.hint(near.unwrap_or_else(|| "check --domain and --environment.".to_owned()))
}

/// Adds the name that the ledger knows and that is most like one that it doesn't.
pub(super) fn with_nearest(error: Error, snapshot: &Snapshot, app: &str) -> Error {
    if snapshot.knows(app) {
        return error;
    }
    let known = snapshot.latest.keys().chain(snapshot.holds.keys());
    let known = known.map(String::as_str).filter(|name| *name != EVERY_APP);
    match nearest(app, known) {
        Some(name) => error.hint(format!("did you mean {name}?")),
        None => error,
    }
}

impl<'a> Names<'a> {
    /// The names that the ledger knows, and, where one is asked for that it doesn't, the markers.
    pub(super) const fn new(context: &'a Context<'a>, snapshot: &'a Snapshot) -> Self {
        Self {
            context,
            snapshot,
            otherwise: "",
        }
    }

    /// Adds what helps where a name is meant that nobody knows.
    pub(super) const fn or(mut self, otherwise: &'static str) -> Self {
        self.otherwise = otherwise;
        self
    }

    /// Errors (exit 2): a name that neither the ledger nor the markers know. The markers are read
    /// only where the ledger doesn't know it; where they can't be read, nobody does.
    pub(super) fn check(&self, app: &str) -> Result<()> {
        self.check_all(&[app])
    }

    /// [`Names::check`] for several names; the markers are read once.
    pub(super) fn check_all(&self, apps: &[&str]) -> Result<()> {
        let mut unknown = apps
            .iter()
            .filter(|app| !self.snapshot.knows(app))
            .peekable();
        let Some(first) = unknown.peek() else {
            return Ok(());
        };
        let listing = self.markers().map_err(|error| {
            let what = format!("the ledger does not know {first}, and the markers cannot be read");
            self.with_hint(Error::usage(what).because(error.one_line()), "")
        })?;
        unknown.try_for_each(|app| self.check_among(&listing, app))
    }

    fn with_hint(&self, error: Error, hint: &str) -> Error {
        match [hint, self.otherwise].join(" ").trim() {
            "" => error,
            hint => error.hint(hint),
        }
    }

    /// [`Names::check`] where the markers have been read.
    pub(super) fn check_among(&self, listing: &Listing, app: &str) -> Result<()> {
        if self.snapshot.knows(app) || listing.apps.contains_key(app) {
            return Ok(());
        }
        let error = unknown(self.snapshot, listing, self.context.scope()?, app);
        let hint = error.hint.clone().unwrap_or_default();
        Err(self.with_hint(error, &hint))
    }

    /// Errors (exit 2): a scope that the ledger has nothing of, while it knows the app in others.
    /// Markers say nothing about scopes.
    pub(super) fn check_scope(&self, app: &str) -> Result<()> {
        if !self.snapshot.latest.is_empty() || !self.snapshot.holds.is_empty() {
            return Ok(());
        }
        let elsewhere = self
            .context
            .ports
            .ledger(Access::ReadOnly)
            .and_then(|mut ledger| ledger.scopes_of(app))?;
        let Some(other) = elsewhere.first() else {
            return Ok(());
        };
        let scope = self.context.scope()?;
        let what = format!("the ledger has nothing of {scope}, but {app} in {other}");
        Err(self.with_hint(Error::usage(what), "check --domain and --environment."))
    }

    /// The markers of all apps.
    pub(super) fn markers(&self) -> Result<Listing> {
        let (rules, ports) = (&self.context.config.rules, self.context.ports);
        let patience = rules.max_duration.min(PATIENCE);
        let mut releases = ports.releases()?;
        releases.until(Deadline::new(ports.clock(), patience));
        let records = &self.snapshot.records;
        let builder =
            ListingBuilder::new(rules.order, AppFilter::default(), BTreeMap::new(), false);
        let listing = releases.list(builder)?;
        if plan::suspicious_emptiness(&listing, records) {
            return Err(Error::unavailable(
                "Artifactory shows no marker at all, but apps are deployed",
            ));
        }
        Ok(listing)
    }
}

/// The name that is most like `app`; of equally near ones the first.
fn nearest<'a>(app: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Signs and the case of letters are what is mixed up first.
    let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
    let distance = |name: &str| {
        let rough = strsim::osa_distance(&plain(app), &plain(name));
        (rough, strsim::osa_distance(app, name))
    };
    known.min_by_key(|name| (distance(name), *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        let known = ["svc-04", "svc-05", "video", "video-mobile", "web"];
        for (app, name) in [
            ("svc_04", "svc-04"),
            ("SVC-05", "svc-05"),
            ("svc-40", "svc-04"),
            ("vidoe", "video"),
            ("video-mobil", "video-mobile"),
            ("we", "web"),
        ] {
            assert_eq!(nearest(app, known.into_iter()), Some(name), "{app}");
            let backwards = nearest(app, known.into_iter().rev());
            assert_eq!(backwards, Some(name), "{app}");
        }
        assert_eq!(nearest("web", std::iter::empty()), None);
    }
}
