//! What Go's flags take that others don't: the original's options go on as they were typed.

use std::ffi::OsString;

/// The options that the original has, by their long names.
pub(super) const ORIGINAL: [&str; 19] = [
    "name",
    "hostname",
    "domain",
    "environment",
    "deploy-url",
    "deploy-token",
    "art-endpoint",
    "art-userid",
    "art-password",
    "art-polling",
    "art-deploy-repo",
    "art-payload-repo",
    "port",
    "profiler-port",
    "procs",
    "dsn",
    "debug",
    "help",
    "version",
];

/// Go's flags have one dash or two: a long name of the original's after one dash gets the other.
pub(super) fn as_go_takes_them<I, T>(args: I) -> impl Iterator<Item = OsString>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString>,
{
    let mut is_over = false;
    args.into_iter().map(move |arg| {
        let arg = arg.into();
        is_over |= arg == "--";
        let text = arg.to_str().filter(|_| !is_over).unwrap_or_default();
        let name = text.split('=').next().unwrap_or_default().strip_prefix('-');
        match name {
            Some(name) if ORIGINAL.contains(&name.replace('_', "-").as_str()) => {
                format!("-{text}").into()
            }
            _ => arg,
        }
    })
}
