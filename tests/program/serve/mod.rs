//! `serve`, `health` and `token` of the real binary: passes by the clock and on demand, kills,
//! the end in good order, systemd.

mod ends;
mod hook;
mod kills;
mod page;
mod passes;
mod private;
mod server;
mod systemd;
mod tokens;
