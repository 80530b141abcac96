//! Payloads as a whole: the hostile corpus, the valid variants, and anything.

mod corpus;
mod hostile;
mod hostile_form;
mod template;
mod unit;

use proptest::prelude::*;
use tar::EntryType;

use self::corpus::{FOLDER, METADATA, Tar, UNIT, gzip};
use self::hostile::all;
use super::{Opened, open};
use crate::error::{Kind, Result};
use crate::model::name::Scope;

fn opened(archive: &[u8]) -> Result<Opened> {
    let scope = Scope {
        domain: "example.com".into(),
        environment: "development".into(),
    };
    open(archive, &scope, "video-mobile", "1.0")
}

#[test]
fn hostile_archives_are_refused_with_the_reason() {
    let corpus = all();
    assert!(corpus.len() >= 100, "{}", corpus.len());
    for hostile in corpus {
        match opened(&hostile.archive) {
            Ok(_) => panic!("{}: opened", hostile.what),
            Err(error) => {
                assert!(
                    error.message.contains(hostile.words),
                    "{}: {error}",
                    hostile.what
                );
                assert_eq!(error.kind, Kind::Failed, "{}", hostile.what);
            }
        }
    }
}

#[test]
fn what_is_asked_of_coreos_deploy() {
    let archive = Tar::good()
        .file("keys.etcd2", "/a/key1 something11\n/a/key3 some thing 33\n")
        .file("README.md", b"\xff not read")
        .gz();
    let payload = opened(&archive).unwrap();
    assert_eq!(
        serde_json::to_string(&payload.request).unwrap(),
        r#"{"serviceName":"example-video-mobile","version":"1.0","numInstances":2,"serviceTemplate":"[Service]\nExecStart=/bin/run example-video-mobile 1.0\n","etcd2Keys":{"/a/key1":"something11","/a/key3":"some thing 33"}}"#
    );
    // printf '[Service]\nExecStart=/bin/run example-video-mobile 1.0\n' | sha256sum
    assert_eq!(payload.template_sha256, SHA256);
    assert_eq!(payload.image_version, "1.0");
}

const SHA256: &str = "d3cd47e9d17c6233a06b71a10b2cb79e664007c573e5f7365d4d4713e9fa500b";

fn good_without_folder() -> Tar {
    Tar::default()
        .file("m.json", METADATA)
        .file("a@.service", UNIT)
}

/// What macOS and GNU tar make of the same files.
fn valid() -> Vec<(&'static str, Vec<u8>)> {
    let dotted = |name: &str| format!("./{FOLDER}/{name}");
    let long = format!("{FOLDER}/{}.etcd2", "l".repeat(100));
    let foreign = [
        ("LIBARCHIVE.creationtime", "1443026461"),
        ("SCHILY.xattr.user.x", "\u{1}=\n2"),
    ];
    let file = EntryType::Regular;
    let mut padded = Tar::good().end();
    padded.0.extend([0; 9 * 1024 + 7]);
    vec![
        ("plain", Tar::good().gz()),
        ("no folder entry", good_without_folder().gz()),
        ("leading ./", {
            Tar::default()
                .entry(EntryType::Directory, "./", b"")
                .entry(EntryType::Directory, &dotted(""), b"")
                .entry(file, &dotted("m.json"), METADATA.as_bytes())
                .entry(file, &dotted("a@.service"), UNIT.as_bytes())
                .gz()
        }),
        ("AppleDouble and .DS_Store", {
            Tar::default()
                .entry(file, &format!("./._{FOLDER}"), b"\0\x05\x16\x07")
                .entry(file, &format!("{FOLDER}/._m.json"), b"\0\x05\x16\x07")
                .entry(file, &format!("{FOLDER}/.DS_Store"), b"Bud1")
                .file("m.json", METADATA)
                .file("a@.service", UNIT)
                .gz()
        }),
        ("foreign PAX keys", {
            Tar::default()
                .pax(
                    EntryType::XGlobalHeader,
                    &[("comment", "0123"), ("mtime", "1")],
                )
                .pax(EntryType::XHeader, &foreign)
                .file("m.json", METADATA)
                .pax(
                    EntryType::XHeader,
                    &[("size", &UNIT.len().to_string()), ("mtime", "1.5")],
                )
                .file("a@.service", UNIT)
                .gz()
        }),
        ("PAX path", {
            let tar = good_without_folder().pax(EntryType::XHeader, &[("path", &long)]);
            tar.file("short", "/a b").gz()
        }),
        ("GNU long name", {
            let name = format!("{long}\0");
            let tar = good_without_folder().entry(
                EntryType::GNULongName,
                "././@LongLink",
                name.as_bytes(),
            );
            tar.file("short", "/a b").gz()
        }),
        ("zero padding", gzip(&padded.0)),
        (
            "64 entries",
            (0..61)
                .fold(Tar::good(), |tar, n| tar.file(&format!("._{n}"), ""))
                .gz(),
        ),
        (
            "a whole MiB",
            Tar::good().file("README.md", vec![b'x'; 1 << 20]).gz(),
        ),
        ("a line of 3000 bytes", {
            let unit = format!("[Service]\nExecStart=/{}", "x".repeat(3000));
            Tar::default()
                .file("m.json", METADATA)
                .file("a.service", unit)
                .gz()
        }),
        ("a unit of 65,535 bytes", {
            let mut unit = "[Service]\nExecStart=/x\n##".to_owned();
            unit.extend(["\n#"; 32755]);
            assert_eq!(unit.len(), 65_535);
            Tar::default()
                .file("m.json", METADATA)
                .file("a.service", unit)
                .gz()
        }),
    ]
}

#[test]
fn valid_variants_are_opened() {
    for (what, archive) in valid() {
        let payload = opened(&archive).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(
            payload.request.service_name, "example-video-mobile",
            "{what}"
        );
    }
}

#[test]
fn the_length_of_keys_is_that_of_go() {
    // json.Marshal(map[string]string{"/a": "<&>\"\\\t\u0001é\u2028"}) of Go 1.19 is 47 bytes long.
    let keys = [("/a".to_owned(), "<&>\"\\\t\u{1}é\u{2028}".to_owned())];
    assert_eq!(super::etcd2::go_json_length(&keys.into()), 47);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(opened(&bytes).is_err());
        prop_assert!(opened(&gzip(&bytes)).is_err());
    }

    #[test]
    fn a_mutated_archive_is_an_answer(changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
        let mut tar = Tar::good().file("k.etcd2", "/a b").end().0;
        for (at, byte) in &changes {
            let at = usize::from(*at) % tar.len();
            tar[at] = *byte;
        }
        if let Ok(payload) = opened(&gzip(&tar)) {
            prop_assert_eq!(payload.request.version, "1.0");
        }
        let mut archive = Tar::good().gz();
        for (at, byte) in changes {
            let at = usize::from(at) % archive.len();
            archive[at] ^= byte;
        }
        if let Ok(payload) = opened(&archive) {
            // Only the header of gzip (time, system) is under no checksum.
            prop_assert_eq!(payload, opened(&Tar::good().gz()).unwrap());
        }
    }

    #[test]
    fn a_cut_archive_is_refused(share in 0.0..1.0f64) {
        let archive = Tar::good().gz();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a small number")]
        let length = (archive.len() as f64 * share) as usize;
        prop_assert!(opened(&archive[..length]).is_err());
    }
}
