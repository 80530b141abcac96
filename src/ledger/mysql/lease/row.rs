//! The statements on the row of the lease. Each is one transaction by itself. None touches
//! `open_attempt`: that slot outlives its lease.

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Params, params};

use crate::clock::{Clock, System};
use crate::ledger::mysql::session::{Fault, Sql};
use crate::ledger::{Fence, LeaseInfo, holder};
use crate::model::name::Scope;

/// The row, as far as taking the lease goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Fencing token of the last acquisition.
    pub token: i64,
    /// +1 at every renewal.
    pub beat: i64,
    /// The acquisition that holds the lease.
    pub holder_id: Option<String>,
    /// The process of the holder; empty where it didn't know itself.
    pub process: String,
    /// By which the holder renews.
    pub ttl: Duration,
    /// Whether it ended, by the server's clock.
    pub is_expired: bool,
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

/// Reads the row, which is made where there is none.
pub fn read(conn: &mut Conn, scope: &Scope) -> Sql<Row> {
    if let Some(row) = find(conn, scope)? {
        return Ok(row);
    }
    // `INSERT IGNORE` would cut a name that is too long.
    conn.exec_drop(
        "INSERT INTO artifactory_lease
             (domain, environment, token, holder, process, since, beat, ttl_ms, expires_at)
         VALUES (:domain, :environment, 0, '', '', 0, 0, 0, UTC_TIMESTAMP(6))
         ON DUPLICATE KEY UPDATE token = token",
        of(scope),
    )?;
    let missing = || Fault::Data(format!("the lease of {scope} was made and is not there"));
    find(conn, scope)?.ok_or_else(missing)
}

fn find(conn: &mut Conn, scope: &Scope) -> Sql<Option<Row>> {
    let row = conn.exec_first_opt(
        "SELECT token, beat, holder_id, process, ttl_ms, expires_at < UTC_TIMESTAMP(6)
         FROM artifactory_lease WHERE domain = :domain AND environment = :environment",
        of(scope),
    )?;
    Ok(row.transpose()?.map(
        |(token, beat, holder_id, process, ttl_ms, is_expired): (_, _, _, _, i64, _)| Row {
            token,
            beat,
            holder_id,
            process,
            ttl: Duration::from_millis(u64::try_from(ttl_ms).unwrap_or(0)),
            is_expired,
        },
    ))
}

/// Takes the lease if the row is still as it was read. The token is the one of the answer itself:
/// another read could be of another server.
pub fn claim(conn: &mut Conn, scope: &Scope, who: &Claimant, row: &Row) -> Sql<Option<i64>> {
    conn.exec_drop(
        "UPDATE artifactory_lease
         SET token = LAST_INSERT_ID(token + 1), holder_id = :me, holder = :holder,
             process = :process, since = :since, beat = beat + 1, ttl_ms = :ttl_ms,
             expires_at = UTC_TIMESTAMP(6) + INTERVAL :ttl_ms * 1000 MICROSECOND
         WHERE domain = :domain AND environment = :environment
           AND token = :token AND beat = :beat AND holder_id <=> :seen",
        params! {
            "me" => &who.id,
            "holder" => holder::describe(),
            "process" => &who.process,
            "since" => System.now_ms(),
            "ttl_ms" => u64::try_from(who.ttl.as_millis()).unwrap_or(u64::MAX),
            "domain" => &scope.domain,
            "environment" => &scope.environment,
            "token" => row.token,
            "beat" => row.beat,
            "seen" => &row.holder_id,
        },
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
pub fn renew(conn: &mut Conn, scope: &Scope, fence: &Fence) -> Sql<bool> {
    conn.exec_drop(
        "UPDATE artifactory_lease
         SET beat = beat + 1, expires_at = UTC_TIMESTAMP(6) + INTERVAL ttl_ms * 1000 MICROSECOND
         WHERE domain = :domain AND environment = :environment
           AND token = :token AND holder_id = :holder",
        of_holder(scope, fence),
    )?;
    Ok(conn.affected_rows() == 1)
}

/// Frees the lease if it is still ours. Who held it stays readable.
pub fn release(conn: &mut Conn, scope: &Scope, fence: &Fence) -> Sql<()> {
    conn.exec_drop(
        "UPDATE artifactory_lease SET holder_id = NULL, expires_at = UTC_TIMESTAMP(6)
         WHERE domain = :domain AND environment = :environment
           AND token = :token AND holder_id = :holder",
        of_holder(scope, fence),
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
    Ok(row
        .transpose()?
        .map(|(holder, since, token, held)| LeaseInfo {
            holder,
            since,
            token,
            held,
        }))
}

fn of(scope: &Scope) -> Params {
    params! { "domain" => &scope.domain, "environment" => &scope.environment }
}

fn of_holder(scope: &Scope, fence: &Fence) -> Params {
    params! {
        "domain" => &scope.domain,
        "environment" => &scope.environment,
        "token" => fence.token,
        "holder" => &fence.holder,
    }
}
