//! The operator's keys: a CA of its own for the two mutual-TLS links, and the delivery service's order key. Made by the
//! openssl program, so that this package needs no cryptography.

use super::files;
use super::plan::Plan;
use crate::{run, say};
use anyhow::Context;
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

/// Public half of the order key: SPKI, base64url as on our wires.
pub fn order_key(plan: &Plan) -> anyhow::Result<String> {
    let pem = openssl(&["pkey", "-in", "order.pem", "-pubout"], &plan.at("operator")).context("read the order key")?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Ok(body.trim_end_matches('=').replace('+', "-").replace('/', "_"))
}
