//! What a pass works on, and what it may do.

use std::time::Duration;

use super::check::check_name;
use crate::cli::Cli;
use crate::error::Result;
use crate::model::listing::AppFilter;
use crate::model::name::Scope;
use crate::model::version::Order;

/// The rules of a pass.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `--order`.
    pub order: Order,
    /// `--app`, `--exclude-app`.
    pub filter: AppFilter,
    /// `--max-deploys`; 0 is no limit.
    pub max_deploys: usize,
    /// `--max-failures`; 0 never stops a pass.
    pub max_failures: usize,
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
    /// The longest that a pass may hold the lease.
    pub longest_hold: Duration,
}

/// The longest that a pass may hold the lease: its time, the deploy that ends it, and a margin.
pub(super) fn longest_hold(cli: &Cli) -> Duration {
    const MARGIN: Duration = Duration::from_secs(5 * 60);
    (cli.global.rules.max_duration)
        .saturating_add(cli.global.deploy.deploy_timeout)
        .saturating_add(MARGIN)
}

/// Reads the domain and the environment, where the domain was given.
pub(super) fn scope(cli: &Cli) -> Result<Option<Scope>> {
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

/// Reads the rules.
pub(super) fn from_cli(cli: &Cli) -> Rules {
    let args = &cli.global.rules;
    Rules {
        order: args.order,
        filter: AppFilter {
            include: args.app.clone(),
            exclude: args.exclude_app.clone(),
        },
        max_deploys: args.max_deploys,
        max_failures: args.max_failures,
        max_attempts: args.max_attempts,
        retry_after: args.retry_after,
        payload_wait: args.payload_wait,
        max_duration: args.max_duration,
        lock_wait: cli.global.ledger.lock_wait,
        longest_hold: longest_hold(cli),
    }
}
