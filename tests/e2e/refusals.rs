//! Operators' mistakes: each service says what is wrong and what to do, and ends with the right code.

use std::path::Path;
use std::process::{Command, Output};
use strongroom_tests::system::{System, prepared};
use xtask::demo::plan::Plan;

fn run(plan: &Plan, program: &str, config: &Path) -> Output {
    // a service that does not refuse would run for ever
    Command::new("timeout")
        .arg("15")
        .arg(plan.binaries.join(program))
        .args(["run", "--config"])
        .arg(config)
        .output()
        .expect("timeout(1) and the binary are there")
}

fn refuses(plan: &Plan, program: &str, config: &Path, code: i32, words: &[&str]) {
    let output = run(plan, program, config);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{program}: {text}");
    for word in words {
        assert!(text.to_lowercase().contains(word), "{program} does not say `{word}`: {text}");
    }
}

#[test]
fn unreadable_configurations_and_unknown_keys_are_named() -> anyhow::Result<()> {
    let (plan, _state) = prepared()?;
    let firm = System::firm("bank-a");
    for (program, config) in [
        ("strongroom-signaling", plan.at("operator/signaling.toml")),
        ("strongroom-sfu", plan.at("operator/sfu.toml")),
        ("strongroom-front", plan.firm(firm, "front.toml")),
        ("strongroom-recorder", plan.firm(firm, "recorder.toml")),
        ("strongroom-custody", plan.firm(firm, "custody-record.toml")),
    ] {
        refuses(&plan, program, &plan.at("no-such.toml"), 2, &["no-such.toml"]);
        let text = std::fs::read_to_string(&config)?;
        std::fs::write(&config, format!("colour = \"blue\"\n{text}"))?;
        refuses(&plan, program, &config, 2, &["colour"]);
        std::fs::write(&config, "this is no toml at all")?;
        refuses(&plan, program, &config, 2, &[]);
        std::fs::write(&config, text)?;
    }
    Ok(())
}

#[test]
fn an_occupied_port_is_named() -> anyhow::Result<()> {
    let (plan, _state) = prepared()?;
    let firm = System::firm("bank-a");
    let port = plan.signaling_port();
    let _held = std::net::TcpListener::bind(("127.0.0.1", port))?;
    refuses(&plan, "strongroom-signaling", &plan.at("operator/signaling.toml"), 4, &[&port.to_string()]);
    let port = port + firm.port;
    let _held_too = std::net::TcpListener::bind(("127.0.0.1", port))?;
    refuses(&plan, "strongroom-front", &plan.firm(firm, "front.toml"), 4, &[&port.to_string()]);
    let port = plan.media_port();
    let _held_udp = std::net::UdpSocket::bind(("127.0.0.1", port))?;
    refuses(&plan, "strongroom-sfu", &plan.at("operator/sfu.toml"), 4, &[&port.to_string()]);
    Ok(())
}

#[test]
fn a_wrong_pin_and_a_missing_token_are_told_apart_and_the_pin_is_not_tried_twice() -> anyhow::Result<()> {
    let (plan, _state) = prepared()?;
    let firm = System::firm("bank-a");
    let config = plan.firm(firm, "custody-record.toml");
    let pin = plan.firm(firm, "pin-record");
    let right = std::fs::read(&pin)?;
    std::fs::write(&pin, "00000000")?;
    refuses(&plan, "strongroom-custody", &config, 2, &["pin"]);
    std::fs::write(&pin, right)?;
    let tokens = plan.firm(firm, "tokens");
    std::fs::rename(&tokens, plan.firm(firm, "tokens-away"))?;
    refuses(&plan, "strongroom-custody", &config, 4, &["token"]);
    Ok(())
}
