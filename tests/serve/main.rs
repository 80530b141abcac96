//! `serve`, `health` and `token` of the real binary: passes by the clock and on demand, kills,
//! the end in good order, systemd.

mod ends;
mod kills;
mod passes;
#[path = "../replaced/mod.rs"]
mod replaced;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod systemd;
mod tokens;
