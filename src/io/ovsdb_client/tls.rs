//! TLS to an OVSDB server, with a certificate of our own.
//!
//! Certificates made by `ovs-pki`, Kube-OVN's among them, name no host: their subject alternative name is `DNS:ovn
//! id:<uuid>`, which is no DNS name at all. So by default the chain up to the one given CA is what counts, as for
//! every client of OVS; [`Verify::Name`] asks for the name too. The files are read again for each connection, so a
//! rotated certificate takes effect with the next one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::ovsdb::endpoint::Authority;

/// The files of a TLS client, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The CA that signed the server's certificate.
    pub ca: PathBuf,
    /// Our certificate, with any intermediate ones.
    pub certificate: PathBuf,
    /// Our private key.
    pub key: PathBuf,
    /// What is checked of the server.
    pub verify: Verify,
}

/// What is checked of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// That the CA signed it.
    #[default]
    Chain,
    /// That the CA signed it, for the host of the endpoint.
    Name,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("ssl: needs a CA, a certificate and a key, and none are configured")]
    NotConfigured,
    #[error("cannot read the {what} from {path}: {error}; give it with {}", flag(what))]
    File { what: &'static str, path: PathBuf, error: pem::Error },
    #[error("{0} holds no certificate: give a file in PEM with --ovn-tls-ca or --ovn-tls-cert")]
    NoCertificate(PathBuf),
    #[error(
        "{certificate} (--ovn-tls-cert) and {key} (--ovn-tls-key) do not go together: {}",
        words(error, "it is")
    )]
    Identity { certificate: PathBuf, key: PathBuf, error: rustls::Error },
    #[error("{path} cannot be used as a CA: {error}")]
    Ca { path: PathBuf, error: String },
    #[error("{0} is no host name that TLS can check")]
    Host(String),
    #[error("{} (our CA: {ca}, our certificate: {certificate})", told(error))]
    Handshake { error: io::Error, ca: PathBuf, certificate: PathBuf },
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl TlsConfig {
    /// Talks TLS over this connection.
    pub(super) async fn wrap(
        &self,
        stream: TcpStream,
        server: &Authority,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let name =
            ServerName::try_from(server.host.clone()).map_err(|_| TlsError::Host(server.host.clone()))?;
        let connector = TlsConnector::from(Arc::new(self.read()?));
        connector.connect(name, stream).await.map_err(|error| TlsError::Handshake {
            error,
            ca: self.ca.clone(),
            certificate: self.certificate.clone(),
        })
    }

    fn read(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = ChainVerifier::new(self.read_ca()?, provider.clone(), self.verify, &self.ca)?;
        let certificates = read_certificates("certificate", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key);
        let key = key.map_err(|error| TlsError::File { what: "key", path: self.key.clone(), error })?;
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(certificates, key)
            .map_err(|error| TlsError::Identity {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                error,
            })
    }

    fn read_ca(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates("CA", &self.ca)? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::Ca { path: self.ca.clone(), error: error.to_string() })?;
        }
        Ok(roots)
    }
}

fn flag(what: &str) -> &'static str {
    match what {
        "CA" => "--ovn-tls-ca",
        "key" => "--ovn-tls-key",
        _ => "--ovn-tls-cert",
    }
}

/// What went wrong on a connection, with the cure where TLS is the matter.
pub(super) fn told(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(|| error.to_string(), |error| words(error, "the server's certificate is"))
}

/// A TLS error with its cure. webpki's own errors come as text only.
fn words(error: &rustls::Error, whose: &str) -> String {
    use rustls::{CertificateError as Bad, Error};
    match error {
        Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "our CA did not sign the server's certificate: give the CA that did with --ovn-tls-ca".to_owned()
        }
        Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            format!("{whose} out of date: renew it ({error})")
        }
        Error::InvalidCertificate(Bad::Other(other)) => match format!("{other:?}") {
            text if text.contains("UnsupportedCertVersion") => {
                format!("{whose} of X.509 version 1: make one of version 3, as ovs-pki does")
            }
            text if text.contains("CaUsedAsEndEntity") => {
                format!("{whose} that of a CA, or self-signed: take one that the CA signed for the server")
            }
            _ => error.to_string(),
        },
        Error::AlertReceived(alert) => {
            format!(
                "the server refuses our certificate ({alert:?}): give one that its CA signed with --ovn-tls-cert"
            )
        }
        error => error.to_string(),
    }
}

fn read_certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::File { what, path: path.to_owned(), error };
    let certificates = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if certificates.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(certificates) }
}

/// Checks the chain always, and the name where that is asked for.
struct ChainVerifier {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    verify: Verify,
    /// The usual verifier, for the name and for signatures.
    usual: Arc<WebPkiServerVerifier>,
}

impl ChainVerifier {
    fn new(
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
        verify: Verify,
        ca: &Path,
    ) -> Result<Self, TlsError> {
        let roots = Arc::new(roots);
        let usual = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let usual = usual.map_err(|error| TlsError::Ca { path: ca.to_owned(), error: error.to_string() })?;
        Ok(Self { roots, provider, verify, usual })
    }
}

impl fmt::Debug for ChainVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainVerifier").field("verify", &self.verify).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.verify {
            Verify::Name => {
                self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Verify::Chain => {
                let algorithms = self.provider.signature_verification_algorithms.all;
                let certificate = ParsedCertificate::try_from(end_entity)?;
                verify_server_cert_signed_by_trust_anchor(
                    &certificate,
                    &self.roots,
                    intermediates,
                    now,
                    algorithms,
                )?;
                Ok(ServerCertVerified::assertion())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
