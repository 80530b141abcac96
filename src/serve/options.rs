//! What the server is configured with, and what of it is shown.

use serde::Serialize;

use crate::config::Dsn;
use crate::mask::Masker;
use crate::model::name::Scope;
use crate::model::version::Order;

/// What the HTTP API needs to know.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The header `Server`.
    pub name: String,
    /// What `/v1.0/info` shows.
    pub options: OptionsView,
    /// The ledger.
    pub dsn: Dsn,
    /// The scope whose deploys and passes are shown.
    pub scope: Scope,
    /// The order of versions, which tells whether a hold still holds.
    pub order: Order,
    /// What takes the secrets of the program out of what clients send.
    pub masker: Masker,
}

/// The options as `/v1.0/info` and `/v1.0/metrics` show them: the keys of the Go program, in its
/// order. The secrets have no key there and none here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OptionsView {
    /// `--name`.
    pub name: String,
    /// `--hostname`.
    pub host_name: String,
    /// `--domain`.
    pub domain: String,
    /// `--environment`.
    pub environment: String,
    /// `--deploy-url`.
    #[serde(rename = "deployURL")]
    pub deploy_url: String,
    /// `--art-endpoint`.
    #[serde(rename = "artAPIEndpoint")]
    pub art_api_endpoint: String,
    /// `--art-polling`, in seconds.
    pub art_polling_interval: u64,
    /// `--art-deploy-repo`.
    pub art_deploy_repo: String,
    /// `--art-payload-repo`.
    pub art_payload_repo: String,
    /// `--port`.
    pub port: u16,
    /// `--profiler-port`; 0 is none.
    pub prof_port: u16,
    /// `--procs`; 0 is as many as there are processors.
    pub max_procs: u32,
    /// `--debug`.
    pub debug_enabled: bool,
}
