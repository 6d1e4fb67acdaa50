//! The operator's keys: a CA of its own for the two mutual-TLS links, and the delivery service's order key. Made by the
//! openssl program, so that this package needs no cryptography.

use super::files;
use super::plan::{FIRMS, Plan};
use crate::{run, say};
use anyhow::Context;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Days the demo's certificates live: the state is thrown away long before.
const DAYS: &str = "825";
const NAMES: &str = "DNS:localhost,DNS:sfu.localhost,DNS:signaling.localhost,IP:127.0.0.1";

fn openssl(words: &[&str], folder: &Path) -> anyhow::Result<String> {
    run::capture(Command::new("openssl").args(words).current_dir(folder))
}

/// Makes what is missing.
pub fn keys(plan: &Plan) -> anyhow::Result<()> {
    let folder = plan.at("operator");
    files::folder(&folder)?;
    if folder.join("sfu.pem").is_file() && folder.join("order.pem").is_file() {
        return Ok(());
    }
    let step = say::step("operator: CA, certificates, order key");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let mut ca = vec![
        "req",
        "-x509",
        "-days",
        DAYS,
        "-subj",
        "/CN=Strongroom demo operator",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ];
    ca.extend(curve);
    ca.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
    openssl(&ca, &folder)?;
    for name in ["signaling", "sfu"] {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let extensions = format!("{name}.ext");
        let subject = format!("/CN={name}.localhost");
        let mut words = vec!["req", "-subj", &subject, "-keyout", &key, "-out", &request];
        words.extend(curve);
        openssl(&words, &folder)?;
        let text = format!(
            "subjectAltName={NAMES}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage=serverAuth,clientAuth\n"
        );
        files::write(&folder.join(&extensions), &text)?;
        openssl(
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                DAYS,
                "-extfile",
                &extensions,
                "-out",
                &certificate,
            ],
            &folder,
        )?;
    }
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "order.pem"], &folder)?;
    step.done();
    Ok(())
}

/// Tokens of the firms' fronts for signaling's interface, each with its firm; signaling has their hashes alone.
pub fn clients(plan: &Plan) -> anyhow::Result<()> {
    let folder = plan.at("operator");
    let mut listed = Vec::new();
    for firm in &FIRMS {
        let file = plan.firm(firm, "signaling.token");
        if !file.is_file() {
            files::write(&file, &openssl(&["rand", "-hex", "32"], &folder)?)?;
        }
        let token = fs::read_to_string(&file)?;
        let clean = folder.join("token.new");
        files::write(&clean, token.trim())?;
        let printed = openssl(&["dgst", "-sha256", "-r", "token.new"], &folder)?;
        fs::remove_file(&clean)?;
        listed.push(json!({
            "name": format!("{}-front", firm.id),
            "token_sha256": printed.split(' ').next().unwrap_or_default(),
            "firm": firm.id,
            "scopes": ["rooms:read", "statements:read", "statements:write"],
        }));
    }
    files::write(&folder.join("clients.json"), &serde_json::to_string_pretty(&listed)?)
}

/// Public half of the order key: SPKI, base64url as on our wires.
pub fn order_key(plan: &Plan) -> anyhow::Result<String> {
    let pem = openssl(&["pkey", "-in", "order.pem", "-pubout"], &plan.at("operator")).context("read the order key")?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Ok(body.trim_end_matches('=').replace('+', "-").replace('/', "_"))
}
