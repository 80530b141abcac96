//! Reading a file that an option names, within bounds.
//!
//! The name may be mistyped: `/dev/zero` never ends, a FIFO that nobody writes to never begins, a
//! server of files may not answer. The program says so instead of waiting for ever.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread::Builder;
use std::time::Duration;

use crate::threads::{self, Unfinished};

/// The most bytes of a file of CA certificates; all that the world trusts are a quarter of a MiB.
pub const CERTIFICATES: usize = 8 * 1024 * 1024;

/// What to do where they cannot be read.
pub const NAME_CERTIFICATES: &str = "name a file of certificates in PEM";

/// How long all of a file may take. What a shell puts in place of `<(command)` is a FIFO, and the
/// command may have to ask a server.
const TIME: Duration = Duration::from_secs(10);

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The system says why.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has more bytes than allowed.
    #[error("it is larger than {} KiB", .0 / 1024)]
    TooLarge(usize),
    /// Its end was not reached in time.
    #[error("its end was not reached within {} s", .0.as_secs())]
    TooSlow(Duration),
    /// It is a FIFO, a device or a directory where a file must be that can be read again.
    #[error("it is not a regular file, which it must be: it is read more than once")]
    NotRegular,
}

/// What is in a file, and what it is.
#[derive(Debug)]
pub struct Content {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What the system knows of it.
    pub metadata: Metadata,
}

/// Reads a file, a FIFO or a device of at most `limit` bytes.
pub fn read(path: &Path, limit: usize) -> Result<Content, Unread> {
    within(TIME, path, move |path| read_all(path, limit))
}

/// Reads a regular file of at most `limit` bytes, for what is read more than once.
pub fn read_regular(path: &Path, limit: usize) -> Result<Content, Unread> {
    within(TIME, path, move |path| {
        // Before it is opened: to open a FIFO is to wait for its writer.
        let metadata = path.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        if !metadata.is_file() {
            return Err(Unread::NotRegular);
        }
        read_all(path, limit)
    })
}

fn read_all(path: &Path, limit: usize) -> Result<Content, Unread> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(Unread::TooLarge(limit));
    }
    Ok(Content { bytes, metadata })
}

/// Gives up waiting after a time.
fn within(
    time: Duration,
    path: &Path,
    work: impl FnOnce(&Path) -> Result<Content, Unread> + Send + 'static,
) -> Result<Content, Unread> {
    let path = PathBuf::from(path);
    match threads::within(time, Builder::new(), move || work(&path)) {
        Ok(result) => result,
        Err(Unfinished::Late) => Err(Unread::TooSlow(time)),
        Err(Unfinished::NotStarted(error)) => Err(error.into()),
        Err(Unfinished::Broken) => Err(io::Error::other("the reader ended early").into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn fifo(path: &Path) {
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (count, fits) in [(0, true), (1, true), (1024, true), (1025, false)] {
            std::fs::write(&path, vec![b'x'; count]).unwrap();
            for read in [read, read_regular] {
                match read(&path, 1024) {
                    Ok(content) => assert!(fits && content.bytes.len() == count, "{count}"),
                    Err(error) => {
                        assert!(!fits && matches!(error, Unread::TooLarge(1024)), "{error}");
                        assert_eq!(error.to_string(), "it is larger than 1 KiB");
                    }
                }
            }
        }
        let link = dir.path().join("link");
        symlink("file", &link).unwrap();
        assert!(read_regular(&link, 4096).is_ok());
    }

    #[test]
    fn what_has_no_end_is_cut() {
        let zero = Path::new("/dev/zero");
        assert!(matches!(read(zero, 1024), Err(Unread::TooLarge(_))));
        assert!(matches!(read_regular(zero, 1024), Err(Unread::NotRegular)));
    }

    #[test]
    fn what_is_not_there_or_a_directory_is_told_by_the_system() {
        let dir = tempfile::tempdir().unwrap();
        for read in [read, read_regular] {
            for path in [dir.path(), &dir.path().join("x")] {
                assert!(matches!(read(path, 9), Err(Unread::Io(_))), "{path:?}");
            }
        }
    }

    #[test]
    fn a_fifo_is_read_where_it_has_a_writer_and_given_up_where_it_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        fifo(&path);
        assert!(matches!(read_regular(&path, 9), Err(Unread::NotRegular)));
        let writer = path.clone();
        let writer = std::thread::spawn(move || std::fs::write(writer, "secret"));
        assert_eq!(read(&path, 9).unwrap().bytes, b"secret");
        writer.join().unwrap().unwrap();
        let short = Duration::from_millis(50);
        let nobody = within(short, &path, |path| read_all(path, 9));
        assert!(matches!(nobody, Err(Unread::TooSlow(_))));
    }
}
