//! What is installed: the crontab line, the systemd units, the settings' example, the container
//! files, the manual, the completions, and the licences of what is built in.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use coreos_artifactory_monitor::cli::{Cli, NAME};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_coreos-artifactory-monitor");
const UNITS: [&str; 3] = [
    "coreos-artifactory-monitor@.service",
    "coreos-artifactory-monitor@.timer",
    "coreos-artifactory-monitor-serve@.service",
];
/// Licences that let the program be given away under its own, each with its text.
const LICENCES: [&str; 9] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];
/// Libraries that name no licence but carry its text, which is one of [`LICENCES`].
const READ_BY_HAND: [&str; 1] = ["webpki v0.22.4"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, script).expect("a temporary file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a file of ours");
}

/// Every option of every command.
fn options() -> Vec<clap::Arg> {
    let command = Cli::command_line();
    command
        .get_subcommands()
        .chain([&command])
        .flat_map(clap::Command::get_arguments)
        .filter(|arg| arg.get_long().is_some())
        .cloned()
        .collect()
}

/// The long names of the options that are secrets: those with a `-file` form.
fn secrets() -> Vec<String> {
    let longs: BTreeSet<String> = options()
        .iter()
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect();
    let is_secret = |long: &&String| longs.contains(&format!("{long}-file"));
    longs.iter().filter(is_secret).cloned().collect()
}

/// Every variable that the program reads.
fn variables() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = options()
        .iter()
        .filter_map(|arg| arg.get_long())
        .map(|long| format!("CAM_{}", long.to_uppercase().replace('-', "_")))
        .collect();
    names.extend(["COREOS_DEPLOY_URL", "COREOS_DEPLOY_TOKEN"].map(str::to_owned));
    names
}

/// The units as they are installed, but with the program where it is now.
fn units() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for unit in UNITS {
        let text = read(&format!("cron/{unit}"));
        let here = text.replace(
            &format!("ExecStart={NAME}"),
            &format!("ExecStart={PROGRAM}"),
        );
        assert!(here != text || unit.ends_with("timer"), "{unit}");
        fs::write(directory.path().join(unit), here).expect("a temporary file");
    }
    directory
}

fn systemd_analyze(arguments: &[&str], unit: &Path) -> Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .output()
        .expect("systemd-analyze, from the package systemd")
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let directory = units();
    for unit in UNITS {
        let output = systemd_analyze(&["verify", "--man=no"], &directory.path().join(unit));
        assert!(output.status.success(), "{unit}: {output:?}");
        assert_eq!(text(&output.stderr), "", "{unit}");
    }
}

#[test]
fn the_services_are_shut_in() {
    let directory = units();
    for unit in UNITS.iter().filter(|unit| unit.ends_with(".service")) {
        // The threshold is ten times the exposure level.
        let arguments = ["security", "--offline=true", "--threshold=12"];
        let output = systemd_analyze(&arguments, &directory.path().join(unit));
        assert!(output.status.success(), "{unit}: {}", text(&output.stdout));
    }
}

#[test]
fn the_services_get_every_secret_as_a_credential() {
    let secrets = secrets();
    assert_eq!(secrets.len(), 6, "{secrets:?}");
    for unit in UNITS.iter().filter(|unit| unit.ends_with(".service")) {
        let service = read(&format!("cron/{unit}"));
        // A pass alone has no webhook.
        let has_hook = unit.contains("-serve@");
        for secret in secrets.iter().filter(|s| *s != "hook-secret" || has_hook) {
            // A path that is not absolute is one of /etc/credstore, and need not be there.
            let line = format!("\nLoadCredential={secret}:{NAME}.%i.{secret}\n");
            assert!(service.contains(&line), "{unit}: {secret}");
        }
    }
}

/// `--settings` looks where the units do.
#[test]
fn any_command_gets_the_settings_of_the_unit() {
    let service = read("cron/coreos-artifactory-monitor@.service");
    let source = read("src/config/settings.rs");
    for (line, place) in [
        (
            "EnvironmentFile=/etc/coreos-artifactory-monitor/%i.env",
            "const SETTINGS: &str = \"/etc/coreos-artifactory-monitor\";",
        ),
        (
            "StateDirectory=coreos-artifactory-monitor/%i",
            "const STATE: &str = \"/var/lib/coreos-artifactory-monitor\";",
        ),
        (
            "LoadCredential=art-token:coreos-artifactory-monitor.%i.art-token",
            "format!(\"coreos-artifactory-monitor.{settings}\")",
        ),
    ] {
        assert!(service.lines().any(|found| found == line), "{line}");
        assert!(source.contains(place), "{place}");
    }
}

#[test]
fn the_pass_has_time_to_end_by_itself() {
    let service = read("cron/coreos-artifactory-monitor@.service");
    let setting = |name: &str| {
        let line = service.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}")).to_owned()
    };
    let duration = |text: &str| humantime::parse_duration(text).unwrap();
    let longest = default_of("max-duration");
    let start = duration(&setting("TimeoutStartSec="));
    assert!(start > duration(&longest) + Duration::from_secs(20));
    assert!(duration(&setting("TimeoutStopSec=")) > Duration::from_secs(20));
    assert_eq!(setting("SuccessExitStatus="), "75");
}

fn default_of(long: &str) -> String {
    let options = options();
    let arg = options.iter().find(|arg| arg.get_long() == Some(long));
    let arg = arg.unwrap_or_else(|| panic!("--{long}"));
    let values = arg.get_default_values();
    let values: Vec<_> = values.iter().map(|v| v.to_string_lossy()).collect();
    values.join(",")
}

/// The command of the crontab line, as cron hands it to the shell.
fn cron_command() -> (String, String) {
    let crontab = read("cron/coreos-artifactory-monitor.cron");
    let line = crontab.lines().find(|line| line.starts_with("*/5 "));
    let line = line.expect("a line that is started every five minutes");
    let mut words = line.splitn(7, ' ');
    let user = words.nth(5).expect("a user").to_owned();
    let command = words.next().expect("a command");
    assert!(!command.replace("\\%", "").contains('%'), "% is a newline");
    (user, command.replace("\\%", "%"))
}

/// Runs the crontab line with a program that prints both ways and exits with `code`.
fn cron_mails(code: u8, stdout: &str, stderr: &str) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let script = format!(
        "#!/bin/sh\nset -u\n\
         printf %s '{stdout}'\nprintf %s '{stderr}' >&2\n\
         [ \"$CAM_DOMAIN\" = example.com ] || echo no settings\n\
         [ \"$STATE_DIRECTORY\" = '{0}/development' ] || echo no place for the ledger\n\
         [ \"$CREDENTIALS_DIRECTORY\" = '{0}/development.credentials' ] || echo no secrets\n\
         exit {code}\n",
        path.display()
    );
    write_program(&path.join(NAME), &script);
    fs::copy(
        root().join("cron/example.env"),
        path.join("development.env"),
    )
    .expect("the example");
    let output = Command::new("/bin/sh")
        .args(["-c", &cron_command().1])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", path.display()))
        .env("DIR", path)
        .env("STATE", path)
        .output()
        .expect("it can be started");
    text(&[output.stdout, output.stderr].concat())
}

#[test]
fn cron_mails_when_there_is_something_to_say() {
    assert_eq!(cron_mails(0, "", ""), "");
    assert_eq!(cron_mails(0, "deployed\n", ""), "deployed\n");
    assert_eq!(cron_mails(1, "failed\n", "warning\n"), "failed\nwarning\n");
    assert_eq!(cron_mails(69, "", "error\n\\n %s\n"), "error\n\\n %s\n");
    // Another pass runs: no word. The time was over: what was deployed before.
    assert_eq!(cron_mails(75, "", "error: held\n"), "");
    assert_eq!(cron_mails(75, "deployed\n", "error\n"), "deployed\n");
}

#[test]
fn cron_and_the_units_run_as_the_same_user() {
    let user = cron_command().0;
    assert!(read("cron/coreos-artifactory-monitor.sysusers").contains(&format!("\nu {user} ")));
    for unit in UNITS.iter().filter(|unit| unit.ends_with(".service")) {
        assert!(read(&format!("cron/{unit}")).contains(&format!("\nUser={user}\n")));
    }
}

#[test]
fn the_example_settings_are_real_ones() {
    let known = variables();
    for line in read("cron/example.env").lines() {
        let setting = line.strip_prefix('#').unwrap_or(line);
        let Some((name, value)) = setting
            .split_once('=')
            .filter(|_| !setting.starts_with(' '))
        else {
            continue;
        };
        assert!(known.contains(name), "{name}");
        assert!(!value.contains([' ', '"', '\'', '$']), "{line}");
        let long = name.trim_start_matches("CAM_").to_lowercase();
        let default = default_of(&long.replace('_', "-"));
        let same =
            |a: &str, b: &str| match (humantime::parse_duration(a), humantime::parse_duration(b)) {
                (Ok(a), Ok(b)) => a == b,
                _ => a == b || format!("{b}s") == a || humantime_of_seconds(b, a),
            };
        if line.starts_with('#') && !default.is_empty() {
            assert!(same(value, &default), "{line}: the default is {default}");
        }
    }
}

/// Whether a number of seconds is that duration.
fn humantime_of_seconds(seconds: &str, duration: &str) -> bool {
    let seconds = seconds.parse().map(Duration::from_secs).ok();
    seconds.is_some() && seconds == humantime::parse_duration(duration).ok()
}

#[test]
fn the_container_files_name_real_settings() {
    let known = variables();
    for file in ["docker/Dockerfile", "docker/compose.yaml"] {
        let content = read(file);
        let words = content.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("CAM_")) {
            assert!(known.contains(word), "{file}: {word}");
        }
    }
    let dockerfile = read("docker/Dockerfile");
    for secret in secrets() {
        assert!(dockerfile.contains(&secret), "{secret}");
    }
}

#[test]
fn what_the_package_takes_is_there() {
    let manifest = read("Cargo.toml");
    let assets: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.trim().strip_prefix("[\"cron/"))
        .filter_map(|line| line.split('"').next())
        .collect();
    assert!(assets.len() > 5, "{assets:?}");
    for asset in &assets {
        assert!(root().join("cron").join(asset).is_file(), "{asset}");
    }
    for unit in UNITS {
        assert!(assets.contains(&unit), "{unit}");
    }
    // The names of functions that the release profile keeps are kept here too.
    assert!(manifest.contains("strip = \"debuginfo\""));
    assert!(read("cron/deb.sh").contains("--no-strip"));
}

/// Runs the program as a package's build would: with no environment at all.
fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .output()
        .expect("it can be started")
}

#[test]
fn the_manual_has_a_page_a_command() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pages: PathBuf = directory.path().join("share/man1");
    let output = run(&["man", "--directory", pages.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    for command in Cli::command_line().get_subcommands() {
        let page = pages.join(format!("{NAME}-{}.1", command.get_name()));
        assert!(page.is_file(), "{}", page.display());
    }
    let main = fs::read(pages.join(format!("{NAME}.1"))).unwrap();
    assert_eq!(run(&["man"]).stdout, main);
    let refused = run(&["man", "--directory", "/dev/null/x"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_shell_takes_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(text(&output.stdout).contains("art-endpoint"), "{shell}");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = directory.path().join("completions");
    fs::write(&script, run(&["completions", "bash"]).stdout).unwrap();
    let asked = format!(
        ". {}; COMP_WORDS=({NAME} scan --exit); COMP_CWORD=2; \
         set -- $(complete -p {NAME}); while [ \"$1\" != -F ]; do shift; done; \
         $2 {NAME} --exit scan; echo \"${{COMPREPLY[*]}}\"",
        script.display()
    );
    let output = Command::new("bash").args(["-c", &asked]).output().unwrap();
    assert_eq!(text(&output.stdout).trim(), "--exit-code", "{output:?}");
    assert_eq!(run(&["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn every_library_has_a_licence_that_is_allowed() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges=normal,build"])
        .args(["--prefix=none", "--no-dedupe", "--format={p}|{l}"])
        .current_dir(root())
        .output()
        .expect("it can be started");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tree = text(&output.stdout);
    assert!(tree.lines().count() > 100);
    for line in tree.lines() {
        let (library, licence) = line.split_once('|').unwrap();
        let by_hand = READ_BY_HAND.iter().any(|known| library.starts_with(known));
        assert!(by_hand || is_allowed(licence), "{library}: \"{licence}\"");
    }
}

/// Whether one of the choices that a licence expression (SPDX) leaves is allowed.
fn is_allowed(expression: &str) -> bool {
    let old = expression.replace('/', " OR ");
    // "(A OR B) AND C" is the only nesting there is: every part of an AND has a choice.
    old.split(" AND ").all(|part| {
        let part = part.trim_matches(['(', ')']);
        part.split(" OR ")
            .any(|name| LICENCES.contains(&name.trim()))
    })
}

#[test]
fn licence_expressions_are_read() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 AND ISC",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-2.0"] {
        assert!(!is_allowed(bad), "{bad}");
    }
}

#[test]
fn no_script_leaves_the_package_half_configured() {
    let root_folder = TempDir::new().expect("a temporary folder");
    let bin = root_folder.path().join("bin");
    for folder in ["bin", "run/systemd/system", "etc", "var/lib"] {
        fs::create_dir_all(root_folder.path().join(folder)).expect("a temporary folder");
    }
    let log = root_folder.path().join("log");
    for (script, argument, all) in [
        (
            "postinst",
            "configure",
            &["sysusers", "install", "daemon-reload", "try-restart"][..],
        ),
        ("prerm", "remove", &["stop"]),
        ("prerm", "upgrade", &[]),
        ("postrm", "purge", &["rm", "daemon-reload"]),
        ("postrm", "remove", &["daemon-reload"]),
    ] {
        for fails in [false, true] {
            let _ = fs::remove_file(&log);
            for name in ["systemctl", "systemd-sysusers", "install", "useradd", "rm"] {
                let code = i32::from(fails);
                let log = log.display();
                let stub = format!("#!/bin/sh\necho {name} \"$@\" >> {log}\nexit {code}\n");
                write_program(&bin.join(name), &stub);
            }
            let ran = Command::new("/bin/sh")
                .arg(root().join("cron/debian").join(script))
                .arg(argument)
                .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
                .env("DPKG_ROOT", root_folder.path())
                .output()
                .expect("a shell");
            let said = text(&ran.stderr);
            assert_eq!(ran.status.code(), Some(0), "{script} {argument}: {said}");
            assert_eq!(
                !said.is_empty(),
                fails && !all.is_empty(),
                "{script}: {said}"
            );
            // What comes after a failure is done all the same.
            let done = fs::read_to_string(&log).unwrap_or_default();
            for step in all {
                assert!(done.contains(step), "{script} {argument}: {step}: {done}");
            }
        }
    }
}
