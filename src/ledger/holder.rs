//! Who holds a lease, in words for people.

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

/// The name of this host.
pub fn host() -> String {
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
