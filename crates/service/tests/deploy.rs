//! What is shipped beside the programs says what they do: dashboard, alert rules, tables of metrics, reasons and events,
//! units and the container file.

use service::metrics::{Kind, Metric, Service, names};
use service::operations::reason::Reason;
use service::security::Event;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

fn docs(inside: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(inside);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn metrics() -> Vec<&'static Metric> {
    let own = Service::ALL.into_iter().flat_map(|service| service.metrics().iter());
    names::EVERY.iter().chain(own).chain(names::sfu::BY_SHARD.iter()).copied().collect()
}

/// Words of a text that look like our metrics.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("strongroom_") || word.starts_with("process_")).collect()
}

fn assert_holds(file: &str, wanted: &str) {
    let there = docs(file);
    assert!(there.contains(wanted), "docs/{file} must hold exactly this:\n{wanted}");
}

#[test]
fn dashboard_and_alert_rules_name_metrics_that_exist() {
    let known: BTreeSet<&str> = metrics().iter().map(|metric| metric.name).collect();
    for file in ["deploy/alerts.yaml", "deploy/dashboard.json"] {
        let text = docs(file);
        let unknown: Vec<&str> = named(&text).difference(&known).copied().collect();
        assert!(unknown.is_empty(), "docs/{file} names {unknown:?}");
        assert!(named(&text).len() >= 10, "docs/{file} is about our metrics");
    }
}

#[test]
fn alert_rules_name_events_that_exist() {
    let known: BTreeSet<&str> = Event::ALL.iter().map(|event| event.name()).collect();
    let text = docs("deploy/alerts.yaml");
    let mut seen = 0;
    for part in text.split("event=~\"").skip(1) {
        for event in part.split('"').next().unwrap_or_default().split('|') {
            assert!(known.contains(event), "{event}");
            seen += 1;
        }
    }
    assert!(seen > 5);
}

#[test]
fn every_metric_is_documented_as_the_code_has_it() {
    let mut table = String::from("| metric | kind | meaning |\n|---|---|---|\n");
    for Metric { name, kind, help, .. } in metrics() {
        let kind = if *kind == Kind::Counter { "counter" } else { "gauge" };
        let _ = writeln!(table, "| `{name}` | {kind} | {help} |");
    }
    assert_holds("metrics.md", &table);
}

#[test]
fn every_reason_of_readyz_is_documented_as_the_code_has_it() {
    let mut table = String::from("| reason | meaning; what to do |\n|---|---|\n");
    for reason in Reason::ALL {
        let _ = writeln!(table, "| `{}` | {} |", reason.code(), reason.text());
    }
    assert_holds("operations.md", &table);
}

#[test]
fn every_security_event_is_documented_with_its_severity_meaning_and_what_to_do() {
    let text = docs("operations.md");
    for event in Event::ALL {
        let begin = format!("| `{}` | {} | {} | ", event.name(), event.severity().name(), event.meaning());
        let row = text.lines().find_map(|line| line.strip_prefix(&begin));
        let row = row.unwrap_or_else(|| panic!("docs/operations.md has no row that begins `{begin}`"));
        assert!(row.len() > 12 && row.ends_with(" |"), "{}: say what to do", event.name());
    }
    let rows = text.lines().filter(|line| {
        let severities = ["notice", "warning", "error", "critical"];
        line.split(" | ").nth(1).is_some_and(|severity| severities.contains(&severity))
    });
    assert_eq!(rows.count(), Event::ALL.len(), "a row for an event that is not in the code");
}

#[test]
fn units_run_as_a_user_of_their_own_and_are_hardened() {
    for service in Service::ALL {
        let unit =
            if service == Service::Custody { "strongroom-custody@".to_owned() } else { service.name().to_owned() };
        let text = docs(&format!("deploy/systemd/{unit}.service"));
        let wanted = [
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "PrivateDevices=yes",
            "SystemCallArchitectures=native",
            "UMask=0077",
            "LimitCORE=0",
            "RestartPreventExitStatus=2",
        ];
        for line in wanted {
            assert!(text.lines().any(|there| there == line), "{unit}: {line}");
        }
        assert!(text.lines().any(|line| line.starts_with("User=strongroom")), "{unit}");
        assert!(text.contains(&format!("ExecStart=/usr/bin/{} run --json --config ", service.name())), "{unit}");
        assert!(text.contains(&format!("ExecStartPre=/usr/bin/{} check-config --config ", service.name())), "{unit}");
        assert!(text.lines().any(|line| line.starts_with("CapabilityBoundingSet=")), "{unit}");
    }
}

#[test]
fn the_container_is_debian_12_slim_and_not_root() {
    let text = docs("deploy/Containerfile");
    assert!(text.contains("\nFROM debian:12-slim\n") && text.contains("\nUSER 10001:10001\n"));
    assert!(text.contains("--read-only --cap-drop all"), "it says how it is started");
    for service in Service::ALL {
        assert!(text.contains(&format!("target/release/{}", service.name())), "{}", service.name());
    }
}

#[test]
fn samples_of_configurations_hold_no_secret_and_listen_for_operations_on_loopback() {
    let names = ["sfu", "signaling", "recorder", "front", "custody-people", "custody-record", "custody-archive"];
    let mut ports = BTreeSet::new();
    for name in names {
        let text = docs(&format!("deploy/config/{name}.toml"));
        let table: toml::Table = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let listen = table["operations"]["listen"].as_str().expect("a text").to_owned();
        assert!(listen.starts_with("127.0.0.1:") && ports.insert(listen), "{name}");
        assert!(!text.contains("PRIVATE KEY") && !text.contains("\npin ="), "{name}");
    }
}
