//! The units of a service in the cluster: the only thing by which a deploy can be seen whose id
//! is not known.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::attempt::NewUnits;

use super::replies;

/// The characters of a suffix.
const SUFFIX_LENGTH: usize = 8;

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

/// Another version of the service of which a unit runs. A unit that may be of another service is
/// none: one that the name of a longer service of `services` begins, and one of which the rest
/// does not read as a version, which begins with a digit, or with `v` and a digit.
pub fn other_running<'a>(
    units: &'a [Unit],
    service_name: &str,
    version: &str,
    services: &[String],
) -> Option<&'a str> {
    let is_of_longer = |rest: &str| {
        let name = format!("{service_name}-{rest}-");
        services
            .iter()
            .any(|s| s.len() > service_name.len() && name.starts_with(&format!("{s}-")))
    };
    let reads_as_version = |rest: &str| {
        let digits = rest.strip_prefix(['v', 'V']).unwrap_or(rest);
        digits.starts_with(|c: char| c.is_ascii_digit())
    };
    let mut others = units.iter().filter(|u| u.running && u.version != version);
    others
        .find(|u| reads_as_version(&u.version) && !is_of_longer(&u.version))
        .map(|u| u.version.as_str())
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

/// The regular expression (Go) that selects the units. The service looks for it anywhere in the
/// line of `fleetctl list-units`, whose columns are split by white space, so the name is bounded
/// by that. An expression that is not valid makes the service drop the connection (recorded).
pub(super) fn pattern(service_name: &str) -> String {
    let name = quote(service_name);
    format!(r"(^|\s){name}-.+-[a-z0-9]{{{SUFFIX_LENGTH}}}@[AB][0-9]+\.service(\s|$)")
}

/// What Go's `regexp.QuoteMeta` does.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// Reads a `cluster_map`. A unit that several machines list is one unit, running if it runs on
/// any of them. Units of other services are skipped.
pub(super) fn read(body: &[u8], service_name: &str) -> Result<Vec<Unit>, String> {
    let map = replies::parse(body)?;
    let prefix = format!("{service_name}-");
    let mut found: BTreeMap<(String, String, char, u32), bool> = BTreeMap::new();
    for machine in list(&map, "machines")? {
        for unit in list(machine, "units")? {
            let state = (
                text(unit, "active")?,
                text(unit, "load")?,
                text(unit, "sub")?,
            );
            let running = state == ("active", "loaded", "running");
            if let Some(key) = instance(text(unit, "unit")?, &prefix) {
                *found.entry(key).or_default() |= running;
            }
        }
    }
    Ok(found
        .into_iter()
        .map(|((version, suffix, cycle, index), running)| Unit {
            version,
            suffix,
            cycle,
            index,
            running,
        })
        .collect())
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    value
        .get(key)
        .and_then(Value::as_array)
        .ok_or_else(|| format!("the cluster map has no list `{key}`"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("a unit of the cluster map has no text `{key}`"))
}

/// Version, suffix, cycle and index of a unit, if it is one of those that `prefix` names.
fn instance(unit: &str, prefix: &str) -> Option<(String, String, char, u32)> {
    let (name, place) = unit
        .strip_prefix(prefix)?
        .strip_suffix(".service")?
        .rsplit_once('@')?;
    let (version, suffix) = name.rsplit_once('-').filter(|(v, _)| !v.is_empty())?;
    let is_suffix = suffix.len() == SUFFIX_LENGTH
        && suffix
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let cycle = place.chars().next().filter(|c| matches!(c, 'A' | 'B'))?;
    let digits = place.get(1..)?;
    let is_index = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let index = digits.parse().ok()?;
    (is_suffix && is_index).then(|| (version.to_owned(), suffix.to_owned(), cycle, index))
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

    fn map(units: &[(&str, &str, &str, &str)]) -> Vec<u8> {
        let units: Vec<Value> = units
            .iter()
            .map(|(unit, active, load, sub)| serde_json::json!({"unit": unit, "hash": "x", "active": active, "load": load, "sub": sub}))
            .collect();
        // The same units on two machines.
        let machine = serde_json::json!({"machine": "m", "ip": "10.0.0.1", "metadata": "role=worker", "units": units});
        serde_json::to_vec(&serde_json::json!({"machines": [machine, machine]})).unwrap()
    }

    #[test]
    fn only_units_of_exactly_this_name_are_read() {
        let run = ("active", "loaded", "running");
        let names = [
            "app-1.0-abcdefg1@A1.service",
            "app-1.0-abcdefg1@A12.service",
            "app-1.0-zzzzzzzz@B2.service",
            "app-1.0-abcdefg1@.service",
            "app-1.0-abcdefg1@C1.service",
            "app-1.0-abcdefg1@A.service",
            "app-1.0-abcdefg1@A+1.service",
            "app-1.0-abcdefg1@A0.service",
            "app-1.0-abcdefg1@A99999999999.service",
            "app-1.0-abcdefg@A1.service",
            "app-1.0-abcdefgh1@A1.service",
            "app-1.0-ABCDEFG1@A1.service",
            "app-abcdefg1@A1.service",
            "app--abcdefg1@A1.service",
            "APP-1.0-abcdefg1@A1.service",
            "my-app-1.0-abcdefg1@A1.service",
            "app-1.0-abcdefg1@A1.socket",
            "app-1.0-abcdefg1@é.service",
        ];
        let all: Vec<_> = names.iter().map(|n| (*n, run.0, run.1, run.2)).collect();
        assert_eq!(
            read(&map(&all), "app").unwrap(),
            [
                unit("abcdefg1", 'A', 1, true),
                unit("abcdefg1", 'A', 12, true),
                unit("zzzzzzzz", 'B', 2, true)
            ]
        );
    }

    #[test]
    fn a_unit_runs_only_when_all_three_states_say_so() {
        for (active, load, sub) in [
            ("inactive", "loaded", "running"),
            ("active", "error", "running"),
            ("active", "loaded", "exited"),
            ("Active", "loaded", "running"),
        ] {
            let units = read(
                &map(&[("app-1-abcdefgh@A1.service", active, load, sub)]),
                "app",
            )
            .unwrap();
            assert_eq!((units.len(), units[0].running), (1, false));
        }
    }

    #[test]
    fn another_shape_is_an_error_not_an_empty_cluster() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            "<html>",
            r#"{"machines":null}"#,
            r#"{"machines":{}}"#,
            r#"{"machines":[[[]]]}"#,
            r#"{"machines":[{}]}"#,
            r#"{"machines":[{"units":null}]}"#,
            r#"{"machines":[{"units":[{}]}]}"#,
            r#"{"machines":[{"units":[{"unit":"x","active":"a","load":"b","sub":3}]}]}"#,
            r#"{"machines":[],"machines":[]}"#,
            r#"{"machines":[]}x"#,
        ] {
            assert!(read(body.as_bytes(), "a").is_err(), "{body}");
        }
        assert_eq!(read(br#"{"machines":[]}"#, "a"), Ok(vec![]));
    }

    #[test]
    fn a_name_stands_for_itself_in_the_pattern() {
        assert_eq!(
            pattern("a.b"),
            r"(^|\s)a\.b-.+-[a-z0-9]{8}@[AB][0-9]+\.service(\s|$)"
        );
        assert_eq!(quote(r"\.+*?()|[]{}^$"), r"\\\.\+\*\?\(\)\|\[\]\{\}\^\$");
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
    fn another_version_is_one_that_reads_so_and_is_of_no_longer_service() {
        let running = |version: &str| Unit {
            version: version.into(),
            ..unit("aaaaaaaa", 'A', 1, true)
        };
        let services = ["web".to_owned(), "web-2-api".to_owned()];
        for (rest, is_other) in [
            ("1.0", false),
            ("1.1", true),
            ("v2", true),
            ("1.0-1", true),
            ("2", true),
            ("api-1.0", false),
            ("vnext", false),
            ("2-api-1.0", false),
            ("2-apis-1.0", true),
        ] {
            let units = [running(rest)];
            let other = other_running(&units, "web", "1.0", &services);
            assert_eq!(other, is_other.then_some(rest));
        }
        let stopped = [Unit {
            running: false,
            ..running("1.1")
        }];
        assert_eq!(other_running(&stopped, "web", "1.0", &services), None);
    }

    #[test]
    fn versions_are_told_apart_by_every_character() {
        let run = ("active", "loaded", "running");
        let names =
            ["1.0", "1.0-1", "1x0", "1.0.0"].map(|v| format!("app-{v}-abcdefg1@A1.service"));
        let all: Vec<_> = names
            .iter()
            .map(|n| (n.as_str(), run.0, run.1, run.2))
            .collect();
        let units = read(&map(&all), "app").unwrap();
        assert_eq!(units.len(), 4);
        assert_eq!(of_version(&units, "1.0"), [unit("abcdefg1", 'A', 1, true)]);
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

        #[test]
        fn reading_never_panics(unit in r"(a-1-)?\PC{0,12}(@[AB]?[0-9]{0,12})?(\.service)?") {
            let found = read(&map(&[(&unit, "active", "loaded", "running")]), "a").unwrap();
            for u in found {
                prop_assert_eq!(format!("a-{}-{}@{}{}.service", u.version, u.suffix, u.cycle, u.index), unit.clone());
            }
        }
    }
}
