//! The units of a service in the cluster: the only thing by which a deploy can be seen whose id
//! is not known.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::units::Unit;

use super::replies;

/// The characters of a suffix.
const SUFFIX_LENGTH: usize = 8;

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
    use crate::model::units::of_version;

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
        fn reading_never_panics(unit in r"(a-1-)?\PC{0,12}(@[AB]?[0-9]{0,12})?(\.service)?") {
            let found = read(&map(&[(&unit, "active", "loaded", "running")]), "a").unwrap();
            for u in found {
                prop_assert_eq!(format!("a-{}-{}@{}{}.service", u.version, u.suffix, u.cycle, u.index), unit.clone());
            }
        }
    }
}
