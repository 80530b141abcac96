//! The shape of the code, held: which room may use which, who may write to the terminal, how long
//! a file may grow, and that the README keeps up with the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use coreos_artifactory_monitor::cli::Cli;
use coreos_artifactory_monitor::exit::Exit;

/// The rooms that a room may use, besides itself. Each stands below those that it may use, so that
/// there is no circle. Adapters know neither each other nor who drives them.
const MAY_USE: [(&str, &str); 24] = [
    ("text", ""),
    ("clock", ""),
    ("catch_panic", ""),
    ("hangup", ""),
    ("secret", ""),
    ("threads", ""),
    ("file", "threads"),
    ("error", "text"),
    ("exit", "error"),
    ("mask", "secret text"),
    ("deadline", "clock error"),
    ("model", "text exit"),
    ("cli", "model secret text"),
    ("config", "cli error file mask model secret text"),
    ("http", "config error file mask"),
    ("artifactory", ADAPTER),
    ("target", ADAPTER),
    ("ledger", ADAPTER),
    ("payload", ADAPTER),
    ("output", "config error file model text"),
    ("pass", PASS),
    (
        "serve",
        "clock config error exit hangup ledger mask model output text",
    ),
    ("commands", COMMANDS),
    ("main", "catch_panic cli commands config"),
];
const ADAPTER: &str = "catch_panic clock config deadline error http mask model secret text threads";
const PASS: &str = "artifactory clock config target deadline error exit hangup ledger model output payload \
                    threads";
const COMMANDS: &str = "artifactory cli clock config target deadline error exit http ledger model output pass \
                        serve text";
/// What writes to the terminal.
const WRITES: [&str; 9] = [
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "dbg!",
    "stdout()",
    "stderr()",
    "io::stdout",
    "io::stderr",
];
/// The lines of a file that is no test.
const LONGEST: usize = 420;

/// A file of the program.
struct Source {
    path: PathBuf,
    /// The room it stands in; empty for the root of the library.
    room: String,
    /// Its text without comments and without the tests at its end.
    code: String,
}

#[test]
fn arrows_point_one_way() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.room.is_empty() {
            continue;
        }
        let known = MAY_USE.iter().find(|(room, _)| *room == source.room);
        let Some((_, may)) = known else {
            wrong.push(format!("{}: an unknown room", source.path.display()));
            continue;
        };
        for used in rooms_used(&source.code) {
            if used != source.room && !may.split_whitespace().any(|room| room == used) {
                wrong.push(format!("{} uses {used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rooms_form_no_circle() {
    let mut below: Vec<&str> = Vec::new();
    for (room, may) in MAY_USE {
        assert!(!below.contains(&room), "{room} stands there twice");
        for used in may.split_whitespace() {
            assert!(
                below.contains(&used),
                "{room} may use {used}, which stands below it"
            );
        }
        below.push(room);
    }
}

#[test]
fn nothing_is_allowed_that_nobody_uses() {
    let sources = sources();
    let mut unused = Vec::new();
    // Adapters have one list for all.
    for (room, may) in MAY_USE.iter().filter(|(_, may)| *may != ADAPTER) {
        let of_it = sources.iter().filter(|source| source.room == *room);
        let used: BTreeSet<String> = of_it.flat_map(|source| rooms_used(&source.code)).collect();
        let idle = may.split_whitespace().filter(|room| !used.contains(*room));
        unused.extend(idle.map(|idle| format!("{room} uses no {idle}")));
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn only_output_and_main_write_to_the_terminal() {
    for source in sources() {
        if source.room == "output" || source.room == "main" {
            continue;
        }
        for word in WRITES {
            let path = source.path.display();
            assert!(!source.code.contains(word), "{path}: {word}");
        }
    }
}

#[test]
fn what_peers_say_becomes_text_only_where_secrets_are_masked() {
    for source in sources() {
        if !["http", "artifactory", "target", "ledger"].contains(&source.room.as_str()) {
            continue;
        }
        for word in ["from_utf8_lossy", "printable(", "escaped("] {
            let path = source.path.display();
            assert!(!source.code.contains(word), "{path}: {word}");
        }
    }
}

#[test]
fn files_stay_short() {
    for source in sources() {
        let lines = read(&source.path);
        let lines = product(&lines).lines().count();
        assert!(lines <= LONGEST, "{}: {lines}", source.path.display());
    }
    let main = read(&root().join("src/main.rs"));
    assert!(main.lines().count() < 60);
}

#[test]
fn the_readme_has_every_exit_code_and_no_other() {
    let mut told = BTreeSet::new();
    for row in readme().lines().filter_map(|line| line.strip_prefix('|')) {
        let first = row.split('|').next().unwrap_or_default();
        let codes = first.split([',', ' ', '`']).filter(|word| !word.is_empty());
        let codes: Result<Vec<u8>, _> = codes.map(str::parse).collect();
        told.extend(codes.unwrap_or_default());
    }
    let codes: BTreeSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
    assert_eq!(told, codes);
}

#[test]
fn the_readme_has_every_option_and_command() {
    let readme = readme();
    let words: BTreeSet<&str> = readme
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .map(|word| word.trim_end_matches('-'))
        .collect();
    let command = Cli::command_line();
    let mut missing = Vec::new();
    for command in command.get_subcommands().chain([&command]) {
        let name = command.get_name();
        if !words.contains(name) {
            missing.push(name.to_owned());
        }
        let told = command.get_arguments().filter(|arg| !arg.is_hide_set());
        for long in told.filter_map(clap::Arg::get_long) {
            // The `-file` forms of secrets are told once for all of them.
            let short = long.strip_suffix("-file").unwrap_or(long);
            let told = [long, short].map(|name| words.contains(format!("--{name}").as_str()));
            if told == [false, false] {
                missing.push(format!("{name}: --{long}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(readme.contains("`-file`"));
}

#[test]
fn the_readme_names_no_variable_that_is_not_read() {
    let mut known = BTreeSet::from(["COREOS_DEPLOY_URL", "COREOS_DEPLOY_TOKEN"].map(str::to_owned));
    // Options of one command alone have none.
    let command = Cli::command_line();
    for long in command.get_arguments().filter_map(clap::Arg::get_long) {
        known.insert(format!("CAM_{}", long.to_uppercase().replace('-', "_")));
    }
    let readme = readme();
    let words = readme.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut told: BTreeSet<&str> = words
        .filter(|word| word.starts_with("CAM_") || word.starts_with("COREOS_DEPLOY_"))
        .collect();
    // The prefix alone tells how variables are named.
    assert!(told.remove("CAM_"));
    assert!(told.len() > 5, "{told:?}");
    for word in told {
        assert!(known.contains(word), "{word}");
    }
}

#[test]
fn the_readme_has_the_defaults() {
    let readme = readme();
    let mut compared = 0;
    for arg in options() {
        let default = arg.get_default_values().first();
        let (Some(long), Some(default)) = (arg.get_long(), default) else {
            continue;
        };
        // Flags have a default of no interest: not given.
        if !arg.get_action().takes_values() || arg.get_default_values().len() != 1 {
            continue;
        }
        let row = readme.lines().find_map(|line| option_row(line, long));
        let Some(told) = row else { continue };
        let default = default.to_string_lossy();
        let seconds = |text: &str| {
            let plain = text.parse().map(std::time::Duration::from_secs).ok();
            plain.or_else(|| humantime::parse_duration(text).ok())
        };
        let same = told == default || seconds(told).is_some_and(|t| Some(t) == seconds(&default));
        assert!(same, "--{long}: the README says {told:?}, not {default:?}");
        compared += 1;
    }
    assert!(compared > 12, "{compared}");
}

/// The default that a row of a table of the README gives, where the row is of this option alone.
fn option_row<'a>(line: &'a str, long: &str) -> Option<&'a str> {
    let mut cells = line.strip_prefix('|')?.split('|');
    let names = cells.next()?;
    let default = cells.next()?.trim();
    let of_it = names
        .split(['`', ' '])
        .any(|word| word.strip_prefix("--") == Some(long));
    (of_it && names.matches("--").count() == 1).then_some(default)
}

/// Every option of every command.
fn options() -> Vec<clap::Arg> {
    let command = Cli::command_line();
    let commands = command.get_subcommands().chain([&command]);
    commands
        .flat_map(clap::Command::get_arguments)
        .cloned()
        .collect()
}

#[test]
fn what_is_no_product_code_is_left_out() {
    let text = "use crate::text; // use crate::pass;\nlet x = \"//\"; crate::exit::Exit\n";
    let code = without_comments(text);
    assert_eq!(
        rooms_used(&code),
        ["exit", "text"].map(str::to_owned).into()
    );
    let used = rooms_used("use crate::{error::{Error, Result}, exit::Exit, http};");
    assert_eq!(used, ["error", "exit", "http"].map(str::to_owned).into());
    assert_eq!(product("a\n#[cfg(test)]\nmod tests {\n}\n"), "a\n");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    read(&root().join("README.md"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file of `src` that is no test.
fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    collect(&src, &mut paths);
    let tests = test_files(&paths);
    paths.retain(|path| !tests.iter().any(|test| path.starts_with(test)));
    assert!(paths.len() > 30, "{paths:?}");
    paths
        .into_iter()
        .map(|path| {
            let text = read(&path);
            let inside = path.strip_prefix(&src).expect("it stands in src");
            let room = inside.iter().next().expect("a name").to_string_lossy();
            let room = room.trim_end_matches(".rs").to_owned();
            let room = if room == "lib" { String::new() } else { room };
            let code = without_comments(product(&text));
            Source { path, room, code }
        })
        .collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a folder").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The files and folders of modules that are declared `#[cfg(test)] mod name;`.
fn test_files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
            Some("mod" | "lib" | "main") => path.parent().expect("it stands in src").to_path_buf(),
            _ => path.with_extension(""),
        };
        let text = read(path);
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line != "#[cfg(test)]" {
                continue;
            }
            let module = lines.next().unwrap_or_default();
            let module = module
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub(super) ");
            if let Some(name) = module
                .strip_prefix("mod ")
                .and_then(|m| m.strip_suffix(';'))
            {
                found.push(folder.join(format!("{name}.rs")));
                found.push(folder.join(name));
            }
        }
    }
    found
}

/// A file up to the tests at its end.
fn product(text: &str) -> &str {
    let end = text.match_indices("#[cfg(test)]\nmod ").find(|(at, _)| {
        let line = text[*at..].lines().nth(1).unwrap_or_default();
        line.ends_with('{')
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// Cuts `//` comments off; those that stand in the middle of a string are kept.
fn without_comments(text: &str) -> String {
    let cut = |line: &str| {
        let at = line
            .match_indices("//")
            .map(|(at, _)| at)
            .find(|at| line[..*at].matches('"').count().is_multiple_of(2));
        at.map_or(line, |at| &line[..at]).to_owned() + "\n"
    };
    text.lines().map(cut).collect()
}

/// The rooms that code names: the word after `crate::` or the crate's name, and the first words of
/// a list after it.
fn rooms_used(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for root in ["crate::", "coreos_artifactory_monitor::"] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            let Some(list) = rest.strip_prefix('{') else {
                rooms.extend(word(rest));
                continue;
            };
            let mut depth = 0;
            let mut item = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.extend(word(&std::mem::take(&mut item))),
                    _ if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            rooms.extend(word(&item));
        }
    }
    rooms
}

/// The identifier that a text begins with.
fn word(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let name = &text[..end.unwrap_or(text.len())];
    (!name.is_empty()).then(|| name.to_owned())
}
