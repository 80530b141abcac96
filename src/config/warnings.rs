//! What works, and should not be left so.

use super::Dsn;
use super::check::named;
use super::secrets::Env;
use crate::cli::{Cli, variable};
use crate::text::printable;

/// A warning for each secret that stands on the command line.
pub(super) fn secrets_on_command_line(cli: &Cli, dsn: Option<&Dsn>) -> Vec<String> {
    let artifactory = &cli.global.artifactory;
    let has_password = matches!(dsn, Some(Dsn::Mysql(config)) if config.password.is_some());
    [
        ("art-password", artifactory.art_password.is_some()),
        ("art-token", artifactory.art_token.is_some()),
        ("art-api-key", artifactory.art_api_key.is_some()),
        ("deploy-token", cli.global.deploy.deploy_token.is_some()),
        ("hook-secret", cli.global.server.hook_secret.is_some()),
        ("dsn", cli.global.ledger.dsn.is_some() && has_password),
    ]
    .into_iter()
    .filter(|(_, given)| *given)
    .map(|(long, _)| {
        format!(
            "--{long} stands on the command line, where ps shows it to everybody: \
             use --{long}-file or {}_FILE",
            variable(long)
        )
    })
    .collect()
}

/// Tells of each variable of an option that belongs to one call: whoever reads, where it is one of
/// this command, which would otherwise be thought to heed it.
pub(super) fn variables_without_effect(
    cli: &Cli,
    env: Env,
    alerts: &mut Vec<String>,
    warnings: &mut Vec<String>,
) {
    for (long, is_of_this_command) in &cli.of_one_call {
        let name = variable(long);
        if env(&name).is_none_or(|value| value.is_empty()) {
            continue;
        }
        let to = if *is_of_this_command {
            &mut *alerts
        } else {
            &mut *warnings
        };
        to.push(format!("{name} is set and has no effect: give --{long}"));
    }
}

/// Warns where tokens and payloads travel in clear between machines.
pub(super) fn warn_of_plain_http(long: &str, url: &str, warnings: &mut Vec<String>) {
    let Ok(url) = reqwest::Url::parse(url) else {
        return;
    };
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if url.scheme() == "http" && !is_loopback(host) {
        warnings.push(printable(&format!(
            "{} is plain http: everybody on the way to {host} can read and change what is sent",
            named(long)
        )));
    }
}

/// Whether what is sent to this host stays on the machine: `localhost` and names below it
/// (RFC 6761), and loopback addresses.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
