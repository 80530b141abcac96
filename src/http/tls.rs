//! TLS: whom this program trusts, and as whom it speaks.

mod trouble;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls::{ClientConfig, RootCertStore};

use self::trouble::NO_ROOTS;
pub use self::trouble::trouble;
use crate::config::HttpConfig;
use crate::error::{Error, Result, is_shortage};
use crate::file::{self, Unread};

/// The settings of TLS for both clients.
///
/// Errors: exit 2 for a `--ca-file` or a `--client-cert` that can't be used.
pub fn settings(config: &HttpConfig) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(config, provider.clone())?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::unavailable("TLS cannot be set up").because_of(&e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(path) = &config.client_cert else {
        return Ok(builder.with_no_client_auth());
    };
    let what = format!("--client-cert (CAM_CLIENT_CERT) {}", path.display());
    let pem = read(&what, path)?;
    let chain = certificates(&what, &pem)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let why = if contains(&pem, "BEGIN ENCRYPTED PRIVATE KEY") || contains(&pem, "4,ENCRYPTED") {
            "its private key is encrypted, and nobody is there to type the passphrase"
        } else {
            "it holds no private key"
        };
        let hint = "one PEM file holds the certificate, those between it and its authority, and the key: cat client.crt client.key > client.pem; chmod 600 it";
        Error::usage(format!("{what} cannot be used")).because(why).hint(hint)
    })?;
    builder.with_client_auth_cert(chain, key).map_err(|e| {
        Error::usage(format!("{what}: certificate and key do not go together")).because_of(&e)
    })
}

/// Reads one that can be read again: there are several clients.
fn read(what: &str, path: &Path) -> Result<Vec<u8>> {
    let content = file::read_regular(path, file::CERTIFICATES).map_err(|e| {
        if let Unread::Io(e) = &e
            && is_shortage(e)
        {
            return Error::shortage(format!("{what} cannot be read")).because_of(e);
        }
        Error::usage(format!("{what} cannot be read"))
            .because_of(&e)
            .hint(file::NAME_CERTIFICATES)
    })?;
    // Some editors put a byte order mark before what they save.
    let bytes = content.bytes;
    Ok(bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .map_or(bytes.clone(), <[u8]>::to_vec))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// The certificates of a file: PEM, or a single one in DER.
fn certificates(what: &str, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let unusable = |why: &str, hint: &str| {
        let error = Error::usage(format!("{what} holds no certificate in PEM"));
        Err(error.because(why).hint(hint))
    };
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Err(e) => unusable(&format!("it is damaged: {e}"), file::NAME_CERTIFICATES),
        Ok(_) if bytes.is_empty() => unusable("it is empty", file::NAME_CERTIFICATES),
        Ok(_) if bytes.starts_with(&[0x30]) => {
            let der = CertificateDer::from(bytes.to_vec());
            if ParsedCertificate::try_from(&der).is_ok() {
                return Ok(vec![der]);
            }
            unusable(
                "it is binary: PKCS#7, PKCS#12 or something else in DER",
                "openssl pkcs7 -inform der -print_certs -in FILE, or openssl pkcs12 -nokeys -in FILE, writes PEM",
            )
        }
        Ok(_) if contains(bytes, "BEGIN PKCS7") => unusable(
            "it is PKCS#7",
            "openssl pkcs7 -print_certs -in FILE writes PEM",
        ),
        Ok(_) if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) => {
            unusable("it is UTF-16", "save it as ASCII")
        }
        Ok(_) => unusable(
            "nothing in it begins with -----BEGIN CERTIFICATE-----",
            file::NAME_CERTIFICATES,
        ),
    }
}

/// Trusts what an authority issued that the system or `--ca-file` trusts, and a certificate that
/// `--ca-file` holds itself: whoever makes one with `openssl req -x509` has no other authority.
///
/// Of such a one, everything else is checked as ever: its dates, the proof that the server has its
/// key, and the name of the host, unless it names none.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    given: Vec<CertificateDer<'static>>,
    /// Made at the first handshake: to read what the system trusts takes longer than all else that a
    /// pass over plain http does.
    roots: OnceLock<Roots>,
}

/// The authorities, or why there are none.
type Roots = std::result::Result<Arc<rustls_platform_verifier::Verifier>, rustls::Error>;

/// Those of the system alone, for all clients of this process.
static SYSTEM: OnceLock<Roots> = OnceLock::new();

impl Verifier {
    fn new(config: &HttpConfig, provider: Arc<CryptoProvider>) -> Result<Self> {
        let mut given = Vec::new();
        if let Some(path) = &config.ca_file {
            let what = format!("--ca-file (CAM_CA_FILE) {}", path.display());
            given = certificates(&what, &read(&what, path)?)?;
            let mut store = RootCertStore::empty();
            for certificate in &given {
                store.add(certificate.clone()).map_err(|e| {
                    Error::usage(format!("{what} holds a certificate that cannot be read"))
                        .because_of(&e)
                })?;
            }
        }
        Ok(Self {
            provider,
            given,
            roots: OnceLock::new(),
        })
    }

    fn roots(&self) -> &Roots {
        let roots = if self.given.is_empty() {
            &SYSTEM
        } else {
            &self.roots
        };
        roots.get_or_init(|| {
            let (given, provider) = (self.given.clone(), self.provider.clone());
            let roots = rustls_platform_verifier::Verifier::new_with_extra_roots(given, provider);
            let none = |e| rustls::Error::General(format!("{NO_ROOTS}: {e}"));
            roots.map(Arc::new).map_err(none)
        })
    }

    /// The verdict on a certificate that is given itself; `why` is what the authorities come to.
    fn of_given(
        &self,
        shown: &CertificateDer,
        name: &ServerName,
        why: rustls::Error,
    ) -> std::result::Result<(), rustls::Error> {
        // Dates are looked at first: of one that expired, the error is another.
        let is_about_issuer = match &why {
            rustls::Error::InvalidCertificate(why) => {
                matches!(why, CertificateError::UnknownIssuer) || is_own_issuer(why)
            }
            _ => false,
        };
        if !is_about_issuer || !self.given.iter().any(|given| given == shown) {
            return Err(why);
        }
        match verify_server_name(&ParsedCertificate::try_from(shown)?, name) {
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                presented,
                ..
            })) if presented.is_empty() => Ok(()),
            result => result,
        }
    }
}

/// Whether a server shows the certificate of an authority as its own.
fn is_own_issuer(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity"))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let roots = self.roots().clone()?;
        let verdict = roots.verify_server_cert(shown, between, name, ocsp, now);
        verdict.or_else(|why| {
            self.of_given(shown, name, why)?;
            let name = name.to_str();
            tracing::debug!("the certificate of {name} is trusted: --ca-file holds it itself");
            Ok(ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, shown, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, shown, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
