//! What grows with the number of apps, what with the number of markers, and what does not grow.

#[path = "../bench/crowd.rs"]
mod crowd;

use crate::support::Rig;
use crowd::{mark, measure};

const APPS: usize = 200;
const MIB: u64 = 1024;

/// A rig whose apps are all recorded as deployed, with an empty log of requests.
fn settled(apps: usize, versions: usize) -> Rig {
    let rig = Rig::new();
    mark(&rig.artifactory, apps, versions);
    let baseline = rig.run(&["baseline"]);
    assert_eq!(baseline.code, Some(0), "{baseline:#?}");
    rig.forget();
    rig
}

#[test]
fn a_pass_without_work_asks_for_no_more_than_it_needs() {
    let rig = settled(APPS, 20);
    for (listing, requests) in [("aql", 2), ("auto", 2), ("folders", 1 + APPS)] {
        let ran = rig.run(&["run", "--listing", listing]);
        assert_eq!(ran.code, Some(0), "{listing}: {ran:#?}");
        assert_eq!(ran.stdout, "", "{listing}");
        let sent = rig.artifactory.requests().len();
        assert!(sent <= requests, "{listing}: {sent} requests");
        assert_eq!(rig.deploy.requests().len(), 0, "{listing}");
        rig.forget();
    }
    // All of them were looked at.
    let report = rig.json(&["run"], 0);
    assert_eq!(report["summary"]["apps"], APPS);
    assert_eq!(report["summary"]["upToDate"], APPS);
}

#[test]
fn the_folders_are_read_once_each() {
    let rig = settled(APPS, 2);
    let ran = rig.run(&["run", "--listing", "folders", "--jobs", "16"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let mut paths: Vec<String> = rig
        .artifactory
        .requests()
        .into_iter()
        .map(|r| r.path)
        .collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), rig.artifactory.requests().len());
    assert_eq!(paths.len(), 1 + APPS);
}

#[test]
fn memory_grows_with_the_apps_not_with_the_markers() {
    let peak = |versions| {
        let rig = settled(20, versions);
        let measured = measure(rig.std_command(&["run", "--listing", "aql"]));
        assert_eq!(measured.status.code(), Some(0), "{versions} versions");
        assert!(measured.peak_kib > 0);
        measured.peak_kib
    };
    let (few, many) = (peak(20), peak(10_000));
    assert!(many < 64 * MIB, "{many} KiB");
    assert!(
        many < few + 3 * MIB,
        "{few} KiB for 400 markers, {many} KiB for 200,000"
    );
}
