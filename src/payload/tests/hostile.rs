//! Hostile archives, and why each is refused: what the members are. Broken or misleading formats are
//! in [`super::hostile_form`].

use tar::EntryType;

use super::corpus::{FOLDER, METADATA, Tar, UNIT};
use super::hostile_form;

/// A hostile archive and words that its refusal has to have.
pub struct Hostile {
    /// What is wrong.
    pub what: &'static str,
    /// The archive.
    pub archive: Vec<u8>,
    /// The words.
    pub words: &'static str,
}

/// One hostile archive.
pub fn hostile(what: &'static str, words: &'static str, archive: Vec<u8>) -> Hostile {
    Hostile {
        what,
        archive,
        words,
    }
}

/// All hostile archives.
pub fn all() -> Vec<Hostile> {
    [hostile_form::all(), names(), types(), contents(), texts()]
        .into_iter()
        .flatten()
        .collect()
}

fn names() -> Vec<Hostile> {
    let named = |name: &str| Tar::good().entry(EntryType::Regular, name, b"x").gz();
    let raw = |name: &[u8]| Tar::good().header(EntryType::Regular, name, 0).gz();
    let inside = |name: &str| Tar::good().file(name, "x").gz();
    let folder = |name: &str| Tar::good().entry(EntryType::Directory, name, b"").gz();
    let long = format!("{FOLDER}/{}.json", "n".repeat(260));
    vec![
        hostile("absolute", "an absolute name", named("/etc/passwd")),
        hostile(
            "absolute folder",
            "an absolute name",
            named(&format!("/{FOLDER}/a.etcd2")),
        ),
        hostile("parent", "'..' part", named("../a.etcd2")),
        hostile("parent inside", "'..' part", inside("../../a.etcd2")),
        hostile("only parent", "'..' part", folder("..")),
        hostile("dot inside", "'.' or '..' part", inside("./a.etcd2")),
        hostile("double slash", "empty, '.' or", inside("/a.etcd2")),
        hostile(
            "double leading dot",
            "'.' or '..' part",
            named(&format!("././{FOLDER}/a.etcd2")),
        ),
        hostile("backslash", "a backslash", inside("a\\b.etcd2")),
        hostile("newline", "control or invisible", inside("a\n.etcd2")),
        hostile("escape", "control or invisible", inside("\u{1b}[2J.etcd2")),
        hostile(
            "right to left",
            "control or invisible",
            inside("\u{202e}2dcte.etcd2"),
        ),
        hostile("not UTF-8", "not UTF-8", raw(b"\xff\xfe.etcd2")),
        hostile("no name", "without a name", raw(b"")),
        hostile("file ends in a slash", "empty, '.' or", inside("a.etcd2/")),
        hostile("other folder", "another folder", folder("other/")),
        hostile(
            "other version",
            "another folder",
            named("example.com-development-video-mobile-1.1/a.etcd2"),
        ),
        hostile(
            "case of the folder",
            "another folder",
            folder(&FOLDER.to_uppercase()),
        ),
        hostile(
            "nested folder",
            "a folder inside",
            folder(&format!("{FOLDER}/sub/")),
        ),
        hostile(
            "file in a nested folder",
            "a folder inside",
            inside("sub/a.etcd2"),
        ),
        hostile("beside the folder", "a file beside", named("a.etcd2")),
        hostile(
            "folder twice",
            "the same name twice",
            folder(&format!("{FOLDER}/")),
        ),
        hostile(
            "file twice",
            "the same name twice",
            Tar::good().file("m.metadata.json", METADATA).gz(),
        ),
        hostile(
            "file twice, with ./",
            "the same name twice",
            named(&format!("./{FOLDER}/m.metadata.json")),
        ),
        hostile("unknown file", "an unknown file", inside("install.sh")),
        hostile(
            "readme of another case",
            "an unknown file",
            inside("readme.md"),
        ),
        hostile("only an ending", "a hidden file", inside(".json")),
        hostile("hidden", "a hidden file", inside(".a.json")),
        hostile("file named .", "'.' or '..' part", named(".")),
        hostile("long file name", "longer than 255", {
            Tar::good()
                .entry(EntryType::GNULongName, "long", long.as_bytes())
                .file("x", "")
                .gz()
        }),
    ]
}

fn types() -> Vec<Hostile> {
    let of = |kind| {
        Tar::good()
            .header(kind, format!("{FOLDER}/a.etcd2").as_bytes(), 0)
            .gz()
    };
    let with_data = Tar::good().entry(EntryType::Directory, &format!("{FOLDER}/x/"), b"x");
    vec![
        hostile(
            "symbolic link",
            "a symbolic link, a plain file expected",
            of(EntryType::Symlink),
        ),
        hostile("hard link", "a hard link", of(EntryType::Link)),
        hostile("character device", "a device", of(EntryType::Char)),
        hostile("block device", "a device", of(EntryType::Block)),
        hostile("fifo", "a fifo", of(EntryType::Fifo)),
        hostile("GNU sparse", "a sparse file", of(EntryType::GNUSparse)),
        hostile(
            "GNU long link",
            "a long link name",
            of(EntryType::GNULongLink),
        ),
        hostile(
            "contiguous",
            "an entry of type '7'",
            of(EntryType::Continuous),
        ),
        hostile(
            "volume label",
            "an entry of type 'V'",
            of(EntryType::new(b'V')),
        ),
        hostile(
            "multi-volume",
            "an entry of type 'M'",
            of(EntryType::new(b'M')),
        ),
        hostile(
            "Solaris PAX",
            "an entry of type 'X'",
            of(EntryType::new(b'X')),
        ),
        hostile("folder with data", "a folder with 1 bytes", with_data.gz()),
    ]
}

fn contents() -> Vec<Hostile> {
    let folder = || Tar::default().entry(EntryType::Directory, FOLDER, b"");
    let of = |metadata: &str, unit: &str| {
        folder()
            .file("m.json", metadata)
            .file("a@.service", unit)
            .gz()
    };
    let keys = |text: &str| Tar::good().file("k.etcd2", text).gz();
    let many: String = (0..700).fold(String::new(), |text, n| {
        text + &format!("/k{n} {}\n", "<".repeat(20))
    });
    vec![
        hostile(
            "no metadata",
            "no .json file",
            folder().file("a.service", UNIT).gz(),
        ),
        hostile(
            "no unit",
            "no .service or .service.tmpl",
            folder().file("m.json", METADATA).gz(),
        ),
        hostile(
            "second metadata",
            "a second .json beside m.metadata.json",
            Tar::good().file("n.json", METADATA).gz(),
        ),
        hostile(
            "second unit",
            "a second .service",
            Tar::good().file("b@.service", UNIT).gz(),
        ),
        hostile(
            "second keys",
            "a second .etcd2",
            Tar::good().file("a.etcd2", "").file("b.etcd2", "").gz(),
        ),
        hostile(
            "metadata not UTF-8",
            "line 2: not UTF-8",
            folder().file("m.json", b"{\n\xff}").gz(),
        ),
        hostile("metadata no JSON", "m.json: line 1", of("{bad}", UNIT)),
        hostile("empty unit", "renders to nothing", of(METADATA, " \n")),
        hostile(
            "unknown field",
            "a@.service: line 2: {{.Nope}}",
            of(METADATA, "[Unit]\nA={{.Nope}}"),
        ),
        hostile(
            "long unit",
            "renders to 65536 bytes",
            of(METADATA, &"#\n".repeat(32768)),
        ),
        hostile(
            "4-byte character",
            "rendered line 2: U+1F600",
            of(METADATA, "#\n#😀"),
        ),
        hostile("comment in keys", "k.etcd2: line 2", keys("/a b\n# c")),
        hostile(
            "the cluster's key",
            "the cluster's own",
            keys("/example.com/apps/services/a/current-cycle b"),
        ),
        hostile("keys as JSON too long", "the keys as JSON are", keys(&many)),
    ]
}

/// What neither systemd nor fleet takes, and control characters.
fn texts() -> Vec<Hostile> {
    let of = |metadata: &str, unit: &str| {
        Tar::default()
            .file("m.json", metadata)
            .file("a@.service", unit)
            .gz()
    };
    let keys = |text: &str| Tar::good().file("k.etcd2", text).gz();
    vec![
        hostile(
            "no unit at all",
            "a@.service: rendered line 1: before the first section",
            of(METADATA, "hello world\n"),
        ),
        hostile(
            "merge conflict in what a template renders",
            "a@.service: rendered line 4: a marker of a merge conflict",
            of(
                METADATA,
                "{{/* a\ncomment */}}[Service]\nExecStart=/x\n\n<<<<<<< HEAD\nExecStart=/y\n",
            ),
        ),
        hostile(
            "control character in the unit",
            "a@.service: line 2: the control character U+001B",
            of(METADATA, "[Service]\nExecStart=/x \u{1b}[2J\n"),
        ),
        hostile(
            "control character by a template",
            "a@.service: rendered line 2: the control character U+0007",
            of(METADATA, "[Service]\nExecStart=/x {{printf \"%c\" 7}}\n"),
        ),
        hostile(
            "control character in the metadata",
            "m.json: line 2: the control character U+009B",
            of(
                &METADATA.replace(",\"version", ",\n\"x\":\"\u{9b}\",\"version"),
                UNIT,
            ),
        ),
        hostile(
            "NUL in a value",
            "k.etcd2: line 2: the control character U+0000",
            keys("/a b\n/c d\0e\n"),
        ),
        hostile(
            "escape sequence in a value",
            "k.etcd2: line 1: the control character U+001B",
            keys("/a \u{1b}[31m\n"),
        ),
        hostile(
            "DEL in a value",
            "k.etcd2: line 1: the control character U+007F",
            keys("/a b\u{7f}\n"),
        ),
        hostile(
            "form feed between key and value",
            "k.etcd2: line 1: the control character U+000C",
            keys("/a\u{c}b\n"),
        ),
        hostile(
            "carriage return in a value",
            "k.etcd2: line 1: the control character U+000D",
            keys("/a b\rc\r\n"),
        ),
    ]
}
