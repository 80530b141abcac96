//! The ledger as JSON: what `--output json` prints and the HTTP API shows.

use serde_json::{Value, json};

use super::{Attempt, LeaseInfo, PassRow, Snapshot};
use crate::model::time;

/// What is deployed, open and held, and who holds the lease.
pub fn status(snapshot: &Snapshot, lease: Option<&LeaseInfo>) -> Value {
    let apps: Vec<Value> = snapshot
        .latest
        .iter()
        .map(|(app, latest)| {
            json!({
                "app": app,
                "deployed": snapshot.records.get(app).and_then(|r| r.deployed.clone()),
                "latest": attempt(latest),
            })
        })
        .collect();
    let holds: Vec<Value> = snapshot
        .holds
        .iter()
        .map(|(app, h)| {
            json!({"app": app, "reason": h.reason, "until": h.until.map(time::rfc3339), "newerThan": h.newer_than,
                "placedBy": h.placed_by, "placedAt": time::rfc3339(h.placed_at)})
        })
        .collect();
    json!({
        "apps": apps,
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
