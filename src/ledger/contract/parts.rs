//! What every implementation must do where a scope is read in parts.

use std::time::Duration;

use super::holds::hold;
use super::{Fixture, attempt, scope};
use crate::ledger::{Ledger, Snapshot};
use crate::model::attempt::State;
use crate::model::version::Order;

/// The parts of at most `most` apps, put together.
fn together(ledger: &mut dyn Ledger, most: u32) -> Snapshot {
    let (mut all, mut after) = (Snapshot::default(), String::new());
    loop {
        let mut part = ledger.apps_after(&scope(), &after, most).unwrap();
        assert!(part.apps.latest.len() <= usize::try_from(most).unwrap());
        assert!(part.apps.latest.keys().all(|app| *app > after));
        all.records.append(&mut part.apps.records);
        all.latest.append(&mut part.apps.latest);
        all.open.append(&mut part.apps.open);
        match part.last {
            Some(last) => after = last,
            None => return all,
        }
    }
}

pub(super) fn are_the_whole(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    assert_eq!(together(&mut *ledger, 1), Snapshot::default());
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    for app in ["Bb", "aa", "c", "d", "gone", "éé"] {
        let deployed = attempt(app, app, "1", State::Baseline);
        ledger.record(&s, &deployed, None, lease.fence()).unwrap();
    }
    let mut forgotten = attempt("f", "gone", "1", State::Retired);
    forgotten.command = crate::ledger::FORGET.to_owned();
    ledger.record(&s, &forgotten, None, lease.fence()).unwrap();
    // Before, between, in the place of, and after those that have attempts; no two names are one to a
    // collation, which would sort them otherwise.
    for (app, domain, status) in [
        ("A0", "example.com", 2),
        ("Y", "example.com", 2),
        ("b", "example.com", 1),
        ("c.", "example.com", 2),
        ("x", "other.com", 2),
        ("zy", "example.com", 3),
    ] {
        let row = format!(
            "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name, \
             version, status, updated_at, created_at) VALUES ('i', '{domain}', 'qa', '{app}', \
             '7', {status}, '2018-02-14 00:28:07', '2018-02-14 00:28:07')"
        );
        fixture.sql(&row).unwrap();
    }
    let newer = "UPDATE artifactory_deploys SET version = '9' WHERE service_name = 'd'";
    fixture.sql(newer).unwrap();
    let whole = ledger.snapshot(&s).unwrap();
    let names: Vec<&str> = whole.latest.keys().map(String::as_str).collect();
    let expected = [
        "A0", "Bb", "Y", "aa", "b", "c", "c.", "d", "gone", "zy", "éé",
    ];
    assert_eq!(names, expected);
    for most in [1, 2, 3, 7, 10, 100] {
        let mut all = together(&mut *ledger, most);
        assert_eq!(all.latest, whole.latest, "{most}");
        assert_eq!(all.open.len(), 2);
        assert!(all.open.iter().all(|open| whole.open.contains(open)));
        all.retire();
        let deployed = |snapshot: &Snapshot| -> Vec<Option<String>> {
            let records = snapshot.records.values();
            records.map(|record| record.deployed.clone()).collect()
        };
        assert_eq!(deployed(&all), deployed(&whole), "{most}");
    }
}

pub(super) fn what_is_in_force(fixture: &dyn Fixture) {
    let (mut ledger, s, order) = (fixture.open(), scope(), Order::Natural);
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let mut new = attempt("a", "new", "3", State::Failed);
    new.created_at = 9;
    ledger.record(&s, &new, None, lease.fence()).unwrap();
    let free = attempt("b", "free", "1", State::Failed);
    ledger.record(&s, &free, None, lease.fence()).unwrap();
    for (app, hold) in [
        ("new", hold(None, Some("2"))),
        ("ahead", hold(None, None)),
        ("over", hold(Some(1), None)),
    ] {
        ledger.hold(&s, app, &hold, order).unwrap();
    }
    let (whole, found) = (ledger.snapshot(&s).unwrap(), ledger.in_force(&s).unwrap());
    assert_eq!((&found.open, &found.holds), (&whole.open, &whole.holds));
    assert_eq!(found.latest.keys().collect::<Vec<_>>(), ["new"]);
    for app in ["new", "ahead", "over", "free"] {
        let is_held = |snapshot: &Snapshot| snapshot.is_held(app, order, 1000);
        assert_eq!(is_held(&found), is_held(&whole), "{app}");
    }
    assert!(found.is_held("ahead", order, 1000) && !found.is_held("new", order, 1000));
}
