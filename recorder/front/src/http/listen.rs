//! TLS of the front's listener, judged before anything listens.

use crate::config::Config;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use service::config::{ConfigError, bytes, value};
use std::path::Path;
use std::sync::Arc;

/// The TLS side; `None` for plain HTTP.
///
/// # Errors
/// [`ConfigError`] naming file and key.
pub fn tls(file: &Path, config: &Config) -> Result<Option<Arc<rustls::ServerConfig>>, ConfigError> {
    let Some(tls) = &config.tls else { return Ok(None) };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&bytes(file, "tls.certificate", &tls.certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|e| {
                value(file, "tls.certificate", format!("{} is no PEM chain: {e}", tls.certificate.display()))
            })?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(file, "tls.key", &tls.key)?)
        .map_err(|e| value(file, "tls.key", format!("{} is no PEM key: {e}", tls.key.display())))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| value(file, "tls.certificate", format!("certificate and key do not fit: {e}")))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(server)))
}
