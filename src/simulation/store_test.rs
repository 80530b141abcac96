//! The store of the simulation does what the ledger in a real database does.

use std::time::Duration;

use proptest::prelude::*;

use super::store::Store;
use crate::clock::System;
use crate::config::Dsn;
use crate::ledger::{self, Access, Attempt, Fence, Intent, Snapshot};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::version::Order;

/// One call of the ledger; numbers pick an app, a version, an attempt, a state.
#[derive(Clone, Debug)]
enum Call {
    Intend {
        app: usize,
        version: usize,
        is_pass: bool,
        places: bool,
        is_stale: bool,
    },
    Advance {
        attempt: usize,
        to: usize,
        counts: bool,
    },
    Record {
        app: usize,
        version: usize,
        state: usize,
        places: bool,
    },
    Hold {
        app: usize,
        newer_than: Option<usize>,
    },
    Release {
        app: usize,
    },
}

const APPS: [&str; 2] = ["web", "video"];
const VERSIONS: [&str; 4] = ["1.0", "1.1", "1.2", "2.0"];
const ENDS: [State; 3] = [State::Baseline, State::Observed, State::Abandoned];

fn call() -> impl Strategy<Value = Call> {
    let (app, version) = (0..APPS.len(), 0..VERSIONS.len());
    prop_oneof![
        3 => (app.clone(), version.clone(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(app, version, is_pass, places, is_stale)| Call::Intend { app, version, is_pass, places, is_stale }),
        6 => (0..20usize, 0..State::ALL.len(), any::<bool>())
            .prop_map(|(attempt, to, counts)| Call::Advance { attempt, to, counts }),
        1 => (app.clone(), version.clone(), 0..ENDS.len(), any::<bool>())
            .prop_map(|(app, version, state, places)| Call::Record { app, version, state, places }),
        1 => (app.clone(), prop::option::of(version)).prop_map(|(app, newer_than)| Call::Hold { app, newer_than }),
        1 => app.prop_map(|app| Call::Release { app }),
    ]
}

fn hold(newer_than: Option<usize>) -> Hold {
    Hold {
        reason: "why".to_owned(),
        until: None,
        newer_than: newer_than.map(|v| VERSIONS[v].to_owned()),
        placed_by: "hold".to_owned(),
        placed_at: 0,
    }
}

/// Times are not compared: the ledger has its own clock.
fn timeless(mut attempt: Attempt) -> Attempt {
    (attempt.created_at, attempt.updated_at) = (0, 0);
    attempt
}

fn seen(mut snapshot: Snapshot) -> Snapshot {
    for attempt in snapshot.latest.values_mut().chain(&mut snapshot.open) {
        (attempt.created_at, attempt.updated_at) = (0, 0);
    }
    let records = snapshot.records.values_mut();
    records
        .flat_map(|r| r.troubled.values_mut())
        .for_each(|t| t.ended_at = 0);
    snapshot
}

fn attempt(number: usize, app: usize, version: usize, state: State) -> Attempt {
    Attempt {
        id: format!("a{number}"),
        counts: true,
        ..Attempt::new(APPS[app], VERSIONS[version], state, ("run", "why"), &System)
    }
}

fn compare(calls: &[Call]) {
    let directory = tempfile::tempdir().unwrap();
    let dsn = Dsn::Sqlite(directory.path().join("ledger.db"));
    let mut real = ledger::open(&dsn, Access::Write).unwrap();
    let scope = Scope {
        domain: "example.com".into(),
        environment: "qa".into(),
    };
    let lease = real.acquire(&scope, Duration::ZERO).unwrap().unwrap();
    let mut store = Store::default();
    let token = store.acquire(0, Duration::ZERO, true).unwrap();
    assert_eq!(token, lease.fence().token);
    let own = Fence {
        token,
        holder: "0".to_owned(),
    };
    for (number, call) in calls.iter().enumerate() {
        match call {
            Call::Intend {
                app,
                version,
                is_pass,
                places,
                is_stale,
            } => {
                let intent = Intent {
                    attempt: attempt(number, *app, *version, State::Submitting),
                    respect_holds: *is_pass,
                    order: Order::Natural,
                    place_hold: places.then(|| hold(Some(*version))),
                    after: if *is_stale {
                        None
                    } else {
                        store.latest(APPS[*app])
                    },
                };
                let expected = real.intend(&scope, &intent, lease.as_ref()).unwrap();
                assert_eq!(store.intend(&intent, &own, 1), expected);
            }
            Call::Advance {
                attempt,
                to,
                counts,
            } => {
                let to = State::ALL[*to];
                let Some(known) = store
                    .attempts
                    .get(*attempt)
                    .map(|a| (a.id.clone(), a.state))
                else {
                    continue;
                };
                if !known.1.may_become(to) {
                    continue;
                }
                let word = matches!(to, State::Settled | State::Dismissed);
                let deploy_id = (to == State::Submitted).then(|| "id".to_owned());
                let step = Move {
                    to,
                    deploy_id,
                    message: to.as_str().to_owned(),
                    accounted: word.then(|| "0.9".to_owned()).into_iter().collect(),
                };
                let expected = real
                    .advance(&known.0, known.1, &step, *counts, lease.fence())
                    .unwrap();
                let how = (*counts, &own, 1);
                assert_eq!(store.advance(&known.0, known.1, &step, how), Ok(expected));
            }
            Call::Record {
                app,
                version,
                state,
                places,
            } => {
                let attempt = attempt(number, *app, *version, ENDS[*state]);
                let hold = places.then(|| hold(Some(*version)));
                let placed = hold.as_ref().map(|hold| (hold, Order::Natural));
                real.record(&scope, &attempt, placed, lease.fence())
                    .unwrap();
                let placed = hold.map(|hold| (hold, Order::Natural));
                store.record(&attempt, placed, &own, 1).unwrap();
            }
            Call::Hold { app, newer_than } => {
                let hold = hold(*newer_than);
                let expected = real
                    .hold(&scope, APPS[*app], &hold, Order::Natural)
                    .unwrap();
                assert_eq!(store.hold(APPS[*app], hold, Order::Natural, 1), expected);
            }
            Call::Release { app } => {
                let expected = real.release(&scope, APPS[*app]).unwrap();
                assert_eq!(store.holds.remove(APPS[*app]).is_some(), expected);
            }
        }
    }
    assert_eq!(seen(store.snapshot()), seen(real.snapshot(&scope).unwrap()));
    let history = real.history(&scope, None, 99).unwrap();
    let history: Vec<Attempt> = history.into_iter().map(timeless).collect();
    let told: Vec<Attempt> = store.history(None, 99).into_iter().map(timeless).collect();
    assert_eq!(told, history);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_store_does_what_a_real_database_does(calls in prop::collection::vec(call(), 1..40)) {
        compare(&calls);
    }
}
