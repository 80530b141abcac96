//! The units of the cluster, as `cluster_map` lists them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::model::attempt::NewUnits;

/// One unit of a service: `<name>-<version>-<suffix>@<cycle><index>.service`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    /// Eight of `[a-z0-9]`, new for every accepted POST.
    pub suffix: String,
    /// `A` or `B`.
    pub cycle: char,
    /// From 1.
    pub index: u32,
    /// Loaded, active and running.
    pub running: bool,
}

#[derive(Deserialize)]
struct ClusterMap {
    machines: Vec<Machine>,
}

#[derive(Deserialize)]
struct Machine {
    units: Option<Vec<Listed>>,
}

#[derive(Deserialize)]
struct Listed {
    unit: String,
    active: String,
    load: String,
    sub: String,
}

/// The Go regexp that the server matches whole lines with; a bad one makes it panic (recorded).
pub(super) fn pattern(service_name: &str, version: &str) -> String {
    let mut out = String::new();
    for c in format!("{service_name}-{version}-").chars() {
        if !c.is_ascii_alphanumeric() && c != '-' && c != '_' {
            out.push('\\');
        }
        out.push(c);
    }
    out + "[a-z0-9]{8}@[AB][0-9]+"
}

/// Reads a cluster map. The error is what is wrong with it.
pub(super) fn parse(body: &[u8], service_name: &str, version: &str) -> Result<Vec<Unit>, String> {
    let map: ClusterMap =
        serde_json::from_slice(body).map_err(|e| format!("not a cluster map: {e}"))?;
    let prefix = format!("{service_name}-{version}-");
    // A unit that two machines list is one unit; it runs where any of them runs it.
    let mut units: BTreeMap<(String, char, u32), bool> = BTreeMap::new();
    for listed in map
        .machines
        .into_iter()
        .flat_map(|m| m.units.unwrap_or_default())
    {
        if let Some(key) = listed.unit.strip_prefix(&prefix).and_then(split) {
            let running =
                listed.load == "loaded" && listed.active == "active" && listed.sub == "running";
            *units.entry(key).or_default() |= running;
        }
    }
    Ok(units
        .into_iter()
        .map(|((suffix, cycle, index), running)| Unit {
            suffix,
            cycle,
            index,
            running,
        })
        .collect())
}

/// Splits `<suffix>@<cycle><index>.service`.
fn split(rest: &str) -> Option<(String, char, u32)> {
    let (suffix, instance) = rest.strip_suffix(".service")?.split_once('@')?;
    let well_formed = suffix.len() == 8
        && suffix
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let cycle = instance.chars().next().filter(|c| matches!(c, 'A' | 'B'))?;
    let digits = &instance[1..];
    let index = digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())??;
    well_formed.then(|| (suffix.to_owned(), cycle, index))
}

/// The suffixes of units, sorted.
pub fn suffixes(units: &[Unit]) -> Vec<String> {
    let distinct: BTreeSet<&String> = units.iter().map(|u| &u.suffix).collect();
    distinct.into_iter().cloned().collect()
}

/// The most units of one suffix that run.
pub fn running_now(units: &[Unit]) -> usize {
    new_units(units, &[]).running
}

/// What of the units was not there before.
pub fn new_units(units: &[Unit], before: &[String]) -> NewUnits {
    let mut running: BTreeMap<&str, usize> = BTreeMap::new();
    let mut any = 0;
    for unit in units.iter().filter(|u| !before.contains(&u.suffix)) {
        any += 1;
        *running.entry(&unit.suffix).or_default() += usize::from(unit.running);
    }
    NewUnits {
        running: running.into_values().max().unwrap_or(0),
        any,
    }
}
