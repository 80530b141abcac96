//! Whole passes in one process, against releases and a cluster in memory.

use std::time::Duration;

use super::testing::{Does, Lab, app};
use super::{Job, Prepared, Preparer, Session, begin, deploy_one};
use crate::error::Kind;
use crate::exit::Exit;
use crate::ledger::{BadPayload, Fence, Lease};
use crate::model::report::{Action, Outcome, Report};
use crate::model::version::Order;

#[test]
fn markers_that_no_version_can_be_read_of_are_named() {
    let mut lab = one_release();
    lab.publish("new", "1.0~rc1");
    lab.publish("video", "1.1~rc1");
    let (report, exit) = lab.pass();
    assert_eq!(exit, Exit::Success);
    let names = |report: &Report| -> Vec<String> {
        let shown = report.left_alone.shown.iter();
        shown.map(|left| left.name.clone()).collect()
    };
    assert_eq!(
        names(&report),
        ["new/1.0~rc1.deploy", "video/1.1~rc1.deploy"]
    );
    assert_eq!(app(&report, "video").action, Action::UpToDate);

    // 1.0 is no SemVer either: nothing of the app can be read.
    lab.rules.order = Order::Semver;
    let (report, exit) = lab.pass();
    assert_eq!((exit, report.complete), (Exit::Failed, false));
    assert_eq!(app(&report, "video").action, Action::Unreadable);
    assert_eq!(report.left_alone.count, 3);
    assert_eq!(lab.state().posted, ["1.0"]);
}

/// A cluster that runs 1.0 of `video`.
fn one_release() -> Lab {
    let lab = Lab::default();
    lab.publish("video", "1.0");
    assert_eq!(lab.pass().1, Exit::Success);
    assert_eq!(lab.state().posted, ["1.0"]);
    lab
}

#[test]
fn what_is_new_is_deployed_once() {
    let lab = one_release();
    let (report, exit) = lab.pass();
    assert_eq!((exit, report.complete), (Exit::Success, true));
    assert_eq!(app(&report, "video").action, Action::UpToDate);
    assert_eq!(lab.state().posted.len(), 1);
    assert_eq!(lab.attempts("video"), ["1.0 succeeded"]);
}

#[test]
fn each_answer_to_a_request_has_its_outcome_and_its_exit_code() {
    for (does, outcome, exit, state) in [
        (Does::Deploy, Outcome::Succeeded, Exit::Success, "succeeded"),
        (Does::Fail(0), Outcome::Failed, Exit::Failed, "failed"),
        (Does::Fail(1), Outcome::Failed, Exit::Failed, "failed"),
        (Does::Refuse, Outcome::Refused, Exit::Failed, "refused"),
        (Does::LoseReply, Outcome::Unknown, Exit::Unknown, "unknown"),
        (
            Does::LoseRequest,
            Outcome::Unknown,
            Exit::Unknown,
            "unknown",
        ),
        (Does::Hang, Outcome::Submitted, Exit::Unknown, "submitted"),
    ] {
        let lab = one_release();
        lab.publish("video", "1.1");
        lab.state().next.push_back(does);
        let (report, found) = lab.pass();
        assert_eq!(app(&report, "video").outcome, Some(outcome), "{does:?}");
        assert_eq!(found, exit, "{does:?}");
        let attempts = lab.attempts("video");
        assert_eq!(attempts, ["1.0 succeeded", &format!("1.1 {state}")]);
    }
}

#[test]
fn nothing_is_sent_in_the_scope_while_an_outcome_is_not_known() {
    for does in [Does::LoseRequest, Does::Hang] {
        let lab = one_release();
        lab.publish("video", "1.1");
        lab.publish("web", "1.0");
        lab.state().next.push_back(does);
        for _ in 0..3 {
            let (report, exit) = lab.pass();
            assert_eq!(exit, Exit::Unknown);
            assert!(!report.complete, "{does:?}");
        }
        assert_eq!(lab.state().posted, ["1.0", "1.1"], "{does:?}");
    }
}

#[test]
fn a_lost_reply_is_found_in_the_cluster_and_never_sent_again() {
    let lab = one_release();
    lab.publish("video", "1.1");
    lab.state().next.push_back(Does::LoseReply);
    assert_eq!(lab.pass().1, Exit::Unknown);
    let (report, exit) = lab.pass();
    assert_eq!(exit, Exit::Success);
    assert_eq!(app(&report, "video").outcome, Some(Outcome::Observed));
    assert_eq!(lab.state().posted, ["1.0", "1.1"]);
}

#[test]
fn a_lost_request_is_made_up_for_once_and_only_on_a_quiet_server() {
    let lab = one_release();
    lab.publish("video", "1.1");
    lab.state()
        .next
        .extend([Does::LoseRequest, Does::LoseRequest]);
    assert_eq!(lab.pass().1, Exit::Unknown);
    assert_eq!(lab.pass().1, Exit::Unknown);
    assert_eq!(lab.state().posted.len(), 2);
    lab.state().quiet = true;
    assert_eq!(lab.pass().1, Exit::Unknown);
    assert_eq!(lab.state().posted.len(), 3);
    // A second one without a trace is an operator's.
    assert_eq!(lab.pass().1, Exit::Unknown);
    assert_eq!(lab.state().posted.len(), 3);
    let attempts = ["1.0 succeeded", "1.1 abandoned", "1.1 unknown"];
    assert_eq!(lab.attempts("video"), attempts);
}

#[test]
fn a_deploy_that_died_is_judged_by_the_units_it_left() {
    let lab = one_release();
    lab.publish("video", "1.1");
    lab.state().next.push_back(Does::Hang);
    assert_eq!(lab.pass().1, Exit::Unknown);
    lab.state().quiet = true;
    assert_eq!(lab.pass().1, Exit::Success);
    let attempts = ["1.0 succeeded", "1.1 abandoned", "1.1 succeeded"];
    assert_eq!(lab.attempts("video"), attempts);
}

#[test]
fn what_runs_already_is_observed_unless_another_version_runs_beside_it() {
    for beside in [false, true] {
        let lab = one_release();
        let mut state = lab.state();
        let (service, unit) = state.units[0].clone();
        if !beside {
            state.units.clear();
        }
        for index in 1..=2 {
            let mut unit = unit.clone();
            (unit.version, unit.suffix, unit.index) = ("1.1".into(), "aaaaaaaa".into(), index);
            state.units.push((service.clone(), unit));
        }
        drop(state);
        lab.publish("video", "1.1");
        assert_eq!(lab.pass().1, Exit::Success);
        let end = if beside {
            "1.1 succeeded"
        } else {
            "1.1 observed"
        };
        assert_eq!(lab.attempts("video")[1..], [end]);
    }
}

#[test]
fn a_busy_target_is_left_alone() {
    let lab = one_release();
    lab.publish("video", "1.1");
    lab.state().busy = true;
    let (report, exit) = lab.pass();
    assert_eq!(exit, Exit::TryLater);
    assert_eq!(app(&report, "video").outcome, None);
    assert_eq!(lab.state().posted, ["1.0"]);
}

#[test]
fn more_deploys_than_allowed_are_none() {
    let mut lab = one_release();
    lab.rules.max_deploys = 1;
    lab.publish("web", "1.0");
    lab.publish("api", "1.0");
    assert_eq!(lab.pass().1, Exit::Guard);
    assert_eq!(lab.state().posted, ["1.0"]);
}

#[test]
fn a_payload_that_is_not_there_yet_is_waited_for() {
    let lab = one_release();
    lab.publish("video", "1.1");
    lab.state().gone.push(("video".into(), "1.1".into()));
    let (report, exit) = lab.pass();
    assert_eq!(exit, Exit::Success);
    assert_eq!(app(&report, "video").action, Action::Waiting);
    lab.state().gone.clear();
    assert_eq!(lab.pass().1, Exit::Success);
    assert_eq!(lab.state().posted, ["1.0", "1.1"]);
}

#[test]
fn markers_that_vanish_are_reported_and_never_acted_on() {
    let lab = one_release();
    lab.publish("web", "1.0");
    lab.state().markers.remove("video");
    let (report, exit) = lab.pass();
    assert_eq!(exit, Exit::Success);
    assert_eq!(app(&report, "video").action, Action::Gone);
    lab.state().markers.clear();
    assert_eq!(lab.pass().1, Exit::Unavailable);
}

/// Units of another version than any that the ledger has.
fn strangers(lab: &Lab, version: &str) {
    let mut state = lab.state();
    let (service, unit) = state.units[0].clone();
    let mut unit = unit.clone();
    (unit.version, unit.suffix) = (version.into(), "zzzzzzzz".into());
    state.units.push((service, unit));
}

#[test]
fn a_version_that_the_ledger_knows_nothing_of_is_not_replaced() {
    let lab = one_release();
    strangers(&lab, "1.4");
    lab.publish("video", "1.5");
    for downloads in [1, 0, 0] {
        let before = lab.state().downloads;
        let (report, exit) = lab.pass();
        let video = app(&report, "video");
        assert_eq!((exit, video.action), (Exit::Failed, Action::Unaccounted));
        assert!(video.reason.contains("1.4"), "{}", video.reason);
        assert_eq!((report.summary.failed, report.summary.due), (1, 0));
        assert_eq!(lab.state().downloads - before, downloads);
    }
    assert_eq!(lab.state().posted, ["1.0"]);
    // They are gone: nothing is in the way any more.
    lab.state().units.retain(|(_, unit)| unit.version != "1.4");
    assert_eq!(lab.pass().1, Exit::Success);
    assert_eq!(lab.state().posted, ["1.0", "1.5"]);
}

#[test]
fn versions_that_the_ledger_has_and_other_services_are_not_in_the_way() {
    for (what, service, version) in [
        ("one of before that still lingers", "example-video", "1.0"),
        ("another service's", "example-video-api", "9.0"),
        (
            "what does not read as a version",
            "example-video",
            "api-1.0",
        ),
    ] {
        let lab = one_release();
        let mut unit = lab.state().units[0].1.clone();
        unit.version = version.into();
        lab.state().units.push((service.into(), unit));
        lab.publish("video", "1.5");
        assert_eq!(lab.pass().1, Exit::Success, "{what}");
        assert_eq!(lab.state().posted, ["1.0", "1.5"], "{what}");
    }
}

#[test]
fn after_a_failure_what_has_come_up_meanwhile_is_seen() {
    for does in [Does::Fail(0), Does::Refuse] {
        let lab = one_release();
        lab.publish("video", "1.1");
        lab.state().next.push_back(does);
        assert_eq!(lab.pass().1, Exit::Failed);
        let mut state = lab.state();
        for (_, unit) in &mut state.units {
            (unit.version, unit.suffix) = ("1.1".into(), "aaaaaaaa".into());
        }
        drop(state);
        let (report, exit) = lab.pass();
        assert_eq!(
            (exit, app(&report, "video").outcome),
            (Exit::Success, Some(Outcome::Observed))
        );
        assert_eq!(lab.state().posted, ["1.0", "1.1"]);
    }
}

#[test]
fn a_service_has_one_app() {
    let lab = one_release();
    lab.state()
        .services
        .insert("web".into(), "example-video".into());
    lab.publish("web", "2.0");
    lab.publish("api", "1.0");
    lab.state()
        .services
        .insert("other".into(), "example-api".into());
    lab.publish("other", "1.0");
    let (report, exit) = lab.pass();
    assert_eq!(exit, Exit::Failed);
    for name in ["web", "other"] {
        let refused = app(&report, name);
        assert_eq!(refused.outcome, Some(Outcome::Error), "{name}");
        assert!(
            refused.error.as_ref().unwrap().contains("service"),
            "{name}"
        );
    }
    assert_eq!(lab.state().posted, ["1.0", "1.0"]);
    assert!(lab.attempts("web").is_empty());
}

#[test]
fn what_is_withdrawn_after_the_listing_is_not_sent_and_comes_back_with_its_marker() {
    let lab = one_release();
    lab.publish("video", "1.1");
    lab.publish("web", "1.0");
    lab.state().withdrawn.push(("video".into(), "1.1".into()));
    // Not even the target is asked: what it would say of this version is of no use.
    lab.state().busy = true;
    let (report, exit) = lab.pass();
    assert_eq!(app(&report, "video").action, Action::Waiting);
    assert_eq!(exit, Exit::TryLater);
    lab.state().busy = false;
    let (report, exit) = lab.pass();
    assert_eq!((exit, report.complete), (Exit::Success, true));
    let video = app(&report, "video");
    assert_eq!((video.action, video.outcome), (Action::Waiting, None));
    assert!(video.reason.contains("withdrawn"), "{}", video.reason);
    assert_eq!(lab.state().posted, ["1.0", "1.0"]);
    assert_eq!(lab.attempts("video"), ["1.0 succeeded"]);
    lab.state().withdrawn.clear();
    assert_eq!(lab.pass().1, Exit::Success);
    assert_eq!(lab.attempts("video"), ["1.0 succeeded", "1.1 succeeded"]);
}

#[test]
fn a_marker_that_cannot_be_read_again_is_not_taken_for_there() {
    for (kind, exit, rest_is_tried) in [
        (Kind::Unavailable, Exit::Unavailable, true),
        (Kind::Failed, Exit::Failed, true),
        (Kind::Busy, Exit::TryLater, true),
        (Kind::Credentials, Exit::Credentials, false),
    ] {
        let lab = one_release();
        lab.publish("video", "1.1");
        lab.publish("web", "1.0");
        lab.state().unread_marker = Some(kind);
        lab.state().looks = 0;
        let (report, found) = lab.pass();
        assert_eq!(found, exit, "{kind:?}");
        assert_eq!(lab.state().posted, ["1.0"], "{kind:?}");
        assert_eq!(lab.state().looks, if rest_is_tried { 2 } else { 1 });
        let web = app(&report, "web");
        assert_eq!(web.outcome == Some(Outcome::Error), rest_is_tried);
        lab.state().unread_marker = None;
        assert_eq!(lab.pass().1, Exit::Success, "{kind:?}");
        assert_eq!(lab.state().posted.len(), 3, "{kind:?}");
    }
}

#[test]
fn a_retry_looks_at_its_marker_like_a_first_try() {
    let lab = one_release();
    lab.publish("video", "1.1");
    lab.state().next.push_back(Does::Fail(0));
    assert_eq!(lab.pass().1, Exit::Failed);
    lab.state().withdrawn.push(("video".into(), "1.1".into()));
    assert_eq!(lab.pass().1, Exit::Success);
    assert_eq!(lab.state().posted, ["1.0", "1.1"]);
}

#[test]
fn what_was_refused_once_is_looked_at_afresh_for_an_operator_only() {
    let lab = one_release();
    lab.run("deploy", |session| {
        let mut snapshot = super::begin(session)?;
        let bad = BadPayload {
            version: "1.1".into(),
            checksum: "00".repeat(32),
            error: "cannot start the rendering".into(),
        };
        snapshot.bad_payloads.insert("video".into(), bad);
        session.report().begin(&snapshot);
        let preparer = Preparer::of(session, &snapshot);
        let of_a_pass = preparer.one("video", "1.1", true)?;
        assert!(matches!(of_a_pass, Prepared::Error(_, Some(_))));
        let of_an_operator = preparer.one("video", "1.1", false)?;
        assert!(matches!(of_an_operator, Prepared::Ready(_)));
        // What he is told of it is what is remembered from then on.
        let mut report = session.report();
        report.request("video", None, "1.1", "asked for".into());
        let (document, _) = report.report(session.scope, None);
        assert!(report.record(document).bad_payloads.is_empty());
        Ok(())
    });
}

/// Age of the lease, whether it is still held -> how who waits for it exits.
#[test]
fn a_lease_that_is_held_for_longer_than_any_pass_may_take_is_no_work_in_progress() {
    use std::time::Duration;

    use crate::clock::Clock;
    use crate::clock::testing::Hand;
    use crate::error::Kind;
    use crate::model::name::Scope;

    let lab = Lab::default();
    let scope = Scope {
        domain: "example.com".to_owned(),
        environment: "qa".to_owned(),
    };
    let (mut ledger, mut other) = (lab.ledger(), lab.ledger());
    let lease = ledger.acquire(&scope, Duration::ZERO).unwrap().unwrap();
    let since = other.lease_info(&scope).unwrap().unwrap().since;
    let longest = Duration::from_secs(4500);
    let mut kind = |age: i64| {
        let hand = Hand::shared();
        hand.sleep(Duration::from_millis(u64::try_from(since + age).unwrap()));
        let error = super::session::held_by_another(&mut *other, &scope, longest, &*hand);
        assert!(
            error.hint.is_some() && !error.causes.is_empty(),
            "{error:?}"
        );
        error.kind
    };
    for (age, expected) in [
        (-3_600_000, Kind::Busy),
        (0, Kind::Busy),
        (4_500_000, Kind::Busy),
        (4_500_001, Kind::Unavailable),
        (864_000_000, Kind::Unavailable),
    ] {
        assert_eq!(kind(age), expected, "{age}");
    }
    drop(lease);
    assert_eq!(kind(864_000_000), Kind::Busy, "it was given back meanwhile");
}

#[test]
fn what_runs_unaccounted_for_may_be_what_is_to_be_sent() {
    let lab = one_release();
    strangers(&lab, "1.4");
    strangers(&lab, "1.4");
    lab.publish("video", "1.3");
    assert_eq!(lab.pass().1, Exit::Failed);
    let mut state = lab.state();
    state.units.retain(|(_, unit)| unit.version == "1.4");
    state.units[1].1.index = 2;
    drop(state);
    assert_eq!(lab.pass().1, Exit::Failed);
    // Its marker is back.
    lab.publish("video", "1.4");
    let (report, exit) = lab.pass();
    assert_eq!(exit, Exit::Success);
    assert_eq!(app(&report, "video").outcome, Some(Outcome::Observed));
    assert_eq!(lab.state().posted, ["1.0"]);
}

#[test]
fn an_operator_decides_by_deploy_not_by_rollback() {
    for (command, decides, exit) in [
        ("rollback", false, Exit::Failed),
        ("deploy", true, Exit::Success),
    ] {
        let lab = one_release();
        strangers(&lab, "1.4");
        let asked = |session: &mut Session<'_>| {
            let snapshot = begin(session)?;
            let prepared = Preparer::of(session, &snapshot).one("video", "0.9", false)?;
            session
                .report()
                .request("video", None, "0.9", String::new());
            let job = Job {
                ready: prepared.ready().unwrap(),
                command,
                unattended: false,
                decides,
                place_hold: None,
                snapshot: &snapshot,
            };
            deploy_one(session, &job)
        };
        let (report, found) = lab.run(command, asked);
        assert_eq!(found, exit, "{command}");
        let is_left = app(&report, "video").action == Action::Unaccounted;
        assert_eq!(is_left, !decides, "{command}");
        assert_eq!(lab.state().posted.len(), 1 + usize::from(decides));
        // Decided once, for good: what still lingers is in nobody's way.
        strangers(&lab, "1.4");
        lab.publish("video", "1.5");
        assert_eq!(lab.pass().1, exit, "{command}");
    }
}

#[test]
fn services_whose_units_cannot_be_told_apart_are_refused() {
    for (first, then) in [
        (("web", "api-1.0"), ("web-api", "1.0")),
        (("web-api", "1.0"), ("web", "api-1.0")),
    ] {
        let lab = Lab::default();
        for (app, _) in [first, then] {
            lab.state().services.insert(app.into(), app.into());
        }
        lab.publish(first.0, first.1);
        assert_eq!(lab.pass().1, Exit::Success);
        lab.publish(then.0, then.1);
        let (report, exit) = lab.pass();
        assert_eq!(exit, Exit::Failed, "{then:?}");
        assert_eq!(app(&report, then.0).outcome, Some(Outcome::Error));
        assert_eq!(lab.state().posted, [first.1]);
    }
}

/// A clock by which some time goes by whenever it is read: the process is kept from running.
#[derive(Debug)]
struct Striding(u64, std::sync::atomic::AtomicU64);

impl crate::clock::Clock for Striding {
    fn now_ms(&self) -> i64 {
        crate::clock::System.now_ms()
    }

    fn elapsed(&self) -> std::time::Duration {
        let Self(stride, at) = self;
        std::time::Duration::from_secs(at.fetch_add(*stride, std::sync::atomic::Ordering::Relaxed))
    }

    fn boot_id(&self) -> String {
        "this boot".to_owned()
    }

    fn sleep(&self, _: std::time::Duration) {}
}

#[test]
fn what_was_decided_upon_long_ago_is_not_sent_and_counts_for_nothing() {
    for (stride, posted, exit, attempt) in [
        (1, &["1.0"][..], Exit::Success, "1.0 succeeded"),
        (40, &[][..], Exit::Failed, "1.0 refused"),
        (4000, &[][..], Exit::Failed, "1.0 refused"),
    ] {
        let lab = Lab::default();
        lab.publish("video", "1.0");
        let (_, found) = lab.run("run", |session| {
            session.clock = std::sync::Arc::new(Striding(stride, 0.into()));
            super::run(session)
        });
        assert_eq!(found, exit, "{stride}");
        assert_eq!(lab.state().posted, posted, "{stride}");
        assert_eq!(lab.attempts("video"), [attempt], "{stride}");
        assert_eq!(lab.pass().1, Exit::Success, "{stride}");
        assert_eq!(lab.state().posted, ["1.0"], "{stride}");
    }
}

/// A lease that was ours: the process has stood still for longer than it lives.
struct Lost(Fence);

impl Lease for Lost {
    fn fence(&self) -> &Fence {
        &self.0
    }

    fn is_held(&self) -> bool {
        false
    }

    fn send_delay(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn a_pass_that_lost_its_lease_does_not_say_that_all_is_well() {
    let lab = one_release();
    let (report, exit) = lab.run("run", |session| {
        session.lease = Box::new(Lost(session.lease.fence().clone()));
        super::run(session)
    });
    assert_eq!(exit, Exit::TryLater);
    assert_eq!(app(&report, "video").action, Action::UpToDate);
    assert!(report.error.unwrap().contains("lease was lost"));
}

/// How many deploys a pass sends whose requests, in turn, end so; all that follow succeed.
fn pass_of(lab: &Lab, deploys: &[Does]) -> (usize, Exit) {
    lab.state().next = deploys.iter().copied().collect();
    let before = lab.state().posted.len();
    let (_, exit) = lab.pass();
    lab.state().next.clear();
    (lab.state().posted.len() - before, exit)
}

#[test]
fn three_bad_apps_keep_no_good_one_from_being_deployed() {
    let lab = Lab::default();
    for app in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        lab.publish(app, "1.0");
    }
    let bad = [Does::Fail(0); 3];
    assert_eq!(pass_of(&lab, &bad), (3, Exit::Failed));
    let good_first = [&[Does::Deploy; 7][..], &bad].concat();
    assert_eq!(pass_of(&lab, &good_first), (10, Exit::Failed));
    for app in ["d", "j"] {
        assert_eq!(lab.attempts(app), ["1.0 succeeded"]);
    }
    // The first failure of each was forgiven; it is not forgiven twice.
    for _ in 0..4 {
        assert_eq!(pass_of(&lab, &bad), (3, Exit::Failed));
    }
    let (report, exit) = lab.pass();
    assert_eq!(exit, Exit::Failed);
    let bad = app(&report, "a");
    assert_eq!(bad.action, Action::GivenUp);
    assert!(bad.reason.contains("attempt 5 of 5 failed"), "{bad:?}");
    assert_eq!(lab.attempts("a"), ["1.0 failed"; 6]);
}

#[test]
fn a_cluster_that_is_ill_gets_three_deploys_a_pass_and_then_all_of_them() {
    let lab = Lab::default();
    for app in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        lab.publish(app, "1.0");
    }
    for pass in 0..16 {
        let ill = [Does::Fail(0); 10];
        assert_eq!(pass_of(&lab, &ill), (3, Exit::Failed), "{pass}");
    }
    assert_eq!(pass_of(&lab, &[]), (10, Exit::Success));
    assert_eq!(pass_of(&lab, &[]), (0, Exit::Success));
}

#[test]
fn the_brake_says_what_it_did_and_can_be_let_off() {
    let mut lab = Lab::default();
    for app in ["a", "b", "c", "d"] {
        lab.publish(app, "1.0");
    }
    lab.state().next = [Does::Fail(0); 3].into();
    let (report, exit) = lab.pass();
    assert_eq!((exit, report.complete), (Exit::Failed, false));
    let error = report.error.as_ref().unwrap();
    assert!(
        error.contains("the first 3 deploys of this pass failed"),
        "{error}"
    );
    let left = app(&report, "d");
    assert_eq!(left.outcome, None);
    assert!(left.reason.contains("not tried: the first 3"), "{left:?}");
    lab.rules.max_failures = 0;
    assert_eq!(pass_of(&lab, &[Does::Fail(0); 4]), (4, Exit::Failed));
}
