//! TLS of both links: rustls on aws-lc-rs. The control link stands under the operator's CA; on the record link the
//! client's certificate is pinned by its hash, which came with the token over the control link.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of the configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct TlsError {
    /// Which file.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

fn bad(file: &Path, reason: impl ToString) -> TlsError {
    TlsError { file: file.to_owned(), reason: reason.to_string() }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Reads a certificate chain, leaf first.
pub fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(|e| bad(file, e))?.collect();
    let all = all.map_err(|e| bad(file, e))?;
    if all.is_empty() { Err(bad(file, "holds no certificate (PEM wanted)")) } else { Ok(all) }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|e| bad(file, e))
}

/// Client side of the control link.
pub fn control_client(ca: &Path, certificate: &Path, key_file: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in chain(ca)? {
        roots.add(root).map_err(|e| bad(ca, e))?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(certificate, e))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain(certificate)?, key(key_file)?)
        .map_err(|e| bad(certificate, e))?;
    Ok(Arc::new(config))
}

/// Server side of the record link: TLS 1.3, a client certificate is wanted, its key's possession is proved; who it is
/// decides the token.
pub fn record_server(certificate: &Path, key_file: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let verifier = Arc::new(Pinned { algorithms: provider.signature_verification_algorithms });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| bad(certificate, e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(certificate)?, key(key_file)?)
        .map_err(|e| bad(certificate, e))?;
    config.alpn_protocols = vec![domain::message::record_link::ALPN.to_vec()];
    // a resumed session would not show the certificate again
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// SHA-256 of a certificate.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate).as_ref());
    out
}

/// Takes any certificate whose key the client holds: the path is not ours to judge (it is the firm's CA), the hash is
/// compared with the one that signaling named after it had judged the certificate.
#[derive(Debug)]
struct Pinned {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
