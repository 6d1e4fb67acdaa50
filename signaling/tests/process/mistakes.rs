//! Mistakes of an administrator: one line, what to do, the right exit code.

use crate::site::{BINARY, Ca, Site, ended, free_port};
use std::process::Command;

#[test]
fn an_occupied_port_is_said_so_and_exits_4() {
    let site = Site::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    site.configure(port, free_port(), "");
    let (code, said) = site.fails("run");
    assert_eq!(code, 4, "{said}");
    assert!(said.contains(&port.to_string()) && said.contains("another program has this port"), "{said}");
    site.configure(free_port(), port, "");
    let (code, said) = site.fails("run");
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("control.listen"), "{said}");
}

#[test]
fn an_unknown_key_is_named_and_exits_2() {
    let site = Site::new();
    site.configure(0, 0, "colour = \"blue\"");
    for command in ["run", "check-config"] {
        let (code, said) = site.fails(command);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("colour") && said.contains("signaling.toml"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn every_file_that_is_missing_or_wrong_is_named_with_its_key() {
    for (name, key) in [
        ("trust.json", "trust"),
        ("order.pem", "order_key"),
        ("ca.pem", "client_ca"),
        ("signaling.pem", "control.certificate"),
        ("signaling.key", "control.key"),
        ("rooms.json", "directory.seed"),
    ] {
        let site = Site::new();
        std::fs::remove_file(site.path(name)).unwrap();
        let (code, said) = site.fails("check-config");
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(name) && said.contains(key) && said.lines().count() == 1, "{said}");
        site.write(name, "garbage");
        let (code, said) = site.fails("check-config");
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(name) && said.lines().count() == 1, "{said}");
    }
    let site = Site::new();
    std::fs::remove_dir_all(site.path("statements")).unwrap();
    let (code, said) = site.fails("check-config");
    assert!(code == 2 && said.contains("`statements`"), "{said}");
}

#[test]
fn an_order_key_that_is_not_the_trust_maps_is_refused() {
    let site = Site::new();
    let (_, key, _) = Ca::new("x").service();
    site.write("order.pem", key);
    let (code, said) = site.fails("check-config");
    assert!(code == 2 && said.contains("not the order key of the trust map"), "{said}");
}

#[test]
fn a_key_that_is_not_its_certificates_is_refused() {
    let site = Site::new();
    let (_, key, _) = site.operator.service();
    site.write("signaling.key", key);
    let (code, said) = site.fails("check-config");
    assert!(code == 2 && said.contains("do not work together"), "{said}");
}

#[test]
fn a_missing_configuration_and_no_arguments_exit_2() {
    let (code, said) = ended(Command::new(BINARY).args(["run", "--config", "/nowhere/signaling.toml"]));
    assert!(code == 2 && said.contains("/nowhere/signaling.toml"), "{said}");
    assert_eq!(ended(&mut Command::new(BINARY)).0, 2);
}

#[test]
fn a_good_configuration_is_said_to_be_good() {
    let site = Site::new();
    let (code, said) = site.fails("check-config");
    assert!(code == 0 && said.contains("configuration is good") && said.contains("bank-a"), "{said}");
    assert!(site.path("rooms.db").exists());
}

#[test]
fn the_environment_overrides_the_file() {
    let site = Site::new();
    let (code, said) = ended(site.command("check-config").env("STRONGROOM__LISTEN", "0.0.0.0:80"));
    assert!(code == 2 && said.contains("loopback"), "{said}");
}
