use proptest::prelude::*;

use super::*;
use crate::model::listing::ListingBuilder;

mod back_off;

const NOW: i64 = 1_800_000_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Everything a plan is made of, owned.
#[derive(Clone, Default)]
struct World {
    listing: Listing,
    records: BTreeMap<String, AppRecord>,
    open: Vec<OpenAttempt>,
    holds: BTreeMap<String, Hold>,
    unaccounted: BTreeMap<String, String>,
    order: Order,
    now: i64,
}

impl World {
    /// One app, `a`, with its newest marker and what is deployed.
    fn new(newest: &str, deployed: Option<&str>) -> Self {
        let mut world = World {
            now: NOW,
            ..World::default()
        };
        let offered = AppListing {
            newest: (!newest.is_empty()).then(|| newest.to_owned()),
            ..AppListing::default()
        };
        world.listing.apps.insert("a".into(), offered);
        world.record().deployed = deployed.map(str::to_owned);
        world
    }

    fn record(&mut self) -> &mut AppRecord {
        self.records.entry("a".into()).or_default()
    }

    fn trouble(mut self, version: &str, state: State, attempts: u32, age: i64) -> Self {
        let abandoned = u32::from(state == State::Abandoned);
        let trouble = Trouble {
            state,
            attempts,
            abandoned,
            is_forgiven: false,
            ended_at: NOW - age,
            message: String::new(),
        };
        self.record().troubled.insert(version.into(), trouble);
        self
    }

    fn hold(mut self, until: Option<i64>, newer_than: Option<&str>) -> Self {
        let hold = Hold {
            reason: "broken".into(),
            until,
            newer_than: newer_than.map(str::to_owned),
            placed_by: "hold".into(),
            placed_at: 0,
        };
        self.holds.insert("a".into(), hold);
        self
    }

    fn unreadable(mut self) -> Self {
        let offered = self.listing.apps.get_mut("a").unwrap();
        offered.unreadable = Some("403".into());
        self
    }

    fn unaccounted(mut self) -> Self {
        self.unaccounted.insert("a".into(), "1.4 runs".into());
        self
    }

    fn open(mut self, app: &str, attempt: &str, version: &str, state: State) -> Self {
        self.open.push(OpenAttempt {
            attempt: attempt.into(),
            app: app.into(),
            version: version.into(),
            state,
        });
        self
    }

    fn plan_with(&self, max_attempts: u32, retry_after: Duration) -> Vec<Step> {
        plan(&Inputs {
            conflicts: &BTreeMap::new(),
            unaccounted: &self.unaccounted,
            listing: &self.listing,
            records: &self.records,
            open: &self.open,
            holds: &self.holds,
            order: self.order,
            max_attempts,
            retry_after,
            now: self.now,
        })
    }

    fn plan(&self) -> Vec<Step> {
        self.plan_with(5, Duration::from_secs(300))
    }

    /// The one step of a plan that has one.
    fn step(&self) -> Step {
        let mut steps = self.plan();
        assert_eq!(steps.len(), 1, "{steps:?}");
        steps.remove(0)
    }

    fn action(&self) -> (Action, String) {
        let step = self.step();
        (step.action, step.reason)
    }
}

/// Each row of the plan's order against the next one that applies too: the first wins.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn of_two_rows_that_apply_the_first_wins() {
    let failed = |world: World, version: &str| world.trouble(version, State::Failed, 1, HOUR);
    let due = || World::new("1.1", Some("1.0"));
    let same = || World::new("1.0", Some("1.0"));
    for (what, world, action) in [
        (
            "open, and held: what was sent is found out whatever is held",
            due().hold(None, None).open("a", "x", "1.1", State::Unknown),
            Action::Resume,
        ),
        (
            "open, and its folder cannot be read: what was sent is found out all the same",
            due().unreadable().open("a", "x", "1.1", State::Unknown),
            Action::Resume,
        ),
        (
            "its folder cannot be read, and held: what would be held is not known",
            due().unreadable().hold(None, None),
            Action::Unreadable,
        ),
        (
            "held, and to be tried again: the hold is what was asked for",
            failed(due(), "1.1").hold(None, None),
            Action::Held,
        ),
        (
            "older, and unaccounted: nothing would be sent anyway",
            World::new("0.9", Some("1.0")).unaccounted(),
            Action::Ahead,
        ),
        (
            "held, and older: `release` would change nothing, but the hold is what was asked for",
            World::new("0.9", Some("1.0")).hold(None, None),
            Action::Held,
        ),
        (
            "held, and unaccounted: what is held is not looked at",
            due().hold(None, None).unaccounted(),
            Action::Held,
        ),
        (
            "older, and failed: no downgrade, however often it was tried",
            failed(World::new("0.9", Some("1.0")), "0.9"),
            Action::Ahead,
        ),
        (
            "deployed, and an operator's repetition failed: a pass does not repeat it",
            failed(same(), "1.0"),
            Action::GivenUp,
        ),
        (
            "the same, dismissed by an operator",
            same().trouble("1.0", State::Dismissed, 0, HOUR),
            Action::GivenUp,
        ),
        (
            "the same, equal under the order only",
            failed(World::new("1.0.0", Some("1.0")), "1.0.0"),
            Action::GivenUp,
        ),
        (
            "deployed, and another version failed: that one is not marked any more",
            failed(same(), "1.1"),
            Action::UpToDate,
        ),
        (
            "newer, and failed: tried again, not as an upgrade",
            failed(due(), "1.1"),
            Action::Retry,
        ),
        (
            "to be tried again, and unaccounted",
            failed(due(), "1.1").unaccounted(),
            Action::Unaccounted,
        ),
        (
            "waiting, and unaccounted: nothing would be sent anyway",
            due().trouble("1.1", State::Failed, 1, 0).unaccounted(),
            Action::Waiting,
        ),
        (
            "given up, and unaccounted: nothing would be sent anyway",
            due().trouble("1.1", State::Failed, 5, HOUR).unaccounted(),
            Action::GivenUp,
        ),
        (
            "due, and unaccounted",
            due().unaccounted(),
            Action::Unaccounted,
        ),
        (
            "deployed, and unaccounted",
            same().unaccounted(),
            Action::UpToDate,
        ),
    ] {
        let step = world.step();
        assert_eq!(step.action, action, "{what}");
        let fails = matches!(
            action,
            Action::GivenUp | Action::Unaccounted | Action::Waiting
        );
        assert_eq!(step.failing, fails, "{what}");
    }
}

#[test]
fn new_upgrade_up_to_date_and_ahead() {
    for (newest, deployed, action, reason) in [
        ("1.0", None, Action::New, "nothing is deployed"),
        (
            "1.0.1-22",
            Some("1.0.1-9"),
            Action::Upgrade,
            "1.0.1-22 is newer than 1.0.1-9",
        ),
        ("1.0", Some("1.0"), Action::UpToDate, "1.0 is deployed"),
        (
            "1.0.0",
            Some("1.0"),
            Action::UpToDate,
            "1.0 is deployed, 1.0.0 is the same version",
        ),
        (
            "1.0.1-9",
            Some("1.0.1-22"),
            Action::Ahead,
            "1.0.1-9 is older than 1.0.1-22, which is deployed",
        ),
    ] {
        let step = World::new(newest, deployed).step();
        assert_eq!((step.action, step.reason.as_str()), (action, reason));
        assert_eq!(step.newest.as_deref(), Some(newest));
        assert_eq!(step.deployed.as_deref(), deployed);
        assert!(!step.failing && step.attempt.is_none());
    }
}

#[test]
fn nothing_older_than_the_floor_is_deployed() {
    for (newest, deployed, action) in [
        ("1.1", None, Action::Ahead),
        ("1.1", Some("1.0"), Action::Ahead),
        ("1.2", Some("1.0"), Action::Upgrade),
        ("1.2", None, Action::New),
        ("1.3", None, Action::New),
    ] {
        let mut world = World::new(newest, deployed);
        world.record().floor = Some("1.2".into());
        assert_eq!(world.action().0, action, "{newest} {deployed:?}");
    }
}

#[test]
fn what_is_retired_comes_back_new_and_never_older() {
    for (newest, last, action, reason) in [
        (
            "1.1",
            Some("1.2"),
            Action::Ahead,
            "1.1 is older than 1.2, which was deployed last before it was retired",
        ),
        (
            "1.2",
            Some("1.2"),
            Action::New,
            "it was retired, and is marked again",
        ),
        (
            "1.3",
            Some("1.2"),
            Action::New,
            "it was retired, and is marked again",
        ),
        (
            "0.1",
            None,
            Action::New,
            "it was retired, and is marked again",
        ),
    ] {
        let mut world = World::new(newest, None);
        world.record().floor = last.map(str::to_owned);
        world.record().is_retired = true;
        let step = world.step();
        assert_eq!((step.action, step.reason.as_str()), (action, reason));
        let held = world.hold(None, None).step();
        assert_eq!(held.action, Action::Held, "{newest}");
    }
}

#[test]
fn an_open_attempt_is_resumed_before_and_instead_of_anything_else() {
    let world = World::new("2.0", Some("1.0"))
        .hold(None, None)
        .trouble("2.0", State::Failed, 9, 0)
        .open("a", "id2", "2.0", State::Submitted)
        .open("gone", "id1", "3.0", State::Unknown)
        .open("a", "id3", "1.5", State::Submitting);
    let steps = world.plan();
    let seen: Vec<_> = steps
        .iter()
        .map(|s| (s.app.as_str(), s.newest.as_deref(), s.attempt.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("a", Some("1.5"), Some("id3")),
            ("a", Some("2.0"), Some("id2")),
            ("gone", Some("3.0"), Some("id1")),
        ]
    );
    assert!(
        steps
            .iter()
            .all(|s| s.action == Action::Resume && !s.failing)
    );
    assert_eq!(steps[0].deployed.as_deref(), Some("1.0"));
    assert_eq!(steps[2].deployed, None);
}

#[test]
fn a_folder_that_cannot_be_read_proves_nothing() {
    let mut world = World::new("2.0", Some("1.0"));
    world.listing.apps.get_mut("a").unwrap().unreadable = Some("403\u{1b}".into());
    let step = world.step();
    assert_eq!(step.action, Action::Unreadable);
    assert_eq!(step.reason, "403\\u{1b}");
    assert_eq!(step.newest, None);
    assert!(missing(&world.listing, &world.records, &AppFilter::default()).is_empty());
}

#[test]
fn a_version_that_the_order_cannot_read_is_not_compared() {
    for (newest, deployed, floor) in [
        ("1.0.0", Some("1.0"), None),
        ("1.0.0", None, Some("1.0")),
        ("1.0", None, None),
    ] {
        let mut world = World::new(newest, deployed);
        world.record().floor = floor.map(str::to_owned);
        world.order = Order::Semver;
        let (action, reason) = world.action();
        assert_eq!(action, Action::Unreadable);
        assert!(reason.ends_with("is not SemVer"), "{reason}");
        assert_eq!(world.hold(None, None).action().0, Action::Held);
    }
}

#[test]
fn holds_end_by_time_by_version_or_by_hand() {
    let released = "held until released: broken";
    let by_time = "held until 2027-01-15T08:00:01Z: broken";
    let by_version = "held until a version newer than 2.0 is marked: broken";
    for (until, newer_than, reason) in [
        (None, None, Some(released)),
        (Some(NOW), None, None),
        (Some(NOW - 1), None, None),
        (Some(NOW + 1000), None, Some(by_time)),
        (None, Some("2.0"), Some(by_version)),
        (None, Some("1.9"), None),
        (Some(NOW), Some("2.0"), None),
        (Some(NOW + 1000), Some("1.9"), None),
    ] {
        let world = World::new("2.0", Some("1.0")).hold(until, newer_than);
        let (action, text) = world.action();
        match reason {
            Some(reason) => assert_eq!((action, text.as_str()), (Action::Held, reason)),
            None => assert_eq!(action, Action::Upgrade, "{until:?} {newer_than:?}"),
        }
    }
}

#[test]
fn holds_at_the_edges() {
    let (_, both) = World::new("2.0", None)
        .hold(Some(NOW + 1000), Some("2.0"))
        .action();
    assert!(
        both.contains("08:00:01Z or a version newer than 2.0"),
        "{both}"
    );
    // The order has no place for the version: nobody can say that the newest is newer.
    let mut odd = World::new("2.0.0", None).hold(None, Some("1.0"));
    odd.order = Order::Semver;
    assert_eq!(odd.action().0, Action::Held);
    for until in [i64::MAX, 253_402_300_800_000, -5] {
        let mut world = World::new("2.0", None).hold(Some(until), None);
        world.now = -10;
        assert_eq!(world.action().0, Action::Held, "{until}");
    }
    let mut silent = World::new("2.0", None).hold(None, None);
    silent.holds.get_mut("a").unwrap().reason.clear();
    assert_eq!(silent.action().1, "held until released");
    silent.holds.get_mut("a").unwrap().reason = "a\u{1b}b\n".into();
    assert_eq!(silent.action().1, "held until released: a\\u{1b}b");
    // A hold stands before `ahead` and before the back-off.
    let older = World::new("1.0", Some("2.0")).hold(None, None);
    assert_eq!(older.action().0, Action::Held);
    let failed = World::new("2.0", None)
        .trouble("2.0", State::Failed, 1, 0)
        .hold(None, None);
    assert_eq!(failed.action().0, Action::Held);
}

#[test]
fn an_app_none_of_whose_markers_is_a_version_is_unreadable_where_it_is_known() {
    let mut world = World::new("", Some("1.0"));
    let offered = world.listing.apps.get_mut("a").unwrap();
    offered.left_alone = vec![("1.1~rc1".into(), "not a name that a version may have")];
    let reason =
        "none of its markers can be a version: 1.1~rc1 is not a name that a version may have";
    assert_eq!(world.action(), (Action::Unreadable, reason.into()));
    assert!(missing(&world.listing, &world.records, &AppFilter::default()).is_empty());
    assert_eq!(
        world.clone().hold(None, None).action().0,
        Action::Unreadable
    );

    world.record().is_retired = true;
    assert_eq!(world.plan(), []);
    world.records.clear();
    assert_eq!(world.plan(), []);
}

#[test]
fn apps_without_a_marker_are_missing_and_get_no_step_until_they_are_retired() {
    let mut world = World::new("", Some("1.0"));
    for (app, deployed, is_retired) in [
        ("b", Some("1"), false),
        ("c", None, false),
        ("d", None, true),
    ] {
        let record = AppRecord {
            deployed: deployed.map(str::to_owned),
            is_retired,
            ..AppRecord::default()
        };
        world.records.insert(app.into(), record);
    }
    assert!(world.plan().is_empty());
    let gone = |filter: &AppFilter| missing(&world.listing, &world.records, filter);
    assert_eq!(gone(&AppFilter::default()), ["a", "b", "c"]);
    let only_b = AppFilter {
        include: vec!["b*".into()],
        exclude: Vec::new(),
    };
    assert_eq!(gone(&only_b), ["b"]);
    let present = World::new("1.0", Some("1.0"));
    assert!(missing(&present.listing, &present.records, &AppFilter::default()).is_empty());
}

#[test]
fn an_empty_repository_is_suspicious_once_something_is_deployed() {
    for (empty, deployed, suspicious) in [
        (true, Some("1.0"), true),
        (true, None, false),
        (false, Some("1.0"), false),
    ] {
        let mut world = World::new("", deployed);
        world.listing.empty = empty;
        assert_eq!(
            suspicious_emptiness(&world.listing, &world.records),
            suspicious
        );
    }
}

#[test]
fn the_limit_counts_deploys_only() {
    let mut world = World::new("2.0", Some("1.0"));
    for (app, newest) in [("b", "1.0"), ("c", "1.0")] {
        let offered = AppListing {
            newest: Some(newest.to_owned()),
            ..AppListing::default()
        };
        world.listing.apps.insert(app.into(), offered);
    }
    let steps = world.open("d", "id", "1", State::Unknown).plan();
    assert_eq!(steps.len(), 4);
    assert_eq!(over_limit(&steps, 2), Some(3));
    assert_eq!(over_limit(&steps, 3), None);
    assert_eq!(over_limit(&steps, 0), None);
}

/// The plan of markers and open attempts in the order in which they are given.
fn plan_of(markers: &[(&str, String)], open: &[OpenAttempt]) -> Vec<Step> {
    let deployed = BTreeMap::from([("a".to_owned(), "1.0".to_owned())]);
    let filter = AppFilter::default();
    let mut builder = ListingBuilder::new(Order::Natural, filter, deployed, false);
    for (app, version) in markers {
        builder.file(app, &format!("{version}.deploy"));
    }
    let mut world = World::new("", Some("1.0")).trouble("2-1", State::Failed, 1, 0);
    world.listing = builder.finish("aql", true);
    world.open = open.to_vec();
    world.plan()
}

fn shuffled_markers() -> impl Strategy<Value = (Vec<Marker>, Vec<Marker>)> {
    let app = prop::sample::select(vec!["a", "b", "c"]);
    let version = "[12](\\.0){0,2}(-[012]|-rc1|a|-0)?";
    prop::collection::vec((app, version), 0..12)
        .prop_flat_map(|markers| (Just(markers.clone()), Just(markers).prop_shuffle()))
}

type Marker = (&'static str, String);

fn shuffled_attempts() -> impl Strategy<Value = (Vec<OpenAttempt>, Vec<OpenAttempt>)> {
    let parts = ("[bcd]", "[0-9a-f]{8}", "[12]");
    let attempt = parts.prop_map(|(app, attempt, version)| OpenAttempt {
        attempt,
        app,
        version,
        state: State::Unknown,
    });
    prop::collection::vec(attempt, 0..5)
        .prop_flat_map(|open| (Just(open.clone()), Just(open).prop_shuffle()))
}

proptest! {
    #[test]
    fn the_order_of_the_inputs_does_not_count(
        (markers, shuffled) in shuffled_markers(),
        (open, reopened) in shuffled_attempts(),
    ) {
        let steps = plan_of(&markers, &open);
        prop_assert!(steps.is_sorted_by(|a, b| a.app <= b.app));
        prop_assert_eq!(steps, plan_of(&shuffled, &reopened));
    }

    #[test]
    fn no_pass_downgrades(newest in "[0-9]{1,2}(\\.[0-9]){0,2}(-[0-9])?", deployed in "[0-9]{1,2}(\\.[0-9]){0,2}(-[0-9])?") {
        let step = World::new(&newest, Some(&deployed)).step();
        let newer = Order::Natural.key(&newest) > Order::Natural.key(&deployed);
        prop_assert_eq!(step.is_deploy(), newer);
    }
}
