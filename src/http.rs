//! What both HTTP clients share: building, bounded reading, and words for failures.

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;

use crate::config::HttpConfig;
use crate::error::{Error, Result};
use crate::file::{self, Unread};
use crate::mask::Masker;

/// The longest that a server may be silent within one reply.
pub const IDLE: Duration = Duration::from_secs(30);

/// Builds a client. It decodes no body, keeps no cookie and says who it is; `idle` bounds the wait
/// for the headers and every read of the body.
///
/// Errors: exit 2 for a `--ca-file` that can't be used, 69 where the machine has no CA
/// certificates (reqwest refuses to build a client then, even for plain http).
pub fn client(config: &HttpConfig, redirects: Policy, idle: Duration) -> Result<Client> {
    // Fails when a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .connect_timeout(config.connect_timeout)
        .timeout(idle)
        .redirect(redirects)
        .referer(false);
    check_system_file()?;
    if let Some(path) = &config.ca_file {
        let shown = path.display();
        // One that can be read again: there are two clients.
        let pem = file::read_regular(path, file::CERTIFICATES).map_err(|e| {
            Error::usage(format!("--ca-file (CAM_CA_FILE) {shown} cannot be read"))
                .because_of(&e)
                .hint(file::NAME_CERTIFICATES)
        })?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem.bytes).map_err(|e| {
            Error::usage(format!(
                "--ca-file (CAM_CA_FILE) {shown} is not PEM certificates"
            ))
            .because(describe(&e, &config.masker))
        })?;
        if certificates.is_empty() {
            return Err(Error::usage(format!(
                "--ca-file (CAM_CA_FILE) {shown} holds no certificate"
            )));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|e| {
        Error::unavailable("the HTTP client cannot be set up")
            .because(describe(&e, &config.masker))
            .hint("install the ca-certificates package, or name a PEM file with --ca-file")
    })
}

/// Refuses what `SSL_CERT_FILE` names where it has no end: the library would read on for ever.
fn check_system_file() -> Result<()> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from) else {
        return Ok(());
    };
    match file::read_regular(&path, file::CERTIFICATES) {
        // The library has its own word for a file that is missing.
        Ok(_) | Err(Unread::Io(_)) => Ok(()),
        Err(e) => Err(
            Error::usage(format!("SSL_CERT_FILE {} cannot be used", path.display()))
                .because_of(&e)
                .hint(file::NAME_CERTIFICATES),
        ),
    }
}

/// Why a body could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the reply is larger than {0} bytes")]
    TooLarge(usize),
    /// Not all of it by the deadline.
    #[error("the reply was not complete after {0:?}")]
    TooSlow(Duration),
    /// The connection broke or fell silent.
    #[error("the reply was cut: {0}")]
    Cut(String),
}

/// Reads a body of at most `limit` bytes within `total`.
pub fn read_body(
    response: &mut Response,
    limit: usize,
    total: Duration,
    masker: &Masker,
) -> std::result::Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    let mut reader = Bounded::new(response, limit, total, masker);
    reader
        .read_to_end(&mut body)
        .map_err(|e| reader.explain(&e))?;
    Ok(body)
}

/// A reader that fails after a number of bytes or a time; [`Bounded::explain`] tells which.
pub struct Bounded<R> {
    inner: R,
    limit: usize,
    left: usize,
    total: Duration,
    deadline: Instant,
    failed: Option<BodyError>,
    masker: Masker,
}

impl<R: Read> Bounded<R> {
    /// Bounds a reader.
    pub fn new(inner: R, limit: usize, total: Duration, masker: &Masker) -> Self {
        Self {
            inner,
            limit,
            left: limit,
            total,
            deadline: Instant::now() + total,
            failed: None,
            masker: masker.clone(),
        }
    }

    /// What a read error of this reader means.
    pub fn explain(&self, error: &std::io::Error) -> BodyError {
        self.failed
            .clone()
            .unwrap_or_else(|| BodyError::Cut(describe_io(error, &self.masker)))
    }

    /// What made this reader fail, if it was a bound or the connection.
    pub fn failure(&self) -> Option<&BodyError> {
        self.failed.as_ref()
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let fail = |e: &BodyError| std::io::Error::other(e.to_string());
        if Instant::now() >= self.deadline {
            let error = BodyError::TooSlow(self.total);
            let io = fail(&error);
            self.failed = Some(error);
            return Err(io);
        }
        match self.inner.read(buf) {
            Ok(n) if n > self.left => {
                let error = BodyError::TooLarge(self.limit);
                let io = fail(&error);
                self.failed = Some(error);
                Err(io)
            }
            Ok(n) => {
                self.left -= n;
                Ok(n)
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                self.failed = Some(BodyError::Cut(describe_io(&e, &self.masker)));
                Err(e)
            }
        }
    }
}

fn describe_io(error: &std::io::Error, masker: &Masker) -> String {
    match error
        .get_ref()
        .and_then(|e| e.downcast_ref::<reqwest::Error>())
    {
        Some(inner) => describe(inner, masker),
        None => masker.text(error.to_string()),
    }
}

/// What went wrong with a request, innermost cause last, without the URL (which an error of
/// reqwest would print, and which can hold a signature or a user).
pub fn describe(error: &reqwest::Error, masker: &Masker) -> String {
    let mut parts: Vec<String> = Vec::new();
    if error.is_timeout() {
        parts.push(
            if error.is_connect() {
                "no connection in time"
            } else {
                "no answer in time"
            }
            .into(),
        );
    } else if error.is_connect() {
        parts.push("no connection".into());
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.contains(&text) && !text.contains("://") {
            parts.push(text);
        }
        source = cause.source();
    }
    if parts.is_empty() {
        parts.push(
            if error.is_redirect() {
                "redirect refused"
            } else {
                "request failed"
            }
            .into(),
        );
    }
    masker.text(parts.join(": "))
}
