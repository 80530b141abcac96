//! What Artifactory offers, folded from the stream of its markers.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::name::{is_app_name, is_version, marked_version, resembles_marker};
use super::report::{Left, LeftAlone};
use super::version::{Order, VersionKey};

#[cfg(test)]
mod tests;

/// The most names of one kind that are kept to be shown.
const SHOWN: usize = 50;
const NO_APP: &str = "not a name that an app may have";

/// Which apps a command works on (`--app`, `--exclude-app`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppFilter {
    /// Globs (`*`, `?`); empty means every app.
    pub include: Vec<String>,
    /// Globs taken away again.
    pub exclude: Vec<String>,
}

impl AppFilter {
    /// Whether the filter lets an app through.
    pub fn wants(&self, app: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|g| glob(g, app)))
            && !self.exclude.iter().any(|g| glob(g, app))
    }

    /// The `--app` values without a wildcard: each must match something.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.include
            .iter()
            .map(String::as_str)
            .filter(|g| !g.contains(['*', '?']))
    }
}

/// Whether `text` matches a glob of `*` (any run) and `?` (any one character).
pub fn glob(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut pi, mut ti, mut star) = (0, 0, None);
    while ti < t.len() {
        if pi < p.len() && (p[pi] == '?' || (p[pi] != '*' && p[pi] == t[ti])) {
            (pi, ti) = (pi + 1, ti + 1);
        } else if pi < p.len() && p[pi] == '*' {
            star = Some((pi, ti));
            pi += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (pi, ti) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    p[pi..].iter().all(|c| *c == '*')
}

/// What was read of one app's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppListing {
    /// The newest version that is marked, if any is.
    pub newest: Option<String>,
    /// How many markers were taken.
    pub markers: u64,
    /// Markers that were left alone, with the reason (the first few).
    pub left_alone: Vec<(String, &'static str)>,
    /// Every version taken, unordered; only where detail was asked for.
    pub all: Option<Vec<String>>,
    /// The marker that was made last, where it is not the newest but older than that. Known only where
    /// markers come with their dates.
    pub later: Option<String>,
    /// Why the folder could not be read; then nothing may be concluded from the rest.
    pub unreadable: Option<String>,
}

/// A complete reading of the deploy request repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The apps that the filter lets through.
    pub apps: BTreeMap<String, AppListing>,
    /// What is no app, no version or no version of the order.
    pub left_alone: LeftAlone,
    /// How many other files were seen, which nobody meant as markers.
    pub others: u64,
    /// Whether the repository, the filter apart, holds no marker at all. False where only some
    /// folders were read.
    pub empty: bool,
    /// How it was read: `aql` or `folders`.
    pub source: &'static str,
    /// Why AQL, which was asked first, was not believed.
    pub aql_refused: Option<String>,
}

/// Folds markers, in any order, into a [`Listing`]; memory grows with the apps, not the markers.
#[derive(Clone, Debug)]
pub struct ListingBuilder {
    order: Order,
    filter: AppFilter,
    deployed: BTreeMap<String, String>,
    detail: bool,
    listing: Listing,
    best: BTreeMap<String, Best>,
    seen: bool,
}

/// What is known of an app's newest marker, and of the one that was made last.
#[derive(Clone, Debug)]
struct Best {
    key: VersionKey,
    made: Option<SystemTime>,
    last: Option<(SystemTime, String)>,
}

impl ListingBuilder {
    /// A builder. `deployed` breaks ties between equal versions; `detail` keeps every marker.
    pub fn new(
        order: Order,
        filter: AppFilter,
        deployed: BTreeMap<String, String>,
        detail: bool,
    ) -> Self {
        Self {
            order,
            filter,
            deployed,
            detail,
            listing: Listing::default(),
            best: BTreeMap::new(),
            seen: false,
        }
    }

    /// Whether the app is one that the command works on.
    pub fn wants(&self, app: &str) -> bool {
        is_app_name(app) && self.filter.wants(app)
    }

    /// Notes a folder of the repository's root. Folders that begin with `.` are the repository's own.
    pub fn folder(&mut self, app: &str) {
        if app.starts_with('.') {
            return;
        }
        if !is_app_name(app) {
            self.leave(app, NO_APP);
        } else if self.filter.wants(app) {
            self.listing.apps.entry(app.to_owned()).or_default();
        }
    }

    /// Notes a file that is in no app's folder, by its path: in the root, or deeper.
    pub fn misplaced(&mut self, path: &str) {
        if resembles_marker(path) {
            self.leave(path, "not in the folder of an app");
        } else {
            self.listing.others += 1;
        }
    }

    /// Notes a folder inside of an app's.
    pub fn inner_folder(&mut self, app: &str, name: &str) {
        self.leave(&format!("{app}/{name}"), "a folder in the folder of an app");
    }

    /// Notes an address that names nothing, about which nothing can be asked.
    pub fn nameless(&mut self, address: &str) {
        self.leave(address, "an address without a name");
    }

    /// Notes a file of an app's folder.
    pub fn file(&mut self, app: &str, file_name: &str) {
        self.dated_file(app, file_name, None);
    }

    /// Notes a file of an app's folder that was made at a time, where that is known.
    pub fn dated_file(&mut self, app: &str, file_name: &str, made: Option<SystemTime>) {
        let path = || format!("{app}/{file_name}");
        let Some(version) = marked_version(file_name) else {
            if !resembles_marker(file_name) {
                self.listing.others += 1;
            } else if self.filter.wants(app) {
                self.leave(
                    &path(),
                    "no marker: .deploy ends the name of one, in small letters",
                );
            }
            return;
        };
        if app.starts_with('.') {
            return self.leave(
                &path(),
                "a folder that begins with '.' is the repository's own",
            );
        }
        self.seen = true;
        if !is_app_name(app) {
            return self.leave(&path(), NO_APP);
        }
        if !self.filter.wants(app) {
            return;
        }
        match self.order.key(version).filter(|_| is_version(version)) {
            Some(key) => self.marker(app, version, key, made),
            None if is_version(version) => self.refuse(app, version, "not SemVer"),
            None => self.refuse(app, version, "not a name that a version may have"),
        }
    }

    fn marker(&mut self, app: &str, version: &str, key: VersionKey, made: Option<SystemTime>) {
        let entry = self.listing.apps.entry(app.to_owned()).or_default();
        entry.markers += 1;
        if self.detail {
            entry.all.get_or_insert_default().push(version.to_owned());
        }
        let (Some(best), Some(text)) = (self.best.get_mut(app), &mut entry.newest) else {
            let last = made.map(|made| (made, version.to_owned()));
            entry.newest = Some(version.to_owned());
            self.best.insert(app.to_owned(), Best { key, made, last });
            return;
        };
        if let Some(made) = made
            && best
                .last
                .as_ref()
                .is_none_or(|(at, last)| (made, version) > (*at, last.as_str()))
        {
            best.last = Some((made, version.to_owned()));
        }
        let deployed = self.deployed.get(app).map(String::as_str);
        let rank = |v: &str| (deployed == Some(v), v.to_owned());
        let order = key.cmp(&best.key);
        if order.then_with(|| rank(version).cmp(&rank(text))).is_gt() {
            version.clone_into(text);
            best.key = key;
            best.made = made;
        }
    }

    /// Leaves a marker of an app alone.
    fn refuse(&mut self, app: &str, version: &str, why: &'static str) {
        let entry = self.listing.apps.entry(app.to_owned()).or_default();
        if entry.left_alone.len() < SHOWN {
            entry.left_alone.push((version.to_owned(), why));
        }
        self.leave(&format!("{app}/{version}.deploy"), why);
    }

    fn leave(&mut self, path: &str, why: &str) {
        let left_alone = &mut self.listing.left_alone;
        left_alone.count += 1;
        if left_alone.shown.len() < SHOWN {
            // Whole: who masks secrets cuts it afterwards.
            left_alone.shown.push(Left {
                name: path.to_owned(),
                why: why.to_owned(),
            });
        }
    }

    /// Notes that an app's folder could not be read.
    pub fn unreadable(&mut self, app: &str, reason: String) {
        self.listing
            .apps
            .entry(app.to_owned())
            .or_default()
            .unreadable = Some(reason);
        self.seen = true;
    }

    /// The listing. `source` is `aql` or `folders`; `whole` says that no folder was passed over.
    pub fn finish(mut self, source: &'static str, whole: bool) -> Listing {
        self.listing.source = source;
        self.listing.empty = whole && !self.seen;
        let is_bare = |app: &AppListing| {
            app.newest.is_none() && app.left_alone.is_empty() && app.unreadable.is_none()
        };
        let bare = self.listing.apps.iter().filter(|(_, app)| is_bare(app));
        let bare: Vec<String> = bare.map(|(name, _)| name.clone()).collect();
        for name in bare {
            self.leave(&name, "a folder without a marker");
        }
        for (name, app) in &mut self.listing.apps {
            app.later = self
                .best
                .remove(name)
                .and_then(|best| best.later(self.order));
            app.left_alone.sort_unstable();
            if let Some(all) = &mut app.all {
                all.sort_unstable();
                all.dedup();
            }
        }
        self.listing.left_alone.shown.sort_unstable();
        self.listing
    }
}

impl Best {
    /// The version of the marker that was made last, if it is older than the newest.
    fn later(self, order: Order) -> Option<String> {
        let (at, version) = self.last?;
        let is_later = self.made.is_some_and(|made| at > made);
        let is_lower = || order.key(&version).is_some_and(|key| key < self.key);
        (is_later && is_lower()).then_some(version)
    }
}
