use super::*;

/// `run 1.0 good`: command, version, end. A rollback's `good` was seen by its command, a `found`
/// was not; `bad` may have reached the cluster, `refused` has not.
fn past(story: &str) -> Vec<Past<'_>> {
    story
        .split(';')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [command, version, end] = words[..] else {
                panic!("{line}")
            };
            Past {
                version,
                reached: end != "refused",
                good: matches!(end, "good" | "found"),
                rollback: command == "rollback",
                seen_to_end: end == "good",
            }
        })
        .collect()
}

/// Every state of an app that matters to a rollback, with what it goes back from and to.
const TABLE: &[(&str, &str, Option<&str>)] = &[
    // One version: nothing to go back to.
    ("run 1.0 good", "1.0", None),
    ("run 1.0 bad", "1.0", None),
    // The newest one is good.
    ("run 1.0 good; run 1.1 good", "1.1", Some("1.0")),
    (
        "run 1.0 good; run 1.1 good; run 1.2 good",
        "1.2",
        Some("1.1"),
    ),
    // The newest one failed, or is not known, or was given up.
    (
        "run 1.0 good; run 1.1 good; run 1.2 bad",
        "1.2",
        Some("1.1"),
    ),
    ("run 1.0 good; run 1.1 bad; run 1.1 bad", "1.1", Some("1.0")),
    (
        "run 1.0 good; run 1.1 good; run 1.1 bad",
        "1.1",
        Some("1.0"),
    ),
    // What was refused never reached the cluster.
    (
        "run 1.0 good; run 1.1 good; run 1.2 refused",
        "1.1",
        Some("1.0"),
    ),
    // A failed version is no target.
    (
        "run 1.0 good; run 1.1 bad; run 1.2 good",
        "1.2",
        Some("1.0"),
    ),
    // Repeated after a success: one further back, and at last nothing.
    (
        "run 1.0 good; run 1.1 good; run 1.2 good; rollback 1.1 good",
        "1.1",
        Some("1.0"),
    ),
    (
        "run 1.0 good; run 1.1 good; run 1.2 good; rollback 1.1 good; rollback 1.0 good",
        "1.0",
        None,
    ),
    // Repeated after a failed, refused or unknown end: the same target.
    (
        "run 1.0 good; run 1.1 good; run 1.2 good; rollback 1.1 bad",
        "1.2",
        Some("1.1"),
    ),
    (
        "run 1.0 good; run 1.1 good; run 1.2 good; rollback 1.1 refused",
        "1.2",
        Some("1.1"),
    ),
    (
        "run 1.0 good; run 1.1 good; run 1.2 good; rollback 1.1 found",
        "1.2",
        Some("1.1"),
    ),
    (
        "run 1.0 good; run 1.1 good; run 1.2 good; rollback 1.1 found; rollback 1.1 good",
        "1.1",
        Some("1.0"),
    ),
    (
        "run 1.0 good; run 1.1 good; run 1.2 good; rollback 1.1 bad; rollback 1.1 bad; rollback 1.1 good",
        "1.1",
        Some("1.0"),
    ),
    (
        "run 1.0 good; run 1.1 good; run 1.2 good; rollback 1.1 good; rollback 1.0 bad",
        "1.1",
        Some("1.0"),
    ),
    // A later release: never to what was rolled back from.
    (
        "run 1.0 good; run 1.1 good; rollback 1.0 good; run 1.2 good",
        "1.2",
        Some("1.0"),
    ),
    (
        "run 1.0 good; run 1.1 good; rollback 1.0 bad; run 1.2 bad",
        "1.2",
        Some("1.0"),
    ),
    // Unless it was deployed again since, on purpose.
    (
        "run 1.0 good; run 1.1 good; rollback 1.0 good; deploy 1.1 good; run 1.2 good",
        "1.2",
        Some("1.1"),
    ),
    // An older version that was asked for, and back from that.
    (
        "run 1.0 good; run 1.1 good; run 1.2 good; deploy 1.1 good",
        "1.1",
        Some("1.0"),
    ),
    ("run 1.1 good; deploy 1.0 good", "1.0", None),
    // A baseline and what was taken over count as deployed.
    ("baseline 1.0 good; run 1.1 bad", "1.1", Some("1.0")),
    // The order is that of versions, not of time and not of text.
    (
        "run 1.10 good; deploy 1.9 good; run 1.11 good",
        "1.11",
        Some("1.10"),
    ),
    // Two spellings of one version are not older than each other.
    ("run 1.0 good; run v1.0 good", "v1.0", None),
];

#[test]
fn every_state_of_an_app_has_its_target() {
    for (story, from, to) in TABLE {
        let past = past(story);
        let found = rollback(&past, Order::Natural).unwrap();
        assert_eq!((found.from, found.to), (*from, *to), "{story}");
    }
}

#[test]
fn without_an_attempt_that_reached_the_cluster_there_is_nothing_to_go_back_from() {
    for story in ["", "run 1.0 refused", "run 1.0 refused; deploy 1.1 refused"] {
        assert_eq!(rollback(&past(story), Order::Natural), None, "{story}");
    }
}

#[test]
fn what_else_there_is_says_why_it_is_not_the_target() {
    let story = "run 1.0 good; run 1.2 good; run 1.1 good; rollback 1.0 good";
    let past = past(story);
    let found = rollback(&past, Order::Natural).unwrap();
    assert_eq!(found.to, None);
    let others = [("1.2", "not older"), ("1.1", "rolled back from")];
    assert_eq!(found.others, others);
}

#[test]
fn an_order_that_has_no_place_for_a_version_leads_nowhere() {
    let past = past("run 1.0.0 good; run nightly good");
    let found = rollback(&past, Order::Semver).unwrap();
    assert_eq!((found.from, found.to), ("nightly", None));
}

#[test]
fn repeated_without_end_it_only_ever_goes_back() {
    let mut story = "run 1.0 good; run 1.1 good; run 1.2 good; run 1.3 bad".to_owned();
    let mut targets = Vec::new();
    while let Some(to) =
        rollback(&past(&story), Order::Natural).and_then(|found| found.to.map(str::to_owned))
    {
        story = format!("{story}; rollback {to} good");
        targets.push(to);
    }
    assert_eq!(targets, ["1.2", "1.1", "1.0"]);
}
