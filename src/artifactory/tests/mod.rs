//! Against a scripted server.

mod downloads;
mod listing;
mod payload;
mod server;
