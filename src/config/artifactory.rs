//! The options of Artifactory.

use super::address;
use super::check::{check_name, named};
use super::secrets::{Env, Found, Source};
use super::warnings::warn_of_plain_http;
use crate::cli::{Cli, ListingMode};
use crate::error::{Error, Result};
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

impl ArtifactoryConfig {
    /// How Artifactory is spoken to, for a command that may do without: nothing of it, no secret
    /// either, is looked at before.
    ///
    /// Errors: exit 2.
    pub fn from_cli(cli: &Cli, env: Env) -> Result<Self> {
        from_cli(cli, env, &mut Vec::new())?.ok_or_else(Self::missing)
    }

    pub(super) fn missing() -> Error {
        Error::usage(
            "this command needs --art-endpoint (CAM_ART_ENDPOINT), \
            --art-deploy-repo (CAM_ART_DEPLOY_REPO) and --art-payload-repo (CAM_ART_PAYLOAD_REPO)",
        )
    }
}

/// How Artifactory is spoken to, where its endpoint and both repositories were given.
///
/// Errors (exit 2): an option that cannot be used, or one of the three without the others.
pub(super) fn from_cli(
    cli: &Cli,
    env: Env,
    warnings: &mut Vec<String>,
) -> Result<Option<ArtifactoryConfig>> {
    let args = &cli.global.artifactory;
    let credentials = credentials(cli, env, warnings)?;
    let given = [
        ("art-endpoint", &args.art_endpoint),
        ("art-deploy-repo", &args.art_deploy_repo),
        ("art-payload-repo", &args.art_payload_repo),
    ];
    let [
        (_, Some(endpoint)),
        (_, Some(deploy_repo)),
        (_, Some(payload_repo)),
    ] = given
    else {
        let missing = given.iter().filter(|(_, value)| value.is_none());
        let missing: Vec<String> = missing.map(|(long, _)| named(long)).collect();
        if missing.len() == given.len() {
            return Ok(None);
        }
        let message = format!("this command needs {}", missing.join(" and "));
        return Err(Error::usage(message));
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
    let (api, base) = address::of_artifactory(&named("art-endpoint"), endpoint)?;
    warn_of_plain_http("art-endpoint", &api, warnings);
    Ok(Some(ArtifactoryConfig {
        api,
        base,
        credentials,
        deploy_repo: deploy_repo.clone(),
        payload_repo: payload_repo.clone(),
        listing: args.listing,
        jobs: args.jobs,
    }))
}

fn credentials(cli: &Cli, env: Env, warnings: &mut Vec<String>) -> Result<Credentials> {
    let args = &cli.global.artifactory;
    let password = Source::new("art-password", &args.art_password, &args.art_password_file)
        .find(env, warnings)?;
    let token =
        Source::new("art-token", &args.art_token, &args.art_token_file).find(env, warnings)?;
    let key = Source::new("art-api-key", &args.art_api_key, &args.art_api_key_file)
        .find(env, warnings)?;
    let found = [&password, &token, &key].into_iter().flatten();
    let places: Vec<&str> = found.map(|found| found.place.as_str()).collect();
    if places.len() > 1 {
        let places = places.join(" and ");
        let message = format!("{places} are two ways to authenticate to Artifactory");
        return Err(Error::usage(message).hint("give one of them"));
    }
    let user = args.art_userid.as_deref();
    if let Some(user) = user {
        check_user(user)?;
    }
    let secret = |found: Found| found.secret;
    match (user, password) {
        (Some(user), Some(password)) => Ok(Credentials::Basic(user.to_owned(), password.secret)),
        (Some(_), None) => Err(Error::usage(format!(
            "{} goes with --art-password (CAM_ART_PASSWORD), which is missing",
            named("art-userid")
        ))
        .hint("leave the user out where a token or an API key is used")),
        (None, Some(password)) => Err(Error::usage(format!(
            "{} goes with {}, which is missing",
            password.place,
            named("art-userid")
        ))),
        (None, None) => Ok(token
            .map(secret)
            .map(Credentials::Bearer)
            .or(key.map(secret).map(Credentials::ApiKey))
            .unwrap_or(Credentials::Anonymous)),
    }
}

/// A user of basic authentication (RFC 7617): no colon, no control character.
fn check_user(user: &str) -> Result<()> {
    if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
        let message = format!("{} cannot be \"{user}\"", named("art-userid"));
        let why = "a user is not empty and holds no colon and no control character";
        return Err(Error::usage(message).because(why));
    }
    Ok(())
}
