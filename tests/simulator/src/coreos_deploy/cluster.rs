//! The units of the cluster, as `fleetctl list-units` shows them.

use sha1::{Digest, Sha1};

use crate::encoding::{hex, json};
use crate::regexp::Regexp;

const WORKER: (&str, &str, &str) = (
    "8dde1f4b48bd4a4a8f0a9d1e7a1d0001",
    "10.0.0.11",
    "role=worker",
);
const CONTROL: (&str, &str, &str) = (
    "8dde1f4b48bd4a4a8f0a9d1e7a1d0002",
    "10.0.0.12",
    "role=control",
);

struct Unit {
    service: String,
    suffix: String,
    cycle: char,
    name: String,
    running: bool,
}

/// The units of one worker, beside a machine with a unit that is no deploy's.
pub(super) struct Cluster {
    units: Vec<Unit>,
    pub(super) readable: bool,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            units: Vec::new(),
            readable: true,
        }
    }
}

impl Cluster {
    pub(super) fn add(
        &mut self,
        name: &str,
        version: &str,
        suffix: &str,
        cycle: char,
        n: usize,
        running: bool,
    ) {
        self.units.extend((1..=n).map(|index| Unit {
            service: name.to_owned(),
            suffix: suffix.to_owned(),
            cycle,
            name: format!("{name}-{version}-{suffix}@{cycle}{index}.service"),
            running,
        }));
    }

    /// Starts units in the cycle that does not run, and removes the older ones when `rotate`.
    pub(super) fn deploy(
        &mut self,
        name: &str,
        version: &str,
        suffix: &str,
        n: usize,
        rotate: bool,
    ) {
        let last = self.units.iter().rev().find(|unit| unit.service == name);
        let cycle = if last.is_some_and(|unit| unit.cycle == 'A') {
            'B'
        } else {
            'A'
        };
        self.add(name, version, suffix, cycle, n, true);
        if rotate {
            self.units
                .retain(|unit| unit.service != name || unit.suffix == suffix);
        }
    }

    pub(super) fn clear(&mut self) {
        self.units.clear();
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.units.iter().map(|unit| unit.name.clone()).collect()
    }

    /// The body of `cluster_map`; `None` where a filter is no regular expression.
    pub(super) fn map(&self, machines: &str, units: &str) -> Option<String> {
        let (machines, units) = (Regexp::new(machines)?, Regexp::new(units)?);
        let worker: Vec<(&str, bool)> = self
            .units
            .iter()
            .map(|unit| (unit.name.as_str(), unit.running))
            .collect();
        let all = [
            (CONTROL, vec![("control@1.service", true)]),
            (WORKER, worker),
        ];
        let shown = all.iter().filter(|((id, ip, metadata), _)| {
            machines.is_match(&format!("{id}\t{ip}\t{metadata}"))
        });
        let shown: Vec<String> = shown
            .map(|((id, ip, metadata), list)| {
                let list: Vec<String> = list
                    .iter()
                    .filter_map(|(name, running)| line(name, *running, id, ip, &units))
                    .collect();
                let list = list.join(",");
                format!(
                    r#"{{"machine":"{id}","ip":"{ip}","metadata":"{metadata}","units":[{list}]}}"#
                )
            })
            .collect();
        Some(format!(r#"{{"machines":[{}]}}"#, shown.join(",")))
    }
}

/// A unit as JSON, where its line passes the filter.
fn line(name: &str, running: bool, machine: &str, ip: &str, filter: &Regexp) -> Option<String> {
    let (active, sub) = if running {
        ("active", "running")
    } else {
        ("failed", "failed")
    };
    let hash = hex(&Sha1::digest(name.as_bytes()));
    let hash = &hash[..7];
    let whole = format!("{name}\t{hash}\t{machine}/{ip}\t{active}\tloaded\t{sub}");
    let name = json(name);
    filter.is_match(&whole).then(|| {
        format!(
            r#"{{"unit":{name},"hash":"{hash}","active":"{active}","load":"loaded","sub":"{sub}"}}"#
        )
    })
}
