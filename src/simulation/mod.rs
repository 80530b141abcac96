//! Episodes: commands of several hosts at once, in a world of their own, with faults drawn from a
//! seed. A seed that fails tells its story.
//!
//! What each safeguard is worth: taken out (the line is changed as said, and
//! `CAM_EPISODES=1500 cargo test --lib simulation::nothing` is run; those marked * take 20,000), these
//! of the seeds from 1 on notice it first, and the check says:
//!
//! | taken out | seeds | the check says |
//! |---|---|---|
//! | a rollback goes back (`model/rollback.rs`: `is_older`) | 39, 169, 221 | a rollback that does not go back |
//! | it remembers what it left (`left.contains`) | 585 | a rollback to what was rolled back from |
//! | holds are merged (`Hold::beside`) | 98, 115, 765 | it is held |
//! | holds are heeded (`Hold::stops`) | 6, 11, 34 | it is held |
//! | the intent reads them again (`Store::intend`) | 338, 356, 388 | it is held |
//! | it is asked to (`Intent::respect_holds`) | 338, 356, 388 | it is held |
//! | quiet is asked for (`follow::is_quiet`) | 291, 473, 733 | another deploy is at work |
//! | a busy coreos-deploy is left alone (`check_target`) | 303, 589, 615 | coreos-deploy was busy when asked last |
//! | no third after two without a trace (`resume`) | 27, 149, 183 | two of it have left no trace |
//! | the fence has the holder (`Store::is_fenced`) | 9, 451, 581 | another command holds the lease |
//! | an attempt's maker is told by more than its token (`Store::advance`) | 6214248 | no intent is committed |
//! | what was sent last has arrived (`wait_for_takeover`) | 719 | it was given up, and a later one is sent |
//! | no lease is released before that (`Drop` of the lease) | 1213177 | it was given up, and a later one is sent |
//! | the lease is looked at before the POST (`deploy::submit`) | 3267, 4073, 11613 * | the lease is not held |
//! | it is at the end of a pass (`pass::run`) | 4125, 12991, 19413 * | a pass exits 0 and leaves an attempt open |
//! | the age of the intent is (`OLDEST_INTENT`) | 64, 118, 124 | its age counts from long before it |
//! | the marker is looked at again (`still_marked`) | 1, 2, 3 | its marker was not seen |
//! | other versions that run are (`Seen::unaccounted`) | 67, 145, 171 | 2.0 runs, which is newer |
//! | `ahead` comes before `retry` (`plan::decide`) | 132, 502, 903 | 1.2 runs, which is newer |
//! | a pass stops when its first deploys fail (`Brake::stops`) | 158, 198, 331 | 1 before it have failed, and none not |
//! | no older version is an upgrade (`plan::decide`) | 8, 22, 30 | 2.0 runs, which is newer |
//! | absence waits for `--unknown-hold` (`past_hold`) | 29, 106, 432 | no intent is committed |
//! | `settle` says what it was told (`Word::state`) | 19, 27, 47 | the ledger has 1.0, None runs |
//! | the id of a taken-over row proves its version (`Target::status`) | 25, 51, 77 | the ledger has 2.0, 1.2 runs |
//!
//! Not noticed alone, since the fence stands before both: that an intent rests on the latest attempt
//! (`Intent::after`), and that none is committed while an attempt is open.

mod check;
mod cluster;
mod fault;
mod host;
mod peers;
mod scenes;
mod store;
mod store_test;
mod table;
mod turns;
mod walk;
mod world;

use std::collections::BTreeMap;

use fault::Fault;
use walk::{Setting, episode};

/// How many episodes a test run takes; `CAM_EPISODES` makes it more.
const EPISODES: u64 = 300;
/// From so many on, every fault must have happened to every command that it can happen to.
const ENOUGH: u64 = 20_000;

#[test]
fn nothing_wrong_ever_reaches_the_cluster() {
    let setting = Setting::new();
    let first = number("CAM_SEED").unwrap_or(1);
    let episodes = number("CAM_EPISODES").unwrap_or(EPISODES);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut counts = BTreeMap::new();
    let mut failed = Vec::new();
    std::thread::scope(|scope| {
        let setting = &setting;
        let part = |of: u64| {
            let seeds = (first..first + episodes).filter(move |seed| seed % threads == of);
            scope.spawn(move || seeds.map(|seed| told(setting, seed)).collect::<Vec<_>>())
        };
        let parts: Vec<_> = (0..threads).map(part).collect();
        for (counted, failure) in parts.into_iter().flat_map(|part| part.join().unwrap()) {
            failed.extend(failure);
            for (pair, count) in counted {
                *counts.entry(pair).or_insert(0) += count;
            }
        }
    });
    failed.sort();
    if let Some((seed, broken, story)) = failed.first() {
        let seeds: Vec<u64> = failed.iter().map(|(seed, ..)| *seed).collect();
        panic!(
            "seeds {seeds:?}\nseed {seed}: {broken:#?}\n{}",
            story.join("\n")
        );
    }
    if episodes >= ENOUGH {
        report(&counts);
    }
}

/// How often each fault has happened to each command.
type Counts = BTreeMap<(&'static str, Fault), u64>;
/// A seed, what must not have happened, and the story.
type Failure = (u64, Vec<String>, Vec<String>);

/// One episode, and what is to be told of it.
fn told(setting: &Setting, seed: u64) -> (Counts, Option<Failure>) {
    let shared = episode(setting, seed, 20);
    let mut world = shared.world();
    let counts = std::mem::take(&mut world.counts);
    let broken = std::mem::take(&mut world.broken);
    let story = std::mem::take(&mut world.story);
    let failure = (!broken.is_empty()).then_some((seed, broken, story));
    (counts, failure)
}

/// Of a long run: each fault must have happened to each command that it can happen to.
fn report(counts: &Counts) {
    for (pair, count) in counts {
        // Whoever runs it that long wants to see it.
        let line = format_args!("{} {:?}: {count}\n", pair.0, pair.1);
        std::io::Write::write_fmt(&mut std::io::stderr(), line).unwrap();
    }
    let is_missing = |pair: &(&'static str, Fault)| !counts.contains_key(pair);
    let missing: Vec<_> = Fault::pairs().into_iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
