//! The options of coreos-deploy.

use std::time::Duration;

use super::address;
use super::check::{DAY, SECOND, between, named};
use super::secrets::{Env, Source};
use super::warnings::warn_of_plain_http;
use crate::cli::Cli;
use crate::error::{Error, Result};
use crate::secret::Secret;

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

/// How coreos-deploy is spoken to, where its URL was given.
///
/// Errors (exit 2): an option that cannot be used.
pub(super) fn from_cli(
    cli: &Cli,
    env: Env,
    warnings: &mut Vec<String>,
) -> Result<Option<DeployConfig>> {
    let args = &cli.global.deploy;
    let token = Source::new("deploy-token", &args.deploy_token, &args.deploy_token_file)
        .or_variable("COREOS_DEPLOY_TOKEN")
        .find(env, warnings)?;
    let timeout = between("deploy-timeout", args.deploy_timeout, SECOND, 7 * DAY)?;
    if let Some(hold) = args.unknown_hold.0 {
        between("unknown-hold", hold, Duration::ZERO, 365 * DAY)?;
    }
    let foreign = "COREOS_DEPLOY_URL";
    let (url, place) = match (&args.deploy_url, env(foreign)) {
        (Some(url), _) => (url.clone(), named("deploy-url")),
        (None, Some(url)) if !url.is_empty() => {
            let url = url
                .into_string()
                .map_err(|_| Error::usage(format!("{foreign} is not UTF-8")))?;
            (url, foreign.to_string())
        }
        _ => return Ok(None),
    };
    let url = address::of_coreos_deploy(&place, &url)?;
    warn_of_plain_http("deploy-url", &url, warnings);
    Ok(Some(DeployConfig {
        url,
        token: token.map(|found| found.secret),
        timeout,
        unknown_hold: args.unknown_hold.0,
        skip_scope_check: args.skip_scope_check,
    }))
}
