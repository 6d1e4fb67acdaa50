//! Everything the configuration names, read and checked before anything is served: a mistake is told at start, by file.

use crate::config::{self, Config, Tls};
use crate::failure::{Failure, config as wrong};
use crate::relays::Relays;
use evidence::identity::TrustMap;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::{DecodePrivateKey, EncodePublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use signaling_core::OrderSigner;
use signaling_store::database::{Postgres, Sqlite, Tables};
use signaling_store::embedded::read_seed;
use signaling_store::matrix::Matrix;
use signaling_store::symphony::Symphony;
use signaling_store::{Embedded, Records, RoomDirectory};
use std::path::Path;
use std::sync::Arc;

/// Ready to serve.
pub struct Loaded {
    /// The file.
    pub config: Config,
    /// Pinned firms.
    pub trust: Arc<TrustMap>,
    /// Order key.
    pub orders: Arc<OrderKey>,
    /// Rooms.
    pub directory: Arc<dyn RoomDirectory>,
    /// The same, where it has to be listened to.
    pub matrix: Option<Arc<Matrix>>,
    /// What must not be forgotten.
    pub records: Records,
    /// TLS of the participants' listener.
    pub tls: Option<Arc<ServerConfig>>,
    /// Mutual TLS of the control link.
    pub control_tls: Arc<ServerConfig>,
    /// TURN servers.
    pub relays: Option<Arc<Relays>>,
    /// TLS of the REST interface's listener.
    pub rest_tls: Option<Arc<ServerConfig>>,
}

/// The delivery service's order key, in software: it moves nobody's media and opens nothing.
pub struct OrderKey(SigningKey);

impl OrderSigner for OrderKey {
    fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        let signature: p256::ecdsa::Signature =
            self.0.sign_prehash(hash).expect("a SHA-256 hash is long enough for P-256");
        signature.to_bytes().into()
    }
}

fn file(path: &Path, key: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| wrong(format!("cannot read {}: {error}; correct `{key}`", path.display())))
}

fn trust(path: &Path) -> Result<TrustMap, Failure> {
    let shown = path.display();
    let trust: TrustMap = serde_json::from_slice(&file(path, "trust")?)
        .map_err(|error| wrong(format!("{shown} is no trust map: {error}; correct `trust`")))?;
    let ordered = trust.firms.windows(2).all(|pair| pair[0].firm < pair[1].firm);
    if trust.version != 1 || trust.firms.is_empty() || !ordered {
        return Err(wrong(format!("{shown}: a trust map has version 1 and its firms in order, each once")));
    }
    Ok(trust)
}

fn order_key(path: &Path, trust: &TrustMap) -> Result<OrderKey, Failure> {
    let shown = path.display();
    let text = String::from_utf8(file(path, "order_key")?).unwrap_or_default();
    let key = SigningKey::from_pkcs8_pem(&text)
        .map_err(|_| wrong(format!("{shown} is no P-256 key in PKCS#8 PEM; correct `order_key`")))?;
    let public = key.verifying_key().to_public_key_der().map_err(|error| wrong(format!("{shown}: {error}")))?;
    if public.as_bytes() != trust.order_key.as_slice() {
        return Err(wrong(format!(
            "{shown} is not the order key of the trust map: members would refuse every removal; use its key"
        )));
    }
    Ok(OrderKey(key))
}

fn chain(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let text = file(path, key)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(wrong(format!("{} has no certificate in PEM; correct `{key}`", path.display()))),
    }
}

fn private(path: &Path, key: &str) -> Result<PrivateKeyDer<'static>, Failure> {
    PrivateKeyDer::from_pem_slice(&file(path, key)?)
        .map_err(|_| wrong(format!("{} has no private key in PEM; correct `{key}`", path.display())))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn unusable(key: &str, error: &rustls::Error) -> Failure {
    wrong(format!("certificate and key of `{key}` do not work together: {error}"))
}

fn public_tls(tls: &Tls) -> Result<Arc<ServerConfig>, Failure> {
    let (chain, key) = (chain(&tls.certificate, "tls.certificate")?, private(&tls.key, "tls.key")?);
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("tls", &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable("tls", &error))?;
    Ok(Arc::new(config))
}

fn control_tls(control: &config::Control) -> Result<Arc<ServerConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    for root in chain(&control.client_ca, "control.client_ca")? {
        roots.add(root).map_err(|error| unusable("control.client_ca", &error))?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| wrong(format!("`control.client_ca` cannot be used: {error}")))?;
    let chain = chain(&control.certificate, "control.certificate")?;
    let key = private(&control.key, "control.key")?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable("control", &error))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|error| unusable("control", &error))?;
    Ok(Arc::new(config))
}

fn relays(relays: &config::Relays) -> Result<Relays, Failure> {
    let secret = file(&relays.secret_file, "relays.secret_file")?;
    Relays::new(relays.urls.clone(), &secret).map_err(|why| wrong(why.to_string()))
}

/// Where the rooms are; says by key what is wrong.
async fn directory(config: &config::Directory) -> Result<(Arc<dyn RoomDirectory>, Option<Arc<Matrix>>), Failure> {
    let config::Directory { path, postgres, matrix, symphony, seed } = config;
    let ours: Arc<dyn Tables> = match (path, postgres, matrix, symphony) {
        (Some(path), None, None, None) => Arc::new(Sqlite::open(path).map_err(|error| {
            let shown = path.display();
            wrong(format!("cannot open the room directory {shown}: {error}; is it a database and writable?"))
        })?),
        (None, Some(postgres), None, None) => Arc::new(Postgres::open(postgres).await.map_err(|error| {
            Failure::Unavailable(format!("cannot use the database of `directory.postgres`: {error}"))
        })?),
        (None, None, Some(matrix), None) if seed.is_none() => {
            let matrix = Matrix::open(matrix.clone()).map_err(|error| wrong(error.to_string()))?;
            return Ok((matrix.clone(), Some(matrix)));
        }
        (None, None, None, Some(symphony)) if seed.is_none() => {
            let symphony = Symphony::open(symphony.clone()).map_err(|error| wrong(error.to_string()))?;
            return Ok((symphony, None));
        }
        _ => {
            let why = "`[directory]` names exactly one of `path`, `postgres`, `matrix` and `symphony`; `seed` goes with the first two";
            return Err(wrong(why));
        }
    };
    let seed = seed.as_deref().map(read_seed).transpose().map_err(wrong)?;
    let embedded = Embedded::new(ours);
    if let Some(seed) = seed {
        embedded.plant(seed).await.map_err(|error| wrong(format!("cannot write the rooms of the seed: {error}")))?;
    }
    Ok((Arc::new(embedded), None))
}

/// Where the records are; says by key what is wrong.
pub async fn records(config: &config::Store) -> Result<Records, Failure> {
    match (&config.path, &config.postgres) {
        (Some(path), None) => Records::sqlite(path).map_err(|error| {
            wrong(format!("cannot open `store.path` {}: {error}; is it a database and writable?", path.display()))
        }),
        (None, Some(postgres)) => Records::postgres(postgres)
            .await
            .map_err(|error| Failure::Unavailable(format!("cannot use the database of `store.postgres`: {error}"))),
        _ => Err(wrong("`[store]` names `path` or `postgres`, not both")),
    }
}

/// Reads the configuration and every file it names.
pub async fn load(path: &Path) -> Result<Loaded, Failure> {
    let config = config::read(path)?;
    let trust = Arc::new(trust(&config.trust)?);
    let orders = Arc::new(order_key(&config.order_key, &trust)?);
    let tls = config.tls.as_ref().map(public_tls).transpose()?;
    let control_tls = control_tls(&config.control)?;
    std::fs::read_dir(&config.statements).map_err(|error| {
        let shown = config.statements.display();
        wrong(format!("cannot read the folder of statements {shown}: {error}; correct `statements`"))
    })?;
    let (directory, matrix) = directory(&config.directory).await?;
    let records = records(&config.store).await?;
    let relays = config.relays.as_ref().map(relays).transpose()?.map(Arc::new);
    let rest_tls = config.rest.as_ref().and_then(|rest| rest.tls.as_ref()).map(public_tls).transpose()?;
    Ok(Loaded { config, trust, orders, directory, records, matrix, tls, control_tls, relays, rest_tls })
}

impl Loaded {
    /// One line for `check-config`.
    pub fn summary(&self) -> String {
        let firms: Vec<&str> = self.trust.firms.iter().map(|firm| firm.firm.as_str()).collect();
        format!(
            "configuration is good: participants at {}, control link at {}, firms {}",
            self.config.listen,
            self.config.control.listen,
            firms.join(", ")
        )
    }
}
