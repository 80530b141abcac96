//! What was meant: options, environment and secret files, checked once.

mod dsn;
mod from_cli;
mod ledger;
mod needs;
mod secrets;
mod server;
mod warnings;

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::mask::Masker;
use crate::model::listing::AppFilter;
use crate::model::name::Scope;
use crate::model::version::Order;
use crate::secret::Secret;

/// How Artifactory is spoken to.
#[derive(Clone, Debug)]
pub struct ArtifactoryConfig {
    /// The API base as given (`--art-endpoint`), normalised: no user, query, fragment or trailing
    /// slash; ends in `/api`.
    pub api: String,
    /// The base of downloads: `api` without its trailing `/api`.
    pub base: String,
    /// The credentials.
    pub credentials: Credentials,
    /// `--art-deploy-repo`.
    pub deploy_repo: String,
    /// `--art-payload-repo`.
    pub payload_repo: String,
    /// `--listing`.
    pub listing: ListingMode,
    /// `--jobs`: parallel requests.
    pub jobs: usize,
    /// `--max-duration`: after that time nothing is read any more.
    pub max_duration: Duration,
}

impl ArtifactoryConfig {
    fn missing() -> Error {
        Error::usage(
            "this command needs --art-endpoint (CAM_ART_ENDPOINT), \
            --art-deploy-repo (CAM_ART_DEPLOY_REPO) and --art-payload-repo (CAM_ART_PAYLOAD_REPO)",
        )
    }
}

/// How we say who we are to Artifactory.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nobody.
    Anonymous,
    /// `--art-userid` and `--art-password`.
    Basic(String, Secret),
    /// `--art-token`: `Authorization: Bearer`.
    Bearer(Secret),
    /// `--art-api-key`: `X-JFrog-Art-Api`.
    ApiKey(Secret),
}

impl Credentials {
    /// The secret, with the user that it may be sent with.
    pub fn secret(&self) -> Option<(Option<&str>, &Secret)> {
        match self {
            Self::Anonymous => None,
            Self::Basic(user, password) => Some((Some(user.as_str()), password)),
            Self::Bearer(secret) | Self::ApiKey(secret) => Some((None, secret)),
        }
    }
}

/// `--listing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ListingMode {
    /// AQL, and the folders where AQL can't be trusted.
    #[default]
    Auto,
    /// AQL or nothing.
    Aql,
    /// Only the folders.
    Folders,
}

/// How coreos-deploy is spoken to.
#[derive(Clone, Debug)]
pub struct DeployConfig {
    /// `--deploy-url`, normalised: no trailing slash, no `/v1.0`.
    pub url: String,
    /// `--deploy-token`.
    pub token: Option<Secret>,
    /// `--deploy-timeout`.
    pub timeout: Duration,
    /// `--unknown-hold`; `None` is `never`.
    pub unknown_hold: Option<Duration>,
    /// `--skip-scope-check`.
    pub skip_scope_check: bool,
}

/// What both HTTP clients share.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `--connect-timeout`.
    pub connect_timeout: Duration,
    /// `--ca-file`: more certificates to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// What takes all secrets of the program out of what a peer says.
    pub masker: Masker,
}

/// Where the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dsn {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A database of a `MySQL` or `MariaDB` server.
    Mysql(Box<MysqlConfig>),
}

/// How a `MySQL` or `MariaDB` server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MysqlConfig {
    /// Where it listens.
    pub address: MysqlAddress,
    /// The user.
    pub user: String,
    /// The password; `None` sends none.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// Whether the connection is encrypted.
    pub tls: MysqlTls,
    /// `--dsn-ca-file`: more certificates to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for a connection (`timeout`).
    pub connect_timeout: Duration,
    /// Longest wait for bytes from the server (`readTimeout`).
    pub read_timeout: Duration,
    /// Longest wait for the server to take bytes (`writeTimeout`).
    pub write_timeout: Duration,
    /// Session variables to set, by name; the value is an SQL literal.
    pub session: Vec<(String, String)>,
    /// `--lease-ttl`: how long the lease outlives its last renewal.
    pub lease_ttl: Duration,
    /// How long the lease is renewed: a pass that is wedged loses it.
    pub lease_limit: Duration,
    /// What takes all secrets of the program out of what the server says.
    pub masker: Masker,
}

/// Where a `MySQL` server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MysqlAddress {
    /// Host (a name or an address, without brackets) and port.
    Tcp(String, u16),
    /// A unix socket.
    Socket(PathBuf),
}

/// How the connection to `MySQL` is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MysqlTls {
    /// Not at all.
    Off,
    /// With a certificate that a trusted authority gave to the host's name.
    Verified,
    /// With any certificate.
    Unverified,
    /// With any certificate, or not at all where the server can't.
    Preferred,
}

/// The rules of a pass.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `--order`.
    pub order: Order,
    /// `--app`, `--exclude-app`.
    pub filter: AppFilter,
    /// `--max-deploys`; 0 is no limit.
    pub max_deploys: usize,
    /// `--max-attempts`.
    pub max_attempts: u32,
    /// `--retry-after`.
    pub retry_after: Duration,
    /// `--payload-wait`.
    pub payload_wait: Duration,
    /// `--max-duration`.
    pub max_duration: Duration,
    /// `--lock-wait`.
    pub lock_wait: Duration,
}

/// What `serve` and `health` are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// `--name`: the value of the `Server` header.
    pub name: String,
    /// `--hostname`: a name or an address, without brackets.
    pub hostname: String,
    /// `--port`; 0 takes a free one.
    pub port: u16,
    /// `--art-polling`: from the end of a pass to the start of the next; `None` is no polling.
    pub polling: Option<Duration>,
    /// `--profiler-port`, where profiles are wanted.
    pub profiler_port: Option<u16>,
    /// `--procs`: worker threads.
    pub procs: usize,
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

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ColorMode {
    /// Where a terminal takes it and `NO_COLOR` is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
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
    /// The rules.
    pub rules: Rules,
    /// For the commands `serve` and `health`.
    pub serve: Option<ServeConfig>,
    /// How to show it.
    pub output: OutputConfig,
    /// To be told whoever reads: secrets on the command line, which `ps` shows, and variables of
    /// this command's options that have no effect.
    pub alerts: Vec<String>,
    /// Standing things to tell a person, such as a secret's file that others may read.
    pub warnings: Vec<String>,
}

impl Config {
    /// Where the ledger is, for a command that uses it.
    pub fn dsn(&self) -> Result<&Dsn> {
        let missing = "this command needs --dsn (CAM_DSN)";
        self.dsn.as_ref().ok_or_else(|| Error::usage(missing))
    }

    /// The scope, for a command that needs one.
    pub fn scope(&self) -> Result<&Scope> {
        let missing = "this command needs --domain (CAM_DOMAIN)";
        self.scope.as_ref().ok_or_else(|| Error::usage(missing))
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
        self.deploy.as_ref().ok_or_else(|| Error::usage(missing))
    }

    /// What the server is told, for `serve` and `health`.
    pub fn serve(&self) -> Result<&ServeConfig> {
        let missing = "this command is no server";
        self.serve.as_ref().ok_or_else(|| Error::usage(missing))
    }
}

#[cfg(test)]
mod tests;
