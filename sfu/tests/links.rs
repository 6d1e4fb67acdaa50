//! A whole node against a stand-in for signaling and a recorder, over real TLS: control link, record link, tokens,
//! metrics, and an orderly end.

use domain::message::control::{FirmRule, FromSfu, ToSfu};
use domain::message::record_link::{ALPN, FromSfuRecord, ToSfuRecord};
use domain::policy::Rule;
use domain::{B64, MeetingId, ParticipantId};
use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use sfu::config::Config;
use sfu::tls::fingerprint;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Three times what a loaded machine needs.
const DEADLINE: Duration = Duration::from_secs(20);

struct Leaf {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Leaf {
    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).expect("PKCS#8")
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

fn leaf(ca: &Authority) -> Leaf {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, ca).expect("signed").der().clone();
    Leaf { certificate, key }
}

fn meeting() -> MeetingId {
    "0123456789abcdef0123456789abcdef".parse().expect("an id")
}

fn recorder() -> ParticipantId {
    "bank-a/recorder-1/1".parse().expect("a participant")
}

type Socket = WebSocketStream<tokio_rustls::server::TlsStream<TcpStream>>;

/// A stand-in for signaling: accepts the control link under the operator's CA.
struct Signaling {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Signaling {
    async fn new(ca: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let own = leaf(ca);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![own.certificate.clone()], own.key())
            .expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().expect("bound").port()
    }

    /// The next control link, after its hello.
    async fn accept(&self) -> (Socket, FromSfu) {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        let stream = self.acceptor.accept(stream).await.expect("mutual TLS");
        let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a WebSocket");
        let hello = hear(&mut socket).await;
        (socket, hello)
    }
}

async fn hear(socket: &mut Socket) -> FromSfu {
    loop {
        if let Message::Text(text) = socket.next().await.expect("open").expect("a message") {
            return serde_json::from_str(text.as_str()).expect("a known message");
        }
    }
}

async fn say(socket: &mut Socket, message: &ToSfu) {
    socket.send(Message::Text(serde_json::to_string(message).expect("JSON").into())).await.expect("sent");
}

/// The recorder pins the SFU's certificate by the hash that signaling told it.
#[derive(Debug)]
struct Pin([u8; 32]);

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        assert_eq!(fingerprint(leaf), self.0);
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signed, &algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

struct RecordLink(TlsStream<TcpStream>);

impl RecordLink {
    async fn dial(address: SocketAddr, pin: [u8; 32], own: &Leaf) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pin(pin)))
            .with_client_auth_cert(vec![own.certificate.clone()], own.key())
            .expect("a certificate");
        config.alpn_protocols = vec![ALPN.to_vec()];
        let stream = TcpStream::connect(address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        Self(TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS"))
    }
    async fn say(&mut self, message: &ToSfuRecord) {
        let mut body = Vec::new();
        ciborium::into_writer(message, &mut body).expect("CBOR");
        self.0.write_u32(body.len() as u32).await.expect("written");
        self.0.write_all(&body).await.expect("written");
        self.0.flush().await.expect("written");
    }
    async fn hear(&mut self) -> Option<FromSfuRecord> {
        let len = self.0.read_u32().await.ok()?;
        let mut body = vec![0; len as usize];
        self.0.read_exact(&mut body).await.ok()?;
        ciborium::from_reader(&body[..]).ok()
    }
    async fn hello(&mut self, token: &[u8], durable: u64) {
        self.say(&ToSfuRecord::Hello { token: token.into(), meeting: meeting(), durable }).await;
    }
}

fn configure(folder: &Path, ca: &Authority, control_port: u16, ports: [u16; 2]) -> Config {
    let own = leaf(ca);
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    write("ca.pem", &ca.pem());
    write("sfu.pem", &pem("CERTIFICATE", &own.certificate));
    write("sfu.key", &own.key.serialize_pem());
    let [record, metrics] = ports;
    write(
        "sfu.toml",
        &format!(
            "node = \"sfu-1\"\nudp_port = 0\naddresses = [\"127.0.0.1\"]\n\
             [control]\nurl = \"wss://localhost:{control_port}/v1/sfu\"\nca = \"ca.pem\"\n\
             certificate = \"sfu.pem\"\nkey = \"sfu.key\"\n\
             [record]\nlisten = \"127.0.0.1:{record}\"\nadvertise = \"127.0.0.1:{record}\"\n\
             server_name = \"localhost\"\ncertificate = \"sfu.pem\"\nkey = \"sfu.key\"\n\
             [operations]\nlisten = \"127.0.0.1:{metrics}\"\n"
        ),
    );
    Config::load_with(&folder.join("sfu.toml"), std::iter::empty()).expect("a good configuration")
}

fn pem(kind: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).expect("base64")).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.expect("loopback").local_addr().expect("bound").port()
}

async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("served");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

async fn token(socket: &mut Socket, token: &[u8], own: &Leaf) {
    let token_hash = B64::from(fingerprint(token));
    let certificate_hash = B64::from(fingerprint(&own.certificate));
    say(socket, &ToSfu::RecordToken { meeting: meeting(), participant: recorder(), token_hash, certificate_hash })
        .await;
    // the leaf line's acknowledgement comes after the token was taken: messages stay in order
    let epoch = domain::Epoch(1);
    say(socket, &ToSfu::Leaves { meeting: meeting(), epoch, leaves: vec![] }).await;
    while !matches!(hear(socket).await, FromSfu::LeavesTaken { .. }) {}
}

async fn scenario() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = authority();
    let signaling = Signaling::new(&ca).await;
    let (record_port, metrics) = (free_port().await, free_port().await);
    let config = configure(folder.path(), &ca, signaling.port(), [record_port, metrics]);
    let (stop, stopped) = oneshot::channel::<()>();
    let operations = service::operations::open(&config.operations, service::metrics::Service::Sfu).expect("opened");
    let node = tokio::spawn(sfu::node::run(config, operations, async move {
        let _ = stopped.await;
    }));
    let (mut socket, hello) = signaling.accept().await;
    let FromSfu::Hello { record_address, record_certificate, .. } = hello else { panic!("{hello:?}") };
    let address: SocketAddr = record_address.parse().expect("an address");
    let pin: [u8; 32] = record_certificate.as_slice().try_into().expect("32 bytes");
    let firm = FirmRule { firm: "bank-a".parse().expect("a firm"), audio_video: Rule::Must, recorder_grace_ms: 2000 };
    say(&mut socket, &ToSfu::Meeting { meeting: meeting(), firms: vec![firm] }).await;
    let admit = ToSfu::Participant { meeting: meeting(), participant: recorder(), recorder: true, may_publish: false };
    say(&mut socket, &admit).await;

    let (own, other) = (leaf(&ca), leaf(&ca));
    token(&mut socket, b"first", &own).await;
    let mut thief = RecordLink::dial(address, pin, &other).await;
    thief.hello(b"first", 0).await;
    assert!(thief.hear().await.is_none(), "another certificate");
    let mut guess = RecordLink::dial(address, pin, &own).await;
    guess.hello(b"guess", 0).await;
    assert!(guess.hear().await.is_none(), "an unknown token");

    let mut link = RecordLink::dial(address, pin, &own).await;
    link.hello(b"first", 0).await;
    assert!(matches!(link.hear().await, Some(FromSfuRecord::Welcome { oldest: 1 })));
    while !matches!(hear(&mut socket).await, FromSfu::RecordLink { up: true, .. }) {}
    link.say(&ToSfuRecord::Ack { seq: 0 }).await;
    while !matches!(hear(&mut socket).await, FromSfu::FirmSuspended { suspended: false, .. }) {}
    assert!(matches!(link.hear().await, Some(FromSfuRecord::Idle { seq: 1 })));
    drop(link);
    while !matches!(hear(&mut socket).await, FromSfu::RecordLink { up: false, .. }) {}
    let mut again = RecordLink::dial(address, pin, &own).await;
    again.hello(b"first", 1).await;
    assert!(again.hear().await.is_none(), "a token opens once");
    while !matches!(hear(&mut socket).await, FromSfu::FirmSuspended { suspended: true, .. }) {}

    // signaling goes away and comes back: the node dials again and its meetings are still there
    drop(socket);
    let (mut socket, _) = signaling.accept().await;
    token(&mut socket, b"second", &own).await;
    let mut link = RecordLink::dial(address, pin, &own).await;
    link.hello(b"second", 1).await;
    assert!(matches!(link.hear().await, Some(FromSfuRecord::Welcome { oldest: 2 })));
    let text = get(metrics, "/metrics").await;
    assert!(text.contains("strongroom_sfu_meetings 1\n") && text.contains("strongroom_sfu_control_link_up 1\n"));
    assert!(get(metrics, "/readyz").await.starts_with("HTTP/1.1 200"));
    say(&mut socket, &ToSfu::Cut { meeting: meeting(), participant: recorder() }).await;
    while link.hear().await.is_some() {}

    stop.send(()).expect("running");
    node.await.expect("no panic").expect("an orderly end");
}

#[test]
fn a_node_keeps_its_links_and_admits_only_the_recorder_that_was_announced() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        tokio::time::timeout(DEADLINE, scenario()).await.expect("in time");
    });
}
