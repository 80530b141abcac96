//! The command of a rig with some of its options replaced: none may be given twice.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::support::{Ran, Rig};

/// The options that a rig gives, long and as it spells them.
const GIVEN: [(&str, &str); 7] = [
    ("domain", "-O"),
    ("environment", "-E"),
    ("art-endpoint", "-a"),
    ("art-deploy-repo", "-t"),
    ("art-payload-repo", "-y"),
    ("deploy-url", "-s"),
    ("dsn", "--dsn"),
];

/// The command of a rig with this option (its long name) at this value instead.
pub fn command(rig: &Rig, long: &str, value: &str, arguments: &[&str]) -> Command {
    let usual = rig.std_command(arguments);
    let mut line: Vec<OsString> = usual.get_args().map(ToOwned::to_owned).collect();
    let given = GIVEN.iter().find(|(name, _)| *name == long);
    if let Some(at) = given.and_then(|(_, option)| line.iter().position(|a| a == option)) {
        line.drain(at..at + 2);
    }
    let mut command = Command::new(usual.get_program());
    let variables = usual.get_envs().filter_map(|(k, v)| Some((k, v?)));
    command
        .env_clear()
        .envs(variables)
        .arg(format!("--{long}={value}"))
        .args(line)
        .stdin(Stdio::null());
    command
}

/// Runs it.
pub fn run(rig: &Rig, long: &str, value: &str, arguments: &[&str]) -> Ran {
    Ran::of(
        &command(rig, long, value, arguments)
            .output()
            .expect("the program starts"),
    )
}
