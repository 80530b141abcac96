//! `serve`: the HTTP API, and passes by the clock and on demand.

use std::time::Duration;

use crate::artifactory::Artifactory;
use crate::cli::Cli;
use crate::config::{Config, ServeConfig};
use crate::coreos_deploy::CoreosDeploy;
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::{self, Access};
use crate::output::Output;
use crate::serve::{Launch, OptionsView, Server, ServerConfig};

/// Serves until told to stop.
///
/// What would end every pass with exit code 2 or 77 ends the server before it listens. A ledger
/// that is not there yet does not: a host that boots may start its database later, and every pass
/// opens the ledger for itself.
pub fn run(cli: &Cli, config: &Config, output: &Output) -> Result<Exit> {
    output.log_events();
    let scope = config.scope()?;
    let serve = config.serve()?;
    // They also read the files of certificates. Clients that block are no good in the server.
    drop(Artifactory::new(config.artifactory()?, &config.http)?);
    drop(CoreosDeploy::new(config.deploy()?, &config.http)?);
    let server = Server::bind(serve)?;
    match ledger::open(config.dsn()?, Access::Write) {
        Err(error) if error.exit == Exit::Unavailable => output.error(&error),
        opened => drop(opened?),
    }
    let http = ServerConfig {
        name: serve.name.clone(),
        options: view(cli, config, serve)?,
        dsn: config.dsn()?.clone(),
        scope: scope.clone(),
        masker: config.http.masker.clone(),
    };
    let options = cli.variables.for_a_pass(std::env::vars_os());
    let launch = Launch::new(options, longest(config)?, output.verbose() > 0);
    server.run(http, launch)
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
