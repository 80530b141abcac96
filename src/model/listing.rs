//! What Artifactory offers, folded from the stream of its markers.

use std::collections::BTreeMap;

use super::name::{is_app_name, is_version, marked_version};
use super::version::{Order, VersionKey};

/// The most names of one kind that are kept to be shown.
const SHOWN: usize = 50;

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
    /// Why the folder could not be read; then nothing may be concluded from the rest.
    pub unreadable: Option<String>,
}

/// A complete reading of the deploy request repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The apps that the filter lets through.
    pub apps: BTreeMap<String, AppListing>,
    /// Names that are no app's (the first few).
    pub ignored: Vec<String>,
    /// How many names were ignored in all.
    pub ignored_count: u64,
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
    keys: BTreeMap<String, VersionKey>,
    seen: bool,
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
            keys: BTreeMap::new(),
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
            self.ignore(app);
        } else if self.filter.wants(app) {
            self.listing.apps.entry(app.to_owned()).or_default();
        }
    }

    /// Notes a file of an app's folder.
    pub fn file(&mut self, app: &str, file_name: &str) {
        let Some(version) = marked_version(file_name) else {
            return;
        };
        if app.starts_with('.') {
            return;
        }
        self.seen = true;
        if !is_app_name(app) {
            return self.ignore(&format!("{app}/{file_name}"));
        }
        if !self.filter.wants(app) {
            return;
        }
        let entry = self.listing.apps.entry(app.to_owned()).or_default();
        if !is_version(version) {
            if entry.left_alone.len() < SHOWN {
                entry
                    .left_alone
                    .push((version.to_owned(), "not a name that a version may have"));
            }
            return self.ignore(&format!("{app}/{file_name}"));
        }
        let Some(key) = self.order.key(version) else {
            if entry.left_alone.len() < SHOWN {
                entry.left_alone.push((version.to_owned(), "not SemVer"));
            }
            return;
        };
        entry.markers += 1;
        if self.detail {
            entry.all.get_or_insert_default().push(version.to_owned());
        }
        let deployed = self.deployed.get(app).map(String::as_str);
        let newer = match (self.keys.get(app), &entry.newest) {
            (Some(best), Some(text)) => {
                let rank = |v: &str| (deployed == Some(v), v.to_owned());
                key.cmp(best)
                    .then_with(|| rank(version).cmp(&rank(text)))
                    .is_gt()
            }
            _ => true,
        };
        if newer {
            entry.newest = Some(version.to_owned());
            self.keys.insert(app.to_owned(), key);
        }
    }

    /// Notes a name that is no app's and no marker's.
    pub fn ignore(&mut self, name: &str) {
        self.listing.ignored_count += 1;
        if self.listing.ignored.len() < SHOWN {
            self.listing.ignored.push(crate::text::printable(name));
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
        for app in self.listing.apps.values_mut() {
            app.left_alone.sort_unstable();
            if let Some(all) = &mut app.all {
                all.sort_unstable();
                all.dedup();
            }
        }
        self.listing.ignored.sort_unstable();
        self.listing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(deployed: &[(&str, &str)]) -> ListingBuilder {
        let deployed = deployed
            .iter()
            .map(|(a, v)| ((*a).into(), (*v).into()))
            .collect();
        ListingBuilder::new(Order::Natural, AppFilter::default(), deployed, false)
    }

    #[test]
    fn the_newest_of_equal_markers_is_the_deployed_one_else_the_greatest_by_bytes() {
        for files in [
            ["1.0.deploy", "1.0.0.deploy"],
            ["1.0.0.deploy", "1.0.deploy"],
        ] {
            for (deployed, newest) in [("1.0", "1.0"), ("1.0.0", "1.0.0"), ("9", "1.0.0")] {
                let mut b = builder(&[("a", deployed)]);
                for f in files {
                    b.file("a", f);
                }
                assert_eq!(
                    b.finish("aql", true).apps["a"].newest.as_deref(),
                    Some(newest)
                );
            }
        }
    }

    #[test]
    fn foreign_names_are_left_alone_and_counted() {
        let mut b = builder(&[]);
        b.folder(".jfrog");
        b.folder("a b");
        b.folder("empty");
        b.file("ok", "1.0.deploy");
        b.file("ok", "-1.deploy");
        b.file("ok", "notes.txt");
        let listing = b.finish("folders", true);
        assert_eq!(listing.apps.keys().collect::<Vec<_>>(), ["empty", "ok"]);
        assert_eq!(listing.ignored_count, 2);
        assert!(!listing.empty);
    }

    #[test]
    fn globs() {
        for (p, t, m) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abd", false),
            ("a?", "ab", true),
            ("a?", "a", false),
            ("web-*", "web-1", true),
        ] {
            assert_eq!(glob(p, t), m, "{p} {t}");
        }
    }
}
