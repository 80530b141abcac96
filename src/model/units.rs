//! The units of a service in the cluster: the only thing by which a deploy can be seen whose id
//! is not known.

use std::collections::{BTreeMap, BTreeSet};

use super::attempt::NewUnits;

/// A unit of a service: `<name>-<version>-<suffix>@<cycle><index>.service`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    /// What stands between the service's name and the suffix. The name of a longer service may
    /// begin with this one's: `web-api` at `1.0` reads as `web` at `api-1.0`.
    pub version: String,
    /// What coreos-deploy drew for the deploy that started it: 8 of `[a-z0-9]`.
    pub suffix: String,
    /// The side of the A/B rotation: `A` or `B`.
    pub cycle: char,
    /// Its number within the deploy, from 1.
    pub index: u32,
    /// Whether it is loaded, active and running.
    pub running: bool,
}

/// The suffixes of the units, sorted, each once.
pub fn suffixes(units: &[Unit]) -> Vec<String> {
    let distinct: BTreeSet<&str> = units.iter().map(|u| u.suffix.as_str()).collect();
    distinct.into_iter().map(str::to_owned).collect()
}

/// The units whose suffix is not one of `before`.
pub fn new_units(units: &[Unit], before: &[String]) -> NewUnits {
    let new = || units.iter().filter(|u| !before.contains(&u.suffix));
    NewUnits {
        running: most_running(new()),
        any: new().count(),
    }
}

/// The units of one version.
pub fn of_version(units: &[Unit], version: &str) -> Vec<Unit> {
    let own = units.iter().filter(|u| u.version == version);
    own.cloned().collect()
}

/// The other versions of a service of which a unit runs, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others<'a> {
    /// Those that are this service's.
    pub versions: BTreeSet<&'a str>,
    /// What may as well be another service's: it is no ground to stop anything.
    pub ambiguous: BTreeSet<&'a str>,
}

impl Others<'_> {
    /// Whether no other version can be said to run: what begins as a version may be one.
    pub fn is_none(&self) -> bool {
        self.versions.is_empty() && !self.ambiguous.iter().any(|rest| begins_as_version(rest))
    }
}

fn begins_as_version(rest: &str) -> bool {
    let digits = rest.strip_prefix(['v', 'V']).unwrap_or(rest);
    digits.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether the units of a service at a version bear the name of a longer service: `web` at
/// `api-1.0` reads as `web-api` at `1.0`.
pub fn reads_as(service_name: &str, version: &str, longer: &str) -> bool {
    longer.len() > service_name.len()
        && format!("{service_name}-{version}-").starts_with(&format!("{longer}-"))
}

/// The other versions of the service of which a unit runs. A unit belongs to the longest service of
/// `services` that begins its name, else to this one where the rest is one of `versions`, or reads
/// as a version: it begins with a digit, or with `v` and a digit, and holds no end of a longer name.
pub fn others_running<'a>(
    units: &'a [Unit],
    service_name: &str,
    version: &str,
    services: &BTreeSet<&str>,
    versions: &BTreeSet<&str>,
) -> Others<'a> {
    let is_of_longer = |rest: &str| services.iter().any(|s| reads_as(service_name, rest, s));
    let reads_as_version = |rest: &str| begins_as_version(rest) && !may_be_of_longer_name(rest);
    let others = units.iter().filter(|u| u.running && u.version != version);
    let rests = others.map(|u| u.version.as_str());
    let (versions, ambiguous) = rests
        .filter(|rest| !is_of_longer(rest))
        .partition(|rest| versions.contains(rest) || reads_as_version(rest));
    Others {
        versions,
        ambiguous,
    }
}

/// Whether what stands between a service's name and a suffix may hold the end of a longer name:
/// `web` at `2-1.0` may be `web-2` at `1.0`.
fn may_be_of_longer_name(rest: &str) -> bool {
    let reads_as_dotted = |version: &str| {
        let digits = version.strip_prefix(['v', 'V']).unwrap_or(version);
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.')
    };
    let mut ends = rest.match_indices('-');
    ends.any(|(at, _)| !rest[..at].contains('.') && reads_as_dotted(&rest[at + 1..]))
}

/// The most units of one deploy (one suffix, one cycle) that run.
pub fn running_now(units: &[Unit]) -> usize {
    most_running(units.iter())
}

fn most_running<'a>(units: impl Iterator<Item = &'a Unit>) -> usize {
    let mut counts: BTreeMap<(&str, char), usize> = BTreeMap::new();
    for unit in units.filter(|u| u.running) {
        *counts.entry((&unit.suffix, unit.cycle)).or_default() += 1;
    }
    counts.into_values().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(suffix: &str, cycle: char, index: u32, running: bool) -> Unit {
        Unit {
            version: "1.0".into(),
            suffix: suffix.into(),
            cycle,
            index,
            running,
        }
    }

    #[test]
    fn units_of_two_deploys_do_not_add_up() {
        let units = [
            unit("aaaaaaaa", 'A', 1, true),
            unit("bbbbbbbb", 'A', 1, true),
            unit("bbbbbbbb", 'A', 2, true),
            unit("bbbbbbbb", 'B', 1, true),
            unit("cccccccc", 'B', 1, true),
            unit("cccccccc", 'B', 2, false),
            unit("cccccccc", 'B', 3, false),
        ];
        assert_eq!(running_now(&units), 2);
        assert_eq!(suffixes(&units), ["aaaaaaaa", "bbbbbbbb", "cccccccc"]);
        assert_eq!(
            new_units(&units, &["bbbbbbbb".into()]),
            NewUnits { running: 1, any: 4 }
        );
        assert_eq!(new_units(&units, &suffixes(&units)), NewUnits::default());
        assert_eq!(running_now(&[]), 0);
    }

    #[test]
    fn a_longer_name_may_end_before_a_version() {
        for (rest, may) in [
            ("2-1.0", true),
            ("v2-1.0", true),
            ("2-v1.0.3", true),
            ("2-3-1.0", true),
            ("1.0-2.0", false),
            ("1.0-1", false),
            ("1-2", false),
            ("1-rc.1", false),
            ("1.0", false),
        ] {
            assert_eq!(may_be_of_longer_name(rest), may, "{rest}");
        }
    }

    #[test]
    fn another_version_is_one_that_reads_so_and_is_of_no_longer_service() {
        let running = |version: &str| Unit {
            version: version.into(),
            ..unit("aaaaaaaa", 'A', 1, true)
        };
        let services = BTreeSet::from(["web", "web-2-api"]);
        let versions = BTreeSet::from(["release-1"]);
        for (rest, is_other) in [
            ("1.0", false),
            ("1.1", true),
            ("v2", true),
            ("1.0-1", true),
            ("2", true),
            ("api-1.0", false),
            ("vnext", false),
            ("release-1", true),
            ("release-2", false),
            ("2-api-1.0", false),
            ("2-apis-1.0", false),
            ("2-1.0", false),
        ] {
            let units = [running(rest)];
            let others = others_running(&units, "web", "1.0", &services, &versions);
            assert_eq!(others.versions.contains(rest), is_other, "{rest}");
            let is_ambiguous = !is_other && !["1.0", "2-api-1.0"].contains(&rest);
            assert_eq!(others.ambiguous.contains(rest), is_ambiguous, "{rest}");
            let may_be = is_other || (is_ambiguous && begins_as_version(rest));
            assert_eq!(others.is_none(), !may_be, "{rest}");
        }
        let stopped = [Unit {
            running: false,
            ..running("1.1")
        }];
        let others = others_running(&stopped, "web", "1.0", &services, &versions);
        assert_eq!(others, Others::default());
    }

    proptest! {
        #[test]
        fn what_was_there_before_is_never_new(picks in prop::collection::vec((0..4u8, 1..5u32, any::<bool>(), any::<bool>()), 0..20), known in 0..4u8) {
            let units: Vec<Unit> = picks.iter().map(|(s, i, b, r)| unit(&s.to_string().repeat(8), if *b { 'A' } else { 'B' }, *i, *r)).collect();
            let before: Vec<String> = (0..known).map(|s| s.to_string().repeat(8)).collect();
            let new = new_units(&units, &before);
            prop_assert!(new.running <= new.any);
            prop_assert_eq!(new.any, units.iter().filter(|u| !before.contains(&u.suffix)).count());
            prop_assert!(new.running <= running_now(&units));
        }
    }
}
