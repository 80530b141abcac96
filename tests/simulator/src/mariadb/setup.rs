//! What a server needs before it starts: its programs, a data directory, a certificate.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a user's `PATH` does not always lead, but Debian's server is.
const MORE_PLACES: [&str; 2] = ["/usr/sbin", "/usr/bin"];

/// The path of a program of the `MariaDB` packages.
pub(super) fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(MORE_PLACES.map(PathBuf::from))
        .map(|place| place.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("MariaDB is not installed ({name}): run tests/run.sh, which installs it")
        })
}

/// The command line of a server that listens on `socket` and on a port of 127.0.0.1 that is added
/// later. What it commits survives its death, though not that of the machine.
pub(super) fn server(directory: &Path, socket: &Path) -> Vec<OsString> {
    let path = |option: &str, path: PathBuf| {
        let mut argument = OsString::from(option);
        argument.push(path);
        argument
    };
    let mut line: Vec<OsString> = vec![
        program("mariadbd").into(),
        "--no-defaults".into(),
        path("--datadir=", directory.join("data")),
        // A server that starts clears the temporary tables of all servers out of a shared one.
        path("--tmpdir=", directory.to_owned()),
        path("--socket=", socket.to_owned()),
        path("--pid-file=", directory.join("pid")),
        path("--ssl-ca=", directory.join("ca.pem")),
        path("--ssl-cert=", directory.join("server.pem")),
        path("--ssl-key=", directory.join("server.key")),
    ];
    let rest = "--bind-address=127.0.0.1 --skip-name-resolve --max-connections=400 \
                --innodb-flush-log-at-trx-commit=2 --innodb-buffer-pool-size=16M \
                --innodb-log-file-size=8M --innodb-use-native-aio=OFF \
                --key-buffer-size=1M --aria-pagecache-buffer-size=1M --performance-schema=OFF";
    line.extend(rest.split_whitespace().map(OsString::from));
    line.extend(as_root(directory));
    line
}

/// `mariadbd` refuses to run as root unless it is told to; another user may not name one.
fn as_root(directory: &Path) -> Option<OsString> {
    let owner = fs::metadata(directory)
        .expect("the directory is there")
        .uid();
    (owner == 0).then(|| "--user=root".into())
}

/// Makes the data directory, with a root that needs no password.
pub(super) fn install(directory: &Path) {
    let mut data = OsString::from("--datadir=");
    data.push(directory.join("data"));
    let mut temporary = OsString::from("--tmpdir=");
    temporary.push(directory);
    run(Command::new(program("mariadb-install-db"))
        // As a package does it: without a hand on the plugins of the machine.
        .args(["--no-defaults", "--skip-test-db", "--rpm"])
        .args([
            "--auth-root-authentication-method=normal",
            "--innodb-log-file-size=8M",
        ])
        .arg(data)
        .arg(temporary)
        .args(as_root(directory)));
}

/// Makes an authority (`ca.pem`) and a certificate of it for 127.0.0.1 and localhost.
pub(super) fn certify(directory: &Path) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout";
    let openssl = |line: &str| {
        run(Command::new("openssl")
            .args(line.split_whitespace())
            .current_dir(directory));
    };
    fs::write(
        directory.join("extensions"),
        "subjectAltName = IP:127.0.0.1, DNS:localhost\nbasicConstraints = CA:FALSE\n",
    )
    .expect("the directory can be written to");
    openssl(&format!(
        "req -x509 {KEY} ca.key -out ca.pem -days 7 -subj /CN=test-authority"
    ));
    openssl(&format!(
        "req {KEY} server.key -out server.csr -subj /CN=localhost"
    ));
    openssl(
        "x509 -req -in server.csr -out server.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 7 \
         -extfile extensions",
    );
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| {
        panic!("{command:?}: {e}: run tests/run.sh, which installs what is missing")
    });
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// A port of 127.0.0.1 that nothing listens on. It lies below those that the kernel gives to
/// connections, so that it is still free when the server comes back after a kill.
pub(super) fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let seed = uuid::Uuid::new_v4().as_u128() % 12_000;
    let first = 20_000 + u16::try_from(seed).expect("below 12,000");
    (first..32_000)
        .chain(20_000..first)
        .find(free)
        .expect("a free port")
}
