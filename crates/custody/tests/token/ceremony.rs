//! Key ceremonies: dry runs that change nothing, rotation, destruction, and the signed protocol of each.

use crate::house::{House, call, on_each_token};
use evidence::ceremony::{Action, Protocol};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use test_tokens::Kind;

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(arguments: &[&str]) -> String {
    let output = call(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn list(house: &House, role: &str) -> Vec<Value> {
    json(&call(&["list", "--config", &house.config(role)])).as_array().unwrap().clone()
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else if entry.file_name() != "token.object" {
            // there SoftHSM notes each login
            found.push((entry.path(), std::fs::read(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

/// Files that are new, gone or other.
fn changed(before: &[(PathBuf, Vec<u8>)], after: &[(PathBuf, Vec<u8>)]) -> Vec<PathBuf> {
    let differ = |a: &[(PathBuf, Vec<u8>)], b: &[(PathBuf, Vec<u8>)]| -> Vec<PathBuf> {
        a.iter().filter(|file| !b.contains(file)).map(|(path, _)| path.clone()).collect()
    };
    [differ(before, after), differ(after, before)].concat()
}

fn protocol(house: &House, path: &Path) -> Protocol {
    Protocol::verify(&std::fs::read(path).unwrap(), &house.trust).unwrap()
}

fn set(house: &House, role: &str, line: &str) {
    let path = house.config(role);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{line}\n{text}")).unwrap();
}

fn a_dry_run_says_what_would_be_made_and_makes_nothing(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("people.toml");
    let text = format!(
        "firm = \"bank-a\"\nrole = \"people\"\nmodule = \"{}\"\ntoken_label = \"t\"\npin_file = \"pin\"\n\
         socket = \"s\"\n{}[people]\n",
        kind.module().display(),
        kind.section("token.conf")
    );
    std::fs::write(&config, text).unwrap();
    let dry = |config: &str| json(&call(&["ceremony", "--dry-run", "--config", config]));
    let before = files(folder.path());
    let steps = dry(config.to_str().unwrap());
    let objects: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["object"].as_str().unwrap()).collect();
    assert_eq!(objects, ["t", "firm-ca", "policy", "firm-root"]);
    assert_eq!(changed(&before, &files(folder.path())), Vec::<PathBuf>::new());

    let house = House::new(kind);
    assert_eq!(dry(&house.config("people")), Value::Array(Vec::new()), "nothing is missing");
    let before = files(&house.path(""));
    let rotation = json(&call(&["rotate", "--dry-run", "--keys", "signing", "--config", &house.config("people")]));
    assert_eq!(rotation[0]["object"], "firm-ca@2");
    assert_eq!(changed(&before, &files(&house.path(""))), Vec::<PathBuf>::new());
}

fn the_first_ceremony_leaves_a_protocol_that_its_own_key_signed_and_no_other_passes(kind: Kind) {
    let house = House::new(kind);
    let written = files(&house.path(""));
    let mut protocols: Vec<Protocol> = Vec::new();
    for (path, bytes) in written.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "cose")) {
        protocols.push(protocol(&house, path));
        let mut changed = bytes.clone();
        let at = changed.len() / 2;
        changed[at] ^= 1;
        assert!(Protocol::verify(&changed, &house.trust).is_err());
    }
    assert_eq!(protocols.len(), 3, "one for each token");
    let made = |action| protocols.iter().flat_map(|p| &p.steps).filter(|step| step.action == action).count();
    assert_eq!((made(Action::MakeToken), made(Action::MakeKey), made(Action::MakeCertificate)), (3, 7, 1));
    let named = |step: &&evidence::ceremony::Step| step.action != Action::MakeToken;
    assert!(protocols.iter().flat_map(|p| &p.steps).filter(named).all(|step| step.fingerprint.is_some()));
}

fn rotated_signing_keys_stand_beside_the_present_ones_until_the_configuration_names_them(kind: Kind) {
    let house = House::new(kind);
    let out = house.path("rotation.cose");
    let rotate = || {
        call(&["rotate", "--keys", "signing", "--protocol", out.to_str().unwrap(), "--config", &house.config("record")])
    };
    let next = json(&rotate());
    assert_ne!(next["keys"][1][1], serde_json::to_value(&house.record.keys[1].1).unwrap());
    let written = protocol(&house, &out);
    let objects: Vec<_> = written.steps.iter().map(|step| step.object.as_str()).collect();
    assert_eq!(objects, ["recorder-identity@2", "record@2"], "signed by the key that is in use");
    assert_eq!(json(&call(&["info", "--config", &house.config("record")]))["keys"], json_of(&house.record.keys));
    let twice = rotate();
    assert!(String::from_utf8_lossy(&twice.stderr).contains("raise `generation`"));

    set(&house, "record", "generation = 2");
    assert_eq!(json(&call(&["info", "--config", &house.config("record")]))["keys"], next["keys"]);
    let checked = json(&call(&["check", "--json", "--config", &house.config("record")]));
    assert_eq!(checked["ok"], true);
    let items = list(&house, "record");
    assert_eq!(ids(&items), ["record", "record@2", "recorder-identity", "recorder-identity@2"]);
    let used: Vec<_> = items.iter().map(|item| item["in_use"].as_bool().unwrap()).collect();
    assert_eq!(used, [false, true, false, true]);
    assert!(items.iter().all(|item| item["never_extractable"] == true && item["kind"] == "ec"));
}

fn json_of<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

fn a_new_root_is_signed_by_the_new_authority(kind: Kind) {
    let house = House::new(kind);
    let next = json(&call(&["rotate", "--keys", "signing", "--config", &house.config("people")]));
    assert_ne!(next["root"], json_of(&house.people.root));
    let items = list(&house, "people");
    assert_eq!(ids(&items), ["firm-ca", "firm-ca@2", "firm-root", "firm-root@2", "policy", "policy@2"]);
}

fn an_archive_key_is_added_and_the_ledger_keeps_its_own(kind: Kind) {
    let house = House::new(kind);
    let next = json(&call(&["rotate", "--keys", "archive", "--config", &house.config("archive")]));
    assert_eq!(next["keys"].as_array().unwrap().len(), 4, "ledger and three archive keys");
    let text = refused(&["rotate", "--keys", "signing", "--config", &house.config("archive")]);
    assert!(text.contains("as long as its ledger"), "{text}");
    let text = refused(&["rotate", "--keys", "archive", "--config", &house.config("record")]);
    assert!(text.contains("--keys signing"), "{text}");
}

fn only_a_key_that_nothing_names_is_destroyed_and_only_under_its_own_fingerprint(kind: Kind) {
    let house = House::new(kind);
    let config = house.config("archive");
    json(&call(&["rotate", "--keys", "archive", "--config", &config]));
    let find = |id: &str| list(&house, "archive").into_iter().find(|item| item["id"] == id);
    let fingerprint = find("archive-1").unwrap()["fingerprint"].as_str().unwrap().to_owned();
    let other = find("archive-2").unwrap()["fingerprint"].as_str().unwrap().to_owned();
    let destroy = |fingerprint: &str| {
        ["destroy", "--config", &config, "--key", "archive-1", "--fingerprint", fingerprint].map(str::to_owned).to_vec()
    };
    let said = |arguments: Vec<String>| refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said(destroy(&fingerprint)).contains("is in use"));

    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}archive_keys = 3\nfirst_archive_key = 2\n")).unwrap();
    assert!(said(destroy(&other)).contains("nothing was destroyed"));
    assert!(said(destroy("00")).contains("64 hexadecimal digits"));
    let mut dry = destroy(&fingerprint);
    dry.push("--dry-run".into());
    assert_eq!(json(&call(&dry.iter().map(String::as_str).collect::<Vec<_>>()))[0]["action"], "destroy-key");
    assert!(find("archive-1").is_some());

    let out = house.path("destroyed.cose");
    let mut done = destroy(&fingerprint);
    done.extend(["--protocol".to_owned(), out.to_str().unwrap().to_owned()]);
    json(&call(&done.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(find("archive-1").is_none());
    let step = &protocol(&house, &out).steps[0];
    assert_eq!(
        (step.action, hex::encode(step.fingerprint.as_ref().unwrap().as_slice())),
        (Action::DestroyKey, fingerprint)
    );
    assert_eq!(json(&call(&["check", "--json", "--config", &config]))["ok"], true, "the others work on");
}

fn a_protocol_is_never_written_over_another_file(kind: Kind) {
    let house = House::new(kind);
    let taken = house.path("taken.cose");
    std::fs::write(&taken, "mine").unwrap();
    let output = call(&[
        "rotate",
        "--keys",
        "signing",
        "--protocol",
        taken.to_str().unwrap(),
        "--config",
        &house.config("record"),
    ]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was done"));
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");
    assert_eq!(ids(&list(&house, "record")), ["record", "recorder-identity"]);
}

fn the_self_test_names_the_profile_and_what_is_missing(kind: Kind) {
    let house = House::new(kind);
    let report = json(&call(&["check", "--json", "--config", &house.config("archive")]));
    assert_eq!(report["profile"]["standing"], "proven");
    let (vendor, missing) = (report["profile"]["vendor"].as_str().unwrap(), report["missing"].as_array().unwrap());
    match kind {
        Kind::SoftHsm2 => {
            assert_eq!(vendor, "SoftHSM2");
            assert!(missing[0].as_str().unwrap().contains("only SHA-1 opens"), "{missing:?}");
        }
        Kind::Kryoptic => assert_eq!((vendor, missing.len()), ("kryoptic", 0), "{missing:?}"),
    }
}

on_each_token! {
    a_dry_run_says_what_would_be_made_and_makes_nothing, the_first_ceremony_leaves_a_protocol_that_its_own_key_signed_and_no_other_passes, rotated_signing_keys_stand_beside_the_present_ones_until_the_configuration_names_them, a_new_root_is_signed_by_the_new_authority, an_archive_key_is_added_and_the_ledger_keeps_its_own, only_a_key_that_nothing_names_is_destroyed_and_only_under_its_own_fingerprint, a_protocol_is_never_written_over_another_file, the_self_test_names_the_profile_and_what_is_missing;
    async
}
