//! A token that fails under a running process: taken away, slow, hanging, its sessions lost, its PIN refused. What was asked
//! is answered as unavailable or done, never done in software; what comes back works again.

use crate::house::{Custody, House, on_each_token};
use crate::idp::{Enrolment, Key, csr};
use domain::message::custody::{Answer, Ask, CustodyProblem, LeafRole, RecordKind};
use std::time::{Duration, Instant};
use test_tokens::Kind;
use test_tokens::faulty::Fault;

/// CKR_PIN_INCORRECT.
const PIN_INCORRECT: u32 = 0xa0;
/// CKR_DEVICE_ERROR.
const DEVICE_ERROR: u32 = 0x30;
/// Custody answers within five seconds whatever its token does; three times that on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// Has the recorder identity sign something.
async fn countersign(record: &Custody) -> Result<Answer, CustodyProblem> {
    let csr = csr("sr://bank-a/recorder-1/r1", &Key::new());
    record.ask(Ask::CountersignCsr { csr: csr.into() }).await
}

fn is_away(problem: &CustodyProblem) -> bool {
    ["token-missing", "unavailable"].contains(&problem.code.as_str())
}

async fn a_token_taken_away_is_said_and_back_again_it_works_without_a_restart(kind: Kind) {
    let house = House::new(kind);
    let faulty = house.spoil("record");
    let record = house.start("record");
    let ask = |meeting: &str| record.ask(Ask::StateKey { meeting: meeting.parse().unwrap() });
    let Ok(Answer::Key { key: before }) = ask("m1").await else { panic!("works") };
    assert!(countersign(&record).await.is_ok());
    faulty.set(&[Fault::Removed]);
    assert!(is_away(&countersign(&record).await.unwrap_err()));
    let Ok(Answer::Key { key }) = ask("m1").await else { panic!("state keys need no token") };
    assert_eq!(key, before);
    faulty.set(&[]);
    assert!(countersign(&record).await.is_ok());
}

async fn without_its_token_custody_signs_opens_and_makes_nothing(kind: Kind) {
    let house = House::new(kind);
    let (spoiled, certifies) = (house.spoil("record"), house.spoil("people"));
    let (record, people) = (house.start("record"), house.start("people"));
    let checkpoint = evidence::archive::Checkpoint {
        origin: evidence::archive::log::origin(&"bank-a".parse().unwrap()),
        size: 1,
        root: evidence::archive::Digest([0; 32]),
    };
    let checkpoint = checkpoint.text().into_bytes();
    let sign = || record.ask(Ask::SignRecord { kind: RecordKind::Checkpoint, payload: checkpoint.clone().into() });
    assert!(sign().await.is_ok());
    assert!(Enrolment::new(&house, "anna", LeafRole::Member).send(&people).await.is_ok());
    for fault in [Fault::Removed, Fault::Return("*", DEVICE_ERROR)] {
        spoiled.set(&[fault]);
        certifies.set(&[fault]);
        assert!(is_away(&sign().await.unwrap_err()), "{fault:?}");
        assert!(is_away(&countersign(&record).await.unwrap_err()), "{fault:?}");
        let state = record.ask(Ask::StateKey { meeting: "m2".parse().unwrap() }).await;
        assert!(is_away(&state.unwrap_err()), "{fault:?}: a key that the token did not make");
        let person = Enrolment::new(&house, "anna", LeafRole::Member).send(&people).await;
        assert!(is_away(&person.unwrap_err()), "{fault:?}");
    }
    drop(record);
    let Err((code, log)) = house.try_start("record") else { panic!("serves without a token") };
    assert_eq!(code, Some(4), "{log}");
}

async fn lost_session_handles_are_opened_again_and_the_call_is_done(kind: Kind) {
    let house = House::new(kind);
    let faulty = house.spoil("record");
    let record = house.start("record");
    assert!(countersign(&record).await.is_ok());
    let logins = faulty.calls("C_Login");
    faulty.set(&[Fault::CloseSessions(1)]);
    assert!(countersign(&record).await.is_ok(), "the same call, on new sessions");
    assert_eq!(faulty.calls("C_Login"), logins + 1, "one login for the new sessions");
}

async fn a_pin_that_is_refused_while_serving_is_not_tried_again(kind: Kind) {
    let house = House::new(kind);
    let faulty = house.spoil("record");
    let record = house.start("record");
    let logins = faulty.calls("C_Login");
    faulty.set(&[Fault::CloseSessions(1), Fault::Return("C_Login", PIN_INCORRECT)]);
    assert_eq!(countersign(&record).await.unwrap_err().code, "pin-incorrect");
    faulty.set(&[]);
    assert_eq!(countersign(&record).await.unwrap_err().code, "pin-incorrect", "even the right PIN waits for a person");
    assert_eq!(faulty.calls("C_Login"), logins + 1, "tried once");
    drop(record);
    faulty.set(&[Fault::Return("C_Login", PIN_INCORRECT)]);
    let Err((code, _)) = house.try_start("record") else { panic!("a refused PIN") };
    assert_eq!((code, faulty.calls("C_Login")), (Some(2), logins + 2), "and once at the start");
}

async fn a_slow_token_is_waited_for_and_keeps_nobody_longer_than_the_deadline(kind: Kind) {
    let house = House::new(kind);
    let faulty = house.spoil("record");
    let record = house.start("record");
    assert!(countersign(&record).await.is_ok());
    faulty.set(&[Fault::Delay("*", 1000)]);
    assert!(countersign(&record).await.is_ok(), "a second a call is slow, not away");
    // six at once, two seconds each, one token
    let clients: Vec<_> = (0..6).map(|_| custody::Client::new(&record.socket)).collect();
    let began = Instant::now();
    let asked = clients.into_iter().map(|client| {
        let csr = csr("sr://bank-a/recorder-1/r1", &Key::new());
        tokio::spawn(async move { client.ask(Ask::CountersignCsr { csr: csr.into() }).await.is_ok() })
    });
    let mut done = 0;
    for one in asked.collect::<Vec<_>>() {
        done += usize::from(one.await.unwrap());
    }
    assert!((1..6).contains(&done) && began.elapsed() < PATIENCE);
}

async fn a_hanging_module_is_said_and_ends_its_process_for_the_supervisor(kind: Kind) {
    let house = House::new(kind);
    let faulty = house.spoil("record");
    let config = house.config("record");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("hang_s = 7\n{text}")).unwrap();
    let mut record = house.start("record");
    faulty.set(&[Fault::Hang("C_Sign")]);
    assert!(is_away(&countersign(&record).await.unwrap_err()));
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(status) = record.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let status = ended.await.expect("ends by itself");
    assert!(!status.success(), "{status}");
    faulty.set(&[]);
    let again = house.start("record");
    assert!(countersign(&again).await.is_ok(), "what the supervisor starts works");
}

async fn a_process_killed_in_the_middle_of_a_call_leaves_token_and_ledger_whole(kind: Kind) {
    let house = House::new(kind);
    let faulty = house.spoil("archive");
    let event = || domain::message::custody::LedgerEvent {
        at: crate::idp::now(),
        actor: "sr://bank-a/carol/d1".into(),
        action: "play".into(),
        meeting: "m1".parse().unwrap(),
        note: String::new(),
    };
    let mut archive = house.start("archive");
    assert!(matches!(archive.ask(Ask::Append { entry: event() }).await, Ok(Answer::Appended { index: 0 })));
    let before = faulty.calls("C_Sign");
    faulty.set(&[Fault::Hang("C_Sign")]);
    let client = custody::Client::new(&archive.socket);
    let asked = tokio::spawn(async move { client.ask(Ask::Append { entry: event() }).await });
    while faulty.calls("C_Sign") == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    archive.child.kill().unwrap();
    archive.child.wait().unwrap();
    assert_eq!(asked.await.unwrap().unwrap_err().code(), "unavailable", "never taken for done");
    faulty.set(&[]);
    let again = house.start("archive");
    let Ok(Answer::Appended { index }) = again.ask(Ask::Append { entry: event() }).await else { panic!("works") };
    assert_eq!(index, 1, "what was not signed is not in the ledger");
    let output = crate::house::call(&["check", "--config", &house.config("archive")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

on_each_token! {
    ;
    async a_token_taken_away_is_said_and_back_again_it_works_without_a_restart,
    without_its_token_custody_signs_opens_and_makes_nothing,
    lost_session_handles_are_opened_again_and_the_call_is_done,
    a_pin_that_is_refused_while_serving_is_not_tried_again,
    a_slow_token_is_waited_for_and_keeps_nobody_longer_than_the_deadline,
    a_hanging_module_is_said_and_ends_its_process_for_the_supervisor,
    a_process_killed_in_the_middle_of_a_call_leaves_token_and_ledger_whole
}
