//! Connections: origins, hosts, garbage, unknown rooms, the control link's certificates, and one join that succeeds.

use crate::site::{Ca, ORIGIN, Running, Site, free_port};
use domain::message::client::{Entering, ProblemCode, ToClient, ToServer, challenge_bytes};
use domain::message::control::{FromSfu, ToSfu};
use futures_util::{SinkExt, StreamExt};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Three times what any answer here may take.
const PATIENCE: Duration = Duration::from_secs(30);

async fn dial(port: u16, host: &str, origin: Option<&str>) -> Result<WebSocketStream<TcpStream>, Error> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut request = format!("ws://{host}:{port}/v1/meet").into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    client_async(request, socket).await.map(|(stream, _)| stream)
}

pub async fn meet(running: &Running) -> WebSocketStream<TcpStream> {
    dial(running.port, "signaling.localhost", Some(ORIGIN)).await.unwrap()
}

fn status(error: Error) -> u16 {
    match error {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("{other}"),
    }
}

pub async fn next<M: DeserializeOwned, S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut WebSocketStream<S>,
) -> Option<M> {
    loop {
        match timeout(PATIENCE, stream.next()).await.expect("an answer in time")? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

pub async fn say<M: serde::Serialize, S: AsyncRead + AsyncWrite + Unpin>(stream: &mut WebSocketStream<S>, message: &M) {
    stream.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
}

pub async fn refusal<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut WebSocketStream<S>) -> ProblemCode {
    let Some(ToClient::Refusal(problem)) = next(stream).await else { panic!("no refusal") };
    assert!(next::<ToClient, S>(stream).await.is_none(), "it closes after a refusal");
    problem.code
}

/// Says hello and proves the key.
pub async fn greet(
    stream: &mut WebSocketStream<TcpStream>,
    site: &Site,
    (key, certificate): &(SigningKey, Vec<u8>),
    room: &str,
) -> Option<ToClient> {
    let room: domain::RoomId = room.parse().unwrap();
    let chain = vec![certificate.clone().into()];
    let trust = site.trust.hash().into();
    say(
        stream,
        &ToServer::Hello { version: 1, room: room.clone(), chain, trust, resume: None, entering: Entering::default() },
    )
    .await;
    let nonce = match next(stream).await? {
        ToClient::Challenge { nonce } => nonce,
        other => return Some(other),
    };
    let signature: p256::ecdsa::Signature = key.sign(&challenge_bytes(&nonce, &room, certificate));
    say(stream, &ToServer::Prove { signature: signature.to_bytes().to_vec().into() }).await;
    next(stream).await
}

/// Who is let in as soon as the SFU is known.
pub async fn admitted(site: &Site, running: &Running, who: &(SigningKey, Vec<u8>)) -> WebSocketStream<TcpStream> {
    loop {
        let mut page = meet(running).await;
        if let Some(ToClient::Admitted { .. }) = greet(&mut page, site, who, "deal-room").await {
            return page;
        }
    }
}

/// The refusal that ends a connection, whatever comes before it.
pub async fn next_refusal(page: &mut WebSocketStream<TcpStream>) -> ProblemCode {
    loop {
        match next(page).await {
            Some(ToClient::Refusal(problem)) => return problem.code,
            Some(_) => {}
            None => panic!("closed without a word"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_text_binary_and_wrong_order_close_with_bad_message() {
    let site = Site::new();
    let running = site.start();
    for garbage in ["", "{", "null", "{\"type\":\"no-such\"}", "{\"type\":\"ping\"}", "{\"type\":\"ping\",\"more\":1}"]
    {
        let mut stream = meet(&running).await;
        stream.send(Message::text(garbage)).await.unwrap();
        assert_eq!(refusal(&mut stream).await, ProblemCode::BadMessage, "{garbage}");
    }
    let mut stream = meet(&running).await;
    stream.send(Message::binary(vec![0u8; 100])).await.unwrap();
    assert_eq!(refusal(&mut stream).await, ProblemCode::BadMessage);
    // and it still serves
    assert!(matches!(greet(&mut meet(&running).await, &site, &site.firm.member("bank-a/anna/d1"), "none").await,
        Some(ToClient::Refusal(p)) if p.code == ProblemCode::NotAMember));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_ends_the_connection_and_nothing_else() {
    let site = Site::new();
    let running = site.start();
    let mut stream = meet(&running).await;
    let long = format!("{{\"type\":\"prove\",\"signature\":\"{}\"}}", "A".repeat(2 << 20));
    stream.send(Message::text(long)).await.ok();
    while let Some(message) = next::<ToClient, _>(&mut stream).await {
        assert!(matches!(message, ToClient::Refusal(_)));
    }
    drop(meet(&running).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_refused_and_programs_without_one_are_not() {
    let site = Site::new();
    let running = site.start();
    for origin in ["http://evil.example", "http://bank-a.localhost:8442", "null", "https://bank-a.localhost:8441"] {
        let refused = dial(running.port, "signaling.localhost", Some(origin)).await.err().unwrap();
        assert_eq!(status(refused), 403, "{origin}");
    }
    dial(running.port, "signaling.localhost", Some(ORIGIN)).await.unwrap();
    dial(running.port, "127.0.0.1", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_answers_to_names_of_this_machine_only() {
    let site = Site::new();
    let running = site.start();
    let refused = dial(running.port, "rebound.example", Some(ORIGIN)).await.err().unwrap();
    assert_eq!(status(refused), 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_life_and_readiness_apart() {
    let site = Site::new();
    let running = site.start();
    for (path, expected) in [("/livez", "200"), ("/readyz", "503"), ("/", "404"), ("/v1/sfu", "404")] {
        let mut socket = TcpStream::connect(("127.0.0.1", running.port)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{path}: {answer}");
    }
}

async fn operations(port: u16, path: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_counted_and_reported_without_a_word_of_who_it_was() {
    let site = Site::new();
    let port = free_port();
    let more = format!("[operations]\nlisten = \"127.0.0.1:{port}\"\n[operations.security]\nfile = \"security.log\"");
    site.configure(free_port(), free_port(), &more);
    let running = site.start();
    let mut stream = meet(&running).await;
    greet(&mut stream, &site, &site.firm.member("bank-a/zoe/d1"), "deal-room").await;
    dial(running.port, "signaling.localhost", Some("http://evil.example")).await.err().unwrap();
    let reported = std::fs::read_to_string(site.path("security.log")).unwrap();
    let refused = reported.lines().find(|line| line.contains("\"event\":\"membership-refused\"")).unwrap();
    assert!(refused.contains("\"severity\":\"warning\"") && refused.contains("\"code\":\"not-a-member\""), "{refused}");
    assert!(reported.contains("\"event\":\"started\"") && reported.contains("\"event\":\"origin-refused\""));
    let metrics = operations(port, "/metrics").await;
    assert!(metrics.contains("\nstrongroom_signaling_refused_total 1\n"), "{metrics}");
    assert!(metrics.contains("strongroom_security_events_total{event=\"membership-refused\"} 1\n"), "{metrics}");
    for secret in ["zoe", "deal-room", "bank-a", "evil", "Alder"] {
        assert!(!metrics.contains(secret) && !reported.contains(secret), "{secret}");
    }
    let ready = operations(port, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("\r\n\r\nno-sfu: "), "{ready}");
    std::fs::remove_dir_all(site.path("statements")).unwrap();
    assert!(operations(port, "/readyz").await.contains("\nstatements-unreadable: "));
    assert!(operations(port, "/livez").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_room_and_no_membership_look_the_same() {
    let site = Site::new();
    let running = site.start();
    let mut problems = Vec::new();
    for (who, room) in [("bank-a/anna/d1", "no-such-room"), ("bank-a/zoe/d1", "deal-room")] {
        let mut stream = meet(&running).await;
        match greet(&mut stream, &site, &site.firm.member(who), room).await {
            Some(ToClient::Refusal(problem)) => problems.push(problem),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(problems[0].code, ProblemCode::NotAMember);
    assert_eq!(problems[0], problems[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_ca_is_refused() {
    let site = Site::new();
    let running = site.start();
    let forged = Ca::new("bank-a root").member("bank-a/anna/d1");
    let mut stream = meet(&running).await;
    let answer = greet(&mut stream, &site, &forged, "deal-room").await;
    assert!(matches!(answer, Some(ToClient::Refusal(p)) if p.code == ProblemCode::BadCertificate));
}

pub type Link = WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>;

/// Dials the control link with a client certificate of `ca`, or with none.
pub async fn link(site: &Site, running: &Running, ca: Option<&Ca>) -> Option<Link> {
    let mut roots = RootCertStore::empty();
    roots.add(site.operator.der.clone().into()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match ca {
        Some(ca) => {
            let (certificate, key, _) = ca.service();
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    let socket = TcpStream::connect(("127.0.0.1", running.control)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let socket = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.ok()?;
    let url = format!("wss://localhost:{}/v1/sfu", running.control);
    client_async(url, socket).await.ok().map(|(stream, _)| stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_link_wants_a_certificate_of_the_operators_ca() {
    let site = Site::new();
    let running = site.start();
    assert!(link(&site, &running, None).await.is_none());
    assert!(link(&site, &running, Some(&Ca::new("operator"))).await.is_none());
    assert!(link(&site, &running, Some(&site.operator)).await.is_some());
}

pub fn hello() -> FromSfu {
    FromSfu::Hello {
        node: "sfu-1".into(),
        record_address: "127.0.0.1:1".into(),
        record_server_name: "localhost".into(),
        record_certificate: vec![0; 32].into(),
        region: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_admitted_and_the_sfu_learns_of_it_and_answers_reach_the_person() {
    let site = Site::new();
    let running = site.start();
    let anna = site.firm.member("bank-a/anna/d1");
    // without an SFU nobody meets
    let early = greet(&mut meet(&running).await, &site, &anna, "deal-room").await;
    assert!(matches!(early, Some(ToClient::Refusal(p)) if p.code == ProblemCode::MediaUnavailable));
    let mut sfu = link(&site, &running, Some(&site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let mut page = loop {
        let mut page = meet(&running).await;
        // the hello may still be on its way
        if let Some(ToClient::Admitted { .. }) = greet(&mut page, &site, &anna, "deal-room").await {
            break page;
        }
    };
    let Some(ToSfu::Fence { .. }) = next(&mut sfu).await else { panic!("no fence") };
    let Some(ToSfu::Meeting { meeting, .. }) = next(&mut sfu).await else { panic!("no meeting") };
    let Some(ToSfu::Participant { participant, .. }) = next(&mut sfu).await else { panic!("no participant") };
    say(&mut page, &ToServer::Offer { sdp: "v=0".into(), tracks: Vec::new() }).await;
    let Some(ToSfu::PublishOffer { sdp, .. }) = next(&mut sfu).await else { panic!("no offer") };
    assert_eq!(sdp, "v=0");
    say(&mut sfu, &FromSfu::PublishAnswer { meeting: meeting.clone(), participant, sdp: "v=1".into() }).await;
    loop {
        match next(&mut page).await {
            Some(ToClient::PublishAnswer { sdp }) => break assert_eq!(sdp, "v=1"),
            Some(_) => {}
            None => panic!("closed"),
        }
    }
    // garbage in a meeting ends that connection only
    page.send(Message::text("garbage")).await.unwrap();
    loop {
        match next(&mut page).await {
            Some(ToClient::Refusal(problem)) => break assert_eq!(problem.code, ProblemCode::BadMessage),
            Some(_) => {}
            None => panic!("closed without a word"),
        }
    }
    let mut again = meet(&running).await;
    assert!(matches!(greet(&mut again, &site, &anna, "deal-room").await, Some(ToClient::Admitted { .. })));
    drop(again);
    // a lost connection may come back; only a tab that is closed is a goodbye
    let mut again = meet(&running).await;
    assert!(matches!(greet(&mut again, &site, &anna, "deal-room").await, Some(ToClient::Admitted { .. })));
    again.close(Some(CloseFrame { code: CloseCode::Away, reason: "".into() })).await.unwrap();
    loop {
        if let Some(ToSfu::MeetingEnded { meeting: ended }) = next(&mut sfu).await {
            break assert_eq!(ended, meeting);
        }
    }
}
