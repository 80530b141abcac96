//! What a command reaches beyond its own process.

use super::Interrupt;
use crate::artifactory::Releases;
use crate::clock::SharedClock;
use crate::error::Result;
use crate::ledger::{Access, Ledger};
use crate::target::Target;

/// Makes what a command reaches beyond its own process, when the command asks for it. Making one
/// sends nothing; what the options are wrong about is an error then (exit 2).
pub trait Ports: Sync {
    /// The time.
    fn clock(&self) -> SharedClock;

    /// What is deployed, and what was tried.
    ///
    /// Errors: those of [`crate::ledger::open`].
    fn ledger(&self, access: Access) -> Result<Box<dyn Ledger>>;

    /// Where releases come from.
    fn releases(&self) -> Result<Box<dyn Releases>>;

    /// Where they go.
    fn target(&self) -> Result<Box<dyn Target>>;

    /// Whether somebody wants the command to stop; asked for by one that changes something.
    fn interrupt(&self) -> Result<Interrupt>;
}
