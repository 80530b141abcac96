//! The ledger in SQL: every statement stands here once, for all databases.
//!
//! A database is an [`Engine`], which gives a connection, and a [`Database`], which runs statements
//! on it; [`SqlLedger`] makes a [`crate::ledger::Ledger`] of it. What differs between the databases
//! is in [`Dialect`] and in the lease.

mod attempts;
mod database;
mod deploys;
mod holds;
pub mod intents;
mod ledger;
mod passes;
mod snapshot;
mod tokens;
pub mod value;

pub use database::{Begin, Database, Dialect, Failure, Sql, first};
pub use deploys::{original_rows, put_original_rows};
pub use ledger::{Engine, PATIENCE, SqlLedger, Tries, persist};
