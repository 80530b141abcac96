//! The files of an `SQLite` ledger: whose they are, who else could put others in their place, and what
//! becomes of a pass that loses them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use simulator::{Fault, Gate};

use crate::support::{PASSWORD, Ran, Rig, TOKEN, USER, until};

/// A rig with one release, and its ledger.
fn rig() -> (Rig, PathBuf) {
    let (rig, file) = Rig::on_sqlite();
    rig.publish("video", "1.0.0");
    (rig, file)
}

#[test]
fn a_ledger_with_two_names_is_refused_under_both() {
    let (rig, file) = rig();
    assert_eq!(rig.run(&["hold", "video"]).code, Some(0));
    fs::hard_link(&file, rig.path().join("backup.db")).expect("a link");
    for arguments in [
        &["run"][..],
        &["hold", "video"],
        &["release", "video"],
        &["token", "add", "ci"],
        &["migrate"],
    ] {
        let ran = rig.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:#?}");
        assert!(ran.stderr.contains("VACUUM INTO"), "{ran:#?}");
    }
    let status = rig.run(&["status"]);
    assert_eq!(status.code, Some(0), "{status:#?}");
    assert!(rig.posted().is_empty());
}

/// A pass whose ledger goes away before it sends anything.
fn loses(befall: impl Fn(&Path)) -> (Rig, Ran) {
    let (rig, file) = rig();
    let gate = Gate::default();
    rig.artifactory
        .fault("/payloads/video/", Fault::Gate(gate.clone()), Some(1));
    let pass = rig.spawn(&["run"]);
    until("it downloads", || {
        let requests = rig.artifactory.requests();
        requests.iter().any(|r| r.path.contains("/payloads/video/"))
    });
    befall(&file);
    gate.open();
    let ran = Ran::wait(pass);
    (rig, ran)
}

#[test]
fn a_pass_whose_ledger_is_removed_or_replaced_sends_nothing_and_says_so() {
    let removed: fn(&Path) = |file| fs::remove_file(file).expect("it is there");
    let renamed: fn(&Path) = |file| {
        fs::rename(file, file.with_extension("old")).expect("it is there");
    };
    let restored: fn(&Path) = |file| {
        let copy = file.with_extension("copy");
        fs::copy(file, &copy).expect("it can be copied");
        fs::rename(copy, file).expect("it is there");
    };
    for (what, befall) in [
        ("removed", removed),
        ("renamed", renamed),
        ("restored", restored),
    ] {
        let (rig, ran) = loses(befall);
        assert_eq!(ran.code, Some(69), "{what}: {ran:#?}");
        assert!(
            ran.stderr.contains("removed or replaced"),
            "{what}: {ran:#?}"
        );
        assert!(rig.posted().is_empty(), "{what}: {ran:#?}");
    }
}

#[test]
fn an_outcome_that_goes_nowhere_is_not_told_as_success() {
    let (rig, file) = rig();
    let gate = Gate::default();
    rig.deploy
        .fault("/v1.0/status/", Fault::Gate(gate.clone()), Some(1));
    let pass = rig.spawn(&["run"]);
    until("it is asked for", || {
        let requests = rig.deploy.requests();
        requests.iter().any(|r| r.path.contains("/status/"))
    });
    let away = file.with_extension("away");
    fs::rename(&file, &away).expect("it is there");
    gate.open();
    let ran = Ran::wait(pass);
    assert_eq!(ran.code, Some(4), "{ran:#?}");
    let id = &rig.deploy.deploys()[0].id;
    assert!(ran.stderr.contains(id.as_str()), "{id}: {ran:#?}");
    assert!(ran.stderr.contains("removed or replaced"), "{ran:#?}");
    fs::rename(&away, &file).expect("nobody made another");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0"]);
    assert_eq!(rig.states(), ["video 1.0.0 succeeded"]);
}

#[test]
fn a_folder_that_is_gone_holds_nothing_and_that_is_said() {
    let (rig, _) = rig();
    for arguments in ["hold video --new", "token add ci", "migrate", "run"] {
        let mut command = std::process::Command::new("sh");
        let program = env!("CARGO_BIN_EXE_coreos-artifactory-monitor");
        let usual = rig.std_command(&[]);
        let variables = usual.get_envs().filter_map(|(k, v)| Some((k, v?)));
        let script = "mkdir gone && cd gone && rmdir ../gone && \
            exec \"$0\" --dsn l.db -O example.com -E qa \"$@\"";
        command
            .args(["-c", script, program])
            .args(["-a", "http://127.0.0.1:9/api", "-s", "http://127.0.0.1:9"])
            .args(["-t", "deploys", "-y", "payloads"])
            .args(arguments.split(' '))
            .env_clear()
            .envs(variables)
            .current_dir(rig.path())
            .stdin(Stdio::null());
        let ran = Ran::of(&command.output().expect("a shell"));
        assert_eq!(ran.code, Some(69), "{arguments}: {ran:#?}");
    }
}

/// A user, and the group that they are in.
#[derive(Clone, Copy, Debug)]
struct User(u32, u32);

const ROOT: User = User(0, 0);

/// Runs the program as another user; only root can.
fn by(rig: &Rig, User(user, group): User, arguments: &[&str]) -> Ran {
    let mut command = rig.std_command(arguments);
    command.uid(user).gid(group);
    Ran::of(&command.output().expect("the program starts"))
}

/// A rig whose ledger is in a folder of this owner and mode; `None` where we are not root.
fn in_folder(User(user, group): User, mode: u32) -> Option<(Rig, PathBuf)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let (rig, file) = rig();
    chown(rig.path(), Some(user), Some(group)).expect("root may");
    fs::set_permissions(rig.path(), Permissions::from_mode(mode)).expect("root may");
    Some((rig, file))
}

/// The files beside the ledger, and those of it, with their owners.
fn owners(rig: &Rig) -> Vec<(String, u32)> {
    let entries = rig.path().read_dir().expect("root may");
    let owner = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("it is there");
        let owner = entry.metadata().expect("it is there").uid();
        (entry.file_name().to_string_lossy().into_owned(), owner)
    };
    let mut owners: Vec<_> = entries.map(owner).collect();
    owners.sort();
    owners
}

#[test]
fn ledgers_work_in_the_folders_that_containers_and_services_give() {
    for (what, folder, mode, user) in [
        ("a state directory", User(998, 998), 0o700, User(998, 998)),
        (
            "a named volume",
            User(65532, 65532),
            0o755,
            User(65532, 65532),
        ),
        ("the image's /state", ROOT, 0o1777, User(65532, 65532)),
        ("the same, any user", ROOT, 0o1777, User(4711, 0)),
        ("a bind mount, as root", User(1000, 1000), 0o755, ROOT),
        (
            "any user of group 0",
            User(1001, 0),
            0o775,
            User(100_620, 0),
        ),
        ("fsGroup", User(0, 2000), 0o2775, User(1000, 2000)),
        (
            "fsGroup, closed to others",
            User(0, 2000),
            0o2770,
            User(1000, 2000),
        ),
    ] {
        let Some((rig, _)) = in_folder(folder, mode) else {
            return;
        };
        for _ in 0..2 {
            let ran = by(&rig, user, &["run"]);
            assert_eq!(ran.code, Some(0), "{what}: {ran:#?}");
        }
        assert_eq!(rig.posted(), ["1.0.0"], "{what}");
        let before = owners(&rig);
        let status = by(&rig, user, &["status"]);
        assert_eq!(status.code, Some(0), "{what}: {status:#?}");
        assert_eq!(owners(&rig), before, "{what}");
    }
}

#[test]
fn what_root_did_once_is_in_nobodys_way() {
    let service = User(998, 998);
    let Some((rig, _)) = in_folder(service, 0o700) else {
        return;
    };
    for user in [ROOT, service, ROOT, service] {
        let ran = by(&rig, user, &["run"]);
        assert_eq!(ran.code, Some(0), "{user:?}: {ran:#?}");
        let strange = owners(&rig).into_iter().find(|(_, owner)| *owner != 998);
        assert_eq!(strange, None, "{user:?}");
        rig.publish("video", "1.0.1");
    }
    assert_eq!(rig.posted(), ["1.0.0", "1.0.1"]);
}

#[test]
fn a_group_member_who_looks_is_in_nobodys_way() {
    let (service, member) = (User(998, 2000), User(1000, 2000));
    let Some((rig, file)) = in_folder(service, 0o770) else {
        return;
    };
    assert_eq!(by(&rig, service, &["run"]).code, Some(0));
    fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("root may");
    let before = owners(&rig);
    for arguments in [&["status"][..], &["history"], &["scan"]] {
        let ran = by(&rig, member, arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:#?}");
        assert!(ran.stdout.contains("1.0.0"), "{ran:#?}");
        assert_eq!(owners(&rig), before, "{arguments:?}");
    }
    rig.publish("video", "1.0.1");
    let ran = by(&rig, service, &["run"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}

#[test]
fn a_ledger_in_a_folder_that_cannot_be_written_is_read() {
    let (service, other) = (User(998, 998), User(1000, 1000));
    let Some((rig, file)) = in_folder(service, 0o755) else {
        return;
    };
    assert_eq!(by(&rig, service, &["run"]).code, Some(0));
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("root may");
    let status = by(&rig, other, &["status"]);
    assert_eq!(status.code, Some(0), "{status:#?}");
    assert!(status.stdout.contains("1.0.0"), "{status:#?}");
}

#[test]
fn what_a_stranger_may_have_put_there_is_no_ledger_for_root() {
    let stranger = User(1001, 1001);
    for (what, folder, mode, maker) in [
        ("a file in a folder for all", ROOT, 0o1777, stranger),
        ("a folder for all", ROOT, 0o777, ROOT),
    ] {
        let Some((rig, file)) = in_folder(folder, 0o1777) else {
            return;
        };
        assert_eq!(by(&rig, maker, &["token", "add", "mine"]).code, Some(0));
        fs::set_permissions(rig.path(), Permissions::from_mode(mode)).expect("root may");
        for arguments in [&["run"][..], &["hold", "video"], &["migrate"]] {
            let ran = by(&rig, ROOT, arguments);
            assert_eq!(ran.code, Some(2), "{what}: {arguments:?}: {ran:#?}");
        }
        assert!(rig.posted().is_empty(), "{what}: {}", file.display());
    }
}

/// One option gives what systemd, cron and containers read: settings, secrets; and nothing is mixed.
#[test]
fn settings_replace_the_environment() {
    let (rig, ledger) = Rig::on_sqlite();
    rig.publish("video", "1.0.0");
    let settings = rig.path().join("development.env");
    let secrets = rig.path().join("development.credentials");
    let given = format!(
        "# of a test\nCAM_DOMAIN=example.com\nCAM_ART_ENDPOINT={}/api\nCAM_ART_DEPLOY_REPO=deploys\n\
         CAM_ART_PAYLOAD_REPO='payloads'\nCAM_ART_USERID=\"{USER}\"\nCAM_DEPLOY_URL={}\n\
         CAM_DSN=sqlite:{}\n",
        rig.artifactory.url(),
        rig.deploy.url(),
        ledger.display()
    );
    std::fs::write(&settings, given).unwrap();
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("art-password"), PASSWORD).unwrap();
    std::fs::write(secrets.join("deploy-token"), TOKEN).unwrap();
    let path = settings.to_str().unwrap();
    let program = env!("CARGO_BIN_EXE_coreos-artifactory-monitor");
    let run = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = std::process::Command::new(program);
        command.env_clear().envs(variables.iter().copied());
        Ran::of(&command.args(arguments).output().unwrap())
    };
    let ran = run(&[], &["--settings", path]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted(), ["1.0.0"]);
    // The command line goes before it, on either side of the command.
    let ran = run(&[], &["status", "--settings", path, "--environment", "qa"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(!ran.stdout.contains("video"), "{ran:#?}");
    let same = [("CAM_DOMAIN", "example.com"), ("CAM_DSN", "")];
    assert_eq!(run(&same, &["status", "--settings", path]).code, Some(0));
    let other = [("CAM_ENVIRONMENT", "qa")];
    let ran = run(&other, &["run", "--settings", path]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("CAM_ENVIRONMENT"), "{ran:#?}");
    for name in ["../x", "/nowhere/x.env", "no such", "nothing-of-that-name"] {
        let ran = run(&[], &["run", "--settings", name]);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert!(ran.stderr.contains("--settings"), "{ran:#?}");
    }
    std::fs::write(&settings, "CAM_DOMAIN=$(hostname)\n").unwrap();
    let ran = run(&[], &["run", "--settings", path]);
    assert!(ran.stderr.contains("line 1"), "{ran:#?}");
}
