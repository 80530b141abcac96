//! What a pass works on, and what it may do.

use std::time::Duration;

use super::check::{DAY, SECOND, between, check_name, named};
use crate::cli::Cli;
use crate::error::{Error, Result};
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
pub(super) fn from_cli(cli: &Cli) -> Result<Rules> {
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
