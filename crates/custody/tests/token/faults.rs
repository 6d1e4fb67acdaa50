//! What is wrong at the start or outside the token: PIN, ledger, trust map, socket. Each gets a clear end and loses nothing.

use crate::house::{House, call, on_each_token};
use crate::idp::now;
use domain::message::custody::{Answer, Ask, LedgerEvent};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use test_tokens::Kind;

fn a_wrong_pin_ends_the_process_with_a_clear_message_and_code_2(kind: Kind) {
    let house = House::new(kind);
    std::fs::write(house.path("pin-people"), "0000000000000000\n").unwrap();
    let Err((code, log)) = house.try_start("people") else { panic!("a wrong PIN") };
    assert_eq!(code, Some(2));
    assert!(log.contains("refused the PIN") && log.contains("not tried again"), "{log}");
    assert!(!log.contains("0000000000000000"), "the PIN is never shown");
}

fn a_missing_token_ends_the_process_with_its_label_and_code_4(kind: Kind) {
    let house = House::new(kind);
    std::fs::rename(house.path("tokens"), house.path("away")).unwrap();
    std::fs::create_dir(house.path("tokens")).unwrap();
    let Err((code, log)) = house.try_start("record") else { panic!("no token") };
    assert_eq!(code, Some(4));
    assert!(log.contains("no token with label bank-a-record"), "{log}");
    std::fs::remove_file(house.path("record.conf")).unwrap();
    let Err((code, log)) = house.try_start("record") else { panic!("no test token at all") };
    assert_eq!((code, log.contains("no token with label bank-a-record")), (Some(4), true), "{log}");
}

fn an_unknown_key_in_the_configuration_is_named(kind: Kind) {
    let house = House::new(kind);
    let config = house.config("record");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("speed = 3\n{text}")).unwrap();
    let output = call(&["check-config", "--config", &config]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`speed`"));
}

async fn sigterm_ends_the_process_in_order(kind: Kind) {
    let house = House::new(kind);
    let mut record = house.start("record");
    assert!(record.ask(Ask::Info {}).await.is_ok());
    let pid = nix::unistd::Pid::from_raw(record.child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(record.child.wait().unwrap().code(), Some(0));
    assert!(!record.socket.exists());
}

async fn a_changed_ledger_stops_the_start_and_names_the_entry(kind: Kind) {
    let house = House::new(kind);
    let event = || LedgerEvent {
        at: now(),
        actor: "sr://bank-a/carol/d1".into(),
        action: "play".into(),
        meeting: "m1".parse().unwrap(),
        note: String::new(),
    };
    {
        let archive = house.start("archive");
        for index in 0..3 {
            let appended = archive.ask(Ask::Append { entry: event() }).await;
            assert!(matches!(appended, Ok(Answer::Appended { index: at }) if at == index));
        }
    }
    let ledger = house.path("ledger.bin");
    let whole = std::fs::read(&ledger).unwrap();
    let mut changed = whole.clone();
    let second = 4 + u32::from_be_bytes(whole[..4].try_into().unwrap()) as usize;
    changed[second + 60] ^= 1;
    std::fs::write(&ledger, &changed).unwrap();
    let Err((code, log)) = house.try_start("archive") else { panic!("a changed ledger") };
    assert_eq!(code, Some(3));
    assert!(log.contains("entry 1"), "{log}");
    std::fs::write(&ledger, &whole).unwrap();
    let archive = house.start("archive");
    assert!(matches!(archive.ask(Ask::Append { entry: event() }).await, Ok(Answer::Appended { index: 3 })));
}

fn a_trust_map_of_other_keys_stops_the_start(kind: Kind) {
    let house = House::new(kind);
    let mut trust = house.trust.clone();
    trust.firms[0].ledger_key = trust.firms[0].policy_key.clone();
    std::fs::write(house.path("trust.json"), serde_json::to_vec(&trust).unwrap()).unwrap();
    let Err((code, log)) = house.try_start("archive") else { panic!("another ledger key") };
    assert_eq!((code, log.contains("ledger key")), (Some(2), true), "{log}");
    let mut trust = house.trust.clone();
    trust.firms[0].archive_keys = vec![trust.firms[0].policy_key.clone()];
    std::fs::write(house.path("trust.json"), serde_json::to_vec(&trust).unwrap()).unwrap();
    let Err((code, log)) = house.try_start("archive") else { panic!("other archive keys") };
    assert_eq!((code, log.contains("archive keys")), (Some(2), true), "{log}");
}

async fn garbage_closes_its_connection_and_nobody_elses(kind: Kind) {
    let house = House::new(kind);
    let record = house.start("record");
    for garbage in [&[0xff; 64][..], &[0, 0, 0, 0], &[0, 0, 0, 3, 0xff, 0xff, 0xff], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = UnixStream::connect(&record.socket).unwrap();
        stream.write_all(garbage).unwrap();
        let mut rest = Vec::new();
        assert_eq!(stream.read_to_end(&mut rest).unwrap_or(0), 0, "closed without an answer");
        assert!(record.ask(Ask::Info {}).await.is_ok());
    }
}

fn the_socket_is_for_its_owner_only_and_served_once(kind: Kind) {
    let house = House::new(kind);
    let record = house.start("record");
    assert_eq!(std::fs::metadata(&record.socket).unwrap().permissions().mode() & 0o777, 0o600);
    let Err((code, log)) = house.try_start("record") else { panic!("served already") };
    assert_eq!((code, log.contains("another process serves it")), (Some(4), true), "{log}");
    drop(record);
    assert!(house.try_start("record").is_ok(), "a socket left by a killed process is taken over");
}

async fn a_client_finds_a_process_that_was_started_again(kind: Kind) {
    let house = House::new(kind);
    let record = house.start("record");
    let client = custody::Client::connect(&record.socket).await.unwrap();
    assert!(client.ask(Ask::Info {}).await.is_ok());
    drop(record);
    assert_eq!(client.ask(Ask::Info {}).await.unwrap_err().code(), "unavailable");
    let _again = house.start("record");
    assert!(client.ask(Ask::Info {}).await.is_ok());
}

on_each_token! {
    a_wrong_pin_ends_the_process_with_a_clear_message_and_code_2, a_missing_token_ends_the_process_with_its_label_and_code_4, an_unknown_key_in_the_configuration_is_named, a_trust_map_of_other_keys_stops_the_start, the_socket_is_for_its_owner_only_and_served_once;
    async   sigterm_ends_the_process_in_order, a_changed_ledger_stops_the_start_and_names_the_entry, garbage_closes_its_connection_and_nobody_elses, a_client_finds_a_process_that_was_started_again
}
