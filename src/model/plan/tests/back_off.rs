use super::*;

#[test]
fn the_back_off_doubles_and_ends() {
    for (attempts, age, action) in [
        (1, 5 * MINUTE - 1, Action::Waiting),
        (1, 5 * MINUTE, Action::Retry),
        (2, 10 * MINUTE - 1, Action::Waiting),
        (2, 10 * MINUTE, Action::Retry),
        (4, 40 * MINUTE - 1, Action::Waiting),
        (4, 40 * MINUTE, Action::Retry),
        (5, i64::from(u32::MAX), Action::GivenUp),
        (6, 0, Action::GivenUp),
        (0, 0, Action::Retry),
    ] {
        for state in [State::Failed, State::Refused] {
            let step = World::new("2.0", Some("1.0"))
                .trouble("2.0", state, attempts, age)
                .step();
            assert_eq!(step.action, action, "{attempts} {age}");
            assert_eq!(step.failing, action != Action::Retry);
            assert_eq!(step.is_deploy(), action == Action::Retry);
        }
    }
}

#[test]
fn what_went_wrong_is_told_with_what_follows_from_it() {
    for (attempts, message, reason) in [
        (
            1,
            "No machine.\n",
            "attempt 1 of 5 failed: No machine; next try in 5m",
        ),
        (
            5,
            "No\nmachine",
            "attempt 5 of 5 failed: No\\u{a}machine; no more are made",
        ),
        (1, " . ", "attempt 1 of 5 failed; next try in 5m"),
    ] {
        let mut world = World::new("2.0", None).trouble("2.0", State::Failed, attempts, 0);
        let trouble = world.record().troubled.get_mut("2.0").unwrap();
        message.clone_into(&mut trouble.message);
        assert_eq!(world.action().1, reason);
        let trouble = world.record().troubled.get_mut("2.0").unwrap();
        trouble.message = "ü".repeat(10_000);
        let end = reason.split(';').next_back().unwrap();
        assert!(world.action().1.ends_with(&format!("ü…;{end}")));
    }
}

#[test]
fn trouble_is_explained() {
    for (state, attempts, age, reason) in [
        (
            State::Failed,
            2,
            6 * MINUTE + 50_000,
            "attempt 2 of 5 failed; next try in 3m 10s",
        ),
        (
            State::Failed,
            1,
            5 * MINUTE - 1,
            "attempt 1 of 5 failed; next try in 1s",
        ),
        (State::Refused, 1, 5 * MINUTE, "attempt 1 of 5 was refused"),
        (
            State::Refused,
            0,
            0,
            "the last attempt was refused, which does not count",
        ),
        (
            State::Failed,
            5,
            0,
            "attempt 5 of 5 failed; no more are made",
        ),
    ] {
        let world = World::new("2.0", None).trouble("2.0", state, attempts, age);
        assert_eq!(world.action().1, reason);
    }
}

#[test]
fn trouble_stands_before_up_to_date_and_behind_ahead() {
    let again = World::new("1.0", Some("1.0")).trouble("1.0", State::Failed, 1, 0);
    assert_eq!(
        again.action(),
        (
            Action::GivenUp,
            "it is deployed, and a later attempt that an operator asked for failed; \
             `deploy --force` tries again"
                .into()
        )
    );
    let older = World::new("1.0", Some("2.0")).trouble("1.0", State::Failed, 1, 0);
    assert_eq!(older.action().0, Action::Ahead);
    let other = World::new("2.0", Some("1.0")).trouble("1.9", State::Failed, 9, 0);
    assert_eq!(other.action().0, Action::Upgrade);
}

#[test]
fn the_first_abandoned_attempt_is_made_up_for_at_once() {
    let once = World::new("2.0", Some("1.0")).trouble("2.0", State::Abandoned, 1, 0);
    let (action, reason) = once.action();
    assert_eq!(action, Action::Upgrade);
    assert_eq!(
        reason,
        "2.0 is newer than 1.0; an earlier attempt did not happen"
    );
    let mut twice = once.trouble("2.0", State::Abandoned, 2, 0);
    let troubled = &mut twice.record().troubled;
    troubled.get_mut("2.0").unwrap().abandoned = 2;
    assert_eq!(
        twice.action(),
        (
            Action::Waiting,
            "attempt 2 of 5 was abandoned; next try in 10m".into()
        )
    );
}

#[test]
fn back_off_arithmetic_does_not_overflow() {
    let mut world = World::new("2.0", None).trouble("2.0", State::Failed, u32::MAX - 1, 0);
    for (ended_at, now) in [(i64::MAX, i64::MIN), (i64::MIN, i64::MAX), (NOW, NOW)] {
        world.now = now;
        let troubled = &mut world.record().troubled;
        troubled.get_mut("2.0").unwrap().ended_at = ended_at;
        for retry_after in [Duration::MAX, Duration::from_millis(1)] {
            let steps = world.plan_with(u32::MAX, retry_after);
            assert_eq!(steps[0].action, Action::Waiting);
        }
        let at_once = world.plan_with(u32::MAX, Duration::ZERO)[0].action;
        assert_eq!(at_once, Action::Retry);
    }
}

#[test]
fn a_clock_that_was_set_back_lengthens_the_wait() {
    let world = World::new("2.0", None).trouble("2.0", State::Failed, 1, -MINUTE);
    assert!(world.action().1.ends_with("next try in 6m"));
}

#[test]
fn a_time_further_ahead_than_the_wait_is_long_says_nothing() {
    for ahead in [6 * MINUTE, 365 * 24 * HOUR] {
        let world = World::new("2.0", None).trouble("2.0", State::Failed, 1, -ahead);
        assert_eq!(world.action().0, Action::Retry, "{ahead}");
    }
}
