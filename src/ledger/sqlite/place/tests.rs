use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use super::super::{SqliteLedger, open};
use super::*;
use crate::error::Kind;
use crate::ledger::contract;
use crate::ledger::{Intended, Lease, Ledger};
use crate::model::attempt::{Move, State};
use crate::model::plan::Hold;
use crate::model::version::Order;

/// A folder with a ledger in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        open(&place.file(), Access::Write).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("ledger.db")
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = self.0.path().read_dir().unwrap();
        let name = |e: io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
        entries.map(name).collect()
    }

    /// The apps that are held, as a reader sees it.
    fn held(&self) -> Vec<String> {
        let mut ledger = open(&self.file(), Access::ReadOnly).unwrap();
        let snapshot = ledger.snapshot(&contract::scope()).unwrap();
        snapshot.holds.into_keys().collect()
    }
}

fn put_hold(ledger: &mut SqliteLedger, app: &str) -> Result<Hold> {
    let hold = Hold {
        reason: "why".to_owned(),
        until: None,
        newer_than: None,
        placed_by: "me".to_owned(),
        placed_at: 1,
    };
    ledger.hold(&contract::scope(), app, &hold, Order::Natural)
}

#[test]
fn a_file_with_another_name_is_read_and_not_written() {
    let place = Place::new();
    let other = place.path("other");
    fs::hard_link(place.file(), &other).unwrap();
    for path in [&place.file(), &other] {
        let error = open(path, Access::Write).err().unwrap();
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.one_line().contains("2 names"), "{error:?}");
        assert!(error.hint.unwrap().contains("VACUUM INTO"));
        assert!(open(path, Access::ReadOnly).is_ok());
    }
    assert_eq!(place.names().len(), 2, "no lock, no log");
    fs::remove_file(&other).unwrap();
    assert!(open(&place.file(), Access::Write).is_ok());
}

#[test]
fn what_everybody_may_replace_is_read_and_not_written() {
    let place = Place::new();
    let permit = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode));
    for (file, folder, is_fine) in [
        (0o600, 0o777, false),
        (0o600, 0o1777, true),
        (0o606, 0o700, false),
        (0o660, 0o770, true),
        (0o644, 0o755, true),
    ] {
        permit(&place.file(), file).unwrap();
        permit(place.0.path(), folder).unwrap();
        let opened = open(&place.file(), Access::Write).err().map(|e| e.kind);
        let expected = (!is_fine).then_some(Kind::Usage);
        assert_eq!(opened, expected, "{file:o} {folder:o}");
        assert!(open(&place.file(), Access::ReadOnly).is_ok());
    }
}

/// What each effect says, under this lease.
fn effects(ledger: &mut SqliteLedger, lease: &dyn Lease) -> Vec<(&'static str, Option<Error>)> {
    let scope = contract::scope();
    let baseline = contract::attempt("b", "y", "1", State::Baseline);
    let step = Move {
        to: State::Submitted,
        deploy_id: None,
        message: String::new(),
        accounted: BTreeSet::new(),
    };
    let intent = contract::intent("a", "x", "1");
    vec![
        ("intend", ledger.intend(&scope, &intent, lease).err()),
        (
            "advance",
            ledger
                .advance("a", State::Submitting, &step, true, lease.fence())
                .err(),
        ),
        (
            "record",
            ledger.record(&scope, &baseline, None, lease.fence()).err(),
        ),
        ("hold", put_hold(ledger, "x").err()),
        ("token", ledger.add_token("ci", "sha256:00").err()),
        (
            "acquire",
            ledger.acquire(&contract::scope(), Duration::ZERO).err(),
        ),
    ]
}

#[test]
fn nothing_goes_into_a_file_that_the_path_no_longer_leads_to() {
    let removed: fn(&Place) = |place| fs::remove_file(place.file()).unwrap();
    let renamed: fn(&Place) = |place| fs::rename(place.file(), place.path("moved")).unwrap();
    let replaced: fn(&Place) = |place| {
        fs::copy(place.file(), place.path("copy")).unwrap();
        fs::rename(place.path("copy"), place.file()).unwrap();
    };
    for (what, befall) in [
        ("removed", removed),
        ("renamed", renamed),
        ("replaced", replaced),
    ] {
        let place = Place::new();
        let mut ledger = open(&place.file(), Access::Write).unwrap();
        let lease = ledger.acquire(&contract::scope(), Duration::ZERO).unwrap();
        befall(&place);
        for (effect, error) in effects(&mut ledger, &*lease.unwrap()) {
            let error = error.unwrap_or_else(|| panic!("{what}: {effect} was done"));
            assert_eq!(error.kind, Kind::Unavailable, "{what}: {effect}");
            assert!(error.message.contains("removed or replaced"), "{error:?}");
        }
    }
}

#[test]
fn a_file_that_is_put_back_is_written_again() {
    let place = Place::new();
    let mut ledger = open(&place.file(), Access::Write).unwrap();
    fs::rename(place.file(), place.path("moved")).unwrap();
    assert!(put_hold(&mut ledger, "x").is_err());
    fs::rename(place.path("moved"), place.file()).unwrap();
    assert!(put_hold(&mut ledger, "x").is_ok());
    drop(ledger);
    assert_eq!(place.held(), ["x"]);
}

#[test]
fn an_intent_in_a_file_that_goes_away_meanwhile_is_none() {
    let place = Place::new();
    let mut ledger = open(&place.file(), Access::Write).unwrap();
    let gone = place.file();
    let done = super::super::Engine::with(&mut ledger.engine, |_| {
        fs::remove_file(gone).unwrap();
        Ok(Intended::Committed)
    });
    assert_eq!(Error::from(done.unwrap_err()).kind, Kind::Unavailable);
}

#[test]
fn who_reads_leaves_nothing_and_sees_all() {
    let place = Place::new();
    let before = place.names();
    assert!(place.held().is_empty());
    assert_eq!(place.names(), before, "nobody writes");

    let mut writer = open(&place.file(), Access::Write).unwrap();
    put_hold(&mut writer, "x").unwrap();
    let before = place.names();
    assert_eq!(place.held(), ["x"], "while somebody writes");
    assert_eq!(place.names(), before);

    // What a process leaves that was killed.
    let killed = Place(tempfile::tempdir().unwrap());
    for name in before {
        fs::copy(place.path(&name), killed.path(&name)).unwrap();
    }
    let before = killed.names();
    assert_eq!(killed.held(), ["x"]);
    assert_eq!(killed.names(), before);
    drop(writer);
    assert_eq!(place.held(), ["x"]);

    fs::remove_file(killed.path("ledger.db-shm")).unwrap();
    let error = open(&killed.file(), Access::ReadOnly).err().unwrap();
    assert!(
        error.hint.as_ref().unwrap().contains("migrate"),
        "{error:?}"
    );
    assert!(!killed.names().contains("ledger.db-shm"));
    open(&killed.file(), Access::Write).unwrap();
    assert_eq!(killed.held(), ["x"], "it was put in order");
}

#[test]
fn who_reads_while_others_come_and_go_sees_whole_states() {
    let place = Place::new();
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            for number in 0..30 {
                let mut ledger = open(&place.file(), Access::Write).unwrap();
                put_hold(&mut ledger, &format!("a{number}")).unwrap();
                put_hold(&mut ledger, &format!("b{number}")).unwrap();
            }
        });
        let mut reader = open(&place.file(), Access::ReadOnly).unwrap();
        let mut seen = 0;
        while !writer.is_finished() {
            for holds in [
                reader.snapshot(&contract::scope()).unwrap().holds.len(),
                place.held().len(),
            ] {
                assert!(holds >= seen, "{holds} after {seen}");
                seen = holds;
            }
        }
    });
    assert_eq!(place.held().len(), 60);
}

#[test]
fn a_path_may_hold_what_a_uri_may_not() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a b", "50%25", "q?mode=rw", "#1", "ü", "x&y=z"] {
        let file = directory.path().join(name).join("l.db");
        put_hold(&mut open(&file, Access::Write).unwrap(), "x").unwrap();
        let mut ledger = open(&file, Access::ReadOnly).unwrap();
        let snapshot = ledger.snapshot(&contract::scope()).unwrap();
        assert_eq!(snapshot.holds.len(), 1, "{name}");
    }
}

/// Only root can be tried here; the others are in `judgement`, and with the program.
#[test]
fn what_root_makes_takes_the_owner_of_what_is_there() {
    const SERVICE: u32 = 998;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    chown(directory.path(), Some(SERVICE), Some(SERVICE)).unwrap();
    let file = directory.path().join("made/../made/new/ledger.db");
    let mut ledger = open(&file, Access::Write).unwrap();
    let lease = ledger.acquire(&contract::scope(), Duration::ZERO).unwrap();
    let folder = directory.path().join("made/new");
    let mut owners: Vec<(PathBuf, u32)> = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let entry = entry.unwrap();
        owners.push((entry.path(), entry.metadata().unwrap().uid()));
    }
    owners.push((folder.clone(), folder.metadata().unwrap().uid()));
    assert_eq!(
        owners.len(),
        5,
        "database, log, its index, lock: {owners:?}"
    );
    let strange = |(_, owner): &&(PathBuf, u32)| *owner != SERVICE;
    assert_eq!(owners.iter().find(strange), None, "{owners:?}");

    // A lock that an earlier release left to root alone.
    drop(lease);
    let is_lock = |path: &&PathBuf| path.extension().is_some_and(|e| e == "lock");
    let lock = owners.iter().map(|(path, _)| path).find(is_lock).unwrap();
    chown(lock, Some(0), Some(0)).unwrap();
    assert!(
        ledger
            .acquire(&contract::scope(), Duration::ZERO)
            .unwrap()
            .is_some()
    );
    assert_eq!(lock.metadata().unwrap().uid(), SERVICE);
}

#[test]
fn a_lock_that_a_stranger_made_is_refused() {
    const STRANGER: u32 = 1001;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.0.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let mut ledger = open(&place.file(), Access::Write).unwrap();
    drop(ledger.acquire(&contract::scope(), Duration::ZERO).unwrap());
    let names = place.names();
    let lock = names.iter().find(|name| name.contains(".qa.lock")).unwrap();
    chown(place.path(lock), Some(STRANGER), None).unwrap();
    let error = ledger
        .acquire(&contract::scope(), Duration::ZERO)
        .err()
        .unwrap();
    assert!(error.one_line().contains("another user"), "{error:?}");
}
