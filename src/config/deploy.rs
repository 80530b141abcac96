//! The options of coreos-deploy.

use std::time::Duration;

use humantime::format_duration;

use super::address;
use super::check::named;
use super::secrets::{Env, Source};
use super::warnings::warn_of_plain_http;
use crate::cli::{Cli, foreign_variable};
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
        .find(env, warnings)?;
    let foreign = foreign_variable("deploy-url").and_then(|name| Some((name, env(name)?)));
    let (url, place) = match (&args.deploy_url, foreign) {
        (Some(url), _) => (url.clone(), named("deploy-url")),
        (None, Some((name, url))) if !url.is_empty() => {
            let url = url
                .into_string()
                .map_err(|_| Error::usage(format!("{name} is not UTF-8")))?;
            (url, name.to_string())
        }
        _ => return Ok(None),
    };
    let url = address::of_coreos_deploy(&place, &url)?;
    warn_of_plain_http("deploy-url", &url, warnings);
    if let Some(hold) = args
        .unknown_hold
        .0
        .filter(|hold| *hold < args.deploy_timeout)
    {
        let (hold, timeout) = (format_duration(hold), format_duration(args.deploy_timeout));
        warnings.push(format!(
            "--unknown-hold {hold} is shorter than --deploy-timeout {timeout}: \
             a deploy that still runs may be taken for one that died, and be sent again"
        ));
    }
    Ok(Some(DeployConfig {
        url,
        token: token.map(|found| found.secret),
        timeout: args.deploy_timeout,
        unknown_hold: args.unknown_hold.0,
        skip_scope_check: args.skip_scope_check,
    }))
}
