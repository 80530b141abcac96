//! A process that stood still while another one took its lease over.

use super::*;
use crate::error::Kind;
use crate::ledger::Fence;

/// The ledger of a former holder, its lease, and what the present one's writes are let through by.
/// Attempt `own` is the former holder's; `earlier` is of the token before it, and `twice` of the same
/// token, that another one was given too.
fn overtaken(database: &Database) -> (Box<dyn Ledger>, Box<dyn Lease>, Fence) {
    let s = contract::scope();
    let mut ledger = Fixture::open(database);
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let token = lease.fence().token;
    let intended = ledger.intend(&s, &contract::intent("own", "own", "1"), lease.as_ref());
    assert_eq!(intended, Ok(Intended::Committed));
    let moved = ledger.advance(
        "own",
        State::Submitting,
        &to(State::Unknown),
        true,
        lease.fence(),
    );
    assert_eq!(moved, Ok(true));
    for (id, token) in [("earlier", token - 1), ("twice", token)] {
        database.sql(&format!(
            "INSERT INTO artifactory_attempts (id, domain, environment, app, version, service_name,
                 num_instances, state, counts, command, token, created_at, updated_at, message)
             VALUES ('{id}', 'example.com', 'qa', '{id}', '1', 'x', 1, 'unknown', 1, 'run', {token},
                 0, 0, '')"
        ));
    }
    database.sql("UPDATE artifactory_lease SET token = token + 1, holder_id = 'their-id'");
    let theirs = Fence {
        token: token + 1,
        holder: "their-id".to_owned(),
    };
    (ledger, lease, theirs)
}

fn to(state: State) -> Move {
    Move {
        to: state,
        deploy_id: None,
        message: "said".to_owned(),
        accounted: std::collections::BTreeSet::new(),
    }
}

#[test]
fn it_judges_no_attempt_but_its_own() {
    let database = Database::new().ready();
    let (mut ledger, lease, theirs) = overtaken(&database);
    let mut judge = |id: &str, fence: &Fence| {
        ledger.advance(id, State::Unknown, &to(State::Abandoned), true, fence)
    };
    for other in ["earlier", "twice"] {
        let error = judge(other, lease.fence()).unwrap_err();
        assert!(error.kind == Kind::Busy, "{error:?}");
        assert!(error.message.contains("lease was lost"), "{error:?}");
        assert_eq!(judge(other, &theirs), Ok(true));
    }
    assert_eq!(judge("own", lease.fence()), Ok(true));
}

/// As of a server that failed over to a copy which had not seen the last acquisition: the token is
/// given a second time.
fn given_twice(theirs: &Fence) -> Fence {
    Fence {
        holder: "another-id".to_owned(),
        ..theirs.clone()
    }
}

#[test]
fn it_records_nothing_as_deployed_and_takes_nothing_over() {
    let s = contract::scope();
    let database = Database::new().ready();
    let (mut ledger, lease, theirs) = overtaken(&database);
    database.row("before", "1.0", 2);
    let observed = contract::attempt("a", "video", "1", State::Observed);
    let ahead = Fence {
        token: theirs.token + 1,
        ..theirs.clone()
    };
    for fence in [lease.fence(), &ahead, &given_twice(&theirs)] {
        let error = ledger.record(&s, &observed, None, fence);
        assert_eq!(error.unwrap_err().kind, Kind::Busy);
        let error = ledger.take_over(&s, fence).unwrap_err();
        assert_eq!(error.kind, Kind::Busy);
    }
    assert_eq!(ledger.history(&s, None, 9).unwrap().len(), 3);
    ledger.take_over(&s, &theirs).unwrap();
    assert_eq!(ledger.record(&s, &observed, None, &theirs), Ok(None));
    assert_eq!(ledger.history(&s, None, 9).unwrap().len(), 5);
    ledger.take_over(&s, lease.fence()).unwrap();
}

#[test]
fn a_token_that_was_given_twice_lets_one_holder_send() {
    let s = contract::scope();
    let database = Database::new().ready();
    let mut ledger = Fixture::open(&database);
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    database.sql("UPDATE artifactory_lease SET holder_id = 'another-id'");
    let intended = ledger.intend(&s, &contract::intent("a", "x", "1"), lease.as_ref());
    assert_eq!(intended, Ok(Intended::LeaseLost));
    assert!(ledger.history(&s, None, 9).unwrap().is_empty());
}
