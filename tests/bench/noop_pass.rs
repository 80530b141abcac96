//! How long a pass without work takes, and how much memory: 200 apps × 20 versions, all deployed.
//!
//! Run by hand, on the release binary: `cargo bench --bench noop_pass [-- RUNS]` (30). The servers
//! are on the loopback interface of the same machine, so that the times are those of the program
//! and of its start, not those of a network.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod crowd;
#[path = "../program/support/mod.rs"]
mod support;

use std::time::Duration;

use crowd::{mark, measure};
use support::Rig;

const APPS: usize = 200;
const VERSIONS: usize = 20;
const RUNS: usize = 30;

fn main() {
    // Cargo adds `--bench` of its own accord.
    let runs = std::env::args().find_map(|word| word.parse().ok());
    let runs = runs.unwrap_or(RUNS).max(1);
    let rig = Rig::new();
    mark(&rig.artifactory, APPS, VERSIONS);
    let baseline = rig.run(&["baseline"]);
    assert_eq!(baseline.code, Some(0), "{baseline:#?}");
    println!("A pass without work: {APPS} apps x {VERSIONS} versions, {runs} runs.");
    println!("LISTING  REQUESTS  MIN      MEDIAN   MAX      PEAK RSS");
    for listing in ["aql", "folders"] {
        show(&rig, listing, runs);
    }
}

fn show(rig: &Rig, listing: &str, runs: usize) {
    rig.forget();
    let (mut times, mut peak) = (Vec::new(), 0);
    for _ in 0..runs {
        let measured = measure(rig.std_command(&["run", "--listing", listing]));
        assert!(measured.status.success(), "{}", measured.status);
        times.push(measured.wall);
        peak = peak.max(measured.peak_kib);
    }
    let requests = rig.artifactory.requests().len() / runs;
    times.sort();
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1_000.0);
    let [min, median, max] = [0, runs / 2, runs - 1].map(|index| ms(times[index]));
    println!(
        "{listing:<8} {requests:<9} {min:<8} {median:<8} {max:<8} {:.1} MiB",
        f64::from(u32::try_from(peak).unwrap_or(u32::MAX)) / 1_024.0
    );
}
