//! Against a scripted server.

mod listing;
mod payload;
mod server;
