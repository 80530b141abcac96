//! The ledger as JSON: what `--output json` prints and the HTTP API shows.

use serde_json::{Value, json};

use super::{Attempt, LeaseInfo, PassRow, Snapshot};
use crate::model::time;

/// How many apps are read at a time where there may be any number.
pub const PART: u32 = 200;

/// What is deployed and what was tried last, of each app.
pub fn apps(snapshot: &Snapshot) -> Vec<Value> {
    let app = |(app, latest): (&String, &Attempt)| {
        json!({
            "app": app,
            "deployed": snapshot.records.get(app).and_then(|r| r.deployed.clone()),
            "latest": attempt(latest),
        })
    };
    snapshot.latest.iter().map(app).collect()
}

/// What is open and held, and who holds the lease.
pub fn in_force(snapshot: &Snapshot, lease: Option<&LeaseInfo>) -> Value {
    let holds: Vec<Value> = snapshot
        .holds
        .iter()
        .map(|(app, h)| {
            json!({"app": app, "reason": h.reason, "until": h.until.map(time::rfc3339), "newerThan": h.newer_than,
                "placedBy": h.placed_by, "placedAt": time::rfc3339(h.placed_at)})
        })
        .collect();
    json!({
        "open": snapshot.open.iter().map(attempt).collect::<Vec<_>>(),
        "holds": holds,
        "lease": lease.map(|l| json!({"held": l.held, "holder": l.holder, "since": time::rfc3339(l.since), "token": l.token})),
    })
}

/// Attempts, in the order given.
pub fn history(attempts: &[Attempt]) -> Value {
    json!({ "attempts": attempts.iter().map(attempt).collect::<Vec<_>>() })
}

/// A pass that was kept.
pub fn pass(row: &PassRow) -> Value {
    json!({
        "pass": row.pass, "command": row.command, "startedAt": time::rfc3339(row.started_at),
        "finishedAt": time::rfc3339(row.finished_at), "exitCode": row.exit_code,
    })
}

fn attempt(a: &Attempt) -> Value {
    json!({
        "attempt": a.id, "app": a.app, "version": a.version, "serviceName": a.service_name,
        "numInstances": a.num_instances, "state": a.state.as_str(), "deployID": a.deploy_id,
        "payloadSha256": a.payload_sha256, "templateSha256": a.template_sha256, "command": a.command,
        "askedBy": a.asked_by,
        "createdAt": time::rfc3339(a.created_at), "updatedAt": time::rfc3339(a.updated_at), "message": a.message,
    })
}
