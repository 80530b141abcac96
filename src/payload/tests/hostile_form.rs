//! Hostile archives whose gzip, tar or extension headers are broken or misleading.

use tar::EntryType;

use super::corpus::{FOLDER, Tar, gzip};
use super::hostile::{Hostile, hostile};

/// All of them.
pub fn all() -> Vec<Hostile> {
    [gzips(), tars(), extensions(), misleading(), headers()]
        .into_iter()
        .flatten()
        .collect()
}

fn gzips() -> Vec<Hostile> {
    let good = Tar::good().gz();
    let cut = |n: usize| good[..n].to_vec();
    let changed = |at: usize| {
        let mut archive = good.clone();
        archive[at] ^= 0xff;
        archive
    };
    let after = |more: &[u8]| [good.as_slice(), more].concat();
    vec![
        hostile("nothing", "not gzip", vec![]),
        hostile("no gzip", "not gzip", b"<html>404</html>".to_vec()),
        hostile("plain tar", "not gzip", Tar::good().end().0),
        hostile("zip", "not gzip", b"PK\x03\x04aaaaaaaaaaaaaaaa".to_vec()),
        hostile("only the magic", "gzip data", cut(2)),
        hostile("only the header", "gzip data", cut(10)),
        hostile("cut in the middle", "truncated", cut(good.len() / 2)),
        hostile("cut in the checksum", "truncated gzip", cut(good.len() - 6)),
        hostile(
            "without the last byte",
            "truncated gzip",
            cut(good.len() - 1),
        ),
        hostile("wrong CRC", "broken gzip", changed(good.len() - 8)),
        hostile("wrong length", "broken gzip", changed(good.len() - 1)),
        hostile("unknown method", "broken gzip", changed(2)),
        hostile("two members", "several gzip members", after(&good)),
        hostile(
            "an empty second member",
            "several gzip members",
            after(&gzip(b"")),
        ),
        hostile(
            "a zero after the member",
            "1 bytes of data after",
            after(&[0]),
        ),
        hostile(
            "text after the member",
            "data after the end of the gzip",
            after(b"evil"),
        ),
        hostile("8 MiB in", "at most 8388608", vec![0x1f; (8 << 20) + 1]),
        hostile("a bomb of zeros", "at most", gzip(&vec![0; 17 << 20])),
        hostile("a bomb behind the end", "at most", {
            gzip(&[Tar::good().end().0, vec![0; 17 << 20]].concat())
        }),
    ]
}

fn tars() -> Vec<Hostile> {
    let good = Tar::good();
    let mut sum = good.clone();
    sum.0[0] ^= 1;
    let sized = |field: &[u8; 12]| {
        let mut tar = good.clone().header(EntryType::Regular, b"x", 0);
        let at = tar.0.len() - 512;
        tar.0[at + 124..at + 136].copy_from_slice(field);
        fix_sum(&mut tar.0[at..]);
        tar.gz()
    };
    let behind = |tail: &[u8]| gzip(&[good.clone().end().0.as_slice(), tail].concat());
    let mut single = good.clone();
    single.0.extend([0; 512]);
    let many = (0..70).fold(good.clone(), |tar, n| tar.file(&format!("._{n}"), ""));
    let globals = (0..200).fold(good.clone(), |tar, _| {
        tar.pax(EntryType::XGlobalHeader, &[])
    });
    let claims = |size| {
        good.clone().header(
            EntryType::Regular,
            format!("{FOLDER}/a.etcd2").as_bytes(),
            size,
        )
    };
    vec![
        hostile("empty tar", "no .json", Tar::default().gz()),
        hostile("nothing in gzip", "no end of archive", gzip(b"")),
        hostile("no tar in gzip", "truncated tar", gzip(b"hello")),
        hostile("a block of text", "checksum", gzip(&[b'x'; 512])),
        hostile("wrong checksum", "checksum", sum.gz()),
        hostile("no end", "no end of archive", gzip(&good.0)),
        hostile("half an end", "one zero block", gzip(&single.0)),
        hostile(
            "member behind one zero block",
            "data after the end",
            gzip(&[single.0, good.0.clone()].concat()),
        ),
        hostile(
            "text behind the end",
            "data after the end of the tar",
            behind(b"evil"),
        ),
        hostile(
            "tar behind the end",
            "data after the end of the tar",
            behind(&Tar::good().0),
        ),
        hostile(
            "text behind padding",
            "data after the end",
            behind(&[vec![0; 9000], b"x".to_vec()].concat()),
        ),
        hostile("cut in the data", "are missing", gzip(&claims(5000).0)),
        hostile(
            "cut in a block",
            "truncated tar",
            gzip(&good.0[..good.0.len() - 100]),
        ),
        hostile(
            "1 MiB and a byte",
            "at most 1048576",
            gzip(&claims((1 << 20) + 1).0),
        ),
        hostile(
            "claims 8 GiB",
            "at most 1048576",
            gzip(&claims(0o77_777_777_777).0),
        ),
        hostile(
            "binary size",
            "8 GiB",
            sized(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"),
        ),
        hostile(
            "binary size of 7 GiB",
            "8 GiB",
            sized(b"\x80\0\0\0\0\0\0\x01\xc0\0\0\0"),
        ),
        hostile(
            "binary size of a byte",
            "8 GiB",
            sized(b"\x80\0\0\0\0\0\0\0\0\0\0\x01"),
        ),
        hostile("binary size without end", "broken size", sized(&[0xff; 12])),
        hostile("size that is none", "broken size", sized(b"zzzzzzzzzzz\0")),
        hostile("too many entries", "64 entries", many.gz()),
        hostile("too many headers", "192 headers", globals.gz()),
    ]
}

fn fix_sum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header[..512].iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn extensions() -> Vec<Hostile> {
    let local = |records: &[(&str, &str)]| {
        Tar::good()
            .pax(EntryType::XHeader, records)
            .file("a.etcd2", "/a b")
            .gz()
    };
    let global = |records: &[(&str, &str)]| Tar::good().pax(EntryType::XGlobalHeader, records).gz();
    let path = format!("{FOLDER}/b.etcd2");
    vec![
        hostile(
            "PAX size differs",
            "PAX size and header size differ",
            local(&[("size", "0")]),
        ),
        hostile(
            "PAX size of 10 GiB",
            "size differ",
            local(&[("size", "10737418240")]),
        ),
        hostile(
            "PAX size that is none",
            "no number",
            local(&[("size", "-1")]),
        ),
        hostile(
            "two PAX sizes",
            "two PAX sizes",
            local(&[("size", "4"), ("size", "4")]),
        ),
        hostile(
            "two PAX paths",
            "two extended names",
            local(&[("path", &path), ("path", &path)]),
        ),
        hostile(
            "PAX path leaves",
            "'..' part",
            local(&[("path", "../../etc/cron.d/x")]),
        ),
        hostile(
            "PAX path is absolute",
            "an absolute name",
            local(&[("path", "/etc/passwd")]),
        ),
        hostile(
            "PAX path with NUL",
            "control or invisible",
            local(&[("path", "a\0b")]),
        ),
        hostile(
            "PAX path is empty",
            "without a name",
            local(&[("path", "")]),
        ),
        hostile(
            "PAX linkpath",
            "links are refused",
            local(&[("linkpath", "/etc/passwd")]),
        ),
        hostile("PAX sparse", "sparse", local(&[("GNU.sparse.major", "1")])),
        hostile(
            "PAX sparse name",
            "sparse",
            local(&[("GNU.sparse.name", "x")]),
        ),
        hostile(
            "global path",
            "global PAX header that sets path",
            global(&[("path", &path)]),
        ),
        hostile(
            "global size",
            "global PAX header that sets size",
            global(&[("size", "1")]),
        ),
        hostile(
            "global linkpath",
            "global PAX header that sets linkpath",
            global(&[("linkpath", "x")]),
        ),
        hostile(
            "global sparse",
            "sparse",
            global(&[("GNU.sparse.size", "1")]),
        ),
    ]
}

/// Headers of which readers have different names or sizes.
fn headers() -> Vec<Hostile> {
    let changed = |from: usize, bytes: &[u8]| {
        let mut tar = Tar::good();
        let at = tar.0.len();
        tar = tar.file("a.etcd2", "/a b");
        tar.0[at + from..at + from + bytes.len()].copy_from_slice(bytes);
        tar
    };
    let with = |magic: &[u8], prefix: &[u8]| {
        let mut tar = changed(257, magic);
        let at = tar.0.len() - 1024;
        tar.0[at + 345..at + 345 + prefix.len()].copy_from_slice(prefix);
        fix_sum(&mut tar.0[at..]);
        tar.gz()
    };
    let size = |field: &[u8; 12]| {
        let mut tar = changed(124, field);
        let at = tar.0.len() - 1024;
        fix_sum(&mut tar.0[at..]);
        tar.gz()
    };
    let words = "readers differ in the name";
    vec![
        hostile("no magic, a prefix", words, with(&[0; 8], b"other")),
        hostile(
            "another magic, a prefix",
            words,
            with(b"USTAR\x0000", b"other"),
        ),
        hostile(
            "another version, a prefix",
            words,
            with(b"ustar\0\0\0", b"other"),
        ),
        hostile("GNU's magic, a prefix", words, with(b"ustar  \0", b"other")),
        hostile(
            "no magic, a prefix behind a zero",
            words,
            with(&[0; 8], b"\0x"),
        ),
        hostile(
            "a prefix that leaves",
            "'..' part",
            with(b"ustar\x0000", b".."),
        ),
        hostile("a signed size", "broken size", size(b"+0000000004\0")),
        hostile(
            "a size of two numbers",
            "broken size",
            size(b"000004 0007\0"),
        ),
        hostile(
            "a size behind a zero",
            "broken size",
            size(b"0004\x00000777\0"),
        ),
        hostile("no size", "broken size", size(&[b' '; 12])),
        hostile(
            "a global header before the member",
            "between an extension header",
            {
                let path = format!("{FOLDER}/b.etcd2");
                Tar::good()
                    .pax(EntryType::XHeader, &[("path", &path)])
                    .pax(EntryType::XGlobalHeader, &[("comment", "x")])
                    .file("a.etcd2", "/a b")
                    .gz()
            },
        ),
        hostile("star's sparse file", "sparse", {
            Tar::good()
                .pax(EntryType::XHeader, &[("SCHILY.realsize", "4")])
                .file("a.etcd2", "/a b")
                .gz()
        }),
        hostile("a signed PAX size", "no number", {
            Tar::good()
                .pax(EntryType::XHeader, &[("size", "+4")])
                .file("a.etcd2", "/a b")
                .gz()
        }),
    ]
}

/// Extension headers that are broken, claim too much or contradict each other.
fn misleading() -> Vec<Hostile> {
    let data = |data: &[u8]| {
        Tar::good()
            .entry(EntryType::XHeader, "pax", data)
            .file("a.etcd2", "")
            .gz()
    };
    let path = format!("{FOLDER}/b.etcd2");
    let claims = |kind| gzip(&Tar::good().header(kind, b"x", 0o77_777_777_777).0);
    let twice = Tar::good()
        .pax(EntryType::XHeader, &[])
        .pax(EntryType::XHeader, &[]);
    let names = Tar::good()
        .entry(EntryType::GNULongName, "long", path.as_bytes())
        .pax(EntryType::XHeader, &[("path", &path)]);
    vec![
        hostile("PAX without length", "broken PAX", data(b"path=x\n")),
        hostile("PAX length too long", "broken PAX", data(b"99 path=x\n")),
        hostile("PAX length zero", "broken PAX", data(b"0 path=x\n")),
        hostile(
            "PAX length overflows",
            "broken PAX",
            data(b"99999999999999999999999 path=x\n"),
        ),
        hostile("PAX without =", "broken PAX", data(b"7 path\n")),
        hostile(
            "PAX behind an empty line",
            "broken PAX",
            data(b"6 a=b\n\n10 path=x\n"),
        ),
        hostile("PAX with a signed length", "broken PAX", data(b"+6 a=b\n")),
        hostile("PAX without newline", "broken PAX", data(b"8 path=xy")),
        hostile(
            "PAX claims 8 GiB",
            "a PAX header of",
            claims(EntryType::XHeader),
        ),
        hostile(
            "global PAX claims 8 GiB",
            "a PAX header of",
            claims(EntryType::XGlobalHeader),
        ),
        hostile(
            "long name claims 8 GiB",
            "a long name of",
            claims(EntryType::GNULongName),
        ),
        hostile(
            "two PAX headers",
            "two PAX headers",
            twice.file("a.etcd2", "").gz(),
        ),
        hostile(
            "PAX path and long name",
            "two extended names",
            names.file("a.etcd2", "").gz(),
        ),
        hostile(
            "PAX header at the end",
            "without the member",
            Tar::good().pax(EntryType::XHeader, &[]).gz(),
        ),
        hostile("long name at the end", "without the member", {
            Tar::good()
                .entry(EntryType::GNULongName, "long", path.as_bytes())
                .gz()
        }),
    ]
}
