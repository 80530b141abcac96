//! The options, one struct a heading of the help.
//!
//! Long and short names are the original's, with `-` for `_`. What all of them share (variable, old
//! spelling, place) is set once, by [`super::Cli::command_line`].

#![expect(
    clippy::doc_markdown,
    rustdoc::invalid_html_tags,
    reason = "doc comments are the help text, printed as they are"
)]

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, RangedU64ValueParser};
use clap::{ArgAction, Args, value_parser};

use super::values::{
    self, ColorMode, DAY, HookAuth, ListingMode, OutputFormat, SECOND, UnknownHold,
};
use crate::model::version::Order;
use crate::secret::Secret;

/// Every option that is not of one command alone.
#[derive(Clone, Debug, Args)]
pub struct GlobalArgs {
    /// What a pass works on.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// How Artifactory is reached.
    #[command(flatten)]
    pub artifactory: ArtifactoryArgs,
    /// How coreos-deploy is reached.
    #[command(flatten)]
    pub deploy: DeployArgs,
    /// Where the ledger is.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// What a pass may do.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// How results are shown.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What only `serve` and `health` look at.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What a pass works on.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scope")]
pub struct ScopeArgs {
    /// Name of the settings in /etc/coreos-artifactory-monitor (NAME.env, NAME.credentials), or a file of settings; they replace the environment
    #[arg(long, value_name = "NAME|FILE")]
    pub settings: Option<String>,
    /// Domain of the site, such as example.com
    #[arg(short = 'O', long)]
    pub domain: Option<String>,
    /// Environment, such as development, qa or production
    #[arg(short = 'E', long, default_value = "development")]
    pub environment: String,
}

/// How Artifactory is reached.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Artifactory")]
pub struct ArtifactoryArgs {
    /// Base URL of Artifactory's API, with or without /api
    #[arg(short = 'a', long, value_name = "URL")]
    pub art_endpoint: Option<String>,
    /// User of --art-password
    #[arg(short = 'u', long, value_name = "USERID")]
    pub art_userid: Option<String>,
    /// Password of --art-userid [env: CAM_ART_PASSWORD]
    #[arg(short = 'w', long, value_name = "PASSWORD")]
    pub art_password: Option<Secret>,
    /// File that holds what --art-password would [env: CAM_ART_PASSWORD_FILE]
    #[arg(long, value_name = "PATH")]
    pub art_password_file: Option<PathBuf>,
    /// Access token, sent as a bearer token [env: CAM_ART_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    pub art_token: Option<Secret>,
    /// File that holds what --art-token would [env: CAM_ART_TOKEN_FILE]
    #[arg(long, value_name = "PATH")]
    pub art_token_file: Option<PathBuf>,
    /// API key [env: CAM_ART_API_KEY]
    #[arg(long, value_name = "KEY")]
    pub art_api_key: Option<Secret>,
    /// File that holds what --art-api-key would [env: CAM_ART_API_KEY_FILE]
    #[arg(long, value_name = "PATH")]
    pub art_api_key_file: Option<PathBuf>,
    /// Repository with the markers (<app>/<version>.deploy)
    #[arg(short = 't', long, value_name = "REPO")]
    pub art_deploy_repo: Option<String>,
    /// Repository with the payloads (.tar.gz)
    #[arg(short = 'y', long, value_name = "REPO")]
    pub art_payload_repo: Option<String>,
    /// How markers are listed: by one AQL query, by walking the folders, or by what works
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub listing: ListingMode,
    /// Parallel requests to Artifactory, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub jobs: usize,
    /// Longest wait for a connection, to Artifactory and to coreos-deploy
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::within(Duration::from_millis(1), DAY))]
    pub connect_timeout: Duration,
    /// More certificates to trust, in PEM, for both: authorities, or servers' own
    #[arg(long, value_name = "PATH")]
    pub ca_file: Option<PathBuf>,
    /// Certificate and key, in PEM, for servers that want one of their clients, for both
    #[arg(long, value_name = "PATH")]
    pub client_cert: Option<PathBuf>,
}

/// How coreos-deploy is reached.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "coreos-deploy")]
pub struct DeployArgs {
    /// URL of coreos-deploy; COREOS_DEPLOY_URL is read after the variable
    #[arg(short = 's', long, value_name = "URL")]
    pub deploy_url: Option<String>,
    /// Bearer token of coreos-deploy [env: CAM_DEPLOY_TOKEN, COREOS_DEPLOY_TOKEN]
    #[arg(short = 'k', long, value_name = "TOKEN")]
    pub deploy_token: Option<Secret>,
    /// File that holds what --deploy-token would [env: CAM_DEPLOY_TOKEN_FILE]
    #[arg(long, value_name = "PATH")]
    pub deploy_token_file: Option<PathBuf>,
    /// Longest wait for the outcome of one deploy
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = values::within(SECOND, 7 * DAY))]
    pub deploy_timeout: Duration,
    /// How long a deploy of unknown outcome blocks before the units that run decide, or never
    #[arg(long, value_name = "DURATION|never", default_value = "15m", value_parser = values::unknown_hold)]
    pub unknown_hold: UnknownHold,
    /// Deploy even where coreos-deploy names another domain or environment
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub skip_scope_check: bool,
}

/// Where the ledger is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Ledger")]
pub struct LedgerArgs {
    /// Ledger: sqlite:PATH, mysql://USER:PASSWORD@HOST/DB, or USER:PASSWORD@tcp(HOST:PORT)/DB; a file in the state directory otherwise [env: CAM_DSN]
    #[arg(short = 'D', long)]
    pub dsn: Option<Secret>,
    /// File that holds what --dsn would [env: CAM_DSN_FILE]
    #[arg(long, value_name = "PATH")]
    pub dsn_file: Option<PathBuf>,
    /// More certificates to trust for a MySQL or MariaDB ledger, PEM
    #[arg(long, value_name = "PATH")]
    pub dsn_ca_file: Option<PathBuf>,
    /// How long the lease in MySQL or MariaDB outlives a pass that vanished; the same on all hosts
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = values::within(2 * SECOND, 60 * 60 * SECOND))]
    pub lease_ttl: Duration,
    /// Longest wait for another pass to end; 0 does not wait
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = values::within(Duration::ZERO, 7 * DAY))]
    pub lock_wait: Duration,
}

/// What a pass may do.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rules")]
pub struct RuleArgs {
    /// Only apps that match; may be repeated (the variable: separated by commas)
    #[arg(long, value_name = "GLOB", value_delimiter = ',', value_parser = values::glob)]
    pub app: Vec<String>,
    /// No apps that match; may be repeated (the variable: separated by commas)
    #[arg(long, value_name = "GLOB", value_delimiter = ',', value_parser = values::glob)]
    pub exclude_app: Vec<String>,
    /// Order of versions
    #[arg(long, value_enum, default_value_t)]
    pub order: Order,
    /// Submit nothing if more deploys than this are due; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub max_deploys: usize,
    /// Stop a pass whose first deploys fail, so many one after the other; 0 never does
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub max_failures: usize,
    /// Give a version up after this many failed attempts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    pub max_attempts: u32,
    /// Wait before the first retry; doubled for each one that follows
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = values::within(Duration::ZERO, 30 * DAY))]
    pub retry_after: Duration,
    /// How long a marker may wait for its payload before that is an error
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = values::within(Duration::ZERO, 365 * DAY))]
    pub payload_wait: Duration,
    /// Longest time for the whole pass
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = values::within(SECOND, 7 * DAY))]
    pub max_duration: Duration,
}

/// How results are shown.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Format of the result
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: OutputFormat,
    /// Print errors only, each failure once: no warning, no progress, no pass that went well
    #[arg(short = 'q', long, value_parser = BoolishValueParser::new())]
    pub quiet: bool,
    /// Print more; -vv prints every request
    #[arg(short = 'v', long, action = ArgAction::Count)]
    pub verbose: u8,
    /// The same as -vv
    #[arg(short = 'd', long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    pub debug: bool,
    /// File that keeps the metrics of each pass for Prometheus's node_exporter
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// URL of a check, as healthchecks has them, that is told when a pass begins and how it ends
    #[arg(long, value_name = "URL")]
    pub ping_url: Option<String>,
    /// When to use colour; NO_COLOR is obeyed
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorMode,
}

/// What only `serve` and `health` look at.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Name of the server, in the Server header of its replies; the program's name otherwise
    #[arg(short = 'N', long)]
    pub name: Option<String>,
    /// Name or address to listen on; every address of a name
    #[arg(short = 'H', long, default_value = "localhost")]
    pub hostname: String,
    /// Pause between passes, in seconds or as a duration; with 0 only /v1.0/force starts one
    #[arg(short = 'g', long, value_name = "INTERVAL", default_value = "300", value_parser = values::polling)]
    pub art_polling: Duration,
    /// Port to listen on; 0 takes a free one
    #[arg(short = 'p', long, default_value_t = 8080)]
    pub port: u16,
    /// Port of CPU profiles, on loopback only; 0 or less is none
    #[arg(short = 'L', long, value_name = "PORT", allow_negative_numbers = true)]
    pub profiler_port: Option<i32>,
    /// Address or network of a proxy before the server, behind which clients share an address; may be repeated (the variable: separated by commas)
    #[arg(long, value_name = "ADDRESS[/BITS]", value_delimiter = ',')]
    pub trusted_proxy: Vec<String>,
    /// Secret of Artifactory's webhook; without one /v1.0/hook is not there [env: CAM_HOOK_SECRET]
    #[arg(long, value_name = "SECRET")]
    pub hook_secret: Option<Secret>,
    /// File that holds what --hook-secret would [env: CAM_HOOK_SECRET_FILE]
    #[arg(long, value_name = "PATH")]
    pub hook_secret_file: Option<PathBuf>,
    /// How the webhook shows the secret: by a signature made with it, or as it is
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub hook_auth: HookAuth,
    /// Worker threads, up to 64; 0 or less is the number of cores, 2 to 4
    #[arg(short = 'X', long, value_name = "MAX", allow_negative_numbers = true)]
    pub procs: Option<i32>,
}
