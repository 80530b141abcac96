//! The ledger of a rig: an SQLite file, or a database of a real `MariaDB` server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use simulator::{MariaDb, Rows};

/// What tells the integration tests which ledger to use: `sqlite` (where it is not set) or
/// `mariadb`.
const CHOICE: &str = "CAM_TEST_LEDGER";

/// Where a rig keeps its ledger.
#[derive(Clone)]
pub enum Ledger {
    /// A file.
    Sqlite(PathBuf),
    /// A database of a server.
    MariaDb(&'static MariaDb, String),
}

impl Ledger {
    /// An empty one of the kind that the environment asks for.
    pub fn new(file: PathBuf) -> Self {
        match std::env::var(CHOICE).as_deref() {
            Err(_) | Ok("" | "sqlite") => Self::Sqlite(file),
            Ok("mariadb") => Self::mariadb(),
            Ok(other) => panic!("{CHOICE} is sqlite or mariadb, not {other}"),
        }
    }

    /// An empty one on the server that all tests of this process share.
    pub fn mariadb() -> Self {
        let server = MariaDb::shared();
        Self::MariaDb(server, server.database())
    }

    /// An empty one on a server of its own, for what breaks the server.
    pub fn on_own_server() -> Self {
        let server = Box::leak(Box::new(MariaDb::start()));
        Self::MariaDb(server, server.database())
    }

    /// The server and the database, where it is one.
    pub fn server(&self) -> (&'static MariaDb, &str) {
        match self {
            Self::MariaDb(server, database) => (server, database),
            Self::Sqlite(file) => panic!("{} is no server", file.display()),
        }
    }

    /// Tells the program of it.
    pub fn give(&self, command: &mut Command) {
        match self {
            Self::Sqlite(file) => command.args(["--dsn", &format!("sqlite:{}", file.display())]),
            // Not among the arguments: it holds a password. The lease of a pass that was killed
            // ends within seconds.
            Self::MariaDb(server, database) => command
                .env("CAM_DSN", server.dsn(database))
                .env("CAM_LEASE_TTL", "10s"),
        };
    }

    /// Runs one statement, past the program, and gives its rows.
    pub fn sql(&self, statement: &str) -> Result<Rows, String> {
        match self {
            Self::Sqlite(file) => sqlite(file, statement).map_err(|error| error.to_string()),
            Self::MariaDb(server, database) => server.sql(database, statement),
        }
    }

    /// Runs a script in an empty one.
    pub fn load(&self, script: &str) {
        let result = match self {
            Self::Sqlite(file) => Connection::open(file)
                .and_then(|ledger| ledger.execute_batch(script))
                .map_err(|error| error.to_string()),
            Self::MariaDb(server, database) => server.sql(database, script).map(drop),
        };
        result.unwrap_or_else(|error| panic!("{error} in {script}"));
    }

    /// The columns of a table, in their order.
    pub fn columns(&self, table: &str) -> Vec<String> {
        self.names(&match self {
            Self::Sqlite(_) => {
                format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid")
            }
            Self::MariaDb(..) => format!(
                "SELECT column_name FROM information_schema.columns
                  WHERE table_schema = DATABASE() AND table_name = '{table}'
                  ORDER BY ordinal_position"
            ),
        })
    }

    /// The tables; none where there is no ledger.
    pub fn tables(&self) -> Vec<String> {
        match self {
            Self::Sqlite(file) if !file.exists() => Vec::new(),
            Self::Sqlite(_) => self.names("SELECT name FROM sqlite_schema WHERE type = 'table'"),
            Self::MariaDb(..) => self.names("SHOW TABLES"),
        }
    }

    /// All that stands in all tables.
    pub fn dump(&self) -> String {
        let rows = |table: String| {
            let rows = self.sql(&format!("SELECT * FROM {table}"));
            rows.expect("a table can be read").concat()
        };
        let cells = self.tables().into_iter().flat_map(rows).flatten();
        cells.collect::<Vec<_>>().join("\n")
    }

    fn names(&self, query: &str) -> Vec<String> {
        let rows = self.sql(query).expect("the schema can be read");
        rows.into_iter().flatten().flatten().collect()
    }
}

fn sqlite(file: &Path, statement: &str) -> rusqlite::Result<Rows> {
    let reads = statement.trim_start().starts_with("SELECT");
    let mode = if reads {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let ledger = Connection::open_with_flags(file, mode)?;
    ledger.busy_timeout(Duration::from_secs(5))?;
    let mut statement = ledger.prepare(statement)?;
    let columns = statement.column_count();
    let cell = |value: ValueRef<'_>| match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    };
    let mut rows = statement.query([])?;
    let mut all = Rows::new();
    while let Some(row) = rows.next()? {
        let cells = (0..columns).map(|index| Ok(cell(row.get_ref(index)?)));
        all.push(cells.collect::<rusqlite::Result<_>>()?);
    }
    Ok(all)
}
