//! The units of the cluster, as `fleetctl list-units` shows them.

use regex::Regex;
use sha1::{Digest, Sha1};

use crate::encoding::json;

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
        let (machines, units) = (Regex::new(machines).ok()?, Regex::new(units).ok()?);
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
fn line(name: &str, running: bool, machine: &str, ip: &str, filter: &Regex) -> Option<String> {
    let (active, sub) = if running {
        ("active", "running")
    } else {
        ("failed", "failed")
    };
    let hash = format!("{:x}", Sha1::digest(name));
    let hash = &hash[..7];
    let whole = format!("{name}\t{hash}\t{machine}/{ip}\t{active}\tloaded\t{sub}");
    let name = json(name);
    filter.is_match(&whole).then(|| {
        format!(
            r#"{{"unit":{name},"hash":"{hash}","active":"{active}","load":"loaded","sub":"{sub}"}}"#
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Go's syntax is not that of the library in every detail; here it is.
    #[test]
    fn filters_match_what_go_matches() {
        let table = [
            ("video", "example-video-1", true),
            (
                r"^example\-video\-1\.0-[a-z0-9]{8}@[AB][0-9]+\.service",
                "example-video-1.0-abcd1234@A1.service\tx",
                true,
            ),
            (
                r"example-video-1\.0-[a-z0-9]{8}@",
                "example-video-1x0-abcd1234@A1",
                false,
            ),
            (r"-[a-z0-9]{8}@", "x-abcd123@A1", false),
            (r"(a|bc)+$", "xxabca", true),
            (r"^(?:a|bc)$", "ab", false),
            (r"[^0-9]{2,3}x", "12abx", true),
            (r"\d\s\w", "a1 b", true),
            ("a*b?c", "aac", true),
        ];
        for (pattern, line, want) in table {
            let regex = Regex::new(pattern).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(regex.is_match(line), want, "{pattern} on {line}");
        }
        for bad in ["(", ")", "[a", "*", "a{x}", "\\", "\\q", "(?P"] {
            assert_eq!(Cluster::default().map(bad, ""), None, "{bad}");
            assert_eq!(Cluster::default().map("", bad), None, "{bad}");
        }
    }
}
