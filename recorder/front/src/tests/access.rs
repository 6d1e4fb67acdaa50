//! Who may reach what.

use super::kit::{NOW, ORIGIN, Person, Town, server_certificate};
use domain::B64;
use domain::message::custody::LeafRole;
use openssl::hash::MessageDigest;
use p256::ecdsa::SigningKey;
use p256::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const OFFICERS_ONLY: [(&str, &str); 13] = [
    ("POST", "/api/requests/x/bundle"),
    ("GET", "/api/meetings"),
    ("POST", "/api/search"),
    ("GET", "/api/requests"),
    ("POST", "/api/requests"),
    ("POST", "/api/requests/x/approval"),
    ("POST", "/api/requests/x/open"),
    ("GET", "/api/ledger"),
    ("POST", "/api/ledger"),
    ("POST", "/api/exports"),
    ("GET", "/api/exports/x"),
    ("DELETE", "/api/exports/x"),
    ("DELETE", "/api/requests/x/open"),
];

async fn status(town: &Town, method: &str, path: &str, session: Option<&str>) -> u16 {
    let body = json!({"request": "AAAA", "approval": "AAAA", "grant": "x", "action": "play", "at_ms": 0});
    let body = if path == "/api/search" { json!({}) } else { body };
    let request = match method {
        "GET" => town.get(path),
        "DELETE" => town.delete(path),
        _ => town.post(path).json(&body),
    };
    let request = if let Some(session) = session { request.bearer_auth(session) } else { request };
    request.send().await.expect("sent").status().as_u16()
}

#[tokio::test]
async fn participants_and_strangers_cannot_reach_compliance_endpoints() {
    let town = Town::new().await;
    let member = town.session(&Person::new("anna", LeafRole::Member));
    let administrator = town.session(&Person::new("adam", LeafRole::Administrator));
    let officer = town.session(&Person::new("carol", LeafRole::Compliance));
    for (method, path) in OFFICERS_ONLY {
        assert_eq!(status(&town, method, path, None).await, 401, "{path}");
        assert_eq!(status(&town, method, path, Some("guess")).await, 401, "{path}");
        assert_eq!(status(&town, method, path, Some(&member)).await, 403, "{path}");
        assert_eq!(status(&town, method, path, Some(&administrator)).await, 403, "{path}");
        assert!(![401, 403].contains(&status(&town, method, path, Some(&officer)).await), "{path}");
    }
}

#[tokio::test]
async fn a_session_ends_with_its_certificate() {
    let town = Town::new().await;
    let officer = town.session(&Person::new("carol", LeafRole::Compliance));
    assert_eq!(status(&town, "GET", "/api/meetings", Some(&officer)).await, 200);
    town.advance(3_600_000);
    assert_eq!(status(&town, "GET", "/api/meetings", Some(&officer)).await, 401);
}

#[tokio::test]
async fn only_names_under_localhost_with_the_own_port_are_answered_over_plain_http() {
    let town = Town::new().await;
    let ask = |host: &'static str| {
        let request = town.get_from(host, "/api/config");
        async move { request.send().await.expect("sent").status().as_u16() }
    };
    assert_eq!(town.get("/api/config").send().await.expect("sent").status(), 200);
    for host in [
        "evil.example:8441",
        "bank-a.localhost:8442",
        "bank-a.localhost.evil.example:8441",
        "127.0.0.1:8441",
        "localhost",
    ] {
        assert_eq!(ask(host).await, 421, "{host}");
    }
    assert_eq!(ask("bank-b.localhost:8441").await, 200);
}

#[tokio::test]
async fn over_tls_only_the_own_name_is_answered() {
    let folder = tempfile::tempdir().expect("folder");
    let (certificate, key) = (folder.path().join("front.pem"), folder.path().join("front.key"));
    let (chain, secret) = server_certificate();
    std::fs::write(&certificate, chain).expect("written");
    std::fs::write(&key, secret).expect("written");
    let town = Town::with(|config| {
        config.tls = Some(crate::config::Tls { certificate, key });
        config.origin = ORIGIN.replace("http://", "https://");
    })
    .await;
    let answer = town.get("/api/config").send().await.expect("sent");
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("strict-transport-security"));
    assert_eq!(town.get_from("bank-b.localhost:8441", "/api/config").send().await.expect("sent").status(), 421);
}

#[tokio::test]
async fn a_foreign_page_may_not_write() {
    let town = Town::new().await;
    let login = |origin: &'static str| {
        let request =
            town.post("/idp/login").header("Origin", origin).json(&json!({"user": "anna", "password": "anna-demo"}));
        async move { request.send().await.expect("sent").status().as_u16() }
    };
    assert_eq!(login("https://evil.example").await, 403);
    assert_eq!(login("null").await, 403);
    assert_eq!(login(ORIGIN).await, 200);
}

#[tokio::test]
async fn every_answer_carries_the_policy_generated_from_the_configuration() {
    let town = Town::new().await;
    for path in ["/", "/officer", "/api/config", "/nothing", "/replay/x/0.webm"] {
        let answer = town.get(path).send().await.expect("sent");
        let header =
            |name: &str| answer.headers().get(name).map(|v| v.to_str().expect("text").to_owned()).unwrap_or_default();
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self';"),
            "{path}"
        );
        assert!(policy.contains("connect-src 'self' ws://signaling.localhost:8440;"), "{policy}");
        assert!(policy.contains("require-trusted-types-for 'script'; trusted-types strongroom"), "{policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains('*'), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert!(header("permissions-policy").contains("camera=(self), microphone=(self), display-capture=(self)"));
    }
    let api = town.get("/api/config").send().await.expect("sent");
    assert_eq!(api.headers()["cache-control"], "no-store");
    let host = town.get_from("evil.example", "/api/config").send().await.expect("sent");
    assert!(host.headers().contains_key("content-security-policy"), "refusals too");
}

#[tokio::test]
async fn a_person_logs_in_enrols_and_sees_the_rooms_and_the_wrong_role_is_refused() {
    let town = Town::new().await;
    let login: Value = json_of(town.post("/idp/login").json(&json!({"user": "anna", "password": "anna-demo"}))).await;
    let session = login["session"].as_str().expect("a session");
    let rooms: Value = json_of(town.get("/api/rooms").bearer_auth(session)).await;
    assert_eq!(rooms[0]["title"], "Project Alder");
    assert_eq!(town.get("/api/rooms").send().await.expect("sent").status(), 401);
    let key = SigningKey::from_slice(&[77; 32]).expect("a scalar");
    let csr = csr(&key);
    for (role, expected) in [("member", 200), ("compliance", 403)] {
        let token = id_token(&town, session, &key, &csr, role).await;
        let proof = crate::idp::tests::proof(&key, "POST", &format!("{ORIGIN}/enrol"), NOW.seconds(), role);
        let body = json!({"csr": B64(csr.clone()), "id_token": token, "role": role});
        let sent = town.post("/enrol").header("DPoP", proof).json(&body).send().await.expect("sent");
        assert_eq!(sent.status(), expected, "{role}");
        if expected == 200 {
            let enrolled: Value = sent.json().await.expect("JSON");
            let leaf = B64::decode(enrolled["chain"][0].as_str().expect("text")).expect("base64url");
            let identity = evidence::identity::judge(&town.app.trust, &leaf, NOW.seconds()).expect("a good leaf");
            assert_eq!(identity.participant.user.as_str(), "anna");
            assert_eq!(status(&town, "GET", "/api/meetings", enrolled["session"].as_str()).await, 403);
        }
    }
    let without_proof = town
        .post("/enrol")
        .json(&json!({"csr": B64(csr), "id_token": "x", "role": "member"}))
        .send()
        .await
        .expect("sent");
    assert_eq!(without_proof.status(), 400);
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    request.send().await.expect("sent").json().await.expect("JSON")
}

/// Binds a token to the CSR and to the key that sends it, by the key's thumbprint (RFC 7638).
fn nonce(key: &SigningKey, csr: &[u8]) -> B64 {
    let point = key.verifying_key().to_encoded_point(false);
    let part = |bytes: Option<&p256::FieldBytes>| B64(bytes.expect("uncompressed").to_vec()).encode();
    let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, part(point.x()), part(point.y()));
    B64(Sha256::digest([Sha256::digest(csr), Sha256::digest(jwk)].concat()).to_vec())
}

async fn id_token(town: &Town, session: &str, key: &SigningKey, csr: &[u8], jti: &str) -> String {
    let verifier = "a verifier of at least forty-three characters, as the RFC wants";
    let ask = json!({"session": session, "client_id": "strongroom-page",
        "code_challenge": B64(Sha256::digest(verifier).to_vec()), "nonce": nonce(key, csr)});
    let code: Value = json_of(town.post("/idp/authorize").json(&ask)).await;
    let proof =
        crate::idp::tests::proof(key, "POST", &format!("{ORIGIN}/idp/token"), NOW.seconds(), &format!("t{jti}"));
    let ask = json!({"code": code["code"], "code_verifier": verifier, "client_id": "strongroom-page"});
    let token: Value = json_of(town.post("/idp/token").header("DPoP", proof).json(&ask)).await;
    token["id_token"].as_str().unwrap_or_else(|| panic!("{token}")).to_owned()
}

pub(super) fn csr(key: &SigningKey) -> Vec<u8> {
    let der = key.to_pkcs8_der().expect("encodes");
    let key = openssl::pkey::PKey::private_key_from_pkcs8(der.as_bytes()).expect("read");
    let mut builder = openssl::x509::X509Req::builder().expect("memory");
    builder.set_pubkey(&key).expect("set");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    builder.build().to_der().expect("encodes")
}
