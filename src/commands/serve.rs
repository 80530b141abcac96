//! `serve`: the HTTP API, and passes by the clock and on demand.

use std::ffi::OsString;
use std::time::Duration;

use super::context::Context;
use crate::cli::Cli;
use crate::config::{Config, Dsn, ServeConfig};
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::pass::open_to_write;
use crate::serve::{Launch, OptionsView, Server, ServerConfig};

/// Serves until told to stop.
///
/// What would end every pass with exit code 2 or 77 ends the server before it listens. A ledger
/// that is not there yet does not: a host that boots may start its database later, and every pass
/// opens the ledger for itself.
pub(super) fn run(context: &Context<'_>) -> Result<Exit> {
    let (cli, config, output) = (context.cli, context.config, context.output);
    output.log_events();
    let scope = config.scope()?;
    let serve = config.serve()?;
    // They also read the files of certificates. Clients that block are no good in the server.
    config.artifactory()?;
    drop(context.ports.releases()?);
    drop(context.ports.target()?);
    let server = Server::bind(serve)?;
    match open_to_write(context.ports, output) {
        Err(error) if error.kind == Kind::Unavailable => output.error(&error),
        opened => drop(opened?),
    }
    let http = ServerConfig {
        name: serve.name.clone(),
        options: view(cli, config, serve)?,
        dsn: config.dsn()?.clone(),
        scope: scope.clone(),
        order: config.rules.order,
        hook: serve.hook.clone(),
        masker: config.http.masker.clone(),
    };
    let mut options = cli.variables.for_a_pass(std::env::vars_os());
    make_absolute(&mut options, config.dsn()?)?;
    let launch = Launch::new(options, longest(config)?, output.verbose() > 0);
    server.run(http, launch)
}

/// Gives passes the whole path of the ledger: a relative one, which may be typed, is refused in a
/// variable.
fn make_absolute(options: &mut [(OsString, OsString)], dsn: &Dsn) -> Result<()> {
    let Dsn::Sqlite(path) = dsn else {
        return Ok(());
    };
    let path = std::path::absolute(path).map_err(|e| {
        let message = format!("{} has no absolute path", path.display());
        Error::unavailable(message).because_of(&e)
    })?;
    for (_, value) in options.iter_mut().filter(|(name, _)| name == "CAM_DSN") {
        *value = OsString::from("sqlite:");
        value.push(&path);
    }
    Ok(())
}

/// The options as the server shows them: none is a secret.
fn view(cli: &Cli, config: &Config, serve: &ServeConfig) -> Result<OptionsView> {
    let (scope, artifactory) = (config.scope()?, config.artifactory()?);
    Ok(OptionsView {
        name: serve.name.clone(),
        host_name: serve.hostname.clone(),
        domain: scope.domain.clone(),
        environment: scope.environment.clone(),
        deploy_url: config.deploy()?.url.clone(),
        art_api_endpoint: artifactory.api.clone(),
        art_polling_interval: serve.polling.map_or(0, |interval| interval.as_secs()),
        art_deploy_repo: artifactory.deploy_repo.clone(),
        art_payload_repo: artifactory.payload_repo.clone(),
        port: serve.port,
        prof_port: serve.profiler_port.unwrap_or(0),
        max_procs: u32::try_from(cli.global.server.procs.unwrap_or(0)).unwrap_or(0),
        debug_enabled: cli.global.output.debug,
    })
}

/// The time that the options allow a pass: it may wait for the lease, and its last deploy may begin
/// at the very end.
fn longest(config: &Config) -> Result<Duration> {
    let rules = &config.rules;
    Ok(rules.lock_wait + rules.max_duration + config.deploy()?.timeout)
}
