//! The options of `serve` and `health`.

use std::thread::available_parallelism;
use std::time::Duration;

use super::Network;
use super::check::named;
use super::secrets::{Env, Source};
use crate::cli::{Cli, Command, HookAuth};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The name of a server that was given none.
const NAME: &str = env!("CARGO_PKG_NAME");
/// The most bytes of a name.
const NAME_LIMIT: usize = 128;
/// The most worker threads.
const MOST_THREADS: i32 = 64;

/// What `serve` and `health` are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// `--name`: the value of the `Server` header.
    pub name: String,
    /// `--hostname`: a name or an address, without brackets.
    pub hostname: String,
    /// `--port`; 0 takes a free one.
    pub port: u16,
    /// `--art-polling`: from the end of a pass to the start of the next; `None` is no polling.
    pub polling: Option<Duration>,
    /// `--profiler-port`, where profiles are wanted.
    pub profiler_port: Option<u16>,
    /// `--procs`: worker threads.
    pub procs: usize,
    /// `--trusted-proxy`: what stands for many clients.
    pub proxies: Vec<Network>,
    /// The webhook, where it has a secret.
    pub hook: Option<HookConfig>,
}

/// How Artifactory's webhook shows that an event is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// `--hook-secret`.
    pub secret: Secret,
    /// `--hook-auth`.
    pub auth: HookAuth,
}

/// Checks the options of the server for the commands that have one; an old command line that runs
/// one pass is not asked.
pub(super) fn from_cli(
    cli: &Cli,
    env: Env,
    warnings: &mut Vec<String>,
) -> Result<Option<ServeConfig>> {
    if !matches!(&cli.command, Some(Command::Serve | Command::Health)) {
        return Ok(None);
    }
    let args = &cli.global.server;
    Ok(Some(ServeConfig {
        name: name(args.name.as_deref())?,
        hostname: hostname(&args.hostname)?,
        port: args.port,
        polling: Some(args.art_polling).filter(|pause| !pause.is_zero()),
        profiler_port: profiler_port(args.profiler_port.unwrap_or(0))?,
        procs: threads(args.procs.unwrap_or(0)),
        proxies: proxies(&args.trusted_proxy)?,
        hook: hook(cli, env, warnings)?,
    }))
}

/// The webhook, where the server that has it is to run.
fn hook(cli: &Cli, env: Env, warnings: &mut Vec<String>) -> Result<Option<HookConfig>> {
    if !matches!(&cli.command, Some(Command::Serve)) {
        return Ok(None);
    }
    let args = &cli.global.server;
    let source = Source::new("hook-secret", &args.hook_secret, &args.hook_secret_file);
    let found = source.find(env, warnings)?;
    Ok(found.map(|found| HookConfig {
        secret: found.secret,
        auth: args.hook_auth,
    }))
}

/// A value that a header can have: visible ASCII and spaces (RFC 9110, section 5.5).
fn name(given: Option<&str>) -> Result<String> {
    let name = given.map_or(NAME, str::trim);
    let name = if name.is_empty() { NAME } else { name };
    if name.len() > NAME_LIMIT || !name.bytes().all(|b| matches!(b, b' '..=b'~')) {
        let message = format!("{} cannot be \"{name}\"", named("name"));
        return Err(Error::usage(message).hint("up to 128 visible ASCII characters and spaces"));
    }
    Ok(name.to_owned())
}

fn hostname(given: &str) -> Result<String> {
    let inner = given.strip_prefix('[').and_then(|g| g.strip_suffix(']'));
    let host = inner.unwrap_or(given);
    let good = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if good {
        return Ok(host.to_owned());
    }
    Err(
        Error::usage(format!("{} cannot be \"{given}\"", named("hostname")))
            .hint("a name or an address; 0.0.0.0 or :: for all of this host"),
    )
}

fn proxies(given: &[String]) -> Result<Vec<Network>> {
    let parse = |text: &String| {
        let network = text.trim().parse();
        network.map_err(|why: String| {
            Error::usage(format!("{} cannot be used", named("trusted-proxy"))).because(why)
        })
    };
    given.iter().map(parse).collect()
}

/// The original takes -1 and 0 for "no profiler".
fn profiler_port(given: i32) -> Result<Option<u16>> {
    if given <= 0 {
        return Ok(None);
    }
    u16::try_from(given).map(Some).map_err(|_| {
        let message = format!(
            "{} is {given}; it must be below 65536",
            named("profiler-port")
        );
        Error::usage(message)
    })
}

/// The original hands any number to Go's GOMAXPROCS, which takes 0 and less for "as it is".
fn threads(given: i32) -> usize {
    if given <= 0 {
        return available_parallelism().map_or(2, |cores| cores.get().clamp(2, 4));
    }
    usize::try_from(given.min(MOST_THREADS)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Option<ServeConfig>> {
        let cli = Cli::parse_from_args(["cam"].iter().chain(line)).unwrap();
        from_cli(&cli, &|_| None, &mut Vec::new())
    }

    fn serve(line: &[&str]) -> ServeConfig {
        read(&[&["serve"], line].concat()).unwrap().unwrap()
    }

    #[test]
    fn defaults() {
        let config = serve(&[]);
        assert_eq!(config.name, "coreos-artifactory-monitor");
        assert_eq!(config.hostname, "localhost");
        assert_eq!(config.port, 8080);
        assert_eq!(config.polling, Some(Duration::from_secs(300)));
        assert_eq!(config.profiler_port, None);
        assert!((2..=4).contains(&config.procs));
        assert_eq!(read(&["run", "-L", "70000"]).unwrap(), None);
    }

    #[test]
    fn what_an_old_command_line_says() {
        let old = [
            "-N",
            "San Francisco",
            "-H",
            "[::1]",
            "-g",
            "600",
            "-p",
            "0",
            "-X",
            "200",
            "-L",
            "-1",
        ];
        let config = serve(&old);
        assert_eq!(config.name, "San Francisco");
        assert_eq!(config.hostname, "::1");
        assert_eq!(config.port, 0);
        assert_eq!(config.polling, Some(Duration::from_secs(600)));
        assert_eq!(config.profiler_port, None);
        assert_eq!(config.procs, 64);
        assert_eq!(serve(&["-g", "0"]).polling, None);
        assert_eq!(serve(&["-L", "6060"]).profiler_port, Some(6060));
        assert_eq!(serve(&["-X", "1"]).procs, 1);
        assert_eq!(
            serve(&["--trusted-proxy", "::1, 10.0.0.0/8"]).proxies.len(),
            2
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in [
            ["-N", "a\r\nX: y"],
            ["-N", "n\u{f6}"],
            ["-H", ""],
            ["-H", "a b"],
            ["-H", "http://a"],
            ["-L", "65536"],
            ["--trusted-proxy", "10.0.0.0/8,proxy"],
        ] {
            let error = read(&[&["serve"], &line[..]].concat()).unwrap_err();
            assert_eq!(error.kind, crate::error::Kind::Usage, "{line:?}");
        }
    }
}
