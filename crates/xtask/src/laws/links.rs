//! Law 1: what each shipped binary links, as cargo resolves it for that package alone (dev-dependencies left out).

use super::Finding;
use crate::run;
use std::path::Path;
use std::process::Command;

/// What a package may not link, and why.
struct Ban {
    package: &'static str,
    crates: &'static [&'static str],
    why: &'static str,
}

/// All GStreamer crates share these first letters.
const GSTREAMER: &str = "gstreamer";
const BANS: [Ban; 6] = [
    Ban {
        package: "sfu",
        crates: &["e2ee", "custody", "mls-rs", "sframe", GSTREAMER],
        why: "the operator holds no key",
    },
    Ban { package: "signaling", crates: &["e2ee", "custody", "sframe", GSTREAMER], why: "the operator holds no key" },
    Ban { package: "recorder", crates: &[GSTREAMER], why: "decoders run only in the export's sandbox" },
    Ban { package: "front", crates: &[GSTREAMER], why: "decoders run only in the export's sandbox" },
    Ban {
        package: "export",
        crates: &["custody", "mls-rs", "tokio", "reqwest"],
        why: "the export has no network and no key",
    },
    Ban {
        package: "verify",
        crates: &["custody", "mls-rs", "tokio", "reqwest", GSTREAMER],
        why: "the verifier is small and offline",
    },
];

/// Packages with a shipped binary, in the order in which their processes start.
pub const SHIPPED: [&str; 7] = ["custody", "front", "signaling", "sfu", "recorder", "export", "verify"];
/// Shows every key to tests; must be in no shipped binary.
const SECRETS: &str = "test-secrets";

/// Judges every shipped package.
pub fn judge_all(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in SHIPPED {
        findings.extend(judge(package, &tree(root, package)?));
    }
    Ok(findings)
}

/// One line per linked crate: `name version features`.
pub fn tree(root: &Path, package: &str) -> anyhow::Result<String> {
    run::capture(
        Command::new("cargo")
            .current_dir(root)
            // Together with other packages it would get their features too.
            .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
            .args(["tree", "--package", package, "--edges", "normal,build", "--prefix", "none"])
            .args(["--format", "{p}|{f}"]),
    )
}

/// Judges one package's tree.
pub fn judge(package: &str, tree: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for line in tree.lines() {
        let Some((krate, features)) = line.split_once('|') else { continue };
        let name = krate.split(' ').next().unwrap_or_default();
        for ban in BANS.iter().filter(|ban| ban.package == package) {
            let hit = ban
                .crates
                .iter()
                .any(|banned| name == *banned || (*banned == GSTREAMER && name.starts_with(GSTREAMER)));
            if hit {
                found.push(format!("links {name}: {}", ban.why));
            }
        }
        if features.split([',', ' ']).any(|feature| feature == SECRETS) {
            found.push(format!("is built with feature {SECRETS} of {name}: a shipped binary shows its keys to nobody"));
        }
    }
    found.sort();
    found.dedup();
    found.into_iter().map(|text| Finding::new(format!("package {package}"), text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_crate_and_the_feature_of_tests_are_found() {
        assert!(judge("sfu", "sfu v0.1.0|\ndomain v0.1.0|default\nbytes v1.0.0|std").is_empty());
        assert_eq!(judge("sfu", "e2ee v0.1.0|default").len(), 1);
        assert_eq!(judge("recorder", "gstreamer-sys v0.25.0|v1_22").len(), 1);
        assert_eq!(judge("recorder", "e2ee v0.1.0|default,mls,test-secrets").len(), 1);
    }
}
