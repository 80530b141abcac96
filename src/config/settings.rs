//! `--settings`: the variables of a file in place of those of the environment.
//!
//! The same file is read by systemd, by the shell of a cron line and by containers, which differ in
//! what quotes, `$` and backslashes mean: what is not the same to all of them is refused.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::{Cli, SECRETS, variable};
use crate::error::{Error, Result};
use crate::file;
use crate::text::printable;

/// Where the settings of this machine are, by name.
const SETTINGS: &str = "/etc/coreos-artifactory-monitor";
/// Where the ledgers of this machine are, by name.
const STATE: &str = "/var/lib/coreos-artifactory-monitor";
/// Where systemd has the secrets of units; only root may read there.
const CREDENTIALS: &str = "/etc/credstore";
/// The most bytes of a file of settings.
const LIMIT: usize = 1 << 20;
/// What every variable of ours begins with.
const OURS: [&str; 2] = ["CAM_", "COREOS_DEPLOY_"];

/// Set to the number of the process of which this is the environment.
const DONE: &str = "COREOS_ARTIFACTORY_MONITOR_PROCESS";

/// Where the parts of one installation are.
struct Places {
    file: PathBuf,
    credentials: PathBuf,
    state: Option<PathBuf>,
    /// What names of secrets begin with in [`CREDENTIALS`].
    unit: Option<String>,
}

impl Places {
    /// Of a name, or of a file where there is a slash in it.
    fn of(settings: &str) -> Result<Self> {
        if settings.contains('/') {
            let file = PathBuf::from(settings);
            return Ok(Self {
                credentials: file.with_extension("credentials"),
                file,
                state: None,
                unit: None,
            });
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if settings.is_empty() || settings.contains("..") || !settings.chars().all(is_name) {
            let what = format!("--settings cannot be \"{}\"", printable(settings));
            let hint = "the name of a file in /etc/coreos-artifactory-monitor without .env, or a path with a slash";
            return Err(Error::usage(what).hint(hint));
        }
        let folder = Path::new(SETTINGS);
        Ok(Self {
            file: folder.join(format!("{settings}.env")),
            credentials: folder.join(format!("{settings}.credentials")),
            state: Some(Path::new(STATE).join(settings)),
            unit: Some(format!("coreos-artifactory-monitor.{settings}")),
        })
    }
}

/// The environment that settings make of the one that there is.
///
/// Errors: exit 2 for a name that can't be one, a file that can't be read or has a line that not all
/// of its readers take alike, and a variable of ours that is set to something else.
pub fn environment(
    settings: &str,
    present: impl Iterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<OsString, OsString>> {
    let places = Places::of(settings)?;
    let what = format!("--settings: {}", places.file.display());
    let content = file::read(&places.file, LIMIT)
        .map_err(|e| Error::usage(format!("{what} cannot be read")).because_of(&e))?;
    let text = String::from_utf8(content.bytes)
        .map_err(|_| Error::usage(format!("{what} is not UTF-8")))?;
    let read = parse(&text).map_err(|(line, why)| {
        let hint = "NAME=VALUE, the value in '...' where it has blanks or other signs: systemd, a shell and containers read it too";
        Error::usage(format!("{what}, line {line}: {why}")).hint(hint)
    })?;
    let mut made: BTreeMap<OsString, OsString> = present.collect();
    differs(&made, &read).map_or(Ok(()), |name| {
        let error = Error::usage(format!("{name} is set, and --settings says something else"));
        Err(error.hint("unset it: the settings replace the environment"))
    })?;
    let read = read
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    made.extend(read);
    if let Some(state) = &places.state {
        made.insert("STATE_DIRECTORY".into(), state.into());
    }
    if places.credentials.is_dir() {
        made.insert("CREDENTIALS_DIRECTORY".into(), places.credentials.into());
    } else if let Some(unit) = &places.unit {
        for secret in SECRETS {
            let path = Path::new(CREDENTIALS).join(format!("{unit}.{secret}"));
            let names = [variable(secret), format!("{}_FILE", variable(secret))];
            let is_set = names.iter().any(|name| made.contains_key(OsStr::new(name)));
            if !is_set && path.exists() {
                made.insert(names[1].as_str().into(), path.into());
            }
        }
    }
    Ok(made)
}

/// Makes the environment of this process what `--settings` says, where it was given: the program starts
/// itself anew, in the same process.
///
/// Errors: those of [`environment`]; 69 where it can't be started.
pub fn apply(cli: &Cli) -> Result<()> {
    let Some(settings) = &cli.global.scope.settings else {
        return Ok(());
    };
    let me = OsString::from(std::process::id().to_string());
    if std::env::var_os(DONE).is_some_and(|done| done == me) {
        return Ok(());
    }
    let mut made = environment(settings, std::env::vars_os())?;
    made.insert(DONE.into(), me);
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let what = "the program cannot start itself with the variables of --settings";
    let program = std::env::current_exe().map_err(|e| Error::unavailable(what).because_of(&e))?;
    let mut anew = Command::new(program);
    anew.arg0(name).args(arguments).env_clear().envs(made);
    Err(Error::unavailable(what).because_of(&anew.exec()))
}

/// A variable of ours that is set to something else than what was read.
fn differs(
    present: &BTreeMap<OsString, OsString>,
    read: &BTreeMap<String, String>,
) -> Option<String> {
    let ours = present.iter().filter_map(|(name, value)| {
        let name = name.to_str()?;
        let is_ours = OURS.iter().any(|prefix| name.starts_with(prefix));
        (is_ours && !value.is_empty()).then_some((name, value))
    });
    let mut other = ours.filter(|(name, value)| {
        let said = read.get(*name).map(OsStr::new);
        said != Some(value.as_os_str())
    });
    other.next().map(|(name, _)| printable(name))
}

/// The variables of a file, or the number of a line and what is wrong with it.
fn parse(text: &str) -> std::result::Result<BTreeMap<String, String>, (usize, &'static str)> {
    let mut read = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = assignment(line).map_err(|why| (number, why))?;
        if read.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err((number, "the variable is set for the second time"));
        }
    }
    Ok(read)
}

fn assignment(line: &str) -> std::result::Result<(&str, &str), &'static str> {
    let (name, value) = line.split_once('=').ok_or("it is no NAME=VALUE")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|c: char| c.is_numeric()) {
        return Err("before the = is no name of a variable");
    }
    if let Some(inner) = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')) {
        let is_plain = !inner.contains(['\'', '\\']);
        return is_plain
            .then_some((name, inner))
            .ok_or("its quotes or backslashes are not plain");
    }
    if let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        let is_plain = !inner.contains(['"', '\\', '$', '`']);
        return is_plain
            .then_some((name, inner))
            .ok_or("it has signs that a shell reads");
    }
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "'\"\\$`;&|<>()#~".contains(c);
    if value.contains(is_odd) {
        return Err("it has signs that a shell reads, and no quotes");
    }
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_readers_take_alike_is_taken() {
        let text = "# a comment\n\nCAM_DOMAIN=example.com\nCAM_APP=video-*,user-api\n  A_1='b c $d'\nE=\nF=\"g h\"\n";
        let read = parse(text).unwrap();
        let expected = [
            ("A_1", "b c $d"),
            ("CAM_APP", "video-*,user-api"),
            ("CAM_DOMAIN", "example.com"),
            ("E", ""),
            ("F", "g h"),
        ];
        let read: Vec<(&str, &str)> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, expected);
        parse(include_str!("../../cron/example.env")).unwrap();
        for (line, odd) in [
            "export A=b",
            "A",
            "=b",
            "1A=b",
            "A=b c",
            "A=$B",
            "A=\"$B\"",
            "A=`b`",
            "A=b\\",
            "A='b",
            "A='b'c",
            "A=b;c",
            "A=b #c",
            "A=~/b",
            "A='it''s'",
        ]
        .iter()
        .enumerate()
        {
            let text = format!("{}{odd}\n", "#\n".repeat(line));
            assert_eq!(parse(&text).unwrap_err().0, line + 1, "{odd}");
        }
        assert_eq!(parse("A=b\nA=b\n").unwrap_err().0, 2);
    }

    #[test]
    fn the_environment_is_replaced_and_never_mixed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("qa.env");
        std::fs::write(&file, "CAM_DOMAIN=example.com\nNO_COLOR=1\n").unwrap();
        let path = file.to_str().unwrap();
        let with = |present: &[(&str, &str)]| {
            let present = present.iter().map(|(n, v)| ((*n).into(), (*v).into()));
            environment(path, present.collect::<Vec<_>>().into_iter())
        };
        let made = with(&[
            ("PATH", "/bin"),
            ("CAM_DOMAIN", "example.com"),
            ("CAM_DSN", ""),
        ])
        .unwrap();
        assert_eq!(made[OsStr::new("NO_COLOR")], "1");
        assert_eq!(made[OsStr::new("PATH")], "/bin");
        for (name, value) in [
            ("CAM_DOMAIN", "other"),
            ("CAM_DSN", "x"),
            ("COREOS_DEPLOY_URL", "x"),
        ] {
            let error = with(&[(name, value)]).unwrap_err();
            assert!(error.message.contains(name), "{error:?}");
        }
        assert!(!made.contains_key(OsStr::new("CREDENTIALS_DIRECTORY")));
        std::fs::create_dir(directory.path().join("qa.credentials")).unwrap();
        assert!(
            with(&[])
                .unwrap()
                .contains_key(OsStr::new("CREDENTIALS_DIRECTORY"))
        );
        for name in ["", "..", "a b", "a\u{1b}", "/nowhere/x.env"] {
            assert!(environment(name, std::iter::empty()).is_err(), "{name}");
        }
    }
}
