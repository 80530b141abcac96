//! Builds archives for tests.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

/// The folder of the payload of example.com, development, video-mobile, 1.0.
pub const FOLDER: &str = "example.com-development-video-mobile-1.0";
/// The metadata of a good payload.
pub const METADATA: &str = r#"{"name":"example-video-mobile","version":"1.0","numInstances":2}"#;
/// The unit file of a good payload.
pub const UNIT: &str = "[Service]\nExecStart=/bin/run {{.Name}} {{.ImageVersion}}\n";

/// A tar under construction.
#[derive(Clone, Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    /// The folder with metadata and unit file: all that a payload must have.
    pub fn good() -> Self {
        Self::default()
            .entry(EntryType::Directory, &format!("{FOLDER}/"), b"")
            .file("m.metadata.json", METADATA)
            .file("example@.service.tmpl", UNIT)
    }

    /// A file in the folder.
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.entry(
            EntryType::Regular,
            &format!("{FOLDER}/{name}"),
            text.as_ref(),
        )
    }

    /// A member of any type, its name as given.
    pub fn entry(self, kind: EntryType, name: &str, data: &[u8]) -> Self {
        self.header(kind, name.as_bytes(), data.len() as u64)
            .data(data)
    }

    /// A header that claims `size` bytes of data, without any.
    pub fn header(mut self, kind: EntryType, name: &[u8], size: u64) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self
    }

    /// Data, padded to whole blocks.
    pub fn data(mut self, data: &[u8]) -> Self {
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A PAX header (`kind` says for whom) with these records.
    pub fn pax(self, kind: EntryType, records: &[(&str, &str)]) -> Self {
        let mut data = String::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length += 1;
            }
            data.push_str(&[length.to_string(), format!(" {key}={value}\n")].concat());
        }
        self.entry(kind, "pax", data.as_bytes())
    }

    /// The two blocks that end a tar.
    pub fn end(mut self) -> Self {
        self.0.extend([0; 1024]);
        self
    }

    /// The finished archive: ended and compressed.
    pub fn gz(self) -> Vec<u8> {
        gzip(&self.end().0)
    }
}

/// One gzip member.
pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
