//! What was meant: options, environment and secret files, checked once.

mod address;
mod artifactory;
mod check;
mod deploy;
mod dsn;
mod ledger;
mod network;
mod proxy;
mod rules;
mod secrets;
mod server;
pub mod settings;
mod warnings;

use std::path::PathBuf;
use std::time::Duration;

use self::secrets::Env;
use crate::cli::{Cli, Command, DEFAULT, OutputFormat};
use crate::error::{Error, Result};
use crate::mask::Masker;
use crate::model::name::Scope;
use crate::secret::Secret;

pub use self::artifactory::{ArtifactoryConfig, Credentials};
pub use self::deploy::DeployConfig;
pub use self::dsn::{Dsn, MysqlAddress, MysqlConfig, MysqlTls};
pub use self::network::Network;
pub use self::proxy::Proxies;
pub use self::rules::Rules;
pub use self::server::{HookConfig, ServeConfig};
pub use crate::cli::{ColorMode, HookAuth, ListingMode};

/// What both HTTP clients share.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// `--connect-timeout`.
    pub connect_timeout: Duration,
    /// `--ca-file`: more certificates to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// `--client-cert`: what to show to servers that want a certificate of a client, PEM with its key.
    pub client_cert: Option<PathBuf>,
    /// The proxies of the environment.
    pub proxies: Proxies,
    /// What takes all secrets of the program out of what a peer says.
    pub masker: Masker,
}

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputConfig {
    /// `--output json`.
    pub json: bool,
    /// `-q`.
    pub quiet: bool,
    /// `-v` counted; `-d` is 2.
    pub verbose: u8,
    /// `--color`.
    pub color: ColorMode,
}

impl OutputConfig {
    /// How results are wanted.
    pub fn from_cli(cli: &Cli) -> Self {
        let args = &cli.global.output;
        Self {
            json: args.output == OutputFormat::Json,
            quiet: args.quiet,
            verbose: args.verbose.max(if args.debug { 2 } else { 0 }),
            color: args.color,
        }
    }
}

/// A check that is told when a pass begins and how it ends.
#[derive(Clone, Debug)]
pub struct Ping {
    /// Its URL.
    pub url: reqwest::Url,
    /// What of it lets everybody tell the check something: all behind the server's name.
    secret: Secret,
}

impl Ping {
    fn from_cli(cli: &Cli) -> Result<Option<Self>> {
        let is_pass = matches!(cli.command, None | Some(Command::Run { .. }));
        let given = cli.global.output.ping_url.as_ref().filter(|_| is_pass);
        let of = |url: reqwest::Url| {
            let secret = Secret::new(url.path().trim_matches('/').to_owned());
            Self { url, secret }
        };
        given.map(|url| address::of_ping(url).map(of)).transpose()
    }
}

/// Everything that options, environment and secret files say. What a command does not need may be
/// missing; the accessors say which option to give.
#[derive(Clone, Debug)]
pub struct Config {
    /// `--domain` and `--environment`, where the domain was given.
    pub scope: Option<Scope>,
    /// Where `--art-endpoint` and both repositories were given.
    pub artifactory: Option<ArtifactoryConfig>,
    /// Where `--deploy-url` was given.
    pub deploy: Option<DeployConfig>,
    /// Shared by both clients.
    pub http: HttpConfig,
    /// The ledger, for a command that uses it.
    pub dsn: Option<Dsn>,
    /// `--ping-url`, for a pass.
    pub ping: Option<Ping>,
    /// The rules.
    pub rules: Rules,
    /// For the commands `serve` and `health`.
    pub serve: Option<ServeConfig>,
    /// How to show it.
    pub output: OutputConfig,
    /// To be told whoever reads: secrets on the command line, which `ps` shows, and variables of
    /// this command's options that have no effect.
    pub alerts: Vec<String>,
    /// To be told to a person, such as a secret's file that others may read.
    pub warnings: Vec<String>,
}

impl Config {
    /// Checks and completes what was typed. `env` gives the variables that clap does not read:
    /// those of secrets, of coreos-deploy-client, and the places of the system.
    ///
    /// Errors: exit 2, naming the option and its variable.
    pub fn from_cli(cli: &Cli, env: Env) -> Result<Config> {
        let mut warnings = Vec::new();
        let needs = needs(cli);
        let mut dsn = (needs.ledger)
            .then(|| ledger::from_cli(cli, env, &mut warnings))
            .transpose()?;
        let mut alerts = warnings::secrets_on_command_line(cli, dsn.as_ref());
        warnings::variables_without_effect(cli, env, &mut alerts, &mut warnings);
        let scope = rules::scope(cli)?;
        // Secrets that a command does not use need not be there, nor be readable.
        let artifactory = (needs.artifactory)
            .then(|| artifactory::from_cli(cli, env, &mut warnings))
            .transpose()?
            .flatten();
        let deploy = match needs.deploy {
            Need::No => None,
            Need::WhereGiven => deploy::from_cli(cli, env, &mut Vec::new()).ok().flatten(),
            Need::Yes => deploy::from_cli(cli, env, &mut warnings)?,
        };
        let ping = Ping::from_cli(cli)?;
        let proxies = if artifactory.is_some() || deploy.is_some() {
            Proxies::from_env(env)?
        } else {
            Proxies::default()
        };
        let serve = server::from_cli(cli, env, &mut warnings)?;
        let of_hook = serve.iter().filter_map(|serve| serve.hook.as_ref());
        let masker = masker(artifactory.as_ref(), deploy.as_ref(), dsn.as_ref())
            .and(proxies.secrets())
            .and(of_hook.map(|hook| (None, &hook.secret)))
            .and(ping.iter().map(|ping| (None, &ping.secret)));
        if let Some(Dsn::Mysql(mysql)) = &mut dsn {
            mysql.masker = masker.clone();
        }
        let of_http = &cli.global.artifactory;
        Ok(Config {
            scope,
            artifactory,
            deploy,
            http: HttpConfig {
                connect_timeout: of_http.connect_timeout,
                ca_file: of_http.ca_file.clone(),
                client_cert: of_http.client_cert.clone(),
                proxies,
                masker,
            },
            ping,
            rules: rules::from_cli(cli),
            serve,
            output: OutputConfig::from_cli(cli),
            alerts,
            dsn,
            warnings,
        })
    }

    /// Where the ledger is, for a command that uses it.
    pub fn dsn(&self) -> Result<&Dsn> {
        given(self.dsn.as_ref(), "this command needs --dsn (CAM_DSN)")
    }

    /// The scope, for a command that needs one.
    pub fn scope(&self) -> Result<&Scope> {
        given(
            self.scope.as_ref(),
            "this command needs --domain (CAM_DOMAIN)",
        )
    }

    /// How Artifactory is spoken to, for a command that needs it.
    pub fn artifactory(&self) -> Result<&ArtifactoryConfig> {
        self.artifactory
            .as_ref()
            .ok_or_else(ArtifactoryConfig::missing)
    }

    /// How coreos-deploy is spoken to, for a command that needs it.
    pub fn deploy(&self) -> Result<&DeployConfig> {
        let missing = "this command needs --deploy-url (CAM_DEPLOY_URL or COREOS_DEPLOY_URL)";
        given(self.deploy.as_ref(), missing)
    }

    /// What the server is told, for `serve` and `health`.
    pub fn serve(&self) -> Result<&ServeConfig> {
        given(self.serve.as_ref(), "this command is no server")
    }
}

/// What a command can't do without.
#[derive(Clone, Copy)]
struct Needs {
    ledger: bool,
    artifactory: bool,
    deploy: Need,
}

/// How a command needs coreos-deploy.
#[derive(Clone, Copy)]
enum Need {
    No,
    /// It looks at what runs, and does without where it can't.
    WhereGiven,
    Yes,
}

/// Which of them the command needs.
fn needs(cli: &Cli) -> Needs {
    let (ledger, artifactory, deploy) = match cli.command.as_ref().unwrap_or(&DEFAULT) {
        Command::Run { .. }
        | Command::Serve
        | Command::Deploy { .. }
        | Command::Rollback { .. } => (true, true, Need::Yes),
        Command::Scan { .. } | Command::DryRun { .. } | Command::Forget { .. } => {
            (true, true, Need::No)
        }
        // Apps that are named with their versions need no marker.
        Command::Baseline { apps, .. } => {
            let is_listed = apps.is_empty() || apps.iter().any(|app| !app.contains('='));
            (true, is_listed, Need::WhereGiven)
        }
        Command::Settle { .. } => (true, false, Need::WhereGiven),
        Command::Status { .. }
        | Command::History { .. }
        | Command::Hold { .. }
        | Command::Release { .. }
        | Command::Token { .. }
        | Command::Migrate => (true, false, Need::No),
        Command::Health | Command::Completions { .. } | Command::Man { .. } => {
            (false, false, Need::No)
        }
    };
    Needs {
        ledger,
        artifactory,
        deploy,
    }
}

/// What was given, or an error (exit 2) that says what is missing.
fn given<'a, T>(what: Option<&'a T>, missing: &str) -> Result<&'a T> {
    what.ok_or_else(|| Error::usage(missing))
}

/// Knows every secret that was given: each peer may say what another one was told.
fn masker(
    artifactory: Option<&ArtifactoryConfig>,
    deploy: Option<&DeployConfig>,
    dsn: Option<&Dsn>,
) -> Masker {
    let of_artifactory = artifactory.and_then(|config| config.credentials.secret());
    let of_deploy = deploy.and_then(|config| Some((None, config.token.as_ref()?)));
    let of_dsn = dsn.and_then(|dsn| match dsn {
        Dsn::Sqlite(_) => None,
        Dsn::Mysql(config) => Some((Some(config.user.as_str()), config.password.as_ref()?)),
    });
    Masker::new([of_artifactory, of_deploy, of_dsn].into_iter().flatten())
}

#[cfg(test)]
mod tests;
