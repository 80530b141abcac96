//! Shows the program at work: `demo PATH_TO_BINARY` runs it against a loopback Artifactory and a
//! loopback coreos-deploy, prints its commands and their real output, and checks what came of them.
#![expect(
    clippy::print_stdout,
    reason = "its output is what a demonstration is for"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, fs, io, thread};

use simulator::{Artifactory, Auth, Behaviour, CoreosDeploy, Payload};

const USER: &str = "sysadm";
const PASSWORD: &str = "letmein";
const TOKEN: &str = "D3Pl0YT0Ken";

/// A directory that is removed at the end, whatever that end is: a shell of ours waits for this
/// process to go away, Ctrl-C or not, and clears up behind it.
struct StateDir {
    path: PathBuf,
    sweeper: Child,
}

impl StateDir {
    fn new() -> io::Result<Self> {
        let path = env::temp_dir().join(format!(
            "coreos-artifactory-monitor-demo-{}",
            std::process::id()
        ));
        fs::create_dir(&path)?;
        let script = r#"trap "" INT TERM HUP; cat > /dev/null
            for i in 1 2 3; do rm -rf -- "$1"; [ -e "$1" ] || exit 0; sleep 1; done"#;
        let sweeper = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn();
        match sweeper {
            Ok(sweeper) => Ok(Self { path, sweeper }),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(error)
            }
        }
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }
}

struct Demo {
    binary: PathBuf,
    state: StateDir,
    artifactory: Artifactory,
    deploy: CoreosDeploy,
    failures: Vec<String>,
}

impl Demo {
    fn new(binary: &Path) -> io::Result<Self> {
        let artifactory = Artifactory::start();
        artifactory.require(Auth::Basic(USER.to_owned(), PASSWORD.to_owned()));
        let deploy = CoreosDeploy::start();
        deploy.deploy_takes(Duration::from_millis(150));
        Ok(Self {
            binary: fs::canonicalize(binary)?,
            state: StateDir::new()?,
            artifactory,
            deploy,
            failures: Vec::new(),
        })
    }

    /// Runs the program, shows what it prints and checks its exit code and the POSTs so far.
    fn run(&mut self, arguments: &[&str], code: i32, posts: usize) -> io::Result<String> {
        println!(
            "$ coreos-artifactory-monitor $OPTIONS {}",
            arguments.join(" ")
        );
        let output = self.command(arguments).output()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        print!("{text}");
        if text.is_empty() {
            println!("(it prints nothing)");
        }
        let got = output.status.code();
        let shown = got.map_or("killed by a signal".to_owned(), |code| {
            format!("exit code {code}")
        });
        let sent = self.deploy.posts().len();
        println!("[{shown}; coreos-deploy has got {sent} POSTs so far]\n");
        self.expect(
            got == Some(code),
            &format!("`{}`: {shown}, not {code}", arguments.join(" ")),
        );
        self.expect(
            sent == posts,
            &format!("`{}`: {sent} POSTs, not {posts}", arguments.join(" ")),
        );
        Ok(text)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        // Nothing of the caller's own settings may take part.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().to_lowercase();
            if name.starts_with("cam_")
                || name.starts_with("coreos_deploy_")
                || name.ends_with("_proxy")
            {
                command.env_remove(name.to_uppercase()).env_remove(&name);
            }
        }
        command
            .args(self.options())
            .args(arguments)
            .env("CAM_ART_PASSWORD", PASSWORD)
            .env("COREOS_DEPLOY_TOKEN", TOKEN)
            .stdin(Stdio::null());
        command
    }

    /// The options of every command.
    fn options(&self) -> Vec<String> {
        let api = format!("{}/api", self.artifactory.url());
        let dsn = format!("sqlite:{}", self.state.path.join("ledger.db").display());
        let deploy = self.deploy.url();
        let options = [
            ("-O", "example.com"),
            ("-E", "development"),
            ("-a", &api),
            ("-t", "deploys"),
            ("-y", "payloads"),
            ("-u", USER),
            ("-s", &deploy),
            ("--dsn", &dsn),
        ];
        options
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value.to_owned()])
            .collect()
    }

    fn expect(&mut self, good: bool, otherwise: &str) {
        if !good {
            self.failures.push(otherwise.to_owned());
        }
    }

    fn publish(&self, app: &str, version: &str) {
        self.artifactory
            .publish(app, version, Payload::sample(app, version).build());
        println!("# The team publishes {app} {version}: the payload, then its marker.");
    }

    fn play(&mut self) -> io::Result<()> {
        println!(
            "# A loopback Artifactory at {} and coreos-deploy at {}.",
            self.artifactory.url(),
            self.deploy.url()
        );
        println!("# The password and the token are in CAM_ART_PASSWORD and COREOS_DEPLOY_TOKEN.");
        println!("$ OPTIONS=\"{}\"\n", self.options().join(" "));
        self.publish("video-mobile", "1.0.1-9");
        self.publish("video-mobile", "1.0.1-22");
        self.publish("user-api", "2.3.0");
        println!("\n# Pass 1 deploys the newest release of each app.");
        self.run(&["run"], 0, 2)?;

        println!("# Pass 2 finds nothing to do, and says nothing: cron would mail every line.");
        let text = self.run(&["run"], 0, 2)?;
        self.expect(text.is_empty(), "a pass without work printed something");
        println!("# With -v it tells what it saw.");
        let text = self.run(&["run", "-v"], 0, 2)?;
        self.expect(!text.is_empty(), "a pass with -v printed nothing");

        self.publish("video-mobile", "1.0.1-23");
        println!("# Pass 3 takes up the newer release.");
        self.run(&["run"], 0, 3)?;

        self.publish("user-api", "2.4.0");
        let message = "Unable to perform A/B rotation of service.";
        self.deploy.next_deploy(Behaviour::Fail(message.to_owned()));
        println!("# The cluster does not manage to start this one: pass 4 fails and says why.");
        self.run(&["run"], 1, 4)?;

        println!(
            "# The cause is mended. A later pass tries again, here after a second instead of 5 minutes."
        );
        thread::sleep(Duration::from_millis(1_500));
        self.run(&["run", "--retry-after", "1s"], 0, 5)?;

        println!("# What the ledger knows.");
        self.run(&["status"], 0, 5)?;
        let text = self.run(&["history"], 0, 5)?;
        self.expect(
            text.contains("2.4.0"),
            "the history does not know user-api 2.4.0",
        );
        self.check_cluster();
        Ok(())
    }

    /// Checks what runs in the cluster at the end.
    fn check_cluster(&mut self) {
        let units = self.deploy.units();
        println!("# What runs in the cluster.\n{}\n", units.join("\n"));
        for unit in ["example-video-mobile-1.0.1-23-", "example-user-api-2.4.0-"] {
            let count = units.iter().filter(|name| name.starts_with(unit)).count();
            self.expect(count == 2, &format!("{count} units {unit}…, not 2"));
        }
        self.expect(units.len() == 4, "units of older releases are left over");
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [binary] = &arguments[..] else {
        println!("usage: demo PATH_TO_BINARY");
        return ExitCode::from(2);
    };
    let played = Demo::new(Path::new(binary)).and_then(|mut demo| {
        demo.play()?;
        Ok(std::mem::take(&mut demo.failures))
    });
    match played {
        Ok(failures) if failures.is_empty() => {
            println!("All of it was as expected.");
            ExitCode::SUCCESS
        }
        Ok(failures) => {
            println!("NOT as expected:\n{}", failures.join("\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("the demonstration could not run: {error}");
            ExitCode::FAILURE
        }
    }
}
