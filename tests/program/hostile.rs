//! Hostile payloads, input and ledgers: one clear error, nothing sent, nothing left behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress};
use simulator::Payload;
use tar::{EntryType, Header};

use crate::replaced;
use crate::support::{Ran, Rig, app};

const MIB: usize = 1 << 20;

/// An archive under construction, for the payload of an app.
struct Archive {
    folder: String,
    tar: Vec<u8>,
}

impl Archive {
    fn empty(app: &str) -> Self {
        Self {
            folder: format!("example.com-development-{app}-1.0"),
            tar: Vec::new(),
        }
    }

    /// All that a payload must have.
    fn good(app: &str) -> Self {
        let metadata = format!(r#"{{"name":"{app}","version":"1.0","numInstances":1}}"#);
        Self::empty(app)
            .file("a.json", metadata.as_bytes())
            .file("a.service", b"[Service]\nExecStart=/bin/a\n")
    }

    fn file(self, name: &str, data: &[u8]) -> Self {
        let path = format!("{}/{name}", self.folder);
        self.raw(EntryType::Regular, &path, data.len(), data)
    }

    /// A member whose header claims `size`, whatever `data` is.
    fn raw(mut self, kind: EntryType, path: &str, size: usize, data: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(0o644);
        header.set_cksum();
        self.tar.extend(header.as_bytes());
        self.tar.extend(data);
        self.tar.resize(self.tar.len().next_multiple_of(512), 0);
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.tar.extend([0; 1024]);
        self.tar
    }

    fn gz(self) -> Vec<u8> {
        gzip(&self.end())
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// One gzip member of `start` and then 1 GiB of zeros, in about a megabyte.
fn bomb(start: &[u8]) -> Vec<u8> {
    let block = |data: &[u8]| {
        let mut compress = Compress::new(Compression::fast(), false);
        let mut out = Vec::with_capacity(data.len() + 4096);
        // A full flush ends on a byte and refers to nothing before: blocks can be joined.
        compress
            .compress_vec(data, &mut out, FlushCompress::Full)
            .unwrap();
        assert_eq!(compress.total_in(), data.len() as u64);
        out
    };
    let zeros = block(&vec![0; MIB]);
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    out.extend(block(start));
    (0..1024).for_each(|_| out.extend(&zeros));
    // An empty last block; the checksum would be read only after all the zeros.
    out.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out
}

/// Archives that must be refused, each for an app of its own.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let good = Archive::good;
    let link = |app, kind| {
        let path = format!("{}/a.etcd2", good(app).folder);
        good(app).raw(kind, &path, 0, b"").gz()
    };
    let named = |app, path: &str| good(app).raw(EntryType::Regular, path, 1, b"x").gz();
    let many = (0..70).fold(good("many"), |a, n| a.file(&format!("._{n}"), b""));
    let mut cut = good("cut").gz();
    cut.truncate(cut.len() / 2);
    let mut flipped = good("flipped").gz();
    let crc = flipped.len() - 7;
    flipped[crc] ^= 0xff;
    let claim = |app: &str, size| {
        let path = format!("{}/a.etcd2", good(app).folder);
        good(app).raw(EntryType::Regular, &path, size, b"")
    };
    vec![
        ("symlink", link("symlink", EntryType::Symlink)),
        ("hardlink", link("hardlink", EntryType::Link)),
        ("device", link("device", EntryType::Block)),
        ("fifo", link("fifo", EntryType::Fifo)),
        ("sparse", link("sparse", EntryType::GNUSparse)),
        ("dotdot", named("dotdot", "../../../../tmp/evil.etcd2")),
        ("absolute", named("absolute", "/tmp/evil.etcd2")),
        ("beside", named("beside", "evil.etcd2")),
        ("escape", good("escape").file("\u{1b}[2J.etcd2", b"").gz()),
        ("wrongfolder", good("other").gz()),
        ("secondjson", good("secondjson").file("b.json", b"{}").gz()),
        (
            "secondunit",
            good("secondunit").file("b.service", b"x").gz(),
        ),
        ("unknown", good("unknown").file("install.sh", b"x").gz()),
        (
            "nojson",
            Archive::empty("nojson").file("a.service", b"x").gz(),
        ),
        ("empty", Vec::new()),
        ("html", b"<html>not found</html>".to_vec()),
        ("plaintar", good("plaintar").end()),
        ("cut", cut),
        ("flipped", flipped),
        ("members", [good("members").gz(), gzip(b"x")].concat()),
        (
            "trailing",
            [good("trailing").gz(), b"evil".to_vec()].concat(),
        ),
        (
            "aftertar",
            gzip(&[good("aftertar").end(), b"evil".to_vec()].concat()),
        ),
        ("many", many.gz()),
        ("claim", gzip(&claim("claim", 0o77_777_777_777).tar)),
        (
            "bigfile",
            good("bigfile").file("a.etcd2", &vec![b'x'; MIB + 1]).gz(),
        ),
        ("bigin", vec![0x1f; 8 * MIB + 1]),
        ("zeros", bomb(b"")),
        ("zerosbehind", bomb(&good("zerosbehind").end())),
        ("zerosinside", bomb(&claim("zerosinside", 1 << 30).tar)),
        ("nested", {
            let depth = 200_000;
            let text = ["{\"name\":", &"[".repeat(depth)].concat();
            Archive::empty("nested")
                .file("a.json", text.as_bytes())
                .file("a.service", b"x")
                .gz()
        }),
        ("template", {
            let deep = "{{if 1}}".repeat(60_000);
            Archive::empty("template")
                .file(
                    "a.json",
                    br#"{"name":"template","version":"1.0","numInstances":1}"#,
                )
                .file("a.service.tmpl", deep.as_bytes())
                .gz()
        }),
        ("parens", {
            let deep = format!("{{{{{}1}}}}", "(".repeat(100_000));
            Archive::empty("parens")
                .file(
                    "a.json",
                    br#"{"name":"parens","version":"1.0","numInstances":1}"#,
                )
                .file("a.service.tmpl", deep.as_bytes())
                .gz()
        }),
    ]
}

fn publish(rig: &Rig, app: &str, archive: Vec<u8>) {
    rig.artifactory.publish(app, "1.0", archive);
}

/// Every file below a directory, by name.
fn files(below: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![below.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            found.insert(path.display().to_string());
            if path.is_dir() {
                left.push(path);
            }
        }
    }
    found
}

/// Runs the program with all its directories below the rig's, and gives its peak memory in KiB.
fn run(rig: &Rig, arguments: &[&str]) -> (Ran, u64) {
    let tmp = rig.path().join("tmp");
    fs::create_dir_all(&tmp).unwrap();
    let child = rig
        .std_command(arguments)
        .env("TMPDIR", &tmp)
        .current_dir(rig.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        // A process that ended, waited for or not, has no VmHWM any more.
        while let Some(now) = fs::read_to_string(&status)
            .ok()
            .and_then(|s| high_water(&s))
        {
            peak = peak.max(now);
            std::thread::sleep(Duration::from_millis(1));
        }
        peak
    });
    let ran = Ran::wait(child);
    (ran, watch.join().unwrap())
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn every_hostile_archive_alone_is_refused_without_a_trace() {
    let rig = Rig::new();
    rig.publish("good", "1.0");
    assert_eq!(run(&rig, &[]).0.code, Some(0));
    let before = files(rig.path());
    for (name, archive) in hostile() {
        publish(&rig, name, archive);
        rig.forget();
        let (ran, _) = run(&rig, &["--app", name, "--output", "json"]);
        assert_eq!(ran.code, Some(1), "{name}: {ran:#?}");
        let report = ran.json();
        let result = app(&report, name);
        assert_eq!(result["outcome"], "error", "{name}: {result}");
        assert!(result["error"].as_str().unwrap().len() > 20, "{name}");
        assert_eq!(rig.posted(), [""; 0], "{name}");
        assert_eq!(files(rig.path()), before, "{name}");
    }
    assert_eq!(rig.states(), ["good 1.0 succeeded"]);
    assert!(!Path::new("/tmp/evil.etcd2").exists());
    // Looked at again, downloaded no more.
    rig.forget();
    assert_eq!(rig.run(&["--max-deploys", "0"]).code, Some(1));
    assert_eq!(rig.downloads(), 0);
}

#[test]
fn hostile_archives_all_at_once_take_little_memory() {
    let rig = Rig::new();
    let all = hostile();
    let count = all.len();
    for (name, archive) in all {
        publish(&rig, name, archive);
    }
    // Keeps the process in sight after the last archive was read.
    rig.publish("good", "1.0");
    rig.deploy.deploy_takes(Duration::from_secs(1));
    let (ran, peak) = run(&rig, &["--max-deploys", "0", "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let report = ran.json();
    assert_eq!(report["summary"]["failed"], count, "{report:#}");
    assert_eq!(app(&report, "good")["outcome"], "succeeded");
    assert_eq!(rig.posted().len(), 1);
    assert!((1..64 * 1024).contains(&peak), "{peak} KiB");
}

#[test]
fn templates_that_never_end_are_cut_short() {
    let endless = [
        "{{range $i, $e := .Name}}{{range $.Name}}{{end}}{{end}}",
        "{{define \"a\"}}{{template \"a\" .}}{{end}}{{template \"a\" .}}",
        "{{printf \"%1000000000d\" 1}}",
        "{{printf \"%*d\" 1000000000 1}}",
    ];
    let rig = Rig::new();
    for (n, text) in endless.iter().enumerate() {
        let name = format!("t{n}");
        let payload = Payload::sample(&name, "1.0").template(text).build();
        publish(&rig, &name, payload);
    }
    let (ran, peak) = run(&rig, &["--output", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert_eq!(ran.json()["summary"]["failed"], endless.len());
    assert_eq!(rig.posted(), [""; 0]);
    assert!(peak < 64 * 1024, "{peak} KiB");
}

/// Asserts one error, with this exit code and these words.
fn refused(what: &str, ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{what}: {ran:#?}");
    let errors = ran.stderr.lines().filter(|l| l.starts_with("error: "));
    assert_eq!(errors.count(), 1, "{what}: {ran:#?}");
    assert_eq!(ran.stdout, "", "{what}");
    for word in words {
        assert!(ran.stderr.contains(word), "{what}: no {word} in {ran:#?}");
    }
}

#[test]
fn bad_values_are_refused_with_option_and_variable() {
    let rig = Rig::new();
    let cases: &[(&str, &[&str])] = &[
        ("jobs", &["0", "65", "-1", "many", ""]),
        ("listing", &["fast", ""]),
        ("order", &["alphabetical"]),
        ("max-deploys", &["-1", "x"]),
        ("max-attempts", &["0", "-1", "x"]),
        ("retry-after", &["5", "soon", "-5m"]),
        ("deploy-timeout", &["0", "10", "1000d"]),
        ("unknown-hold", &["sometimes"]),
        ("payload-wait", &["x"]),
        ("max-duration", &["0", "1x"]),
        ("lock-wait", &["forever"]),
        ("connect-timeout", &["0", "x"]),
        ("output", &["xml"]),
        ("color", &["mauve"]),
        ("app", &["", "a/b", "a b", "\u{1b}[2J"]),
        ("exclude-app", &["../x"]),
        ("domain", &["", "a/b", "../x", "exa mple"]),
        ("environment", &["", "a/b", "-x"]),
        ("art-deploy-repo", &["", "a/b", "a\"b"]),
        ("art-payload-repo", &["", "deploys", ".."]),
        (
            "art-endpoint",
            &[
                "",
                "artifactory",
                "ftp://a/api",
                "http://",
                "http://[::1/api",
            ],
        ),
        ("deploy-url", &["", "deploy", "ftp://a", "http://:80:80"]),
        ("art-userid", &["", "a:b"]),
        ("ca-file", &["/nonexistent"]),
        ("art-polling", &["x"]),
        ("port", &["70000", "x"]),
    ];
    for (long, values) in cases {
        let variable = format!("CAM_{}", long.to_uppercase().replace('-', "_"));
        for value in *values {
            let option = format!("--{long}={value}");
            let ran = replaced::run(&rig, long, value, &[]);
            refused(&option, &ran, 2, &[&format!("--{long}")]);
            if !["app", "exclude-app"].contains(long) {
                assert!(ran.stderr.contains(&variable), "{option}: {ran:#?}");
            }
        }
    }
    assert!(rig.artifactory.requests().is_empty());
    assert!(rig.deploy.requests().is_empty());
}

#[test]
fn bad_command_lines_are_refused() {
    let rig = Rig::new();
    let cases: &[&[&str]] = &[
        &["--no-such-option"],
        &["no-such-command"],
        &["deploy"],
        &["deploy", "app"],
        &["deploy", "../app", "1.0"],
        &["deploy", "app", "1/0"],
        &["deploy", "app", "1.0", "2.0"],
        &["hold"],
        &["hold", "app", "--for", "x"],
        &["hold", "app", "--newer-than", "/"],
        &["release"],
        &["rollback"],
        &["baseline", "app=", "x"],
        &["baseline", "=1.0"],
        &["history", "--limit", "x"],
        &["scan", "--show-values"],
        &["--app", "no-such-app"],
    ];
    rig.publish("video", "1.0");
    for arguments in cases {
        refused(&format!("{arguments:?}"), &rig.run(arguments), 2, &[]);
    }
    assert_eq!(rig.posted(), [""; 0]);
}

#[test]
fn bad_secrets_are_refused_with_the_place_they_came_from() {
    let rig = Rig::new();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let empty = write("empty", b"");
    let newline = write("newline", b"\n");
    let lines = write("lines", b"one\ntwo\n");
    let binary = write("binary", b"\xff\xfe");
    let large = write("large", &vec![b'x'; 100 * 1024]);
    let good = write("good", b"secret\n");
    let folder = dir.path().display().to_string();
    for long in ["art-password", "deploy-token"] {
        let option = format!("--{long}-file");
        let variable = format!("CAM_{}_FILE", long.to_uppercase().replace('-', "_"));
        for bad in [
            &empty,
            &newline,
            &lines,
            &binary,
            &large,
            &folder,
            "/nonexistent",
        ] {
            let mut by_option = rig.std_command(&[&option, bad]);
            let ran = Ran::of(&by_option.output().unwrap());
            refused(bad, &ran, 2, &[&option]);
            let mut by_variable = rig.std_command(&[]);
            by_variable
                .env_remove(if long == "art-password" {
                    "CAM_ART_PASSWORD"
                } else {
                    "COREOS_DEPLOY_TOKEN"
                })
                .env(&variable, bad);
            let ran = Ran::of(&by_variable.output().unwrap());
            refused(bad, &ran, 2, &[&variable]);
        }
    }
    let both = rig.run(&["--art-password", "secret", "--art-password-file", &good]);
    refused(
        "two forms",
        &both,
        2,
        &["--art-password", "--art-password-file"],
    );
    let ways = rig.run(&["--art-token-file", &good]);
    refused(
        "two ways",
        &ways,
        2,
        &["CAM_ART_PASSWORD", "--art-token-file"],
    );
    for (name, other) in [
        ("CAM_ART_PASSWORD_FILE", &*good),
        ("CAM_DEPLOY_TOKEN", "other"),
    ] {
        let ran = Ran::of(&rig.std_command(&[]).env(name, other).output().unwrap());
        refused(name, &ran, 2, &[name]);
    }
    assert!(rig.artifactory.requests().is_empty());
}

#[test]
fn a_ledger_that_cannot_be_used_is_refused_before_any_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(dir.path().join("text"), "this is no database\n".repeat(500)).unwrap();
    fs::write(
        dir.path().join("magic"),
        b"SQLite format 3\0 and then nothing",
    )
    .unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("elsewhere", dir.path().join("link")).unwrap();

    let (rig, ledger) = Rig::on_sqlite();
    rig.publish("video", "1.0");
    rig.json(&[], 0);
    rig.publish("video", "1.1");
    let mut torn = fs::read(ledger).unwrap();
    let middle = torn.len() / 2;
    torn[512..middle].fill(0xa5);
    fs::write(dir.path().join("torn"), torn).unwrap();
    rig.forget();
    let cases = [
        // Not a ledger at all, or a broken one.
        (path("text"), &[2][..]),
        (path("magic"), &[2, 69]),
        (path("torn"), &[69]),
        (path("folder"), &[2]),
        (path("link"), &[2]),
        (path("text/below/a/file"), &[69]),
        ("/proc/ledger.db".to_owned(), &[69]),
        ("/dev/null".to_owned(), &[2, 69]),
        (":memory:".to_owned(), &[2]),
        (String::new(), &[2]),
        ("mysql://user:pass@host:3306/db?nonsense=1".to_owned(), &[2]),
    ];
    for (file, codes) in cases {
        let dsn = format!("sqlite:{file}");
        let dsn = if file.starts_with("mysql") {
            &file
        } else {
            &dsn
        };
        for command in ["run", "scan", "dry-run", "status", "history"] {
            let ran = replaced::run(&rig, "dsn", dsn, &[command]);
            // What only reads takes a ledger that isn't there for an empty one.
            let absent = command != "run" && ["below", "/proc"].iter().any(|s| file.contains(s));
            if absent && ran.code == Some(0) {
                continue;
            }
            let code = ran.code.unwrap_or(-1);
            assert!(codes.contains(&code), "{command} {dsn}: {ran:#?}");
            refused(dsn, &ran, code, &[]);
        }
    }
    assert_eq!(rig.posted(), [""; 0]);
}

#[test]
fn a_ledger_of_a_newer_program_is_refused_and_left_alone() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    rig.json(&[], 0);
    let columns = rig.ledger.columns("artifactory_migrations");
    let rest = columns[1..].join(", ");
    rig.sql(&format!(
        "INSERT INTO artifactory_migrations ({}, {rest}) SELECT 9999, {rest} FROM artifactory_migrations LIMIT 1",
        columns[0]
    ));
    rig.publish("video", "1.1");
    rig.forget();
    for command in ["run", "scan", "status", "history", "dry-run", "baseline"] {
        let ran = rig.run(&[command]);
        refused(command, &ran, 2, &["newer"]);
    }
    refused("hold", &rig.run(&["hold", "video"]), 2, &["newer"]);
    assert_eq!(rig.posted(), [""; 0]);
    assert!(rig.artifactory.requests().is_empty());
}
