//! The statements on the row of the lease. Each is one transaction by itself. None touches
//! `open_attempt`: that slot outlives its lease.

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Params, Value, params};

use crate::clock::{Clock, System};
use crate::ledger::mysql::session::{Fault, Sql};
use crate::ledger::{LeaseInfo, holder};
use crate::model::name::Scope;

/// The row, as far as taking the lease goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Fencing token of the last acquisition.
    pub token: i64,
    /// +1 at every renewal.
    pub beat: i64,
    /// The run that holds the lease.
    pub holder_id: Option<String>,
    /// The process of that run; empty where it didn't know itself.
    pub process: String,
    /// By which the holder renews.
    pub ttl: Duration,
    /// Whether it ended, by the server's clock.
    pub is_expired: bool,
}

/// Which row must be there for the lease to be ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// One that nobody holds.
    Free,
    /// Exactly this one: unchanged since it was read.
    Unchanged(Row),
}

/// Who takes a lease.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// A UUID of this acquisition.
    pub id: String,
    /// This process, in the words of [`super::process`]; empty where it doesn't know itself.
    pub process: String,
    /// How long the lease outlives its last renewal.
    pub ttl: Duration,
}

/// A lease that is ours, as the row knows it.
#[derive(Clone, Debug)]
pub struct Tenure {
    /// Whose row.
    pub scope: Scope,
    /// Our [`Claimant::id`].
    pub holder_id: String,
    /// The fencing token.
    pub token: i64,
    /// How long the lease outlives its last renewal.
    pub ttl: Duration,
}

/// Reads the row.
pub fn read(conn: &mut Conn, scope: &Scope) -> Sql<Option<Row>> {
    let row = conn.exec_first_opt(
        "SELECT token, beat, holder_id, process, ttl_ms, expires_at < UTC_TIMESTAMP(6)
         FROM artifactory_lease WHERE domain = :domain AND environment = :environment",
        of(scope),
    )?;
    let Some((token, beat, holder_id, process, ttl_ms, is_expired)) = row.transpose()? else {
        return Ok(None);
    };
    let ttl_ms: i64 = ttl_ms;
    Ok(Some(Row {
        token,
        beat,
        holder_id,
        process,
        ttl: Duration::from_millis(u64::try_from(ttl_ms).unwrap_or(0)),
        is_expired,
    }))
}

/// Makes the row where there is none. `INSERT IGNORE` would cut a name that is too long.
pub fn create(conn: &mut Conn, scope: &Scope) -> Sql<()> {
    conn.exec_drop(
        "INSERT INTO artifactory_lease
             (domain, environment, token, holder, process, since, beat, ttl_ms, expires_at)
         VALUES (:domain, :environment, 0, '', '', 0, 0, 0, UTC_TIMESTAMP(6))
         ON DUPLICATE KEY UPDATE token = token",
        of(scope),
    )?;
    Ok(())
}

/// Takes the lease if the row is as claimed. The token is the one of the answer itself: another
/// read could be of another server.
pub fn claim(conn: &mut Conn, scope: &Scope, who: &Claimant, claim: &Claim) -> Sql<Option<i64>> {
    let condition = match claim {
        Claim::Free => "holder_id IS NULL",
        Claim::Unchanged(_) => "token = :token AND beat = :beat AND holder_id <=> :seen",
    };
    let mut values = vec![
        ("me", Value::from(&who.id)),
        ("holder", Value::from(holder::describe())),
        ("process", Value::from(&who.process)),
        ("since", Value::from(System.now_ms())),
        ("ttl_ms", Value::from(milliseconds(who.ttl))),
        ("ttl_us", Value::from(microseconds(who.ttl))),
        ("domain", Value::from(&scope.domain)),
        ("environment", Value::from(&scope.environment)),
    ];
    if let Claim::Unchanged(row) = claim {
        values.extend([
            ("token", Value::from(row.token)),
            ("beat", Value::from(row.beat)),
            ("seen", Value::from(row.holder_id.as_ref())),
        ]);
    }
    conn.exec_drop(
        format!(
            "UPDATE artifactory_lease
             SET token = LAST_INSERT_ID(token + 1), holder_id = :me, holder = :holder,
                 process = :process, since = :since, beat = beat + 1, ttl_ms = :ttl_ms,
                 expires_at = UTC_TIMESTAMP(6) + INTERVAL :ttl_us MICROSECOND
             WHERE domain = :domain AND environment = :environment AND {condition}"
        ),
        Params::from(values),
    )?;
    if conn.affected_rows() != 1 {
        return Ok(None);
    }
    match i64::try_from(conn.last_insert_id()) {
        Ok(token) if token > 0 => Ok(Some(token)),
        _ => Err(Fault::Data(
            "the token of the lease is out of range".to_owned(),
        )),
    }
}

/// Renews the lease. False: it is no longer ours.
pub fn renew(conn: &mut Conn, tenure: &Tenure) -> Sql<bool> {
    let scope = &tenure.scope;
    conn.exec_drop(
        "UPDATE artifactory_lease
         SET beat = beat + 1, expires_at = UTC_TIMESTAMP(6) + INTERVAL :ttl_us MICROSECOND
         WHERE domain = :domain AND environment = :environment
           AND token = :token AND holder_id = :me",
        params! {
            "ttl_us" => microseconds(tenure.ttl),
            "domain" => &scope.domain,
            "environment" => &scope.environment,
            "token" => tenure.token,
            "me" => &tenure.holder_id,
        },
    )?;
    Ok(conn.affected_rows() == 1)
}

/// Frees the lease if it is still ours. Who held it stays readable.
pub fn release(conn: &mut Conn, tenure: &Tenure) -> Sql<()> {
    let scope = &tenure.scope;
    conn.exec_drop(
        "UPDATE artifactory_lease SET holder_id = NULL, expires_at = UTC_TIMESTAMP(6)
         WHERE domain = :domain AND environment = :environment
           AND token = :token AND holder_id = :me",
        params! {
            "domain" => &scope.domain,
            "environment" => &scope.environment,
            "token" => tenure.token,
            "me" => &tenure.holder_id,
        },
    )?;
    Ok(())
}

/// Who holds the lease, or held it last. `None` where nobody ever did.
pub fn info(conn: &mut Conn, scope: &Scope) -> Sql<Option<LeaseInfo>> {
    let row = conn.exec_first_opt(
        "SELECT holder, since, token, holder_id IS NOT NULL AND expires_at >= UTC_TIMESTAMP(6)
         FROM artifactory_lease
         WHERE domain = :domain AND environment = :environment AND token > 0",
        of(scope),
    )?;
    let row = row.transpose()?;
    Ok(row.map(|(holder, since, token, held)| LeaseInfo {
        holder,
        since,
        token,
        held,
    }))
}

fn of(scope: &Scope) -> Params {
    params! { "domain" => &scope.domain, "environment" => &scope.environment }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
