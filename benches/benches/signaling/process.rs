//! The service's process, and a media server that only acknowledges, on its control link.

use crate::site::Site;
use anyhow::Context;
use domain::message::control::{FromSfu, ToSfu};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A WebSocket over TLS.
pub type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// The running service. Ends with it.
pub struct Signaling {
    child: Child,
    /// Of participants.
    pub port: u16,
}

/// TLS that trusts the operator; with a certificate where one is given.
pub fn tls(site: &Site, own: Option<&crate::site::Service>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(site.operator().to_vec().into())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    Ok(Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = CertificateDer::pem_slice_iter(own.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(own.key.as_bytes())?)?
        }
    }))
}

/// Opens a WebSocket.
pub async fn dial(tls: &Arc<ClientConfig>, port: u16, path: &str, origin: Option<&str>) -> anyhow::Result<Socket> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    let socket = TlsConnector::from(tls.clone()).connect(name, socket).await?;
    let mut request = format!("wss://localhost:{port}{path}").into_client_request()?;
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse()?);
    }
    Ok(client_async(request, socket).await?.0)
}

fn port_after(line: &str, key: &str) -> Option<u16> {
    let rest = &line[line.find(key)? + key.len()..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest[..end].rsplit(':').next()?.parse().ok()
}

impl Signaling {
    /// Starts it, and the media server's link.
    pub async fn start(binary: &Path, site: &Site) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command.arg("run").arg("--config").arg(site.configuration()).env("RUST_LOG", "info").env("NO_COLOR", "1");
        let child = command.stderr(Stdio::piped()).spawn().with_context(|| binary.display().to_string())?;
        let mut running = Self { child, port: 0 };
        let mut lines = BufReader::new(running.child.stderr.take().context("its output")?);
        let (mut said, mut control) = (String::new(), 0);
        while running.port == 0 {
            let mut line = String::new();
            anyhow::ensure!(lines.read_line(&mut line)? > 0, "it ended: {said}");
            said.push_str(&line);
            if line.contains("ready") {
                let line = line.replace('"', "");
                running.port = port_after(&line, "listen=").context("its address")?;
                control = port_after(&line, "control=").context("its control address")?;
            }
        }
        // the log must go on being read, or the process would block
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        let link = dial(&tls(site, Some(&site.sfu))?, control, "/v1/sfu", None).await?;
        acknowledging(link).await?;
        Ok(running)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Signaling {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

async fn say(link: &mut Socket, message: &FromSfu) -> anyhow::Result<()> {
    Ok(link.send(Message::text(serde_json::to_string(message)?)).await?)
}

/// Says hello, then takes every leaf it is told of, at once.
async fn acknowledging(mut link: Socket) -> anyhow::Result<()> {
    let hello = FromSfu::Hello {
        node: "sfu-1".to_owned(),
        record_address: "127.0.0.1:8444".to_owned(),
        record_server_name: "localhost".to_owned(),
        record_certificate: vec![7; 32].into(),
        region: None,
    };
    say(&mut link, &hello).await?;
    tokio::spawn(async move {
        while let Some(Ok(message)) = link.next().await {
            let Message::Text(text) = message else { continue };
            if let Ok(ToSfu::Leaves { meeting, epoch, .. }) = serde_json::from_str(&text)
                && say(&mut link, &FromSfu::LeavesTaken { meeting, epoch }).await.is_err()
            {
                return;
            }
        }
    });
    Ok(())
}
