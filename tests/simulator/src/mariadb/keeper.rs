//! A shell that starts and signals the server for us, and survives us to clear up.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Reads orders and answers each with a line. The end of its input is the end of the test process,
/// however that died: then it kills the server and removes the directory.
const SCRIPT: &str = r#"
dir=$1
shift
trap '' INT TERM HUP
pid=
while read -r order port; do
  case $order in
    START) "$@" "--port=$port" </dev/null >>"$dir/log" 2>&1 & pid=$! ;;
    KILL) kill -KILL "$pid"; wait "$pid" ;;
    # Its threads stop one by one: until the last of them has, it may still answer.
    STOP)
      kill -STOP "$pid"
      while grep -h '^State:' "/proc/$pid/task/"*/status | grep -qv stopped; do sleep 0.01; done ;;
    *) kill -s "$order" "$pid" ;;
  esac
  echo done
done 2>/dev/null
[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
wait
rm -rf -- "$dir"
"#;

/// The shell; dropping it kills the server and removes its directory.
pub(super) struct Keeper {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Keeper {
    /// Starts the shell, which does not start the server yet.
    pub(super) fn new(directory: &Path, server: &[OsString]) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(directory)
            .args(server)
            // A signal to the group of the test process is not meant for it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let orders = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("it is piped"));
        Self {
            shell,
            orders,
            answers,
        }
    }

    /// Gives an order and waits until it is carried out: `START` and a port, `KILL`, `STOP`, `CONT`.
    pub(super) fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("open until it is dropped");
        writeln!(orders, "{order}").expect("the shell reads");
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .expect("the shell answers");
        assert_eq!(answer, "done\n", "{order}");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}
