//! Who gave a command.

use crate::ledger::host;
use crate::text::printable;

/// Who gave a command: the user, by the name that they logged in with, and the host.
pub fn operator() -> String {
    let variable = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(variable);
    let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    printable(&format!("{user}@{}", host()))
}
