//! What a ledger that has grown costs; by hand: `cargo test --lib scale -- --ignored --nocapture`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::PassRecord;
use super::contract::{Fixture, scope};
use crate::model::report::{Action, AppReport, Report, Summary};

/// How many rows one statement inserts.
const AT_ONCE: usize = 1000;

/// Adds attempts of these apps, the last of each deployed, of the others every 20th failed, and
/// the rows of the original's table that tell of the last ones.
fn fill(fixture: &dyn Fixture, apps: usize, attempts_each: usize) {
    let rows: Vec<String> = (0..attempts_each)
        .flat_map(|turn| (0..apps).map(move |app| (turn, app)))
        .map(|(turn, app)| {
            let is_last = turn + 1 == attempts_each;
            let is_bad = !is_last && (turn * 13 + app * 7) % 20 == 0;
            let state = if is_bad { "failed" } else { "succeeded" };
            format!(
                "('{app}-{turn}', 'example.com', 'qa', 'app{app}', '1.{turn}', 'x', 1, '{state}', \
                 1, 'run', 1, 0, 0, 'why')"
            )
        })
        .collect();
    for rows in rows.chunks(AT_ONCE) {
        let sql = format!(
            "INSERT INTO artifactory_attempts (id, domain, environment, app, version, service_name, \
             num_instances, state, counts, command, token, created_at, updated_at, message) VALUES {}",
            rows.join(", ")
        );
        fixture.sql(&sql).unwrap();
    }
    let last = attempts_each - 1;
    let rows: Vec<String> = (0..apps)
        .map(|app| {
            format!(
                "('', 'example.com', 'qa', 'app{app}', '1.{last}', 2, '2018-02-14 00:28:07', \
                 '2018-02-14 00:28:07')"
            )
        })
        .collect();
    for rows in rows.chunks(AT_ONCE) {
        let sql = format!(
            "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name, version, \
             status, updated_at, created_at) VALUES {}",
            rows.join(", ")
        );
        fixture.sql(&sql).unwrap();
    }
}

/// The pass of this number, that found nothing to do.
pub fn pass(number: usize, apps: usize) -> PassRecord {
    let app = |app: usize| AppReport {
        app: format!("app{app}"),
        deployed: Some("1.0".to_owned()),
        newest: Some("1.0".to_owned()),
        action: Action::UpToDate,
        reason: "the newest marker is deployed".to_owned(),
        outcome: None,
        attempt: None,
        deploy_id: None,
        duration_ms: None,
        error: None,
        hint: None,
        failing: false,
    };
    PassRecord {
        report: Report {
            pass: number.to_string(),
            command: "run".to_owned(),
            domain: scope().domain,
            environment: scope().environment,
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            finished_at: "2026-01-01T01:00:00Z".to_owned(),
            complete: true,
            apps: (0..apps).map(app).collect(),
            summary: Summary::default(),
            exit_code: 0,
            error: None,
            left_alone: crate::model::report::LeftAlone::default(),
        },
        bad_payloads: BTreeMap::new(),
        unaccounted: BTreeMap::new(),
        forgiven: BTreeMap::new(),
        busy: Some(false),
    }
}

/// The shortest of three.
fn time<T>(mut work: impl FnMut() -> T) -> Duration {
    let times = (0..3).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

/// What a pass without work asks of the ledger: of a fresh one, and of one that has grown.
pub fn passes_without_work(make: &dyn Fn() -> Box<dyn Fixture>) {
    let s = scope();
    for (apps, attempts_each, passes) in
        [(1000, 1, 1), (1000, 100, 1), (10_000, 1, 1), (1000, 1, 200)]
    {
        let fixture = make();
        fill(fixture.as_ref(), apps, attempts_each);
        let mut ledger = fixture.open();
        let kept = time(|| ()) + {
            let start = Instant::now();
            for number in 0..passes {
                ledger.finish_pass(&s, &pass(number, apps)).unwrap();
            }
            start.elapsed() / u32::try_from(passes).unwrap()
        };
        let taken = time(|| ledger.take_over(&s, &super::contract::fence(1)).unwrap());
        let read = time(|| assert_eq!(ledger.snapshot(&s).unwrap().records.len(), apps));
        let history = time(|| ledger.history(&s, None, 50).unwrap());
        let of_one = time(|| ledger.history(&s, Some("app7"), 50).unwrap());
        let list = time(|| ledger.passes(&s, 200).unwrap());
        println!(
            "{apps} apps x {attempts_each} attempts, {passes} passes: take_over {taken:?}, snapshot \
             {read:?}, history {history:?}, of one {of_one:?}, passes {list:?}, finish_pass {kept:?}"
        );
    }
}
