//! What nobody else may see, and what everybody should be told.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::server::Server;
use crate::support::Rig;

#[test]
fn no_core_is_dumped_by_a_server_or_its_pass() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let gate = simulator::Gate::default();
    rig.artifactory
        .fault("", simulator::Fault::Gate(gate.clone()), Some(1));
    let mut server = Server::idle(&rig);
    let (_, state) = server.force();
    assert_eq!(state, "started");
    crate::support::until("the pass", || !rig.artifactory.requests().is_empty());
    for pid in [server.pid(), server.child()] {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let core: Vec<&str> = core.unwrap().split_whitespace().collect();
        assert_eq!(core[4..6], ["0", "0"], "{limits}");
    }
    gate.open();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_should_not_be_left_so_is_told_by_a_server_and_to_a_journal() {
    let rig = Rig::new();
    let file = rig.path().join("token");
    fs::write(&file, crate::support::TOKEN).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let line = ["serve", "-H", "127.0.0.1", "-p", "0", "-g", "0"];
    let mut command = rig.std_command(&line);
    command.env_remove("COREOS_DEPLOY_TOKEN");
    command.env("CAM_DEPLOY_TOKEN_FILE", &file);
    let server = Server::of(&rig, &mut command);
    let told = server.lines_with("warning: ");
    assert_eq!(told.len(), 1, "{:#?}", server.log());
    assert!(told[0].contains(&file.display().to_string()), "{told:?}");
    // Of a pass by cron nothing is mailed; a journal is where it belongs.
    for is_journal in [false, true] {
        let stderr = fs::File::create(rig.path().join("stderr")).unwrap();
        let stat = rustix::fs::fstat(&stderr).unwrap();
        let mut command = rig.std_command(&["run"]);
        command.env_remove("COREOS_DEPLOY_TOKEN");
        command.env("CAM_DEPLOY_TOKEN_FILE", &file);
        let inode = if is_journal {
            stat.st_ino
        } else {
            stat.st_ino + 1
        };
        command.env("JOURNAL_STREAM", format!("{}:{inode}", stat.st_dev));
        assert!(command.stderr(stderr).status().unwrap().success());
        let said = fs::read_to_string(rig.path().join("stderr")).unwrap();
        assert_eq!(said.contains("warning: "), is_journal, "{said}");
    }
}
