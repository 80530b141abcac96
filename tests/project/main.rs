//! What the project holds to: the shape of its code, its command line, and what is installed.

mod architecture;
mod command_line;
mod shipping;
