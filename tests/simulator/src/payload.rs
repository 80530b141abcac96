//! Payloads as a team would upload them.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};

const TEMPLATE: &str = r"[Unit]
Description=example.com:{{.Name}}
After=docker.service
Requires=docker.service

[Service]
Restart=on-abnormal
TimeoutStartSec=0
KillMode=none
EnvironmentFile=/etc/environment
ExecStartPre=-/usr/bin/docker rm {{.Name}}
ExecStartPre=/usr/bin/docker pull registry.example.com/{{.Name}}:{{.ImageVersion}}
ExecStart=/usr/bin/docker run --name {{.Name}} -p 8081:8080 registry.example.com/{{.Name}}:{{.ImageVersion}}
ExecStop=-/usr/bin/docker stop {{.Name}}

[X-Fleet]
MachineMetadata=role=worker
";

const ETCD2: &str =
    "/path/to/your/needed/key1 something11\n/path/to/your/needed/key2 some thing 22\n";

/// Builds the archive of a release for `example.com`, `development`. The same input gives the same
/// bytes.
#[derive(Clone, Debug)]
pub struct Payload {
    app: String,
    version: String,
    name: String,
    instances: u32,
    template: String,
    etcd2: Option<String>,
    metadata: Option<String>,
}

impl Payload {
    /// Begins with a usual release: service `example-<app>`, 2 instances, a template, 2 etcd keys.
    pub fn sample(app: &str, version: &str) -> Self {
        Self {
            app: app.to_owned(),
            version: version.to_owned(),
            name: format!("example-{app}"),
            instances: 2,
            template: TEMPLATE.to_owned(),
            etcd2: Some(ETCD2.to_owned()),
            metadata: None,
        }
    }

    /// Sets the number of instances.
    #[must_use]
    pub fn instances(mut self, count: u32) -> Self {
        self.instances = count;
        self
    }

    /// Sets the service name that is sent to the cluster.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets the text of the service template.
    #[must_use]
    pub fn template(mut self, text: &str) -> Self {
        text.clone_into(&mut self.template);
        self
    }

    /// Sets the text of the etcd2 file; an empty one leaves the file out.
    #[must_use]
    pub fn etcd2(mut self, text: &str) -> Self {
        self.etcd2 = (!text.is_empty()).then(|| text.to_owned());
        self
    }

    /// Sets the text of the metadata file as it stands, instead of one made of the other values.
    #[must_use]
    pub fn metadata(mut self, text: &str) -> Self {
        self.metadata = Some(text.to_owned());
        self
    }

    /// Gives the `.tar.gz`.
    pub fn build(self) -> Vec<u8> {
        let folder = format!("example.com-development-{}-{}", self.app, self.version);
        let metadata = self.metadata.unwrap_or_else(|| {
            let value = serde_json::json!({
                "name": self.name,
                "version": self.version,
                "imageVersion": self.version,
                "numInstances": self.instances,
            });
            format!("{value:#}\n")
        });
        let mut archive = tar::Builder::new(Vec::new());
        let mut add = |name: &str, text: Option<&str>| {
            let bytes = text.unwrap_or_default().as_bytes();
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(if text.is_some() {
                tar::EntryType::Regular
            } else {
                tar::EntryType::Directory
            });
            header.set_mode(if text.is_some() { 0o644 } else { 0o755 });
            header.set_size(bytes.len() as u64);
            archive
                .append_data(&mut header, format!("{folder}/{name}"), bytes)
                .expect("writing to memory");
        };
        add("", None);
        add(&format!("{}.json", self.app), Some(&metadata));
        add(&format!("{}.service.tmpl", self.app), Some(&self.template));
        if let Some(etcd2) = &self.etcd2 {
            add(&format!("{}.etcd2", self.app), Some(etcd2));
        }
        add("README.md", Some("# How this release is made\n"));
        let tar = archive.into_inner().expect("writing to memory");
        let mut gzip = GzBuilder::new()
            .mtime(0)
            .write(Vec::new(), Compression::default());
        gzip.write_all(&tar)
            .and_then(|()| gzip.finish())
            .expect("writing to memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_the_same_archive_twice() {
        let payload = Payload::sample("video", "1.0.1-22").instances(3);
        let bytes = payload.clone().build();
        assert_eq!(bytes, payload.build());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let folder = "example.com-development-video-1.0.1-22";
        let files = [
            "",
            "video.json",
            "video.service.tmpl",
            "video.etcd2",
            "README.md",
        ];
        assert_eq!(names, files.map(|file| format!("{folder}/{file}")));
    }
}
