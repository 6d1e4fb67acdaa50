//! An identity provider and a device, in software: ID tokens, DPoP proofs, CSRs, each of them also made wrong on purpose.

use crate::house::{AUDIENCE, Custody, HTU, House, ISSUER};
use domain::message::custody::{Answer, Ask, CustodyProblem, LeafRole};
use domain::{B64, UnixMillis};
use evidence::cose;
use evidence::key::PublicKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509NameBuilder, X509ReqBuilder};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

pub fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

/// A P-256 key as every library wants it.
pub struct Key(pub SigningKey);

impl Key {
    pub fn new() -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        Self(SigningKey::from_pkcs8_der(&key.private_key_to_pkcs8().unwrap()).unwrap())
    }
    pub fn public(&self) -> PublicKey {
        PublicKey::from_sec1(self.0.verifying_key().to_encoded_point(false).as_bytes()).unwrap()
    }
    fn openssl(&self) -> PKey<Private> {
        PKey::private_key_from_pkcs8(self.0.to_pkcs8_der().unwrap().as_bytes()).unwrap()
    }
    fn jwt(&self) -> EncodingKey {
        EncodingKey::from_ec_der(self.0.to_pkcs8_der().unwrap().as_bytes())
    }
    pub fn jwk(&self) -> Value {
        let point = self.0.verifying_key().to_encoded_point(false);
        let part = |bytes: &[u8]| B64::from(bytes).encode();
        json!({"kty": "EC", "crv": "P-256", "x": part(point.x().unwrap()), "y": part(point.y().unwrap())})
    }
    pub fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        B64::from(evidence::sha256(text.as_bytes())).encode()
    }
    pub fn sign(&self, label: &str, payload: &[u8], certificate: Option<&[u8]>) -> Vec<u8> {
        cose::sign::<()>(label, payload, certificate, |hash| {
            let signature: p256::ecdsa::Signature = self.0.sign_prehash(hash).unwrap();
            Ok(signature.to_bytes().into())
        })
        .unwrap()
    }
}

/// PKCS#10 with a URI as alternative name.
pub fn csr(uri: &str, key: &Key) -> Vec<u8> {
    build_csr(uri, &key.openssl())
}

/// The same for any key.
pub fn build_csr(uri: &str, key: &PKey<Private>) -> Vec<u8> {
    let mut builder = X509ReqBuilder::new().unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "ignored").unwrap();
    builder.set_subject_name(&name.build()).unwrap();
    builder.set_pubkey(key).unwrap();
    let context = builder.x509v3_context(None);
    let names = SubjectAlternativeName::new().uri(uri).build(&context).unwrap();
    let mut extensions = Stack::new().unwrap();
    extensions.push(names).unwrap();
    builder.add_extensions(&extensions).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build().to_der().unwrap()
}

/// What a page asks its provider to sign: the CSR and the key that sends it.
pub fn nonce(csr: &[u8], dpop_key: &Key) -> String {
    let holder = B64::decode(&dpop_key.thumbprint()).unwrap();
    B64::from(evidence::sha256(&[evidence::sha256(csr).as_slice(), &holder].concat())).encode()
}

/// One enrolment, every part of which a test may change before it is sent.
pub struct Enrolment {
    pub issuer_key: Key,
    pub dpop_key: Key,
    pub leaf_key: Key,
    pub csr: Vec<u8>,
    pub claims: Value,
    pub proof: Value,
    pub token_header: Header,
    pub proof_header: Header,
    pub role: LeafRole,
}

fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("proof-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Enrolment {
    /// A good one; the provider's key is published to the firm.
    pub fn new(house: &House, user: &str, role: LeafRole) -> Self {
        let (issuer_key, dpop_key, leaf_key) = (Key::new(), Key::new(), Key::new());
        let mut jwk = issuer_key.jwk();
        jwk["kid"] = "k1".into();
        std::fs::write(house.path("jwks.json"), json!({"keys": [jwk]}).to_string()).unwrap();
        let csr = csr(&format!("sr://bank-a/{user}/d1"), &leaf_key);
        let now_s = now().seconds();
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "iat": now_s, "exp": now_s + 120, "sub": user, "name": format!("{user} of A"),
            "nonce": nonce(&csr, &dpop_key), "roles": [role],
        });
        let proof = json!({"jti": unique(), "htm": "POST", "htu": HTU, "iat": now_s});
        let mut token_header = Header::new(Algorithm::ES256);
        token_header.kid = Some("k1".into());
        let mut proof_header = Header::new(Algorithm::ES256);
        proof_header.typ = Some("dpop+jwt".into());
        proof_header.jwk = Some(serde_json::from_value::<Jwk>(dpop_key.jwk()).unwrap());
        Self { issuer_key, dpop_key, leaf_key, csr, claims, proof, token_header, proof_header, role }
    }

    /// The request.
    pub fn ask(&self) -> Ask {
        let id_token = jsonwebtoken::encode(&self.token_header, &self.claims, &self.issuer_key.jwt()).unwrap();
        let dpop = jsonwebtoken::encode(&self.proof_header, &self.proof, &self.dpop_key.jwt()).unwrap();
        Ask::CertifyMember { csr: self.csr.clone().into(), id_token, dpop, role: self.role }
    }

    /// Sends it.
    pub async fn send(&self, people: &Custody) -> Result<Vec<u8>, CustodyProblem> {
        match people.ask(self.ask()).await? {
            Answer::Certificate { certificate } => Ok(certificate.0),
            other => panic!("{other:?}"),
        }
    }
}

/// Enrols a person: key and certificate.
pub async fn enrol(house: &House, people: &Custody, user: &str, role: LeafRole) -> (Key, Vec<u8>) {
    let enrolment = Enrolment::new(house, user, role);
    let certificate = enrolment.send(people).await.unwrap();
    (enrolment.leaf_key, certificate)
}
