//! Episodes: commands of several hosts at once, in a world of their own, with faults drawn from a
//! seed. A seed that fails tells its story.

mod check;
mod cluster;
mod host;
mod store;
mod store_test;
mod table;
mod walk;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use walk::{Setting, episode};
use world::Fault;

/// How many episodes a test run takes; `CAM_EPISODES` makes it more.
const EPISODES: u64 = 300;

#[test]
fn nothing_wrong_ever_reaches_the_cluster() {
    let setting = Setting::new();
    let first = number("CAM_SEED").unwrap_or(1);
    let episodes = number("CAM_EPISODES").unwrap_or(EPISODES);
    let mut counts = BTreeMap::new();
    let mut failed = Vec::new();
    for seed in first..first + episodes {
        let shared = episode(&setting, seed, 20);
        let world = shared.world();
        if !world.broken.is_empty() {
            failed.push((seed, world.broken.clone(), world.story.clone()));
        }
        for (pair, count) in &world.counts {
            *counts.entry(*pair).or_insert(0) += count;
        }
    }
    if episodes > EPISODES {
        report(&counts);
    }
    if let Some((seed, broken, story)) = failed.first() {
        let seeds: Vec<u64> = failed.iter().map(|(seed, ..)| *seed).collect();
        panic!(
            "seeds {seeds:?}\nseed {seed}: {broken:#?}\n{}",
            story.join("\n")
        );
    }
}

/// Of a long run: each fault must have happened to each command that it can happen to.
fn report(counts: &BTreeMap<(&'static str, Fault), u64>) {
    let commands: BTreeSet<&str> = counts.keys().map(|(command, _)| *command).collect();
    for command in commands {
        let own = counts.iter().filter(|((of, _), _)| *of == command);
        let own: Vec<String> = own
            .map(|((_, fault), n)| format!("{fault:?} {n}"))
            .collect();
        // Whoever runs it that long wants to see it.
        std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("{command}: {}\n", own.join(", ")),
        )
        .unwrap();
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
