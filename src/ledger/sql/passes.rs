//! The table of finished passes.
//!
//! Most apps of most passes are up to date. The column `report` leaves them out: it is read by the
//! release before this one, and by people. Where it lacks something, the whole document stands in
//! `report_zlib`, some 20 times smaller than it is. Where that is more than a server takes, less is
//! kept: that a pass ended is worth more than what it had to tell.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::de::DeserializeOwned;

use super::database::{Begin, Database, Failure, Sql, Transaction, all, first, json};
use super::value::{Row, Unreadable, values};
use crate::ledger::original::milliseconds;
use crate::ledger::{PassRecord, PassRow, Snapshot};
use crate::model::name::Scope;
use crate::model::report::{Action, Report};

/// How many passes of a scope are kept.
const PASSES_KEPT: u32 = 200;
/// How many reports are looked at for one that can be read.
const REPORTS_TRIED: u32 = 20;
/// The largest report that is read: one of 400,000 apps is below it.
const MAX_REPORT: u64 = 64 << 20;

/// What a snapshot has of the passes.
pub fn read(db: &mut dyn Database, scope: &Scope, to: &mut Snapshot) -> Sql<()> {
    let (domain, environment) = (&scope.domain, &scope.environment);
    to.busy_since = busy_since(db, scope)?;
    to.last_run = last_run(db, scope)?;
    let noted = first(
        db,
        "SELECT bad_payloads, unaccounted, forgiven FROM artifactory_passes
         WHERE domain = ? AND environment = ? ORDER BY seq DESC LIMIT 1",
        &values![domain, environment],
        |row| Ok([row.get()?, row.get()?, row.get()?]),
    )?;
    let [bad, unaccounted, forgiven]: [Option<Vec<u8>>; 3] = noted.unwrap_or_default();
    to.bad_payloads = notes(bad);
    to.unaccounted = notes(unaccounted);
    to.forgive(&notes(forgiven));
    Ok(())
}

/// What a pass has noted for the next one. Notes that another release wrote and this one can't read
/// are as good as none: what they stand for is found out again.
fn notes<T: DeserializeOwned>(text: Option<Vec<u8>>) -> BTreeMap<String, T> {
    let read = text.and_then(|text| serde_json::from_slice(&text).ok());
    read.unwrap_or_default()
}

/// Since when every pass has found coreos-deploy busy: every pass hands that on, since the first one
/// of them may be kept no longer. An earlier release did not: there the passes that are kept tell.
fn busy_since(db: &mut dyn Database, scope: &Scope) -> Sql<Option<i64>> {
    let (domain, environment) = (&scope.domain, &scope.environment);
    let handed_on: Option<Option<i64>> = first(
        db,
        "SELECT busy_since FROM artifactory_passes WHERE domain = ? AND environment = ?
         ORDER BY seq DESC LIMIT 1",
        &values![domain, environment],
        Row::get,
    )?;
    if let Some(since) = handed_on.flatten() {
        return Ok(Some(since));
    }
    first(
        db,
        "SELECT started_at FROM artifactory_passes
         WHERE domain = ? AND environment = ? AND busy = 1 AND seq > COALESCE((
             SELECT MAX(seq) FROM artifactory_passes
             WHERE domain = ? AND environment = ? AND busy = 0), 0)
         ORDER BY seq LIMIT 1",
        &values![domain, environment, domain, environment],
        Row::get,
    )
}

/// The report of the last `run` that got to its plan: another one has nothing that the next pass
/// could be compared with. A document that another release wrote and this one can't read is as
/// good as none: it is a convenience, nothing is decided by it. Asked for one by one: the first one
/// will nearly always do, and they are large.
pub fn last_run(db: &mut dyn Database, scope: &Scope) -> Sql<Option<Report>> {
    for skipped in 0..REPORTS_TRIED {
        let text = first(
            db,
            "SELECT report, report_zlib FROM artifactory_passes
             WHERE domain = ? AND environment = ? AND command = 'run'
             ORDER BY seq DESC LIMIT 1 OFFSET ?",
            &values![&scope.domain, &scope.environment, skipped],
            |row| Ok(document(row).unwrap_or_default()),
        )?;
        let Some(text) = text else { break };
        let report: Option<Report> = serde_json::from_slice(&text).ok();
        let report = report.filter(|r| r.error.is_none() || !r.apps.is_empty());
        if report.is_some() {
            return Ok(report);
        }
    }
    Ok(None)
}

/// Reads `report, report_zlib`: the whole document.
fn document(row: &mut Row) -> Result<Vec<u8>, Unreadable> {
    let (text, whole): (Vec<u8>, Option<Vec<u8>>) = (row.get()?, row.get()?);
    let whole = whole.map(|bytes| inflate(&bytes)).transpose();
    let whole = whole.map_err(|e| format!("a report cannot be decompressed: {e}"))?;
    Ok(whole.unwrap_or(text))
}

/// How much of a pass is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All, and as text what there is to tell.
    #[default]
    Usual,
    /// All, but as text no app.
    Compressed,
    /// What there is to tell, and as text no app.
    Told,
    /// That it ended, and how.
    End,
}

/// Less and less of a pass, until it is taken. A limit on size shows as an error of its own, or as a
/// connection that is lost each time; once may be chance.
#[derive(Debug, Default)]
pub struct Shortening {
    extent: Extent,
    losses: u32,
}

impl Shortening {
    /// What is to be tried.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Goes on after a failure, with less where size may be the reason.
    pub fn after(&mut self, failure: Failure) -> Failure {
        self.losses += u32::from(matches!(failure, Failure::Lost(_)));
        let is_size = matches!(failure, Failure::Refused(_)) || self.losses > 1;
        let less = match self.extent {
            _ if !is_size => None,
            Extent::Usual => Some(Extent::Compressed),
            Extent::Compressed => Some(Extent::Told),
            Extent::Told => Some(Extent::End),
            Extent::End => None,
        };
        let Some(less) = less else {
            return failure.awaited();
        };
        (self.extent, self.losses) = (less, 0);
        match failure {
            Failure::Refused(error) => Failure::Conflict(error),
            other => other.awaited(),
        }
    }
}

/// Keeps so much of a pass, and of the scope's passes the last [`PASSES_KEPT`].
pub fn finish(db: &mut dyn Database, scope: &Scope, pass: &PassRecord, extent: Extent) -> Sql<()> {
    let (domain, environment) = (&scope.domain, &scope.environment);
    let report = &pass.report;
    let (text, whole) = columns(db, report, extent)?;
    let [bad_payloads, unaccounted, forgiven] = match extent {
        Extent::End => ["{}"; 3].map(str::to_owned),
        _ => [
            json(db, &pass.bad_payloads)?,
            json(db, &pass.unaccounted)?,
            json(db, &pass.forgiven)?,
        ],
    };
    let mut tx = Transaction::begin(db, Begin::Write)?;
    let kept = first(
        &mut *tx,
        "SELECT 1 FROM artifactory_passes
         WHERE domain = ? AND environment = ? AND pass = ? LIMIT 1",
        &values![domain, environment, &report.pass],
        |_| Ok(()),
    )?;
    if kept.is_some() {
        return Ok(());
    }
    let started_at = milliseconds(&report.started_at);
    let busy_since = match pass.busy {
        Some(false) => None,
        Some(true) => busy_since(&mut *tx, scope)?.or(Some(started_at)),
        None => busy_since(&mut *tx, scope)?,
    };
    tx.execute(
        "INSERT INTO artifactory_passes (domain, environment, command, started_at, finished_at,
             exit_code, busy, busy_since, report, report_zlib, bad_payloads, unaccounted,
             forgiven, pass)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &values![
            domain,
            environment,
            &report.command,
            started_at,
            milliseconds(&report.finished_at),
            report.exit_code,
            pass.busy,
            busy_since,
            text,
            whole,
            bad_payloads,
            unaccounted,
            forgiven,
            &report.pass,
        ],
    )?;
    let last_gone: Option<i64> = first(
        &mut *tx,
        "SELECT seq FROM artifactory_passes WHERE domain = ? AND environment = ?
         ORDER BY seq DESC LIMIT 1 OFFSET ?",
        &values![domain, environment, PASSES_KEPT],
        Row::get,
    )?;
    if let Some(seq) = last_gone {
        tx.execute(
            "DELETE FROM artifactory_passes WHERE domain = ? AND environment = ? AND seq <= ?",
            &values![domain, environment, seq],
        )?;
    }
    tx.commit()
}

/// The columns `report` and `report_zlib`.
fn columns(db: &dyn Database, report: &Report, extent: Extent) -> Sql<(String, Option<Vec<u8>>)> {
    let compressed = |report: &Report| {
        let bytes = deflate(json(db, report)?.as_bytes());
        bytes.map(Some).map_err(|e| db.broken(&e.to_string()))
    };
    let mut told = report.clone();
    told.apps.retain(|a| a.action != Action::UpToDate);
    let mut end = report.clone();
    end.apps.clear();
    Ok(match extent {
        Extent::Usual if told.apps.len() == report.apps.len() => (json(db, report)?, None),
        Extent::Usual => (json(db, &told)?, compressed(report)?),
        Extent::Compressed => (json(db, &end)?, compressed(report)?),
        Extent::Told => (json(db, &end)?, compressed(&told)?),
        Extent::End => (json(db, &end)?, None),
    })
}

fn deflate(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn inflate(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    let read = ZlibDecoder::new(bytes)
        .take(MAX_REPORT + 1)
        .read_to_end(&mut whole)?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_REPORT) {
        Ok(whole)
    } else {
        Err(io::Error::other("it is too large"))
    }
}

/// The passes that are kept, newest first.
pub fn passes(db: &mut dyn Database, scope: &Scope, limit: u32) -> Sql<Vec<PassRow>> {
    all(
        db,
        "SELECT pass, command, started_at, finished_at, exit_code FROM artifactory_passes
         WHERE domain = ? AND environment = ? ORDER BY seq DESC LIMIT ?",
        &values![&scope.domain, &scope.environment, limit],
        |row| {
            Ok(PassRow {
                pass: row.get()?,
                command: row.get()?,
                started_at: row.get()?,
                finished_at: row.get()?,
                exit_code: row.get()?,
            })
        },
    )
}

/// The report of one pass.
pub fn report(db: &mut dyn Database, scope: &Scope, pass: &str) -> Sql<Option<String>> {
    first(
        db,
        "SELECT report, report_zlib FROM artifactory_passes
         WHERE domain = ? AND environment = ? AND pass = ?",
        &values![&scope.domain, &scope.environment, pass],
        |row| String::from_utf8(document(row)?).map_err(|e| format!("a report is no text: {e}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_kept_only_where_size_may_be_the_reason() {
        let error = || crate::error::Error::unavailable("it fails");
        let fail = |how: &str| match how {
            "refused" => Failure::Refused(error()),
            "lost" => Failure::Lost(error()),
            "passing" => Failure::Passing(error()),
            _ => Failure::Conflict(error()),
        };
        for (failures, extent) in [
            ("lost", Extent::Usual),
            ("passing passing conflict conflict", Extent::Usual),
            ("lost passing lost", Extent::Compressed),
            ("lost lost lost", Extent::Compressed),
            ("refused", Extent::Compressed),
            ("refused lost lost", Extent::Told),
            ("refused refused refused", Extent::End),
            ("lost lost lost lost lost lost lost lost", Extent::End),
        ] {
            let mut kept = Shortening::default();
            for how in failures.split(' ') {
                let next = kept.after(fail(how));
                let is_tried = matches!(next, Failure::Lost(_) | Failure::Conflict(_));
                assert!(is_tried, "{failures}: {next:?}");
            }
            assert_eq!(kept.extent(), extent, "{failures}");
        }
        let mut kept = Shortening {
            extent: Extent::End,
            losses: 0,
        };
        assert!(matches!(kept.after(fail("refused")), Failure::Refused(_)));
    }

    #[test]
    fn what_is_too_large_or_damaged_is_not_decompressed() {
        let text = "{\"app\":\"video\"}".repeat(999);
        let mut bytes = deflate(text.as_bytes()).unwrap();
        assert!(bytes.len() * 20 < text.len(), "{}", bytes.len());
        assert_eq!(inflate(&bytes).unwrap(), text.as_bytes());
        bytes.truncate(bytes.len() - 3);
        assert!(inflate(&bytes).is_err(), "cut");
        let zeros = vec![0; usize::try_from(MAX_REPORT).unwrap() + 1];
        assert!(inflate(&deflate(&zeros).unwrap()).is_err(), "too large");
        assert!(inflate(&deflate(&zeros[1..]).unwrap()).is_ok());
    }
}
