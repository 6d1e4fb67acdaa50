//! The bill of materials: CycloneDX 1.6 from `Cargo.lock` and the page's `package-lock.json`. Asks no network and no clock: the
//! same lock files give the same bytes.

use crate::ended::failed;
use crate::place::Place;
use crate::say;
use anyhow::Context;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Where it goes if nothing else is said.
pub const FILE: &str = "strongroom.cdx.json";

/// Writes the bill to `out`.
pub fn write(place: &Place, out: &str) -> anyhow::Result<()> {
    let crates = std::fs::read_to_string(place.at("Cargo.lock")).context("read Cargo.lock")?;
    let npm = std::fs::read_to_string(place.page().join("package-lock.json")).context("read package-lock.json")?;
    let bill = bill(&crates, &npm)?;
    let count = bill["components"].as_array().map_or(0, Vec::len);
    let mut text = serde_json::to_string_pretty(&bill)?;
    text.push('\n');
    std::fs::write(out, text).with_context(|| format!("write {out}"))?;
    say::line(format!("{out}: {count} components"));
    Ok(())
}

/// One package of a lock file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    /// Not from this repository?
    foreign: bool,
    /// `name` or `name version`.
    needs: Vec<String>,
}

fn bill(crates: &str, npm: &str) -> anyhow::Result<Value> {
    let packages = cargo(crates)?;
    let mut components: Vec<Value> = packages.iter().map(cargo_component).collect();
    let mut links: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &packages {
        let needs = package.needs.iter().filter_map(|need| found(&packages, need)).map(cargo_ref);
        links.insert(cargo_ref(package), needs.collect());
    }
    components.extend(npm_components(npm)?);
    components.sort_by_key(|one| one["bom-ref"].as_str().unwrap_or_default().to_owned());
    let links: Vec<Value> = links.iter().map(|(of, on)| json!({ "ref": of, "dependsOn": on })).collect();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": {
            "type": "application", "bom-ref": "strongroom", "name": "strongroom", "version": env!("CARGO_PKG_VERSION"),
            "licenses": [{ "license": { "id": "Apache-2.0" } }],
        } },
        "components": components,
        "dependencies": links,
    }))
}

/// Reads `Cargo.lock`: the form that cargo writes, a line for each value.
fn cargo(text: &str) -> anyhow::Result<Vec<Package>> {
    let mut packages: Vec<Package> = Vec::new();
    for line in text.lines() {
        if line == "[[package]]" {
            packages.push(Package::default());
            continue;
        }
        let Some(package) = packages.last_mut() else { continue };
        let quoted = |rest: &str| rest.trim().trim_end_matches(',').trim_matches('"').to_owned();
        if let Some(rest) = line.strip_prefix("name = ") {
            package.name = quoted(rest);
        } else if let Some(rest) = line.strip_prefix("version = ") {
            package.version = quoted(rest);
        } else if let Some(rest) = line.strip_prefix("checksum = ") {
            package.checksum = Some(quoted(rest));
        } else if line.starts_with("source = ") {
            package.foreign = true;
        } else if line.starts_with(" \"") {
            package.needs.push(quoted(line));
        }
    }
    match packages.iter().find(|one| one.name.is_empty() || one.version.is_empty()) {
        _ if packages.is_empty() => Err(failed("Cargo.lock names no package")),
        Some(_) => Err(failed("Cargo.lock has a package without name or version")),
        None => Ok(packages),
    }
}

fn found<'a>(packages: &'a [Package], need: &str) -> Option<&'a Package> {
    let mut words = need.split(' ');
    let (name, version) = (words.next()?, words.next());
    packages.iter().find(|one| one.name == name && version.is_none_or(|version| one.version == version))
}

fn cargo_ref(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version.replace('+', "%2B"))
}

fn cargo_component(package: &Package) -> Value {
    let purl = cargo_ref(package);
    let mut component =
        json!({ "type": "library", "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl });
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if !package.foreign {
        component["licenses"] = json!([{ "license": { "id": "Apache-2.0" } }]);
    }
    component
}

fn npm_components(text: &str) -> anyhow::Result<Vec<Value>> {
    let lock: Value = serde_json::from_str(text).context("package-lock.json")?;
    let packages = lock["packages"].as_object().context("package-lock.json has no `packages`")?;
    let mut seen = BTreeSet::new();
    let mut components = Vec::new();
    for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
        let name = path.rsplit("node_modules/").next().unwrap_or(path);
        let version =
            package["version"].as_str().with_context(|| format!("package-lock.json: {path} has no version"))?;
        let purl = format!("pkg:npm/{}@{version}", name.replace('@', "%40"));
        if !seen.insert(purl.clone()) {
            continue;
        }
        let mut component =
            json!({ "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl });
        // what only builds or tests the page is not in it
        component["scope"] = json!(if package["dev"] == true { "excluded" } else { "required" });
        if let Some(license) = package["license"].as_str() {
            component["licenses"] = json!([{ "expression": license }]);
        }
        if let Some(hash) = package["integrity"].as_str().and_then(|text| text.strip_prefix("sha512-")).and_then(hex) {
            component["hashes"] = json!([{ "alg": "SHA-512", "content": hash }]);
        }
        components.push(component);
    }
    Ok(components)
}

/// Base64 as hexadecimal.
fn hex(base64: &str) -> Option<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut out) = (0_u32, 0, String::new());
    for letter in base64.trim_end_matches('=').bytes() {
        bits = (bits << 6) | u32::try_from(LETTERS.iter().position(|one| *one == letter)?).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push_str(&format!("{:02x}", (bits >> held) & 0xff));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATES: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\nsource = \"registry\"\nchecksum = \"00ff\"\n\
        \n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\ndependencies = [\n \"a\",\n \"b 2.0.0\",\n]\n\
        \n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\nsource = \"registry\"\n\
        \n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\nsource = \"registry\"\n";
    const NPM: &str = r#"{"packages":{"":{"name":"page"},
        "node_modules/@x/y":{"version":"3.0.0","dev":true,"license":"MIT","integrity":"sha512-AP8Q"},
        "node_modules/preact":{"version":"11.2.0"}}}"#;

    #[test]
    fn every_package_is_a_component_with_hash_and_what_it_needs() {
        let bill = bill(CRATES, NPM).expect("a bill");
        let all = bill["components"].as_array().expect("a list");
        assert_eq!(all.len(), 6);
        let of = |purl: &str| all.iter().find(|one| one["purl"] == purl).unwrap_or_else(|| panic!("{purl}"));
        assert_eq!(of("pkg:cargo/a@1.0.0%2Bx")["hashes"][0]["content"], "00ff");
        assert_eq!(of("pkg:npm/%40x/y@3.0.0")["hashes"][0]["content"], "00ff10");
        assert_eq!(of("pkg:npm/%40x/y@3.0.0")["scope"], "excluded");
        assert_eq!(of("pkg:npm/preact@11.2.0")["scope"], "required");
        let links = bill["dependencies"].as_array().expect("a list");
        let ours = links.iter().find(|one| one["ref"] == "pkg:cargo/ours@0.1.0").expect("linked");
        assert_eq!(ours["dependsOn"], json!(["pkg:cargo/a@1.0.0%2Bx", "pkg:cargo/b@2.0.0"]));
    }

    #[test]
    fn the_lock_files_of_this_checkout_are_all_in_the_bill_once() {
        let place = Place::find().expect("a checkout");
        let crates = std::fs::read_to_string(place.at("Cargo.lock")).expect("read");
        let npm = std::fs::read_to_string(place.page().join("package-lock.json")).expect("read");
        let bill = bill(&crates, &npm).expect("a bill");
        let all = bill["components"].as_array().expect("a list");
        let refs: BTreeSet<&str> = all.iter().filter_map(|one| one["bom-ref"].as_str()).collect();
        assert_eq!(refs.len(), all.len(), "each once");
        assert!(crates.matches("[[package]]").count() > 300 && refs.len() > crates.matches("[[package]]").count());
        let linked = bill["dependencies"].as_array().expect("a list");
        let named = linked.iter().flat_map(|one| one["dependsOn"].as_array().into_iter().flatten());
        assert!(named.filter_map(Value::as_str).all(|one| refs.contains(one)));
        let unhashed = all.iter().filter(|one| one["hashes"].is_null() && one["licenses"].is_null()).count();
        assert_eq!(unhashed, 0, "what is not ours has a hash");
    }
}
