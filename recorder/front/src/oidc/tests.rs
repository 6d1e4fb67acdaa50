//! The relying party against a provider in this process: who may finish a login, whose answer counts, which keys are used, and each
//! wrong logout token.

use super::*;
use crate::idp::new_key;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A provider whose every answer a test may set.
struct Stub {
    issuer: String,
    keys: Mutex<(String, Value)>,
    claims: Mutex<Value>,
    reads: AtomicUsize,
}

impl Stub {
    fn rotate(&self) {
        *self.keys.lock().expect("whole") = new_key();
    }

    fn sign(&self, claims: &Value) -> String {
        let (pem, jwks) = self.keys.lock().expect("whole").clone();
        let kid = jwks["keys"][0]["kid"].as_str().map(str::to_owned);
        sign(&pem, &Header { kid, ..Header::new(Algorithm::ES256) }, claims)
    }
}

fn sign(pem: &str, header: &Header, claims: &Value) -> String {
    let der = p256::SecretKey::from_pkcs8_pem(pem).expect("a key").to_pkcs8_der().expect("DER");
    jsonwebtoken::encode(header, claims, &EncodingKey::from_ec_der(der.as_bytes())).expect("signed")
}

async fn discovery(State(stub): State<Arc<Stub>>) -> Json<Value> {
    stub.reads.fetch_add(1, Ordering::Relaxed);
    let at = |path: &str| format!("{}{path}", stub.issuer);
    Json(json!({
        "issuer": stub.issuer, "authorization_endpoint": at("/auth"), "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"), "authorization_response_iss_parameter_supported": true,
    }))
}

async fn jwks(State(stub): State<Arc<Stub>>) -> Json<Value> {
    Json(stub.keys.lock().expect("whole").1.clone())
}

async fn token(State(stub): State<Arc<Stub>>) -> Json<Value> {
    let claims = stub.claims.lock().expect("whole").clone();
    Json(json!({ "id_token": stub.sign(&claims) }))
}

async fn stub() -> (Arc<Stub>, RelyingParty) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = format!("http://idp.localhost:{}", listener.local_addr().expect("bound").port());
    let (keys, claims, reads) = (Mutex::new(new_key()), Mutex::new(Value::Null), AtomicUsize::new(0));
    let stub = Arc::new(Stub { issuer: issuer.clone(), keys, claims, reads });
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/token", post(token))
        .with_state(stub.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let settings = Settings {
        issuer,
        client_secret_file: None,
        ca_file: None,
        scope: "openid".to_owned(),
        claims: custody::id_token::Claims::default(),
    };
    let party = RelyingParty::new(&settings, "strongroom-page", "http://bank-a.localhost:8441").expect("good");
    (stub, party)
}

/// A login that came back; the provider will sign these claims for its code.
async fn came_back(stub: &Stub, party: &RelyingParty, change: fn(&mut Value)) -> FinishLogin {
    let begun = party.begin(&BeginLogin::Login {}, NOW).await.expect("begun");
    let address = reqwest::Url::parse(&begun.address).expect("an address");
    let asked = |name: &str| address.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(asked("code_challenge_method").as_deref(), Some("S256"));
    let mut claims = json!({
        "iss": stub.issuer, "aud": "strongroom-page", "sub": "anna", "name": "Anna", "roles": ["member"],
        "sid": "s1", "nonce": asked("nonce"), "iat": NOW.seconds(), "exp": NOW.seconds() + 3600,
    });
    change(&mut claims);
    *stub.claims.lock().expect("whole") = claims;
    let (state, secret) = (begun.state, begun.secret);
    FinishLogin { state, secret, code: Some("code".to_owned()), iss: Some(stub.issuer.clone()) }
}

async fn login(stub: &Stub, party: &RelyingParty) -> String {
    let back = came_back(stub, party, |_| ()).await;
    match party.finish(&back, NOW).await.expect("finished") {
        LoginFinished::Login(login) => login.session,
        LoginFinished::Enrol { .. } => panic!("a login was asked for"),
    }
}

#[tokio::test]
async fn a_login_is_finished_once_by_the_tab_that_began_it_and_in_time() {
    let (stub, party) = stub().await;
    let session = login(&stub, &party).await;
    assert_eq!(party.session_user(&session, NOW).expect("signed in").as_str(), "anna");
    assert!(party.session_user(&session, NOW.plus(SESSION_LIFE_MS)).is_none(), "a working day later");
    let good = came_back(&stub, &party, |_| ()).await;
    let other = FinishLogin { secret: "of another tab".to_owned(), ..good.clone() };
    assert!(party.finish(&other, NOW).await.is_err());
    assert!(party.finish(&good, NOW).await.is_err(), "used up by the first attempt");
    let late = came_back(&stub, &party, |_| ()).await;
    assert!(party.finish(&late, NOW.plus(FLOW_LIFE_MS)).await.is_err());
    let replayed = came_back(&stub, &party, |_| ()).await;
    assert!(party.finish(&replayed, NOW).await.is_ok());
    assert!(party.finish(&replayed, NOW).await.is_err(), "replayed");
}

#[tokio::test]
async fn an_answer_of_another_provider_or_for_another_login_is_refused() {
    let (stub, party) = stub().await;
    for (what, change) in [
        ("another login's nonce", (|c| c["nonce"] = json!("x")) as fn(&mut Value)),
        ("another issuer", |c| c["iss"] = json!("https://idp.bank-b.example")),
        ("another audience", |c| c["aud"] = json!("strongroom-bank-b")),
        ("another party", |c| c["azp"] = json!("strongroom-bank-b")),
        ("no nonce", |c| c["nonce"] = Value::Null),
        ("issued long ago", |c| c["iat"] = json!(NOW.seconds() - 305)),
        ("from the future", |c| c["iat"] = json!(NOW.seconds() + 60)),
        ("expired", |c| c["exp"] = json!(NOW.seconds())),
    ] {
        let back = came_back(&stub, &party, change).await;
        assert!(party.finish(&back, NOW).await.is_err(), "{what}");
    }
    for iss in [None, Some("https://idp.bank-b.example".to_owned())] {
        let back = came_back(&stub, &party, |_| ()).await;
        assert!(party.finish(&FinishLogin { iss, ..back }, NOW).await.is_err(), "RFC 9207");
    }
}

#[tokio::test]
async fn a_changed_key_is_found_at_once_and_unknown_keys_do_not_make_us_ask_for_ever() {
    let (stub, party) = stub().await;
    login(&stub, &party).await;
    login(&stub, &party).await;
    assert_eq!(stub.reads.load(Ordering::Relaxed), 1, "kept");
    stub.rotate();
    let later = NOW.plus(RELOADED_MS);
    let back = came_back(&stub, &party, |_| ()).await;
    assert!(party.finish(&back, later).await.is_ok(), "the new key");
    assert_eq!(stub.reads.load(Ordering::Relaxed), 2);
    let (stranger, header) =
        (new_key().0, Header { kid: Some("stranger".to_owned()), ..Header::new(Algorithm::ES256) });
    for _ in 0..20 {
        let forged = sign(&stranger, &header, &logout_claims(&stub, "f"));
        assert!(party.logout(&forged, later).await.is_err());
    }
    assert_eq!(stub.reads.load(Ordering::Relaxed), 2, "strangers choose key ids freely");
}

/// Longer than between two readings of the keys.
const RELOADED_MS: u64 = 11_000;

fn logout_claims(stub: &Stub, jti: &str) -> Value {
    json!({
        "iss": stub.issuer, "aud": "strongroom-page", "sub": "anna", "sid": "s1", "jti": jti,
        "iat": NOW.seconds(), "exp": NOW.seconds() + 120, "events": { EVENT: {} },
    })
}

#[tokio::test]
async fn a_logout_token_ends_the_login_once() {
    let (stub, party) = stub().await;
    let session = login(&stub, &party).await;
    let token = stub.sign(&logout_claims(&stub, "1"));
    let users = party.logout(&token, NOW).await.expect("taken");
    assert_eq!(users.iter().map(UserId::as_str).collect::<Vec<_>>(), ["anna"]);
    assert!(party.session_user(&session, NOW).is_none());
    assert!(party.logout(&token, NOW).await.is_err(), "replayed");
    let begin = BeginLogin::Enrol { nonce: B64(vec![1; 32]).encode(), session };
    assert!(party.begin(&begin, NOW).await.is_err(), "no certificate after it");
}

#[tokio::test]
async fn each_wrong_logout_token_ends_nobodys_login() {
    let (stub, party) = stub().await;
    let session = login(&stub, &party).await;
    type Spoil = fn(&mut Value);
    let wrong: [(&str, Spoil); 9] = [
        ("of another issuer", |c| c["iss"] = json!("https://idp.bank-b.example")),
        ("for another audience", |c| c["aud"] = json!("strongroom-bank-b")),
        ("an ID token", |c| drop(c.as_object_mut().expect("claims").remove("events"))),
        ("of another event", |c| c["events"] = json!({ "http://schemas.openid.net/event/other": {} })),
        ("with a nonce", |c| c["nonce"] = json!("n")),
        ("without a number", |c| drop(c.as_object_mut().expect("claims").remove("jti"))),
        ("about nobody", |c| {
            for name in ["sub", "sid"] {
                c.as_object_mut().expect("claims").remove(name);
            }
        }),
        ("issued long ago", |c| c["iat"] = json!(NOW.seconds() - 305)),
        ("expired", |c| c["exp"] = json!(NOW.seconds() - 1)),
    ];
    for (what, change) in wrong {
        let mut claims = logout_claims(&stub, what);
        change(&mut claims);
        assert!(party.logout(&stub.sign(&claims), NOW).await.is_err(), "{what}");
    }
    let (pem, jwks) = stub.keys.lock().expect("whole").clone();
    let kid = jwks["keys"][0]["kid"].as_str().map(str::to_owned);
    let claims = logout_claims(&stub, "header");
    let good = Header { kid: kid.clone(), ..Header::new(Algorithm::ES256) };
    let hmac = jsonwebtoken::encode(
        &Header { kid, ..Header::new(Algorithm::HS256) },
        &claims,
        &EncodingKey::from_secret(b"x"),
    );
    let none =
        format!("{}.{}.", B64(br#"{"alg":"none"}"#.to_vec()).encode(), B64(claims.to_string().into_bytes()).encode());
    let headers = [
        ("another type", sign(&pem, &Header { typ: Some("at+jwt".to_owned()), ..good.clone() }, &claims)),
        ("a critical extension", sign(&pem, &Header { crit: Some(vec!["x".to_owned()]), ..good.clone() }, &claims)),
        ("another key", sign(&new_key().0, &good, &claims)),
        ("HS256", hmac.expect("signed")),
        ("no algorithm", none),
    ];
    for (what, token) in headers {
        assert!(party.logout(&token, NOW).await.is_err(), "{what}");
    }
    assert!(party.session_user(&session, NOW).is_some());
}
