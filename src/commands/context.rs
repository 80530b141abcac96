//! What every command works with.

use crate::artifactory::{Artifactory, Releases};
use crate::cli::Cli;
use crate::clock::{SharedClock, System};
use crate::config::{ArtifactoryConfig, Config};
use crate::error::Result;
use crate::ledger::{self, Access, Ledger};
use crate::model::name::Scope;
use crate::output::Output;
use crate::pass::{Interrupt, Ports};
use crate::target::Target;
use crate::target::coreos_deploy::CoreosDeploy;

/// What every command works with.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// What was typed.
    pub(crate) cli: &'a Cli,
    /// What was meant.
    pub(crate) config: &'a Config,
    /// Where results go.
    pub(crate) output: &'a Output,
    /// What the command reaches beyond its own process.
    pub(crate) ports: &'a dyn Ports,
}

impl<'a> Context<'a> {
    /// The scope.
    pub(crate) fn scope(&self) -> Result<&'a Scope> {
        self.config.scope()
    }

    /// The time, in milliseconds since 1970 UTC.
    pub(crate) fn now_ms(&self) -> i64 {
        self.ports.clock().now_ms()
    }
}

/// What the options say.
pub(crate) struct Configured<'a> {
    pub(crate) cli: &'a Cli,
    pub(crate) config: &'a Config,
}

impl Ports for Configured<'_> {
    fn clock(&self) -> SharedClock {
        System::shared()
    }

    fn ledger(&self, access: Access) -> Result<Box<dyn Ledger>> {
        ledger::open(self.config.dsn()?, access)
    }

    /// Of a command that can do without Artifactory the options are read when it is asked for.
    fn releases(&self) -> Result<Box<dyn Releases>> {
        let env = |name: &str| std::env::var_os(name);
        let config = match &self.config.artifactory {
            Some(config) => config.clone(),
            None => ArtifactoryConfig::from_cli(self.cli, &env)?,
        };
        Ok(Box::new(Artifactory::new(&config, &self.config.http)?))
    }

    fn target(&self) -> Result<Box<dyn Target>> {
        let config = self.config.deploy()?;
        Ok(Box::new(CoreosDeploy::new(config, &self.config.http)?))
    }

    fn interrupt(&self) -> Result<Interrupt> {
        Interrupt::install()
    }
}
