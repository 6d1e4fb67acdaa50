//! Law 1: what each shipped binary links, as cargo resolves it for that package alone (dev-dependencies left out).

use super::Finding;
use crate::run;
use std::collections::BTreeSet;
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
/// No program, only features: what cargo is told beside [`SHIPPED`], so that other people's crates are compiled once, for the
/// tests and for the shipped binaries.
pub const FEATURES: &str = "features";
/// Shows every key to tests; must be in no shipped binary.
const SECRETS: &str = "test-secrets";

/// Judges every shipped package.
pub fn judge_all(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in SHIPPED {
        findings.extend(judge(package, &tree(root, package)?));
    }
    findings.extend(judge_features(root)?);
    Ok(findings)
}

/// Judges the package that lends the shipped binaries the tests' features of other people's crates.
fn judge_features(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let own = own_crates(&tree(root, FEATURES)?);
    let own = own.into_iter().filter(|name| name != FEATURES);
    let mut found: Vec<String> =
        own.map(|name| format!("links our own {name}: it may lend no feature of ours")).collect();
    let packages: Vec<&str> = SHIPPED.into_iter().chain([FEATURES]).flat_map(|name| ["--package", name]).collect();
    let shipped = features(root, &packages, "normal,build")?;
    let tested = features(root, &["--workspace"], "normal,build,dev")?;
    found.extend(compiled_twice(&shipped, &tested));
    Ok(found.into_iter().map(|text| Finding::new(format!("package {FEATURES}"), text)).collect())
}

fn own_crates(tree: &str) -> Vec<String> {
    // cargo shows the folder of a crate that lies in this repository
    let own = tree.lines().filter(|line| line.contains(" (/"));
    own.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Crates and features as they are built for these packages together.
fn features(root: &Path, packages: &[&str], edges: &str) -> anyhow::Result<String> {
    let mut command = Command::new("cargo");
    command.current_dir(root).env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION").arg("tree").args(packages);
    run::capture(command.args(["--locked", "--edges", edges, "--prefix", "none", "--format", "{p}|{f}"]))
}

/// Other people's crates that the shipped binaries want with fewer features than the tests: each is compiled twice, and what
/// stands on it.
fn compiled_twice(shipped: &str, tested: &str) -> Vec<String> {
    let read = |tree: &str| -> BTreeSet<String> {
        let others = tree.lines().filter(|line| !line.contains(" (/"));
        others.map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect()
    };
    let (shipped, tested) = (read(shipped), read(tested));
    let twice = shipped.difference(&tested).map(|one| {
        let krate = one.split('|').next().unwrap_or_default();
        let other = tested.iter().find_map(|line| line.strip_prefix(krate)?.strip_prefix('|')).unwrap_or_default();
        format!("lacks features of {krate}, which is compiled twice: the tests have it with {other}")
    });
    twice.collect()
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

    #[test]
    fn a_crate_that_would_be_compiled_twice_is_named_with_the_features_it_lacks() {
        let shipped = "sfu v0.1.0 (/r/sfu)|\nlibc v0.2.1|std\ntime v0.3.1|std (*)\n";
        let tested = "sfu v0.1.0 (/r/sfu)|x\nlibc v0.2.1|std\ntime v0.3.1|macros,std\n";
        let found = compiled_twice(shipped, tested);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("time v0.3.1") && found[0].contains("macros,std"), "{}", found[0]);
        assert_eq!(own_crates("features v0.1.0 (/r/f)|\ne2ee v0.1.0 (/r/e)|\nlibc v0.2.1|std"), ["features", "e2ee"]);
    }
}
