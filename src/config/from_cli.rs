//! From options and variables to a [`Config`].

use std::time::Duration;

use super::ledger::ledger;
use super::secrets::{Env, Found, Source};
use super::warnings::{exposed, warn_of_plain_http, without_effect};
use super::{
    ArtifactoryConfig, Config, Credentials, DeployConfig, Dsn, HttpConfig, OutputConfig, Rules,
    needs, server,
};
use crate::cli::{Cli, OutputFormat, variable};
use crate::error::{Error, Result};
use crate::mask::Masker;
use crate::model::listing::AppFilter;
use crate::model::name::{NAME_LIMIT, Scope, is_app_name};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Config {
    /// Checks and completes what was typed. `env` gives the variables that clap does not read:
    /// those of secrets, of coreos-deploy-client, and the places of the system.
    ///
    /// Errors: exit 2, naming the option and its variable.
    pub fn from_cli(cli: &Cli, env: Env) -> Result<Config> {
        let mut warnings = Vec::new();
        let args = &cli.global;
        let mut dsn = if needs::uses_ledger(cli) {
            Some(ledger(cli, env, &mut warnings)?)
        } else {
            None
        };
        let mut alerts = exposed(cli, dsn.as_ref());
        without_effect(cli, env, &mut alerts, &mut warnings);
        let scope = scope(cli)?;
        // Secrets that a command does not use need not be there, nor be readable.
        let artifactory = if needs::reads_artifactory(cli) {
            artifactory(cli, env, &mut warnings)?
        } else {
            None
        };
        let deploy = if needs::deploys(cli) {
            deploy(cli, env, &mut warnings)?
        } else {
            None
        };
        let masker = masker(artifactory.as_ref(), deploy.as_ref(), dsn.as_ref());
        if let Some(Dsn::Mysql(mysql)) = &mut dsn {
            mysql.masker = masker.clone();
        }
        Ok(Config {
            scope,
            artifactory,
            deploy,
            http: HttpConfig {
                connect_timeout: between(
                    "connect-timeout",
                    args.artifactory.connect_timeout,
                    Duration::from_millis(1),
                    DAY,
                )?,
                ca_file: args.artifactory.ca_file.clone(),
                masker,
            },
            rules: rules(cli)?,
            serve: server::from_cli(cli)?,
            output: OutputConfig::from_cli(cli),
            alerts,
            dsn,
            warnings,
        })
    }
}

impl ArtifactoryConfig {
    /// How Artifactory is spoken to, for a command that may do without: nothing of it, no secret
    /// either, is looked at before.
    ///
    /// Errors: exit 2.
    pub fn from_cli(cli: &Cli, env: Env) -> Result<Self> {
        artifactory(cli, env, &mut Vec::new())?.ok_or_else(Self::missing)
    }
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

/// The option and its variable, as errors name them.
pub(super) fn named(long: &str) -> String {
    format!("--{long} ({})", variable(long))
}

fn scope(cli: &Cli) -> Result<Option<Scope>> {
    let args = &cli.global.scope;
    check_name("environment", &args.environment)?;
    let Some(domain) = &args.domain else {
        return Ok(None);
    };
    check_name("domain", domain)?;
    Ok(Some(Scope {
        domain: domain.clone(),
        environment: args.environment.clone(),
    }))
}

/// Domain, environment and repositories become part of file names and paths of URLs.
fn check_name(long: &str, value: &str) -> Result<()> {
    if is_app_name(value) {
        return Ok(());
    }
    Err(
        Error::usage(format!("{} cannot be \"{value}\"", named(long))).hint(format!(
            "up to {NAME_LIMIT} letters, digits, '.', '_' and '-', a letter or digit first"
        )),
    )
}

/// Errors (exit 2): a duration out of its range.
pub(super) fn between(
    long: &str,
    value: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::usage(format!(
        "{} is {}; it must be from {} to {}",
        named(long),
        humantime::format_duration(value),
        humantime::format_duration(least),
        humantime::format_duration(most),
    )))
}

fn artifactory(
    cli: &Cli,
    env: Env,
    warnings: &mut Vec<String>,
) -> Result<Option<ArtifactoryConfig>> {
    let args = &cli.global.artifactory;
    let credentials = credentials(cli, env, warnings)?;
    if !(1..=64).contains(&args.jobs) {
        let message = format!(
            "{} is {}; it must be from 1 to 64",
            named("jobs"),
            args.jobs
        );
        return Err(Error::usage(message));
    }
    let parts = [
        ("art-endpoint", &args.art_endpoint),
        ("art-deploy-repo", &args.art_deploy_repo),
        ("art-payload-repo", &args.art_payload_repo),
    ];
    let [
        (_, Some(endpoint)),
        (_, Some(deploy_repo)),
        (_, Some(payload_repo)),
    ] = parts
    else {
        let some = parts.iter().any(|(_, value)| value.is_some());
        if some {
            let missing: Vec<String> = parts
                .iter()
                .filter(|(_, value)| value.is_none())
                .map(|(long, _)| named(long))
                .collect();
            let message = format!("this command needs {}", missing.join(" and "));
            return Err(Error::usage(message));
        }
        return Ok(None);
    };
    check_name("art-deploy-repo", deploy_repo)?;
    check_name("art-payload-repo", payload_repo)?;
    if deploy_repo == payload_repo {
        return Err(Error::usage(format!(
            "{} and {} name the same repository",
            named("art-deploy-repo"),
            named("art-payload-repo")
        )));
    }
    let (api, base) = crate::artifactory::bases(endpoint).map_err(|why| {
        Error::usage(format!("{} cannot be used", named("art-endpoint"))).because(why)
    })?;
    warn_of_plain_http("art-endpoint", &api, warnings);
    Ok(Some(ArtifactoryConfig {
        api,
        base,
        credentials,
        deploy_repo: deploy_repo.clone(),
        payload_repo: payload_repo.clone(),
        listing: args.listing,
        max_duration: cli.global.rules.max_duration,
        jobs: args.jobs,
    }))
}

fn credentials(cli: &Cli, env: Env, warnings: &mut Vec<String>) -> Result<Credentials> {
    let args = &cli.global.artifactory;
    let mut find = |long, option, file| {
        Source {
            long,
            option,
            file,
            foreign: None,
        }
        .find(env, warnings)
    };
    let password = find(
        "art-password",
        args.art_password.as_ref(),
        args.art_password_file.as_deref(),
    )?;
    let token = find(
        "art-token",
        args.art_token.as_ref(),
        args.art_token_file.as_deref(),
    )?;
    let key = find(
        "art-api-key",
        args.art_api_key.as_ref(),
        args.art_api_key_file.as_deref(),
    )?;
    let places: Vec<&str> = [&password, &token, &key]
        .into_iter()
        .flatten()
        .map(|found| found.place.as_str())
        .collect();
    if places.len() > 1 {
        let message = format!(
            "{} are two ways to authenticate to Artifactory",
            places.join(" and ")
        );
        return Err(Error::usage(message).hint("give one of them"));
    }
    let user = match &args.art_userid {
        Some(user) => Some(check_user(user)?),
        None => None,
    };
    let secret = |found: Found| found.secret;
    match (user, password, token, key) {
        (Some(user), Some(password), ..) => Ok(Credentials::Basic(user, password.secret)),
        (Some(_), None, ..) => Err(Error::usage(format!(
            "{} goes with --art-password (CAM_ART_PASSWORD), which is missing",
            named("art-userid")
        ))
        .hint("leave the user out where a token or an API key is used")),
        (None, Some(password), ..) => Err(Error::usage(format!(
            "{} goes with {}, which is missing",
            password.place,
            named("art-userid")
        ))),
        (None, None, token, key) => Ok(token
            .map(secret)
            .map(Credentials::Bearer)
            .or(key.map(secret).map(Credentials::ApiKey))
            .unwrap_or(Credentials::Anonymous)),
    }
}

/// A user of basic authentication (RFC 7617): no colon, no control character.
fn check_user(user: &str) -> Result<String> {
    if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
        let message = format!("{} cannot be \"{user}\"", named("art-userid"));
        return Err(Error::usage(message)
            .because("a user is not empty and holds no colon and no control character"));
    }
    Ok(user.to_string())
}

fn deploy(cli: &Cli, env: Env, warnings: &mut Vec<String>) -> Result<Option<DeployConfig>> {
    let args = &cli.global.deploy;
    let token = Source {
        long: "deploy-token",
        option: args.deploy_token.as_ref(),
        file: args.deploy_token_file.as_deref(),
        foreign: Some("COREOS_DEPLOY_TOKEN"),
    }
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
    let url = crate::target::coreos_deploy::normalise_url(&url)
        .map_err(|why| Error::usage(format!("{place} cannot be used")).because(why))?;
    warn_of_plain_http("deploy-url", &url, warnings);
    Ok(Some(DeployConfig {
        url,
        token: token.map(|found| found.secret),
        timeout,
        unknown_hold: args.unknown_hold.0,
        skip_scope_check: args.skip_scope_check,
    }))
}

fn rules(cli: &Cli) -> Result<Rules> {
    let args = &cli.global.rules;
    let zero = Duration::ZERO;
    if args.max_attempts == 0 {
        let message = format!("{} is 0; it must be 1 or more", named("max-attempts"));
        return Err(Error::usage(message));
    }
    Ok(Rules {
        order: args.order,
        filter: AppFilter {
            include: args.app.clone(),
            exclude: args.exclude_app.clone(),
        },
        max_deploys: args.max_deploys,
        max_attempts: args.max_attempts,
        retry_after: between("retry-after", args.retry_after, zero, 30 * DAY)?,
        payload_wait: between("payload-wait", args.payload_wait, zero, 365 * DAY)?,
        max_duration: between("max-duration", args.max_duration, SECOND, 7 * DAY)?,
        lock_wait: between("lock-wait", cli.global.ledger.lock_wait, zero, 7 * DAY)?,
    })
}
