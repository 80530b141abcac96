//! What the kernel says of mounts and of users.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The whole range of user ids, each standing for itself: no namespace hides any.
const EVERYBODY: [&str; 3] = ["0", "0", "4294967295"];
/// Who an unmapped user is shown as where the kernel doesn't say.
const NOBODY: u32 = 65534;

/// Whether something is mounted on the file itself; false where the kernel doesn't tell.
pub fn is_mount_point(path: &Path) -> bool {
    std::fs::read("/proc/self/mountinfo").is_ok_and(|mounts| names(&mounts, path))
}

/// Whether mountinfo (proc(5)) has `path` as a mount point.
fn names(mountinfo: &[u8], path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    let mut lines = mountinfo.split(|byte| *byte == b'\n');
    lines.any(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        fields.nth(4).is_some_and(|point| decoded(point) == path)
    })
}

/// Blanks, tabs, line ends and backslashes are written as `\` and three octal digits.
fn decoded(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    bytes
}

/// Who is shown as the owner of a file whose owner this namespace has no number for; `None` in one
/// that has all.
pub fn unmapped() -> Option<u32> {
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    let shown_as = std::fs::read_to_string("/proc/sys/kernel/overflowuid");
    unmapped_by(&map, &shown_as.unwrap_or_default())
}

fn unmapped_by(uid_map: &str, overflowuid: &str) -> Option<u32> {
    let is_whole = uid_map.split_whitespace().eq(EVERYBODY);
    (!is_whole).then(|| overflowuid.trim().parse().unwrap_or(NOBODY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw
640 610 8:1 /srv/l.db /var/lib/cam/ledger.sqlite rw - ext4 /dev/sda1 rw
641 610 8:1 /srv /var/lib/my\\040state rw - ext4 /dev/sda1 rw
642 610 8:1 /srv/b /x/a\\134b\\011c.db rw - ext4 /dev/sda1 rw
";

    #[test]
    fn a_mount_on_the_file_is_told_from_one_on_its_folder() {
        for (path, is_one) in [
            ("/var/lib/cam/ledger.sqlite", true),
            ("/var/lib/cam", false),
            ("/srv/l.db", false),
            ("/var/lib/my state/ledger.sqlite", false),
            ("/var/lib/my state", true),
            ("/x/a\\b\tc.db", true),
            ("/", false),
        ] {
            assert_eq!(names(MOUNTS.as_bytes(), Path::new(path)), is_one, "{path}");
        }
        assert!(!names(b"no such\n\n \n", Path::new("/x")));
    }

    #[test]
    fn other_backslashes_stay() {
        for text in ["\\", "a\\9", "a\\04", "\\999", "\\x40"] {
            assert_eq!(decoded(text.as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn only_a_namespace_hides_owners() {
        for (map, shown_as, expected) in [
            ("         0          0 4294967295\n", "65534\n", None),
            // Rootless, `PrivateUsers=`, userns-remap.
            ("0 1000 1\n1 100000 65536\n", "65534\n", Some(65534)),
            ("0 0 1\n998 998 1\n", "", Some(65534)),
            ("0 100000 65536\n", "99\n", Some(99)),
        ] {
            assert_eq!(unmapped_by(map, shown_as), expected, "{map}");
        }
    }
}
