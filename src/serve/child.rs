//! One pass as a process of its own: started, listened to, ended, reaped.
//!
//! A pass is told to stop by the end of its standard input, which it takes for SIGTERM. So it also
//! ends in good order when the server is killed, and a service manager that sends SIGTERM to both
//! does not make ours the second signal, which ends a pass at once.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::exit::Exit;
use crate::model::report::Report;
use crate::text::printable;

/// How a pass can end, in one word.
pub(super) const RESULTS: [&str; 11] = [
    "success",
    "failed",
    "usage",
    "unknown",
    "guard",
    "unavailable",
    "try_later",
    "credentials",
    "interrupted",
    "killed",
    "error",
];
/// The most bytes of a report, one of some 20,000 apps; a longer one counts as lost.
const REPORT_LIMIT: usize = 8 * 1024 * 1024;
/// How long a pass may take to end once it is told to, before it is killed. A pass promises less
/// than 18 s; a server 20 s.
const GRACE: Duration = Duration::from_secs(18);
/// How long after its end the output of a pass may still be on its way.
const DRAIN: Duration = Duration::from_secs(2);
/// How long a pass may outlast what its options say.
const SLACK: Duration = Duration::from_secs(120);
/// What a pass finds of the server's environment beside its options: the places of the system, of
/// certificates, of state and of credentials, and proxies.
const KEPT: [&str; 18] = [
    "PATH",
    "HOME",
    "HOSTNAME",
    "TZ",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "STATE_DIRECTORY",
    "XDG_STATE_HOME",
    "CREDENTIALS_DIRECTORY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// How passes are started.
pub struct Launch {
    program: PathBuf,
    /// The id of the pass comes after them.
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    limit: Duration,
    /// Whether what a pass says on stderr is mostly detail.
    verbose: bool,
    grace: Duration,
}

impl Launch {
    /// Passes of this very program, whatever stands at its path by now. `options` are its options
    /// as variables (nothing of them is in its arguments), `longest` is the time that they allow.
    pub fn new(options: Vec<(OsString, OsString)>, longest: Duration, verbose: bool) -> Self {
        let arguments = ["run", "--output", "json", "--stop-at-eof", "--pass-id"];
        let kept = std::env::vars_os().filter(|(name, _)| is_kept(name.to_str()));
        Self {
            program: PathBuf::from("/proc/self/exe"),
            arguments: arguments.map(OsString::from).to_vec(),
            environment: kept.chain(options).collect(),
            limit: longest + SLACK,
            verbose,
            grace: GRACE,
        }
    }
}

fn is_kept(name: Option<&str>) -> bool {
    name.is_some_and(|name| KEPT.contains(&name) || name.starts_with("LC_"))
}

/// How a pass ended.
#[derive(Debug)]
pub(super) struct Finished {
    /// One of [`RESULTS`].
    pub(super) result: &'static str,
    /// The exit code, where it was no signal.
    pub(super) code: Option<i32>,
    /// What it printed, where that was its report.
    pub(super) report: Option<Arc<Report>>,
    /// From its start to its end.
    pub(super) duration: Duration,
}

/// Runs one pass. When `stop` becomes true, or the limit is over, it is told to stop, and killed
/// where it does not.
pub(super) async fn run(launch: &Launch, pass: &str, stop: watch::Receiver<bool>) -> Finished {
    let begun = Instant::now();
    let (status, report) = match start(launch, pass) {
        Ok(child) => attend(launch, pass, child, stop).await,
        Err(e) => (Err(e), None),
    };
    let duration = begun.elapsed();
    match status {
        Ok(status) => Finished {
            result: result(status),
            code: status.code(),
            report,
            duration,
        },
        Err(e) => {
            error!("pass {pass} cannot be run: {e}");
            Finished {
                result: "error",
                code: None,
                report,
                duration,
            }
        }
    }
}

fn start(launch: &Launch, pass: &str) -> io::Result<Child> {
    Command::new(&launch.program)
        .arg0(env!("CARGO_PKG_NAME"))
        .args(&launch.arguments)
        .arg(pass)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at a terminal is for the server, which ends its pass in its own way.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Listens to a pass until its end.
async fn attend(
    launch: &Launch,
    pass: &str,
    mut child: Child,
    stop: watch::Receiver<bool>,
) -> (io::Result<ExitStatus>, Option<Arc<Report>>) {
    let stdin = child.stdin.take();
    let mut document = tokio::spawn(read_report(child.stdout.take()));
    let words = copy_lines(child.stderr.take(), pass.to_owned(), launch.verbose);
    let mut words = tokio::spawn(words);
    let status = wait(launch, pass, &mut child, stdin, stop).await;
    let bytes = timeout(DRAIN, &mut document).await;
    if timeout(DRAIN, &mut words).await.is_err() || bytes.is_err() {
        document.abort();
        words.abort();
    }
    let bytes = bytes.ok().and_then(Result::ok).flatten();
    (status, bytes.and_then(|bytes| parse(pass, &bytes)))
}

/// Waits for the end of a pass, and brings it about where need be.
async fn wait(
    launch: &Launch,
    pass: &str,
    child: &mut Child,
    stdin: Option<ChildStdin>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<ExitStatus> {
    tokio::select! {
        status = child.wait() => return status,
        // A server whose sender is gone is stopping too.
        _ = stop.wait_for(|stop| *stop) => info!("pass {pass} is told to stop"),
        () = sleep(launch.limit) => {
            let limit = humantime::format_duration(launch.limit);
            warn!("pass {pass} has run for {limit}: it is told to stop");
        }
    }
    drop(stdin);
    if let Ok(status) = timeout(launch.grace, child.wait()).await {
        return status;
    }
    warn!("pass {pass} did not stop: it is killed");
    child.start_kill()?;
    child.wait().await
}

/// Reads all; gives nothing where it is more than [`REPORT_LIMIT`].
async fn read_report(stdout: Option<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut stdout = stdout?;
    let mut report = Vec::new();
    let mut chunk = [0; 8192];
    let mut whole = true;
    // A pass must never wait for its reader: what is too much is read as well.
    while let Ok(count) = stdout.read(&mut chunk).await {
        if count == 0 {
            return whole.then_some(report);
        }
        whole &= report.len() + count <= REPORT_LIMIT;
        if whole {
            report.extend_from_slice(&chunk[..count]);
        }
    }
    None
}

/// The report of this pass, if that is what was printed.
fn parse(pass: &str, bytes: &[u8]) -> Option<Arc<Report>> {
    let report: Option<Report> = serde_json::from_slice(bytes).ok();
    report.filter(|report| report.pass == pass).map(Arc::new)
}

/// Repeats what a pass says on stderr.
async fn copy_lines(stderr: Option<impl AsyncRead + Unpin>, pass: String, verbose: bool) {
    let Some(mut stderr) = stderr else { return };
    let short = pass.split('-').next().unwrap_or(&pass);
    let mut lines = Lines::default();
    let mut chunk = [0; 8192];
    let mut say = |line: &str| {
        if verbose {
            info!("pass {short}: {line}");
        } else {
            warn!("pass {short}: {line}");
        }
    };
    while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
        lines.push(&chunk[..count], &mut say);
    }
    lines.end(&mut say);
}

/// The word for how a process ended.
fn result(status: ExitStatus) -> &'static str {
    if status.signal().is_some() {
        return "killed";
    }
    let known = |exit: &Exit| Some(i32::from(exit.code())) == status.code();
    match Exit::ALL.into_iter().find(known) {
        Some(Exit::Success) => "success",
        Some(Exit::Failed) => "failed",
        Some(Exit::Usage) => "usage",
        Some(Exit::Unknown) => "unknown",
        Some(Exit::Guard) => "guard",
        Some(Exit::Unavailable) => "unavailable",
        Some(Exit::TryLater) => "try_later",
        Some(Exit::Credentials) => "credentials",
        Some(Exit::Interrupted | Exit::Terminated) => "interrupted",
        // No pass ends like that.
        Some(Exit::Pending) | None => "error",
    }
}

#[cfg(test)]
impl Launch {
    /// Passes that are this shell script, the id in `$1`.
    pub(super) fn script(text: &str) -> Self {
        Self {
            program: PathBuf::from("/bin/sh"),
            arguments: ["-c", text, "sh"].map(OsString::from).to_vec(),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            limit: Duration::from_secs(60),
            verbose: false,
            grace: Duration::from_secs(30),
        }
    }

    /// The same with another program.
    pub(super) fn of(mut self, program: &std::path::Path) -> Self {
        program.clone_into(&mut self.program);
        self
    }
}

/// The most bytes of a line; the rest of it is left out.
const LINE_LIMIT: usize = 2048;
/// The most bytes of all lines of one pass.
const LIMIT: usize = 1024 * 1024;

/// Cuts a stream of bytes into lines that are fit to print.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    total: usize,
}

impl Lines {
    /// Takes bytes and gives every line that is complete.
    pub(super) fn push(&mut self, bytes: &[u8], say: &mut impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n");
            let room = LINE_LIMIT.saturating_sub(self.line.len());
            let kept = text.unwrap_or(piece);
            self.line.extend_from_slice(&kept[..kept.len().min(room)]);
            if text.is_some() {
                self.end(say);
            }
        }
    }

    /// Gives the last line, if one was begun.
    pub(super) fn end(&mut self, say: &mut impl FnMut(&str)) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() || self.total > LIMIT {
            return;
        }
        self.total += line.len();
        if self.total > LIMIT {
            say("it says more than is repeated here");
        } else {
            say(&printable(&String::from_utf8_lossy(&line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::name::Scope;
    use crate::pass::ReportBuilder;
    use proptest::prelude::*;
    use std::path::Path;

    use super::*;

    async fn finished(script: &str) -> Finished {
        let (_keep, stop) = watch::channel(false);
        run(&Launch::script(script), "id", stop).await
    }

    /// Whether a process is there, dead ones that nobody has reaped among them.
    fn is_there(pid: &str) -> bool {
        Path::new("/proc").join(pid.trim()).exists()
    }

    #[tokio::test]
    async fn every_exit_code_has_its_word() {
        for (code, word) in [
            (0, "success"),
            (1, "failed"),
            (2, "usage"),
            (3, "error"),
            (4, "unknown"),
            (5, "guard"),
            (69, "unavailable"),
            (70, "error"),
            (75, "try_later"),
            (77, "credentials"),
            (130, "interrupted"),
            (143, "interrupted"),
        ] {
            let finished = finished(&format!("exit {code}")).await;
            assert_eq!((finished.result, finished.code), (word, Some(code)));
            assert!(RESULTS.contains(&word));
        }
        let killed = finished("kill -9 $$").await;
        assert_eq!((killed.result, killed.code), ("killed", None));
    }

    #[tokio::test]
    async fn the_report_of_the_pass_is_taken_and_no_other() {
        let scope = Scope {
            domain: "example.com".into(),
            environment: "qa".into(),
        };
        let print = |id: &str| {
            let (report, _) = ReportBuilder::new("run", crate::clock::System::shared())
                .with_id(Some(id))
                .report(&scope, None);
            let text = serde_json::to_string(&report).unwrap();
            (report, format!("printf %s '{text}'"))
        };
        let (report, script) = print("id");
        assert_eq!(finished(&script).await.report, Some(Arc::new(report)));
        assert_eq!(finished(&print("other").1).await.report, None);
        assert_eq!(finished("echo '{'").await.report, None);
    }

    #[tokio::test]
    async fn output_without_end_is_read_and_forgotten() {
        let finished = finished(
            "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; \
             yes 2>/dev/null | head -n 100000 >&2; exit 4",
        )
        .await;
        assert_eq!((finished.result, finished.report), ("unknown", None));
    }

    #[tokio::test]
    async fn a_pass_that_does_not_stop_is_killed_and_reaped() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!(
            "trap '' TERM INT HUP; echo $$ > {}; while :; do sleep 0.05; done",
            pid.display()
        );
        let (_keep, stop) = watch::channel(false);
        let launch = Launch {
            limit: Duration::from_secs(2),
            grace: Duration::from_millis(200),
            ..Launch::script(&script)
        };
        let finished = run(&launch, "id", stop).await;
        assert_eq!(finished.result, "killed");
        assert!(!is_there(&std::fs::read_to_string(&pid).unwrap()));
    }

    #[tokio::test]
    async fn a_pass_that_is_told_to_stop_ends_as_it_likes() {
        let (tell, stop) = watch::channel(false);
        let launch = Launch::script("cat; exit 4");
        let both = async {
            sleep(Duration::from_millis(100)).await;
            tell.send(true).unwrap();
        };
        let (finished, ()) = tokio::join!(run(&launch, "id", stop), both);
        assert_eq!(finished.result, "unknown");
    }

    #[test]
    fn the_environment_of_a_pass_holds_what_is_listed() {
        for name in ["PATH", "LC_ALL", "https_proxy", "CREDENTIALS_DIRECTORY"] {
            assert!(is_kept(Some(name)), "{name}");
        }
        for name in [
            "LD_PRELOAD",
            "NOTIFY_SOCKET",
            "CAM_DSN",
            "AWS_SECRET_ACCESS_KEY",
            "",
        ] {
            assert!(!is_kept(Some(name)), "{name}");
        }
    }

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut said = Vec::new();
        let mut say = |line: &str| said.push(line.to_owned());
        let mut lines = Lines::default();
        for chunk in chunks {
            lines.push(chunk, &mut say);
        }
        lines.end(&mut say);
        said
    }

    #[test]
    fn lines_are_put_together_and_made_printable() {
        let chunks: [&[u8]; 3] = [b"error: a", b"b\r\n\n\x1b[31mred\n", b"\xff last"];
        assert_eq!(
            lines(&chunks),
            ["error: ab", "\\u{1b}[31mred", "\u{fffd} last"]
        );
    }

    #[test]
    fn a_line_and_all_lines_are_bounded() {
        let long = lines(&["x".repeat(100_000).as_bytes(), b"\nshort\n"]);
        assert_eq!(long.len(), 2);
        assert!(long[0].chars().count() < 600);
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let many = lines(&vec![line.as_slice(); 5000]);
        assert!(many.len() < 1100, "{}", many.len());
        assert_eq!(many.last().unwrap(), "it says more than is repeated here");
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_changes_nothing(text in "[a-z\n]{0,300}", at in 0..300usize) {
            let bytes = text.as_bytes();
            let (a, b) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(lines(&[a, b]), lines(&[bytes]));
        }
    }
}
