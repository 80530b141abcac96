//! Secrets: where each is looked for, and which of several counts.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cli::{foreign_variable, variable};
use crate::error::{Error, Result, is_shortage};
use crate::file::{self, Unread};
use crate::secret::Secret;

/// How variables are read; a parameter, so that tests need no environment of their own.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The most bytes of a file that holds a secret.
const LIMIT: usize = 64 * 1024;

/// A secret as the command line gives it.
pub(super) struct Source<'a> {
    /// The long name of its option.
    long: &'static str,
    /// The option.
    option: Option<&'a Secret>,
    /// The option's `-file` form.
    file: Option<&'a PathBuf>,
}

/// A secret and where it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The secret.
    pub(super) secret: Secret,
    /// The option, variable or file that holds it, to name in an error.
    pub(super) place: String,
}

impl<'a> Source<'a> {
    pub(super) fn new(
        long: &'static str,
        option: impl Into<Option<&'a Secret>>,
        file: impl Into<Option<&'a PathBuf>>,
    ) -> Self {
        Self {
            long,
            option: option.into(),
            file: file.into(),
        }
    }

    /// Looks for the secret: option, its file, variable, the file it names, `$CREDENTIALS_DIRECTORY`.
    ///
    /// Errors (exit 2): two forms on the command line, two in the environment, a value that is
    /// empty or can't be sent, a file that can't be read.
    pub(super) fn find(&self, env: Env, warnings: &mut Vec<String>) -> Result<Option<Found>> {
        let (option, variable) = (format!("--{}", self.long), variable(self.long));
        let (option_file, variable_file) = (format!("{option}-file"), format!("{variable}_FILE"));
        let typed = self.option.map(|secret| Found {
            secret: secret.clone(),
            place: option,
        });
        let levels = [
            (typed, self.file.cloned(), option_file),
            (
                self.variable(&variable, env)?,
                env(&variable_file).map(PathBuf::from),
                variable_file,
            ),
        ];
        for (found, file, place_of_file) in &levels {
            if let (Some(found), Some(_)) = (found, file) {
                let message = format!("{} and {place_of_file} exclude each other", found.place);
                return Err(Error::usage(message).hint("give one of them"));
            }
        }
        for (found, file, place_of_file) in levels {
            if let Some(found) = found {
                return sendable(found).map(Some);
            }
            if let Some(path) = file {
                return read(&path, &place_of_file, Some(warnings)).map(Some);
            }
        }
        self.credential(env)
    }

    /// The variable: ours, or another program's where that does not say something else.
    fn variable(&self, ours: &str, env: Env) -> Result<Option<Found>> {
        let get = |name: &str| -> Result<Option<Found>> {
            let Some(value) = env(name) else {
                return Ok(None);
            };
            let not_utf8 = |_| unusable(name, "it is not UTF-8");
            Ok(Some(Found {
                secret: Secret::new(value.into_string().map_err(not_utf8)?),
                place: name.to_string(),
            }))
        };
        let own = get(ours)?;
        let foreign = foreign_variable(self.long).map(get).transpose()?.flatten();
        let foreign = foreign.filter(|found| !found.secret.expose().is_empty());
        match (own, foreign) {
            (Some(own), Some(foreign)) if own.secret.expose() != foreign.secret.expose() => {
                let message = format!("{} and {} differ", own.place, foreign.place);
                Err(Error::usage(message).hint("set one of them"))
            }
            (own, foreign) => Ok(own.or(foreign)),
        }
    }

    /// The file that systemd (`LoadCredential=`) puts in `$CREDENTIALS_DIRECTORY`.
    fn credential(&self, env: Env) -> Result<Option<Found>> {
        let Some(directory) = env("CREDENTIALS_DIRECTORY").filter(|d| !d.is_empty()) else {
            return Ok(None);
        };
        let path = PathBuf::from(directory).join(self.long);
        // What can't be looked at is no absent file: reading it says why.
        if path.try_exists().is_ok_and(|exists| !exists) {
            return Ok(None);
        }
        read(&path, "CREDENTIALS_DIRECTORY", None).map(Some)
    }
}

fn unusable(place: &str, why: &str) -> Error {
    Error::usage(format!("the value of {place} cannot be used")).because(why)
}

/// Accepts a value that can be sent in a header.
fn sendable(found: Found) -> Result<Found> {
    let value = found.secret.expose();
    let why = if value.is_empty() {
        "it is empty"
    } else if value.chars().any(char::is_control) {
        "it holds a line break or another control character"
    } else {
        return Ok(found);
    };
    Err(unusable(&found.place, why))
}

/// Reads a file that holds a secret, without one newline at its end. With `warnings`, one is given
/// for a file that others than its owner may read.
fn read(path: &Path, place: &str, warnings: Option<&mut Vec<String>>) -> Result<Found> {
    let shown = format!("{place} {}", path.display());
    let content = file::read(path, LIMIT).map_err(|e| match e {
        Unread::TooLarge(_) => unusable(&shown, &e.to_string()),
        Unread::Io(e) if is_shortage(&e) => {
            Error::shortage(format!("{shown} cannot be read")).because_of(&e)
        }
        e => Error::usage(format!("{shown} cannot be read"))
            .because_of(&e)
            .hint("name a file that holds the secret and nothing else"),
    })?;
    if let Some(warnings) = warnings
        && content.metadata.is_file()
        && content.metadata.permissions().mode() & 0o044 != 0
    {
        warnings.push(crate::text::printable(&format!(
            "{shown} may be read by others than its owner: chmod 600 it"
        )));
    }
    let mut value =
        String::from_utf8(content.bytes).map_err(|_| unusable(&shown, "it is not UTF-8"))?;
    // Some editors put a byte order mark before what they save.
    if let Some(rest) = value.strip_prefix('\u{feff}') {
        value = rest.to_owned();
    }
    if let Some(line) = value.strip_suffix('\n') {
        value.truncate(line.strip_suffix('\r').unwrap_or(line).len());
    }
    sendable(Found {
        secret: Secret::new(value),
        place: shown,
    })
}
