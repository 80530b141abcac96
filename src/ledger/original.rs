//! Rows of the original's table, read as attempts.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::{Attempt, Made, Snapshot};
use crate::model::attempt::State;
use crate::model::name::Scope;
use crate::model::plan::Trouble;

/// The `command` of attempts that were made of the original's rows.
pub const COMMAND: &str = "takeover";

/// The message of an attempt that was made of a row at status 3.
pub const FAILED: &str = "taken over: failed";

/// 9999-12-31 23:59:59 UTC: the last time that `datetime` can hold.
const LAST_DATETIME_MS: u64 = 253_402_300_799_000;

/// A row of `artifactory_deploys`, of one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalRow {
    /// `service_name`: the app's folder.
    pub app: String,
    /// The version; empty is never deployed.
    pub version: String,
    /// 1 started, 2 success, 3 failed.
    pub status: i64,
    /// The id of the last deploy, or empty.
    pub deploy_id: String,
    /// `YYYY-MM-DD HH:MM:SS`, UTC.
    pub created_at: String,
    /// `YYYY-MM-DD HH:MM:SS`, UTC.
    pub updated_at: String,
}

impl OriginalRow {
    /// The attempt that this row stands for, or `None` where it stands for nothing (version "")
    /// or where `latest`, the latest attempt of the app, says the same already. The same row after
    /// the same attempt has the same id, so that reading and taking over agree.
    pub fn attempt(&self, scope: &Scope, latest: Option<&Attempt>) -> Option<Attempt> {
        if self.version.is_empty() || latest.is_some_and(|a| self.is_told_by(a)) {
            return None;
        }
        let has_id = !self.deploy_id.is_empty();
        let (state, message) = match self.status {
            2 => (State::Baseline, "taken over: success".to_owned()),
            1 if has_id => (State::Submitted, "taken over: started".to_owned()),
            1 => (
                State::Failed,
                "taken over: started, without an id".to_owned(),
            ),
            3 if has_id => (State::Submitted, FAILED.to_owned()),
            3 => (State::Failed, FAILED.to_owned()),
            n => (State::Failed, format!("taken over: unknown status {n}")),
        };
        Some(Attempt {
            id: self.attempt_id(scope, latest),
            app: self.app.clone(),
            version: self.version.clone(),
            service_name: String::new(),
            num_instances: 0,
            state,
            deploy_id: has_id.then(|| self.deploy_id.clone()),
            payload_sha256: None,
            template_sha256: None,
            suffixes_before: None,
            accounted: BTreeSet::new(),
            counts: true,
            command: COMMAND.to_owned(),
            asked_by: None,
            token: 0,
            // The row was created with the app; this deploy of it began at its last change.
            created_at: milliseconds(&self.updated_at),
            updated_at: milliseconds(&self.updated_at),
            message,
            made: Made::default(),
        })
    }

    fn is_told_by(&self, attempt: &Attempt) -> bool {
        attempt.version == self.version
            && attempt.state.legacy_status() == self.status
            && attempt.deploy_id.as_deref().unwrap_or_default() == self.deploy_id
    }

    fn attempt_id(&self, scope: &Scope, latest: Option<&Attempt>) -> String {
        let mut hash = Sha256::new();
        for part in [
            scope.domain.as_str(),
            &scope.environment,
            &self.app,
            &self.version,
            &self.status.to_string(),
            &self.deploy_id,
            &self.updated_at,
            latest.map_or("", |a| a.id.as_str()),
        ] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        uuid::Builder::from_custom_bytes(bytes)
            .into_uuid()
            .to_string()
    }
}

/// Adds an attempt of an original's row to a snapshot, as the latest of its app.
pub fn add(snapshot: &mut Snapshot, attempt: Attempt) {
    let record = snapshot.records.entry(attempt.app.clone()).or_default();
    let version = attempt.version.clone();
    let before = record.troubled.remove(&version);
    if attempt.state.is_deployed() {
        record.deployed = Some(version);
        record.floor = None;
    } else {
        record.floor = Some(version.clone());
        if !attempt.state.is_open() {
            let trouble = Trouble {
                state: attempt.state,
                attempts: before.as_ref().map_or(0, |t| t.attempts).saturating_add(1),
                abandoned: before.as_ref().map_or(0, |t| t.abandoned),
                is_forgiven: before.is_some_and(|t| t.is_forgiven),
                ended_at: attempt.updated_at,
                message: attempt.message.clone(),
            };
            record.troubled.insert(version, trouble);
        }
    }
    if attempt.state.is_open() {
        snapshot.open.push(attempt.clone());
    }
    snapshot.latest.insert(attempt.app.clone(), attempt);
}

/// Milliseconds since 1970 UTC of `YYYY-MM-DD HH:MM:SS` or RFC 3339; 0 where it is neither
/// (`MySQL` has `0000-00-00 00:00:00`).
pub fn milliseconds(text: &str) -> i64 {
    humantime::parse_rfc3339_weak(text).map_or(0, since_epoch)
}

/// `YYYY-MM-DD HH:MM:SS` of milliseconds since 1970 UTC, as the original writes it.
pub fn datetime(at: i64) -> String {
    let at = u64::try_from(at).unwrap_or(0).min(LAST_DATETIME_MS);
    let time = UNIX_EPOCH + Duration::from_millis(at);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}

fn since_epoch(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_go_both_ways() {
        assert_eq!(milliseconds("1970-01-02 00:00:01"), 86_401_000);
        assert_eq!(datetime(86_401_999), "1970-01-02 00:00:01");
        assert_eq!(milliseconds("0000-00-00 00:00:00"), 0);
        assert_eq!(datetime(i64::MAX), "9999-12-31 23:59:59");
        assert_eq!(datetime(i64::MIN), "1970-01-01 00:00:00");
    }
}
