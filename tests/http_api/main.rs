//! The HTTP API over real connections.
#![expect(clippy::unwrap_used, reason = "what a test can't do fails it")]

mod hook;
mod limits;
mod log;
mod original;
mod page;
mod profile;
mod server;
mod views;
