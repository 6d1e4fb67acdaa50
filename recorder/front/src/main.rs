//! The program: arguments, logging, exit codes. Everything else is in the library.
//!
//! Exit codes: 0 ok, 1 failed, 2 usage or configuration, 4 unavailable (address taken).

use clap::{Parser, Subcommand};
use front::app::App;
use front::clock::Clock;
use front::config::{ConfigError, load};
use front::http::{listen, router};
use front::idp;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(name = "strongroom-front", version, about = "A firm's pages: login, enrolment, review and replay")]
struct Arguments {
    /// Log as JSON lines.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve.
    Run {
        /// Configuration, TOML.
        #[arg(long)]
        config: PathBuf,
    },
    /// Read and judge the configuration and everything it names, then stop.
    CheckConfig {
        /// Configuration, TOML.
        #[arg(long)]
        config: PathBuf,
    },
    /// Development identity provider: turn plain passwords into salted hashes.
    HashUsers {
        /// JSON list of {user, name, roles, password}.
        #[arg(long = "in")]
        input: PathBuf,
        /// Where the served form goes.
        #[arg(long)]
        out: PathBuf,
    },
    /// Development identity provider: make a signing key and the key set that custody wants (oidc.jwks_file).
    IdpKey {
        /// Where the private key goes (PKCS#8 PEM, readable for the owner only).
        #[arg(long)]
        out: PathBuf,
        /// Where the public key set goes.
        #[arg(long)]
        jwks: PathBuf,
    },
}

enum Failure {
    Usage(String),
    Unavailable(String),
    Failed(String),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if arguments.json {
        log.json().init()
    } else {
        log.init()
    }
    let done = match arguments.command {
        Command::Run { config } => run(&config),
        Command::CheckConfig { config } => check(&config),
        Command::HashUsers { input, out } => hash_users(&input, &out),
        Command::IdpKey { out, jwks } => idp_key(&out, &jwks),
    };
    let (code, text) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(text)) => (1, text),
        Err(Failure::Usage(text)) => (2, text),
        Err(Failure::Unavailable(text)) => (4, text),
    };
    // the last word of a program that did not do what it was asked
    let _ = writeln!(std::io::stderr(), "strongroom-front: {text}");
    ExitCode::from(code)
}

fn assemble(file: &Path) -> Result<(App, Option<tokio_rustls::TlsAcceptor>), Failure> {
    // an override that is not UTF-8 is none of ours
    let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let loaded = load(file, environment)?;
    let acceptor = listen::acceptor(file, &loaded.config)?;
    Ok((App::new(file, loaded, Clock::System)?, acceptor))
}

fn check(file: &Path) -> Result<(), Failure> {
    let (app, _) = assemble(file)?;
    tracing::info!(firm = %app.config.firm, origin = %app.config.origin, "the configuration is good");
    Ok(())
}

fn run(file: &Path) -> Result<(), Failure> {
    let (app, acceptor) = assemble(file)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::Failed(format!("no runtime: {e}")))?;
    runtime.block_on(async {
        let app = Arc::new(app);
        let listener = listen::bind(app.config.listen).await.map_err(|e| Failure::Unavailable(e.to_string()))?;
        for warning in app.warnings() {
            tracing::warn!("{warning}");
        }
        tracing::info!(listen = %app.config.listen, origin = %app.config.origin, firm = %app.config.firm, "ready");
        let served = listen::serve(listener, acceptor, router::router(app), stop()).await;
        served.map_err(|e| Failure::Failed(e.to_string()))
    })
}

async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn hash_users(input: &Path, out: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, e: &dyn std::fmt::Display| Failure::Usage(format!("{}: {e}", path.display()));
    let plain = std::fs::read(input).map_err(|e| failed(input, &e))?;
    let hashed = idp::hash_users(&plain, idp::ROUNDS).map_err(|e| failed(input, &e))?;
    write_private(out, &hashed).map_err(|e| failed(out, &e))
}

fn idp_key(out: &Path, jwks: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, e: std::io::Error| Failure::Failed(format!("{}: {e}", path.display()));
    let (pem, keys) = idp::new_key();
    write_private(out, pem.as_bytes()).map_err(|e| failed(out, e))?;
    std::fs::write(jwks, format!("{keys:#}\n")).map_err(|e| failed(jwks, e))
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
