//! The options of a command line as variables: how `serve` hands its own to the passes it starts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::{LISTS, RuleArgs, variable};

/// Options that are no pass's: those of the server, and the format that `serve` reads.
const NOT_OF_A_PASS: [&str; 12] = [
    "settings",
    "name",
    "hostname",
    "art-polling",
    "port",
    "profiler-port",
    "procs",
    "trusted-proxy",
    "hook-secret",
    "hook-secret-file",
    "hook-auth",
    "output",
];

/// The options that another program's variable sets too, where ours does not.
const FOREIGN: [(&str, &str); 2] = [
    ("deploy-url", "COREOS_DEPLOY_URL"),
    ("deploy-token", "COREOS_DEPLOY_TOKEN"),
];

/// The variable of another program that sets this option too.
pub fn foreign_variable(long: &str) -> Option<&'static str> {
    let of_it = FOREIGN.iter().find(|(option, _)| *option == long);
    of_it.map(|(_, foreign)| *foreign)
}

/// The variables that make a pass mean what a command line means. `Debug` shows no value: some are
/// secrets.
#[derive(Clone, Default)]
pub struct Variables {
    /// Name and value of each option that was typed.
    given: Vec<(String, OsString)>,
    /// The variable of every option of a pass.
    known: Vec<String>,
}

impl Variables {
    /// Takes them from what clap found; lists come merged from both sides of the command.
    pub(super) fn of(command: &clap::Command, matches: &ArgMatches, rules: &RuleArgs) -> Self {
        let mut this = Self::default();
        for arg in command.get_arguments() {
            let (id, Some(long)) = (arg.get_id().as_str(), arg.get_long()) else {
                continue;
            };
            if NOT_OF_A_PASS.contains(&long) {
                continue;
            }
            let name = variable(long);
            this.known.push(name.clone());
            // Values of `value_source` for ids that clap made itself (help) would be a defect.
            let listed = LISTS.contains(&id);
            if !listed && matches.value_source(id) == Some(ValueSource::CommandLine) {
                let values: Vec<&OsStr> = matches.get_raw(id).into_iter().flatten().collect();
                this.given.push((name, values.join(OsStr::new(","))));
            }
        }
        for (long, list) in [("app", &rules.app), ("exclude-app", &rules.exclude_app)] {
            if !list.is_empty() {
                this.given.push((variable(long), list.join(",").into()));
            }
        }
        this
    }

    /// What a pass is to find in its environment: the options that were typed, and of `environment`
    /// the variables of the others. What was typed replaces the variable, its `_FILE` form and
    /// another program's variable, which count less than an option.
    pub fn for_a_pass(
        &self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Vec<(OsString, OsString)> {
        let mut all: Vec<(OsString, OsString)> = environment
            .into_iter()
            .filter(|(name, _)| name.to_str().is_some_and(|name| self.is_wanted(name)))
            .collect();
        let given = self.given.iter();
        all.extend(given.map(|(name, value)| (name.into(), value.clone())));
        all
    }

    fn is_wanted(&self, name: &str) -> bool {
        let foreign = FOREIGN.iter().find(|(_, foreign)| *foreign == name);
        let ours = foreign.map_or_else(|| name.to_owned(), |(long, _)| variable(long));
        let secret = ours.strip_suffix("_FILE").unwrap_or(&ours);
        self.known.contains(&ours)
            && !self.given.iter().any(|(given, _)| {
                *given == ours || given == secret || given.strip_suffix("_FILE") == Some(secret)
            })
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.given.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// The options of a command alone, such as `--force`, and whether each is one of the command that
/// was given. They belong to one call, so no variable sets them: one that is left over would change
/// calls that nobody thinks of.
pub(super) fn of_one_call(command: &clap::Command, given: Option<&str>) -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    for sub in command.get_subcommands() {
        let own = sub
            .get_arguments()
            .filter(|arg| !arg.is_hide_set() && !LISTS.contains(&arg.get_id().as_str()));
        for long in own.filter_map(clap::Arg::get_long) {
            *all.entry(long.to_owned()).or_default() |= Some(sub.get_name()) == given;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    /// What a pass would be given, by name.
    fn handed(line: &[&str], environment: &[(&str, &str)]) -> BTreeMap<String, String> {
        let cli = Cli::parse_from_args(["cam"].iter().chain(line)).unwrap();
        let environment = environment.iter().map(|(k, v)| (k.into(), v.into()));
        let text = |s: OsString| s.into_string().unwrap();
        let all = cli.variables.for_a_pass(environment);
        let count = all.len();
        let map: BTreeMap<_, _> = all.into_iter().map(|(k, v)| (text(k), text(v))).collect();
        assert_eq!(map.len(), count, "a variable is given twice");
        map
    }

    fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn what_is_typed_becomes_a_variable_wherever_it_stands() {
        let line = [
            "-O",
            "example.com",
            "--app",
            "a,b",
            "serve",
            "-w",
            "s3cret",
            "--app",
            "c*",
            "-vv",
            "-d",
            "-p",
            "9",
            "-g",
            "1s",
            "--output",
            "json",
            "--jobs=3",
            "-N",
            "n",
            "--hook-secret",
            "s3cret",
            "--hook-auth=plain",
        ];
        let wanted = expected(&[
            ("CAM_DOMAIN", "example.com"),
            ("CAM_APP", "a,b,c*"),
            ("CAM_ART_PASSWORD", "s3cret"),
            ("CAM_VERBOSE", "2"),
            ("CAM_DEBUG", "true"),
            ("CAM_JOBS", "3"),
        ]);
        assert_eq!(handed(&line, &[]), wanted);
    }

    #[test]
    fn variables_that_are_ours_are_handed_on_and_no_other() {
        let environment = [
            ("CAM_DOMAIN", "example.com"),
            ("CAM_ART_PASSWORD_FILE", "/p"),
            ("CAM_PORT", "1"),
            ("CAM_HOOK_SECRET", "x"),
            ("CAM_HOOK_SECRET_FILE", "/x"),
            ("CAM_OUTPUT", "human"),
            ("COREOS_DEPLOY_TOKEN", "t"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("CAM_UNHEARD_OF", "x"),
            ("NOTIFY_SOCKET", "/run/x"),
        ];
        let wanted = expected(&[
            ("CAM_DOMAIN", "example.com"),
            ("CAM_ART_PASSWORD_FILE", "/p"),
            ("COREOS_DEPLOY_TOKEN", "t"),
        ]);
        assert_eq!(handed(&["serve"], &environment), wanted);
    }

    #[test]
    fn an_option_replaces_every_form_of_its_variable() {
        let environment = [
            ("CAM_DEPLOY_TOKEN", "a"),
            ("CAM_DEPLOY_TOKEN_FILE", "/a"),
            ("COREOS_DEPLOY_TOKEN", "b"),
            ("COREOS_DEPLOY_URL", "http://b"),
            ("CAM_DSN_CA_FILE", "/ca"),
            ("CAM_DSN", "sqlite:b"),
        ];
        let rest = [("CAM_DSN_CA_FILE", "/ca"), ("CAM_DSN_FILE", "/d")];
        for (option, name) in [
            ("--deploy-token", "CAM_DEPLOY_TOKEN"),
            ("--deploy-token-file", "CAM_DEPLOY_TOKEN_FILE"),
        ] {
            let line = [option, "/c", "-s", "http://c", "serve", "--dsn-file", "/d"];
            let mut wanted = expected(&rest);
            wanted.extend(expected(&[(name, "/c"), ("CAM_DEPLOY_URL", "http://c")]));
            assert_eq!(handed(&line, &environment), wanted);
        }
    }

    #[test]
    fn an_option_of_a_command_alone_has_no_variable() {
        let of = |line: &[&str]| {
            let cli = Cli::parse_from_args(["cam"].iter().chain(line)).unwrap();
            let all = cli.of_one_call;
            let of_this = all.iter().filter(|(_, is_of_this)| **is_of_this);
            let of_this: Vec<String> = of_this.map(|(long, _)| long.clone()).collect();
            (all.len(), of_this)
        };
        let (count, of_deploy) = of(&["deploy", "a", "1"]);
        assert_eq!(of_deploy, ["force", "no-hold"]);
        assert!(count >= 9, "{count}");
        assert_eq!(of(&["scan"]), (count, vec!["exit-code".to_owned()]));
        assert_eq!(of(&["run"]), (count, Vec::new()));
        assert_eq!(of(&[]), (count, Vec::new()));
    }

    #[test]
    fn no_value_is_shown() {
        let cli = Cli::parse_from_args(["cam", "-w", "s3cret", "serve"]).unwrap();
        let shown = format!("{cli:?}");
        assert!(shown.contains("CAM_ART_PASSWORD") && !shown.contains("s3cret"));
    }
}
