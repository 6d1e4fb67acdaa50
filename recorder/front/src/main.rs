//! The program: arguments, logging, exit codes. Everything else is in the library.
//!
//! Exit codes: 0 ok, 1 failed, 2 usage or configuration, 4 unavailable (address taken).

use clap::{Parser, Subcommand};
use front::app::App;
use front::clock::Clock;
use front::config::load;
use front::http::{listen, router};
use front::idp;
use service::ended::{Failure, end};
use service::log;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log::start(log::Form::of(arguments.json));
    end(match arguments.command {
        Command::Run { config } => run(&config),
        Command::CheckConfig { config } => check(&config),
        Command::HashUsers { input, out } => hash_users(&input, &out),
        Command::IdpKey { out, jwks } => idp_key(&out, &jwks),
    })
}

fn assemble(file: &Path) -> Result<(App, Option<Arc<rustls::ServerConfig>>), Failure> {
    let loaded = load(file, service::config::environment())?;
    let tls = listen::tls(file, &loaded.config)?;
    Ok((App::new(file, loaded, Clock::System)?, tls))
}

fn check(file: &Path) -> Result<(), Failure> {
    let (app, _) = assemble(file)?;
    for warning in app.warnings() {
        tracing::warn!("{warning}");
    }
    tracing::info!(firm = %app.config.firm, origin = %app.config.origin, "the configuration is good");
    Ok(())
}

fn run(file: &Path) -> Result<(), Failure> {
    let (app, tls) = assemble(file)?;
    let operations = service::operations::open(&app.config.operations, service::metrics::Service::Front)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::Other(format!("no runtime: {e}")))?;
    runtime.block_on(async {
        let app = Arc::new(app);
        let listener = service::listen::bind(app.config.listen, "listen").await;
        let listener = listener.map_err(|e| Failure::Unavailable(e.to_string()))?;
        operations.serve(app.clone())?;
        for warning in app.warnings() {
            tracing::warn!("{warning}");
        }
        tracing::info!(listen = %app.config.listen, origin = %app.config.origin, firm = %app.config.firm, "ready");
        tokio::spawn(front::leavers::run(app.clone()));
        if let Some(ldap) = app.config.ldap.clone() {
            tokio::spawn(front::directory::ldap::run(app.clone(), ldap));
        }
        service::listen::serve(listener, tls, router::router(app), service::stop::asked()).await;
        tracing::info!("stopped");
        Ok(())
    })
}

fn hash_users(input: &Path, out: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, e: &dyn std::fmt::Display| Failure::Config(format!("{}: {e}", path.display()));
    let plain = std::fs::read(input).map_err(|e| failed(input, &e))?;
    let hashed = idp::hash_users(&plain, idp::ROUNDS).map_err(|e| failed(input, &e))?;
    write_private(out, &hashed).map_err(|e| failed(out, &e))
}

fn idp_key(out: &Path, jwks: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, e: std::io::Error| Failure::Other(format!("{}: {e}", path.display()));
    let (pem, keys) = idp::new_key();
    write_private(out, pem.as_bytes()).map_err(|e| failed(out, e))?;
    std::fs::write(jwks, format!("{keys:#}\n")).map_err(|e| failed(jwks, e))
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // a file that was there keeps its mode when it is opened
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}
