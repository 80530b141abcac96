//! A private `MariaDB` server on a temporary directory and a free loopback port.

mod keeper;
mod setup;
#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable as _;
use mysql::{Conn, OptsBuilder, Value};

use crate::lock;
use keeper::Keeper;

/// What SQL gives: rows of columns, as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// Longest wait for a server to come up.
const START: Duration = Duration::from_secs(60);
/// Longest wait for an answer to [`MariaDb::sql`].
const ANSWER: Duration = Duration::from_secs(60);

/// A real server, of Debian's `mariadb-server`. It ends with the test process, however that dies,
/// and takes its directory along.
///
/// What it has committed survives [`MariaDb::kill`].
pub struct MariaDb {
    directory: PathBuf,
    port: u16,
    databases: AtomicUsize,
    keeper: Mutex<Keeper>,
}

impl MariaDb {
    /// The user of [`MariaDb::dsn`]: all rights on the databases made here, none on the server.
    pub const USER: &str = "cam";
    /// Its password, with all that a DSN uses as punctuation.
    pub const PASSWORD: &str = "c4nary@Led:ger/p4ss?w=0&rd";

    /// Starts a server of one's own, for what kills it or sets its global variables.
    pub fn start() -> Self {
        let directory =
            std::env::temp_dir().join(format!("cam-mariadb-{}", uuid::Uuid::new_v4().simple()));
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.create(&directory).expect("a temporary directory");
        let server = setup::server(&directory, &directory.join("socket"));
        let keeper = Keeper::new(&directory, &server);
        setup::install(&directory);
        setup::certify(&directory);
        let mut started = Self {
            directory,
            port: 0,
            databases: AtomicUsize::new(0),
            keeper: Mutex::new(keeper),
        };
        // Another process may take the port between the look and the start.
        let ready = (0..3).any(|_| {
            started.port = setup::free_port();
            started.is_up()
        });
        assert!(ready, "MariaDB does not start: {}", started.log());
        let (user, password) = (Self::USER, Self::PASSWORD);
        let grant = format!(
            r"CREATE USER {user}@'%' IDENTIFIED BY '{password}';
              GRANT ALL ON `cam\_%`.* TO {user}@'%'"
        );
        started.sql("", &grant).expect("the user is made");
        started
    }

    /// The server that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// The certificate of the authority that certified it for 127.0.0.1 and localhost, PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Makes an empty database in utf8mb4, and gives its name.
    pub fn database(&self) -> String {
        self.database_in("utf8mb4", "utf8mb4_general_ci")
    }

    /// [`MariaDb::database`] in this character set and collation.
    pub fn database_in(&self, charset: &str, collation: &str) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("cam_{number}");
        let create = format!("CREATE DATABASE {name} CHARACTER SET {charset} COLLATE {collation}");
        self.sql("", &create).expect("the database is made");
        name
    }

    /// [`MariaDb::database`] in which this SQL was run.
    pub fn database_from(&self, script: &str) -> String {
        let name = self.database();
        self.sql(&name, script).expect("the script runs");
        name
    }

    /// The data source name of a database, as go-sql-driver/mysql reads it.
    pub fn dsn(&self, database: &str) -> String {
        self.dsn_at(self.port, database)
    }

    /// [`MariaDb::dsn`] by way of another port, that of a [`Cut`](crate::Cut).
    pub fn dsn_at(&self, port: u16, database: &str) -> String {
        let (user, password) = (Self::USER, Self::PASSWORD);
        format!("{user}:{password}@tcp(127.0.0.1:{port})/{database}")
    }

    /// Runs SQL, one statement or several with `;` between them, as root; `database` may be empty.
    /// Gives the rows of all of them, or the error of the first that failed.
    pub fn sql(&self, database: &str, statements: &str) -> Result<Rows, String> {
        let options = OptsBuilder::new()
            .socket(Some(self.socket().display().to_string()))
            .user(Some("root"))
            .db_name((!database.is_empty()).then_some(database))
            .read_timeout(Some(ANSWER));
        let run = || -> mysql::Result<Rows> {
            let mut rows = Rows::new();
            let mut connection = Conn::new(options)?;
            let mut result = connection.query_iter(statements)?;
            while let Some(set) = result.iter() {
                for row in set {
                    rows.push(row?.unwrap().into_iter().map(text).collect());
                }
            }
            Ok(rows)
        };
        run().map_err(|error| error.to_string())
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) {
        lock(&self.keeper).order("KILL");
    }

    /// Starts it again after [`MariaDb::kill`], on the same port, and waits until it answers.
    pub fn restart(&self) {
        assert!(self.is_up(), "MariaDB does not start again: {}", self.log());
    }

    /// Stops it in its tracks (SIGSTOP): connections stay open, nothing is answered.
    pub fn stop_responding(&self) {
        lock(&self.keeper).order("STOP");
    }

    /// Lets it go on after [`MariaDb::stop_responding`].
    pub fn resume(&self) {
        lock(&self.keeper).order("CONT");
    }

    /// The directory that holds all of it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts it, and says whether it came up.
    fn is_up(&self) -> bool {
        let before = self.log().len();
        lock(&self.keeper).order(&format!("START {}", self.port));
        let end = Instant::now() + START;
        loop {
            if self.sql("", "SELECT 1").is_ok() {
                return true;
            }
            let aborts = self.log()[before..].contains("[ERROR] Aborting");
            if aborts || Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}
