//! Who could put another file in the ledger's place: decided from what was seen, and nothing else.
//!
//! A group is trusted: somebody gave it the right to write, and who shares a ledger between users, or
//! runs a container as any user of group 0, does it that way.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A folder in which who may write may only replace what is theirs.
const STICKY: u32 = 0o1000;
const BY_GROUP: u32 = 0o020;
const BY_ALL: u32 = 0o002;

/// What is known of a file or a folder.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its owner.
    pub owner: u32,
    /// Its permissions.
    pub mode: u32,
    /// How many names it has.
    pub names: u64,
}

impl Seen {
    /// As the system tells it.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            owner: metadata.uid(),
            mode: metadata.mode(),
            names: metadata.nlink(),
        }
    }
}

/// What is known of a ledger's place.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The database.
    pub file: Seen,
    /// The folder that it is in.
    pub folder: Seen,
    /// The user that we are.
    pub us: u32,
    /// Who an owner without a number in this namespace is shown as.
    pub unmapped: Option<u32>,
    /// Whether the file itself was mounted there.
    pub is_mount_point: bool,
}

/// What speaks against a file as a ledger that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is mounted by itself: what stands beside it here does not where it is from.
    MountPoint,
    /// It has this many names, each with a lease of its own.
    Names(u64),
    /// Everybody may write it.
    OpenFile,
    /// Everybody may replace it.
    OpenFolder,
    /// In a folder that everybody may make files in, another user made it.
    StrangersFile,
    /// The folder's owner may replace it.
    StrangersFolder,
}

/// The first thing that speaks against the file.
pub fn judge(facts: &Facts) -> Option<Flaw> {
    let Facts { file, folder, .. } = facts;
    let is_trusted = |user: u32| user == 0 || user == facts.us || Some(user) == facts.unmapped;
    let for_all = folder.mode & BY_ALL != 0;
    let is_shared = folder.mode & BY_GROUP != 0 && file.owner != 0;
    if facts.is_mount_point {
        Some(Flaw::MountPoint)
    } else if file.names > 1 {
        Some(Flaw::Names(file.names))
    } else if file.mode & BY_ALL != 0 {
        Some(Flaw::OpenFile)
    } else if for_all && folder.mode & STICKY == 0 {
        Some(Flaw::OpenFolder)
    } else if for_all && !is_trusted(file.owner) {
        Some(Flaw::StrangersFile)
    } else if !(is_trusted(folder.owner) || folder.owner == file.owner || is_shared) {
        Some(Flaw::StrangersFolder)
    } else {
        None
    }
}

impl Flaw {
    /// Why the file is refused, and what to do.
    pub fn told(self, file: &Path, folder: &Path) -> (String, String) {
        let (file, folder) = (file.display(), folder.display());
        match self {
            Self::MountPoint => (
                "it is mounted by itself, without what stands beside it: its lease and its last \
                 changes would be other ones than those of the same file elsewhere"
                    .to_owned(),
                "mount the folder that it is in".to_owned(),
            ),
            Self::Names(count) => (
                format!(
                    "it has {count} names (hard links), and each would have a lease of its own"
                ),
                "remove the others; VACUUM INTO 'COPY' in sqlite3 makes a backup".to_owned(),
            ),
            Self::OpenFile => (
                "everybody may write it".to_owned(),
                format!("chmod o-w {file}"),
            ),
            Self::OpenFolder => (
                "everybody may replace files in its directory".to_owned(),
                format!("chmod o-w {folder}"),
            ),
            Self::StrangersFile => (
                "another user made it, where everybody may make files".to_owned(),
                "name a file in a folder of your own".to_owned(),
            ),
            Self::StrangersFolder => (
                "the folder that it is in is another user's, who may replace it".to_owned(),
                format!(
                    "chown --reference={folder} {file}, or name a file in a folder of your own"
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file and a folder, each an owner and a mode, and who looks.
    fn facts(file: (u32, u32), folder: (u32, u32), us: u32) -> Facts {
        let seen = |(owner, mode)| Seen {
            owner,
            mode,
            names: 1,
        };
        Facts {
            file: seen(file),
            folder: seen(folder),
            us,
            unmapped: None,
            is_mount_point: false,
        }
    }

    #[test]
    fn what_containers_and_services_have_is_fine() {
        for (what, file, folder, us) in [
            ("a user's state folder", (1000, 0o600), (1000, 0o700), 1000),
            (
                "the same, looked at by root",
                (1000, 0o600),
                (1000, 0o700),
                0,
            ),
            ("StateDirectory=", (998, 0o600), (998, 0o700), 998),
            (
                "a file that root made for a service",
                (998, 0o600),
                (0, 0o755),
                998,
            ),
            (
                "a named volume of the image's user",
                (10001, 0o600),
                (10001, 0o755),
                10001,
            ),
            ("a bind mount, as root", (1000, 0o600), (1000, 0o755), 0),
            (
                "any user of group 0",
                (1_000_620_000, 0o660),
                (1001, 0o775),
                1_000_620_000,
            ),
            (
                "the next of them",
                (1_000_620_000, 0o660),
                (1001, 0o775),
                1_000_630_000,
            ),
            (
                "an image's folder of root and group 0",
                (12345, 0o600),
                (0, 0o775),
                12345,
            ),
            ("fsGroup", (2000, 0o660), (0, 0o2775), 2000),
            (
                "fsGroup, another user of it",
                (2000, 0o660),
                (0, 0o2770),
                2001,
            ),
            (
                "a sticky folder of root's",
                (1000, 0o600),
                (0, 0o1777),
                1000,
            ),
            (
                "a folder that a group shares",
                (1000, 0o660),
                (1002, 0o2770),
                1001,
            ),
            (
                "a folder of ours, a file of root's",
                (0, 0o660),
                (1000, 0o700),
                1000,
            ),
        ] {
            assert_eq!(judge(&facts(file, folder, us)), None, "{what}");
        }
    }

    #[test]
    fn owners_without_a_number_here_are_fine() {
        for (what, file, folder, us) in [
            (
                "a host's folder, rootless or remapped",
                (0, 0o600),
                (65534, 0o755),
                0,
            ),
            ("a host's file too", (65534, 0o660), (65534, 0o770), 0),
            ("PrivateUsers=", (998, 0o600), (65534, 0o755), 998),
            ("a sticky folder", (65534, 0o660), (65534, 0o1777), 998),
        ] {
            let mut facts = facts(file, folder, us);
            facts.unmapped = Some(65534);
            assert_eq!(judge(&facts), None, "{what}");
        }
        // Where all have a number that one is a user like others.
        let nobodys = facts((0, 0o600), (65534, 0o755), 0);
        assert_eq!(judge(&nobodys), Some(Flaw::StrangersFolder));
    }

    #[test]
    fn what_others_could_replace_is_not() {
        for (what, file, folder, us, flaw) in [
            (
                "a file for all",
                (1000, 0o666),
                (1000, 0o700),
                1000,
                Flaw::OpenFile,
            ),
            (
                "a folder for all",
                (1000, 0o600),
                (1000, 0o777),
                1000,
                Flaw::OpenFolder,
            ),
            (
                "the same, setgid",
                (1000, 0o600),
                (0, 0o2777),
                1000,
                Flaw::OpenFolder,
            ),
            (
                "planted in /tmp",
                (1001, 0o660),
                (0, 0o1777),
                1000,
                Flaw::StrangersFile,
            ),
            (
                "planted for root",
                (1001, 0o600),
                (0, 0o1777),
                0,
                Flaw::StrangersFile,
            ),
            (
                "root's, at a user's",
                (0, 0o600),
                (1001, 0o755),
                0,
                Flaw::StrangersFolder,
            ),
            (
                "the same, of a group",
                (0, 0o660),
                (1001, 0o775),
                0,
                Flaw::StrangersFolder,
            ),
            (
                "a third user's folder",
                (1000, 0o600),
                (1001, 0o755),
                0,
                Flaw::StrangersFolder,
            ),
            (
                "a stranger's /tmp",
                (1000, 0o600),
                (1001, 0o1777),
                0,
                Flaw::StrangersFile,
            ),
            (
                "and ours in it",
                (1000, 0o600),
                (1001, 0o1757),
                1000,
                Flaw::StrangersFolder,
            ),
        ] {
            assert_eq!(judge(&facts(file, folder, us)), Some(flaw), "{what}");
        }
    }

    #[test]
    fn a_file_with_two_names_is_two_ledgers() {
        let mut linked = facts((0, 0o600), (0, 0o700), 0);
        linked.file.names = 2;
        assert_eq!(judge(&linked), Some(Flaw::Names(2)));
        linked.is_mount_point = true;
        assert_eq!(judge(&linked), Some(Flaw::MountPoint));
        // A folder has a name in itself and one in each that it holds.
        let mut usual = facts((0, 0o600), (0, 0o700), 0);
        usual.folder.names = 5;
        assert_eq!(judge(&usual), None);
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for flaw in [
            Flaw::MountPoint,
            Flaw::Names(2),
            Flaw::OpenFile,
            Flaw::OpenFolder,
            Flaw::StrangersFile,
            Flaw::StrangersFolder,
        ] {
            let (why, hint) = flaw.told(Path::new("/x/l.db"), Path::new("/x"));
            assert!(!why.is_empty() && !hint.is_empty(), "{flaw:?}");
            assert!(!why.contains("  ") && !why.contains('\n'), "{why}");
        }
    }
}
