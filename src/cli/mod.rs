//! The command line: what a person may type. What was meant by it is the configuration's to say.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments are the help text, printed as they are"
)]

mod go_flags;
mod options;
mod values;
mod variables;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use go_flags::{ORIGINAL, as_go_takes_them};
pub use options::{
    ArtifactoryArgs, DeployArgs, GlobalArgs, LedgerArgs, OutputArgs, RuleArgs, ScopeArgs,
    ServerArgs,
};
pub use values::{
    ColorMode, HookAuth, ListingMode, OutputFormat, SettleAs, UnknownHold, duration, variable,
};
pub use variables::{Variables, foreign_variable};

/// The name of the program.
pub const NAME: &str = "coreos-artifactory-monitor";

const EXAMPLES: &str = "\
Examples:
  One pass, as cron or a timer would start it:
    coreos-artifactory-monitor -O example.com -E development \\
      -s https://deploy.example.com -a https://artifactory.example.com/api \\
      -t cluster-deploys-dev -y cluster-payloads \\
      --deploy-token-file /etc/cam/deploy-token
  What a pass would do, and why:
    coreos-artifactory-monitor scan
  Every marker of one app, and why it is taken or not:
    coreos-artifactory-monitor scan --app video-mobile -v
  A server that makes a pass every 5 minutes and when it is asked to:
    coreos-artifactory-monitor serve -g 5m -p 8080

Exit codes:
    0  nothing was due, or all that was due is deployed
    1  at least one app failed, was refused, or could not be read
    2  usage or configuration
    3  changes are pending (scan, dry-run with --exit-code)
    4  the outcome of a submitted deploy is not known (yet)
    5  a guard stopped it (--max-deploys, a command that was faster)
   69  Artifactory, the ledger or coreos-deploy cannot be used
   75  another pass is running, or coreos-deploy is busy: try later
   77  credentials refused
  130, 143  interrupted; what was submitted stays recorded

Every option can be set by a variable: CAM_ and its long name in capitals. Those
of one command alone cannot: they belong to one call.
Secrets are best kept out of both: use the -file options, or systemd's
credentials under the option's long name.";

/// Deploys the releases that are marked ready in JFrog Artifactory to a CoreOS cluster.
///
/// Without a command it makes one pass: it reads the markers in Artifactory, compares them with
/// the ledger of what is deployed, submits what is due to coreos-deploy, records the outcome and
/// ends.
#[derive(Clone, Debug, Parser)]
#[command(name = "coreos-artifactory-monitor", version, after_help = EXAMPLES, max_term_width = 80)]
pub struct Cli {
    /// The options; all of them may stand before or after the command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The command; none is `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of the command line as variables, for a pass that `serve` starts.
    #[arg(skip)]
    pub variables: Variables,
    /// The options that no variable sets, and whether each is one of this command.
    #[arg(skip)]
    pub of_one_call: BTreeMap<String, bool>,
}

/// The command where none is given.
pub const DEFAULT: Command = Command::Run {
    pass_id: None,
    stop_at_eof: false,
};

/// What to do with tokens.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenAction {
    /// Make a token and print it, once: only its SHA-256 is stored
    Add {
        /// Whose it is; several tokens may have one name
        #[arg(id = "token_name", value_name = "NAME", value_parser = values::token_name)]
        name: String,
    },
    /// Show who has a token and since when; never a token
    List,
    /// Make a token invalid
    Revoke {
        /// Its number or its name, as `token list` shows them
        #[arg(value_name = "ID|NAME")]
        token: String,
    },
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make one pass: deploy what is due (the same as no command)
    Run {
        /// The id of the pass, a UUID: `serve` names a pass before it runs
        #[arg(long, hide = true, value_name = "ID", value_parser = values::pass_id)]
        pass_id: Option<String>,
        /// Take the end of standard input for SIGTERM: a pass ends when its server is gone
        #[arg(long, hide = true)]
        stop_at_eof: bool,
    },
    /// Show what Artifactory offers and what a pass would do, and why; change nothing
    Scan {
        /// Exit with 3 when changes are pending
        #[arg(long)]
        exit_code: bool,
    },
    /// Make a pass up to, but without, the submit: show what would be sent
    DryRun {
        /// Exit with 3 when changes are pending
        #[arg(long)]
        exit_code: bool,
        /// Show the values of etcd2 keys, which are hidden otherwise
        #[arg(long)]
        show_values: bool,
    },
    /// Deploy this version now, whatever is newest
    Deploy {
        /// The app, as its folder in Artifactory is called
        #[arg(id = "app_name", value_name = "APP", value_parser = values::app_name)]
        app: String,
        /// The version; its payload must be there, its marker need not
        #[arg(value_name = "VERSION", value_parser = values::version)]
        version: String,
        /// Deploy again what is deployed already, and give up an attempt whose outcome is unknown
        #[arg(long)]
        force: bool,
        /// Leave out the hold that keeps passes from undoing the deploy of an older version
        #[arg(long)]
        no_hold: bool,
    },
    /// Serve the HTTP API, and make a pass at every interval and when asked to
    Serve,
    /// Ask the server on this host whether it is alive: exit 0 or 69
    Health,
    /// Bearer tokens of the HTTP API
    Token {
        /// What to do.
        #[command(subcommand)]
        action: TokenAction,
    },
    /// Show the ledger: what is deployed, open attempts, holds, failures
    Status {
        /// Only this app
        #[arg(id = "app_name", value_name = "APP", value_parser = values::app_name)]
        app: Option<String>,
    },
    /// Show every attempt, newest first
    History {
        /// Only this app
        #[arg(id = "app_name", value_name = "APP", value_parser = values::app_name)]
        app: Option<String>,
        /// The most attempts to show
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Make passes leave an app alone until it is released
    Hold {
        /// The app
        #[arg(id = "app_name", value_name = "APP", value_parser = values::app_name, required_unless_present = "all")]
        app: Option<String>,
        /// Every app of the scope: passes deploy nothing
        #[arg(long, conflicts_with_all = ["app_name", "newer_than", "new"])]
        all: bool,
        /// End the hold after this time, such as 2d
        #[arg(long = "for", value_name = "DURATION", value_parser = values::duration)]
        for_: Option<Duration>,
        /// End the hold when a version newer than this one is marked
        #[arg(long, value_name = "VERSION", value_parser = values::version)]
        newer_than: Option<String>,
        /// Why; shown by `status`
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Hold an app that neither the ledger nor a marker knows yet
        #[arg(long)]
        new: bool,
    },
    /// End the hold of an app
    Release {
        /// The app
        #[arg(id = "app_name", value_name = "APP", value_parser = values::app_name, required_unless_present = "all")]
        app: Option<String>,
        /// The hold of every app of the scope; apps that are held by themselves stay held
        #[arg(long, conflicts_with = "app_name")]
        all: bool,
    },
    /// Deploy the last good version before the one last tried, and hold it
    Rollback {
        /// The app
        #[arg(id = "app_name", value_name = "APP", value_parser = values::app_name)]
        app: String,
    },
    /// Retire an app whose markers are gone: it is no longer shown or compared
    Forget {
        /// The app, by whatever name the ledger has it
        #[arg(id = "forgotten_app", value_name = "APP")]
        app: String,
    },
    /// Say what became of an open attempt that cannot be found out
    Settle {
        /// The app, by whatever name the ledger has it
        #[arg(id = "settled_app", value_name = "APP")]
        app: String,
        /// What became of it
        #[arg(
            long = "as",
            value_name = "END",
            value_enum,
            required_unless_present = "retry"
        )]
        as_: Option<SettleAs>,
        /// Let passes try the version again that was not deployed
        #[arg(long)]
        retry: bool,
        /// Why; shown by `history`
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Record as deployed without deploying, to take over a running cluster
    Baseline {
        /// The apps to record, with a version or at their newest marker; without any, every app
        /// that the ledger does not know
        #[arg(id = "app_names", value_name = "APP[=VERSION]", value_parser = values::app_and_version)]
        apps: Vec<String>,
        /// Record apps that neither the ledger nor a marker knows
        #[arg(long, requires = "app_names")]
        new: bool,
    },
    /// Make the tables of the ledger, or bring them up to date, and do nothing else
    Migrate,
    /// Print the script that lets a shell complete the command line
    Completions {
        /// The shell
        #[arg(value_name = "SHELL", value_enum)]
        shell: Shell,
    },
    /// Print the manual page, or write the pages of all commands
    Man {
        /// Write a page a command into this directory
        #[arg(long, value_name = "PATH")]
        directory: Option<PathBuf>,
    },
}

/// The options that may be repeated: given on both sides of the command, both count.
const LISTS: [&str; 2] = ["app", "exclude_app"];

/// The options of secrets. Their variables, and those of their `-file` forms, are the
/// configuration's to read.
pub const SECRETS: [&str; 6] = [
    "art-password",
    "art-token",
    "art-api-key",
    "deploy-token",
    "dsn",
    "hook-secret",
];

impl Cli {
    /// The command line as clap knows it.
    pub fn command_line() -> clap::Command {
        let command = <Self as CommandFactory>::command()
            .mut_args(with_old_spelling)
            .mut_args(of_every_command);
        let lists: Vec<Arg> = command
            .get_arguments()
            .filter(|arg| LISTS.contains(&arg.get_id().as_str()))
            .cloned()
            .collect();
        command.mut_subcommands(|sub| {
            sub.mut_args(with_old_spelling)
                .args(&lists)
                .max_term_width(80)
                .mut_subcommands(|nested| nested.max_term_width(80))
        })
    }

    /// Reads a command line, the program's name first, and the variables of the process.
    ///
    /// The error prints itself and knows its exit code: 2, or 0 for `--help` and `--version`.
    pub fn parse_from_args<I, T>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let command = Self::command_line();
        let matches = (command.clone())
            .try_get_matches_from(as_go_takes_them(args))
            .map_err(|error| name_the_variable(error, &command))?;
        let mut cli = Self::from_arg_matches(&matches)?;
        if let Some((_, sub)) = matches.subcommand() {
            let rules = &mut cli.global.rules;
            merge(&mut rules.app, "app", &matches, sub);
            merge(&mut rules.exclude_app, "exclude_app", &matches, sub);
        }
        cli.variables = Variables::of(&command, &matches, &cli.global.rules);
        cli.of_one_call = variables::of_one_call(&command, matches.subcommand_name());
        Ok(cli)
    }
}

/// Lets an option be written as the original does, with `_` for `-`.
fn with_old_spelling(arg: Arg) -> Arg {
    match arg.get_long().map(|long| long.replace('-', "_")) {
        Some(old) if arg.get_long() != Some(&old) => arg.alias(old),
        _ => arg,
    }
}

/// Lets an option stand on both sides of the command and be set by its variable, the value of which
/// no help shows.
fn of_every_command(arg: Arg) -> Arg {
    // clap lets the later of two places win where an option is global. A list of which half is
    // dropped would widen a pass without a word, so lists are options of both places instead.
    let is_list = LISTS.contains(&arg.get_id().as_str());
    let arg = arg.global(!is_list).hide_env_values(true);
    // Go's flags may be given again, and the last one counts.
    let is_original = arg.get_long().is_some_and(|long| ORIGINAL.contains(&long));
    let arg = if is_original {
        let id = arg.get_id().clone();
        arg.overrides_with(id)
    } else {
        arg
    };
    match arg.get_long().map(ToOwned::to_owned) {
        // It replaces the variables, and stands on the command line.
        Some(long) if long == "settings" => arg,
        Some(long) if !SECRETS.contains(&long.strip_suffix("-file").unwrap_or(&long)) => {
            arg.env(variable(&long))
        }
        _ => arg,
    }
}

/// Adds what stands after the command to what stands before it; both replace the variable.
fn merge(list: &mut Vec<String>, id: &str, before: &ArgMatches, after: &ArgMatches) {
    if after.value_source(id) != Some(ValueSource::CommandLine) {
        return;
    }
    if before.value_source(id) != Some(ValueSource::CommandLine) {
        list.clear();
    }
    list.extend(after.get_many::<String>(id).into_iter().flatten().cloned());
}

/// Adds to an error about the value of an option that a variable may have set it.
fn name_the_variable(mut error: clap::Error, command: &clap::Command) -> clap::Error {
    let Some(ContextValue::String(arg)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let name = arg.split([' ', '=', '[']).next().unwrap_or_default();
    let long = command
        .get_arguments()
        .filter_map(Arg::get_long)
        .find(|long| name.strip_prefix("--") == Some(long));
    if let (Some(long), None) = (long, error.get(ContextKind::Suggested)) {
        let tip = format!("the variable {} sets it too", variable(long));
        let tip = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

#[cfg(test)]
mod tests;
