use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn builder(deployed: &[(&str, &str)]) -> ListingBuilder {
    let deployed = deployed
        .iter()
        .map(|(a, v)| ((*a).into(), (*v).into()))
        .collect();
    ListingBuilder::new(Order::Natural, AppFilter::default(), deployed, false)
}

#[test]
fn the_newest_of_equal_markers_is_the_deployed_one_else_the_greatest_by_bytes() {
    for files in [
        ["1.0.deploy", "1.0.0.deploy"],
        ["1.0.0.deploy", "1.0.deploy"],
    ] {
        for (deployed, newest) in [("1.0", "1.0"), ("1.0.0", "1.0.0"), ("9", "1.0.0")] {
            let mut b = builder(&[("a", deployed)]);
            for f in files {
                b.file("a", f);
            }
            assert_eq!(
                b.finish("aql", true).apps["a"].newest.as_deref(),
                Some(newest)
            );
        }
    }
}

#[test]
fn foreign_names_are_left_alone_and_counted() {
    let mut b = builder(&[]);
    b.folder(".jfrog");
    b.folder("a b");
    b.folder("empty");
    b.file("ok", "1.0.deploy");
    b.file("ok", "-1.deploy");
    b.file("ok", "notes.txt");
    let listing = b.finish("folders", true);
    assert_eq!(listing.apps.keys().collect::<Vec<_>>(), ["empty", "ok"]);
    assert_eq!(
        left(&listing),
        [
            "a b: not a name that an app may have",
            "empty: a folder without a marker",
            "ok/-1.deploy: not a name that a version may have"
        ]
    );
    assert_eq!((listing.left_alone.count, listing.others), (3, 1));
    assert!(!listing.empty);
}

fn left(listing: &Listing) -> Vec<String> {
    let shown = listing.left_alone.shown.iter();
    shown.map(|l| format!("{}: {}", l.name, l.why)).collect()
}

#[test]
fn nothing_that_resembles_a_marker_is_dropped() {
    let filter = AppFilter {
        include: vec!["a".into()],
        exclude: vec![],
    };
    let mut b = ListingBuilder::new(Order::Semver, filter, BTreeMap::new(), false);
    for file in [
        "v1.0.0.deploy",
        "1.0~rc1.deploy",
        "3.0.DEPLOY",
        "4.0.deploy.txt",
        "notes.txt",
    ] {
        b.file("a", file);
        b.file("not-wanted", file);
    }
    b.inner_folder("a", "old");
    b.misplaced("1.0.deploy");
    b.misplaced("a/b/1.0.Deploy");
    b.misplaced("README.md");
    b.file(".own", "1.0.0.deploy");
    let listing = b.finish("folders", true);
    assert_eq!(
        left(&listing),
        [
            ".own/1.0.0.deploy: a folder that begins with '.' is the repository's own",
            "1.0.deploy: not in the folder of an app",
            "a/1.0~rc1.deploy: not a name that a version may have",
            "a/3.0.DEPLOY: no marker: .deploy ends the name of one, in small letters",
            "a/4.0.deploy.txt: no marker: .deploy ends the name of one, in small letters",
            "a/b/1.0.Deploy: not in the folder of an app",
            "a/old: a folder in the folder of an app",
            "a/v1.0.0.deploy: not SemVer",
        ]
    );
    assert_eq!(listing.left_alone.count, 8);
    let app = &listing.apps["a"];
    assert_eq!((&app.newest, app.left_alone.len()), (&None, 2));
}

#[test]
fn a_marker_made_later_that_sorts_lower_is_noted() {
    for (markers, later) in [
        (
            &[("1.0.0", 1), ("release-2.0.0", 2)][..],
            Some("release-2.0.0"),
        ),
        (&[("2024.11.01", 2), ("2024-12-31", 1)], None),
        (&[("2024-12-31", 1), ("2024.11.01", 2)], None),
        (&[("2.0", 1), ("1.9.1", 3), ("1.9.2", 2)], Some("1.9.1")),
        (&[("2.0", 5), ("1.9.1", 3)], None),
        (&[("2.0", 5), ("1.9", 5)], None),
        (&[("2.0", 5), ("2.0.0", 6)], None),
    ] {
        for reversed in [false, true] {
            let mut b = builder(&[]);
            let mut markers = markers.to_vec();
            if reversed {
                markers.reverse();
            }
            for (version, made) in markers {
                let made = UNIX_EPOCH + Duration::from_secs(made);
                b.dated_file("a", &format!("{version}.deploy"), Some(made));
            }
            let listing = b.finish("aql", true);
            assert_eq!(listing.apps["a"].later.as_deref(), later);
        }
    }
    let mut undated = builder(&[]);
    undated.dated_file("a", "1.0.deploy", Some(UNIX_EPOCH));
    undated.file("a", "2.0.deploy");
    assert_eq!(undated.finish("aql", true).apps["a"].later, None);
}

#[test]
fn globs() {
    for (p, t, m) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abd", false),
        ("a?", "ab", true),
        ("a?", "a", false),
        ("web-*", "web-1", true),
    ] {
        assert_eq!(glob(p, t), m, "{p} {t}");
    }
}
