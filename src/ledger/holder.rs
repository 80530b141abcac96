//! Who holds a lease, and who gave a command, in words for people.

use crate::text::printable;

/// Linux keeps at most this many bytes of a host's name.
const HOST_LENGTH: usize = 64;

/// Host, pid, program and version of this process.
pub fn describe() -> String {
    format!(
        "{} pid {} {} {}",
        host(),
        std::process::id(),
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION")
    )
}

/// Who gave a command: the user, by the name that they logged in with, and the host.
pub fn operator() -> String {
    let variable = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(variable);
    let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    printable(&format!("{user}@{}", host()))
}

fn host() -> String {
    // Asked of the kernel: a unit with ProcSubset=pid has no /proc/sys.
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    host.trim().chars().take(HOST_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_holder_is_this_process() {
        let text = super::describe();
        let pid = format!(" pid {} coreos-artifactory-monitor ", std::process::id());
        assert!(text.contains(&pid), "{text}");
        assert!(!text.starts_with(' ') && !text.contains('\n'), "{text:?}");
    }
}
