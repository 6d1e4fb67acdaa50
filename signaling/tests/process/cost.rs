//! What an open connection costs the process: memory is what bounds how many wait at the top of the hour.

use crate::site::{ORIGIN, Running, Site, free_port};
use domain::message::client::{Entering, ToClient, ToServer};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Buffers of the WebSocket, of TLS and of the tasks, KiB: measured 16 in a build for tests, whose tasks are larger; with the
/// WebSocket library's own buffers it is 137.
const MOST_KIB: u64 = 32;
/// Enough that what the allocator rounds up does not count.
const CONNECTIONS: u64 = 400;

fn resident_kib(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Connects over TLS, says hello and is asked for its proof.
async fn waiting(site: &Site, running: &Running, tls: &Arc<ClientConfig>) -> WebSocketStream<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(("127.0.0.1", running.port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let socket = tokio_rustls::TlsConnector::from(tls.clone()).connect(name, socket).await.unwrap();
    let mut request = format!("wss://localhost:{}/v1/meet", running.port).into_client_request().unwrap();
    request.headers_mut().insert("origin", ORIGIN.parse().unwrap());
    let (mut stream, _) = client_async(request, socket).await.unwrap();
    let (_, certificate) = site.firm.member("bank-a/anna/d1");
    let (room, trust) = ("deal-room".parse().unwrap(), site.trust.hash().into());
    let hello = ToServer::Hello {
        version: 1,
        room,
        chain: vec![certificate.into()],
        trust,
        resume: None,
        entering: Entering::default(),
    };
    stream.send(Message::text(serde_json::to_string(&hello).unwrap())).await.unwrap();
    let Some(Ok(Message::Text(text))) = stream.next().await else { panic!("no challenge") };
    assert!(matches!(serde_json::from_str(&text).unwrap(), ToClient::Challenge { .. }));
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_over_tls_costs_some_kib_and_not_some_hundred() {
    let site = Site::new();
    site.configure(free_port(), free_port(), "[tls]\ncertificate = \"signaling.pem\"\nkey = \"signaling.key\"");
    let running = site.start();
    let mut roots = RootCertStore::empty();
    roots.add(site.operator.der.clone().into()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    // what is made once is there before it is counted
    let first = waiting(&site, &running, &tls).await;
    let (before, mut open) = (resident_kib(&running), Vec::new());
    for _ in 0..CONNECTIONS {
        open.push(waiting(&site, &running, &tls).await);
    }
    let each = (resident_kib(&running) - before) / CONNECTIONS;
    println!("{each} KiB a connection");
    assert!(each <= MOST_KIB, "{each} KiB");
    drop((first, open));
}
