use super::*;

const HOLD: Duration = Duration::from_secs(900);

fn events() -> Vec<Event> {
    let mut events = vec![
        Event::Accepted("id".into()),
        Event::Accepted(String::new()),
        Event::Refused("400".into()),
        Event::Lost("EOF".into()),
        Event::FoundSubmitting,
        Event::Status(Status::Succeeded),
        Event::Status(Status::Failed("no".into())),
        Event::Status(Status::Failed(String::new())),
        Event::Status(Status::Running),
        Event::Status(Status::NoRows),
        Event::Status(Status::Inconclusive("401".into())),
        Event::Status(Status::OtherDeploy("video 1.0".into())),
        Event::Word(Word::Deployed, "operator".into()),
        Event::Word(Word::NotDeployed, "operator".into()),
        Event::Word(Word::TryAgain, "operator".into()),
    ];
    for running in 0..4 {
        for any in running..4 {
            events.push(Event::Units(NewUnits { running, any }));
        }
    }
    events
}

fn circumstances() -> Vec<Circumstances> {
    let mut all = Vec::new();
    for num_instances in 0..4 {
        for age in [0, 899, 900, 5000].map(Duration::from_secs) {
            for unknown_hold in [None, Some(HOLD), Some(Duration::ZERO)] {
                for quiet in [false, true] {
                    for (abandoned_before, taken_over) in
                        [(false, false), (false, true), (true, false), (true, true)]
                    {
                        all.push(Circumstances {
                            num_instances,
                            age,
                            unknown_hold,
                            quiet,
                            abandoned_before,
                            taken_over,
                            had_failed: taken_over && quiet,
                        });
                    }
                }
            }
        }
    }
    all
}

/// Every state, event and circumstance of the grid, with what comes of them.
fn grid() -> Vec<(State, Event, Circumstances, Option<Move>)> {
    let mut cases = Vec::new();
    for state in State::ALL {
        for event in events() {
            for with in circumstances() {
                let step = advance(state, &event, &with);
                cases.push((state, event.clone(), with, step));
            }
        }
    }
    cases
}

fn late(quiet: bool) -> Circumstances {
    Circumstances {
        num_instances: 2,
        age: HOLD,
        unknown_hold: Some(HOLD),
        quiet,
        abandoned_before: false,
        taken_over: false,
        had_failed: false,
    }
}

fn to(state: State, event: &Event, with: &Circumstances) -> Option<State> {
    advance(state, event, with).map(|step| step.to)
}

fn units(running: usize, any: usize) -> Event {
    Event::Units(NewUnits { running, any })
}

#[test]
fn every_move_is_a_legal_one_and_says_why() {
    for (state, event, with, step) in grid() {
        if let Some(step) = step {
            assert!(state.may_become(step.to), "{state:?} {event:?} {with:?}");
            assert!(!step.message.is_empty(), "{state:?} {event:?}");
            assert_eq!(step.deploy_id.is_some(), step.to == State::Submitted);
        }
    }
}

#[test]
fn every_legal_move_can_happen() {
    let grid = grid();
    for from in State::ALL {
        for goal in State::ALL {
            let happens = grid.iter().any(|(state, _, _, step)| {
                *state == from && step.as_ref().is_some_and(|s| s.to == goal)
            });
            assert_eq!(happens, from.may_become(goal), "{from:?} {goal:?}");
        }
    }
}

#[test]
fn closed_attempts_never_move() {
    for (state, event, _, step) in grid() {
        assert!(state.is_open() || step.is_none(), "{state:?} {event:?}");
    }
}

#[test]
fn only_the_word_of_coreos_deploy_is_success() {
    for (state, event, _, step) in grid() {
        let succeeded = step.is_some_and(|s| s.to == State::Succeeded);
        let told = state == State::Submitted && event == Event::Status(Status::Succeeded);
        assert_eq!(succeeded, told, "{state:?} {event:?}");
    }
}

#[test]
fn an_operators_word_ends_every_open_attempt_and_no_other() {
    for (state, event, _, step) in grid() {
        let Event::Word(word, _) = event else {
            continue;
        };
        let end = match word {
            Word::Deployed => State::Settled,
            Word::NotDeployed => State::Dismissed,
            Word::TryAgain => State::Abandoned,
        };
        let goal = match state {
            State::Submitting | State::Submitted => Some(State::Unknown),
            State::Unknown => Some(end),
            _ => None,
        };
        assert_eq!(step.map(|s| s.to), goal, "{state:?}");
    }
}

#[test]
fn only_an_operators_word_settles_and_dismisses() {
    for (_, event, _, step) in grid() {
        let by_word = step.is_some_and(|s| s.to.verdict().is_some());
        assert!(!by_word || matches!(event, Event::Word(..)), "{event:?}");
    }
}

#[test]
fn the_id_of_another_deploy_is_stale_where_the_daemon_left_it() {
    let event = Event::Status(Status::OtherDeploy("video 1.0".into()));
    for taken_over in [false, true] {
        let with = Circumstances {
            age: Duration::ZERO,
            taken_over,
            ..late(false)
        };
        let goal = taken_over.then_some(State::Failed);
        assert_eq!(to(State::Submitted, &event, &with), goal);
    }
}

#[test]
fn what_the_daemon_left_as_failed_is_never_open_for_good() {
    let failed = |quiet| Circumstances {
        taken_over: true,
        had_failed: true,
        ..late(quiet)
    };
    for (status, quiet, goal) in [
        (Status::Succeeded, false, Some(State::Succeeded)),
        (Status::Failed("no".into()), false, Some(State::Failed)),
        (
            Status::OtherDeploy("a 1".into()),
            false,
            Some(State::Failed),
        ),
        (Status::NoRows, false, Some(State::Failed)),
        (Status::Running, false, None),
        (Status::Running, true, Some(State::Failed)),
        (Status::Inconclusive("EOF".into()), false, None),
        (
            Status::Inconclusive("EOF".into()),
            true,
            Some(State::Failed),
        ),
    ] {
        let event = Event::Status(status);
        let moved = to(State::Submitted, &event, &failed(quiet));
        assert_eq!(moved, goal, "{event:?}");
    }
}

#[test]
fn absence_is_a_verdict_only_on_a_quiet_server_past_the_hold() {
    for (state, event, with, step) in grid() {
        let rests_on_absence = match (&event, &step) {
            (Event::Status(Status::OtherDeploy(_)), Some(_)) => !with.taken_over,
            (Event::Status(Status::NoRows), Some(_)) => !with.had_failed,
            (Event::Status(Status::Running | Status::Inconclusive(_)), Some(_)) => true,
            (Event::Units(_), Some(step)) => step.to != State::Observed,
            _ => false,
        };
        if rests_on_absence {
            let past = with.unknown_hold.is_some_and(|hold| with.age >= hold);
            assert!(with.quiet && past, "{state:?} {event:?} {with:?}");
        }
    }
}

#[test]
fn quiet_is_asked_for_only_where_it_decides() {
    for (state, event, with, step) in grid() {
        let asked = wants_quiet(state, &event, &with);
        if with.quiet {
            assert!(step.is_some() || !asked, "{state:?} {event:?} {with:?}");
        } else {
            assert!(step.is_none() || !asked, "{state:?} {event:?} {with:?}");
        }
    }
    let never = Circumstances {
        unknown_hold: None,
        ..late(false)
    };
    let running = Event::Status(Status::Running);
    assert!(wants_quiet(State::Submitted, &running, &late(false)));
    assert!(wants_quiet(State::Unknown, &units(0, 0), &late(true)));
    assert!(wants_quiet(State::Unknown, &units(1, 2), &late(false)));
    assert!(!wants_quiet(State::Unknown, &units(2, 2), &late(false)));
    assert!(!wants_quiet(State::Unknown, &units(0, 0), &never));
    assert!(!wants_quiet(
        State::Submitted,
        &Event::Status(Status::Succeeded),
        &late(false)
    ));
}

#[test]
fn the_answer_to_the_post_decides_a_submitting_attempt() {
    let with = late(false);
    let step = advance(State::Submitting, &Event::Accepted("X".into()), &with).unwrap();
    assert_eq!(step.to, State::Submitted);
    assert_eq!(step.deploy_id.as_deref(), Some("X"));
    for (event, goal) in [
        (Event::Refused("400".into()), State::Refused),
        (Event::Lost("EOF".into()), State::Unknown),
        (Event::FoundSubmitting, State::Unknown),
        (Event::Accepted(String::new()), State::Unknown),
    ] {
        assert_eq!(to(State::Submitting, &event, &with), Some(goal));
    }
}

#[test]
fn a_running_deploy_is_polled_until_the_hold_is_over() {
    for status in [
        Status::Running,
        Status::NoRows,
        Status::OtherDeploy("video 1.0".into()),
        Status::Inconclusive("404".into()),
    ] {
        let event = Event::Status(status);
        let early = Circumstances {
            age: HOLD.checked_sub(Duration::from_millis(1)).unwrap(),
            ..late(true)
        };
        assert_eq!(to(State::Submitted, &event, &early), None);
        assert_eq!(to(State::Submitted, &event, &late(false)), None);
        assert_eq!(
            to(State::Submitted, &event, &late(true)),
            Some(State::Unknown)
        );
    }
}

#[test]
fn what_is_heard_of_an_unknown_attempt_after_all_counts_where_it_is_of_that_very_deploy() {
    let other = || Status::OtherDeploy("video 1.0".into());
    for (status, taken_over, goal) in [
        (Status::Succeeded, false, Some(State::Observed)),
        (
            Status::Failed("no machine".into()),
            false,
            Some(State::Failed),
        ),
        (other(), true, Some(State::Failed)),
        (other(), false, None),
        (Status::NoRows, true, None),
        (Status::Running, true, None),
        (Status::Inconclusive("EOF".into()), true, None),
    ] {
        let with = Circumstances {
            taken_over,
            ..late(true)
        };
        let event = Event::Status(status);
        assert_eq!(to(State::Unknown, &event, &with), goal, "{event:?}");
    }
}

#[test]
fn units_decide_an_unknown_attempt() {
    for (event, quiet, goal) in [
        (units(2, 2), false, Some(State::Observed)),
        (units(3, 3), false, Some(State::Observed)),
        (units(1, 2), false, None),
        (units(1, 2), true, Some(State::Failed)),
        (units(0, 1), true, Some(State::Failed)),
        (units(0, 0), false, None),
        (units(0, 0), true, Some(State::Abandoned)),
    ] {
        assert_eq!(to(State::Unknown, &event, &late(quiet)), goal, "{event:?}");
    }
    let second = Circumstances {
        abandoned_before: true,
        ..late(true)
    };
    assert_eq!(to(State::Unknown, &units(0, 0), &second), None);
    let no_count = Circumstances {
        num_instances: 0,
        ..late(false)
    };
    assert_eq!(to(State::Unknown, &units(5, 5), &no_count), None);
}

#[test]
fn text_of_peers_is_made_printable() {
    let event = Event::Status(Status::Failed("a\u{1b}[31m".into()));
    let step = advance(State::Submitted, &event, &late(false)).unwrap();
    assert_eq!(step.message, "a\\u{1b}[31m");
}

#[test]
fn states_have_names() {
    for state in State::ALL {
        assert_eq!(State::parse(state.as_str()), Some(state));
    }
    assert_eq!(State::parse("started"), None);
}
