//! What the operator holds: nothing. Known plaintext and every key of the meeting, learnt from a member, are looked for
//! in memory, logs, disk and on the wire while the meeting runs; the same search finds them in a member.

use anyhow::Context;
use std::sync::Arc;
use strongroom_tests::memory::{Hit, Needle, search_bytes, search_files, search_process};
use strongroom_tests::people::{enter, send_until_heard};
use strongroom_tests::system::System;
use strongroom_tests::wire::{NotAllowed, Wire};

/// Built at run time from parts, so that no binary holds it.
fn secret_words() -> Vec<u8> {
    let part = std::process::id().to_string();
    format!("canary-{part}-the-price-is-{part}-and-nobody-else-may-know").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn t12_the_operator_holds_no_key_and_no_word_of_a_meeting() -> anyhow::Result<()> {
    let wire = match Wire::tap() {
        Ok(wire) => Some(wire),
        Err(error) if error.is::<NotAllowed>() => {
            println!("skipped on the wire: {error}");
            None
        }
        Err(error) => return Err(error),
    };
    let system = System::start()?;
    let anna = Arc::new(enter(&system, "bank-a", "anna", "deal-room", "a1").await?);
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    let words = secret_words();
    send_until_heard(&anna, &mut ben, &words).await?;
    anna.say(std::str::from_utf8(&words)?).await?;
    let mut needles = vec![Needle { name: "the words".into(), bytes: words.clone() }];
    for (name, bytes) in anna.reveal().await? {
        needles.push(Needle { name: format!("anna's {name}"), bytes });
    }
    assert!(needles.iter().any(|needle| needle.name.contains("base key")), "a member knows its keys");

    let mut hits: Vec<Hit> = Vec::new();
    for service in ["sfu", "signaling"] {
        let (found, read) = search_process(system.pid(service)?, &needles).context(service)?;
        assert!(read > 1 << 20, "the search of {service} read only {read} bytes");
        println!("{service}: {read} bytes of memory searched for {} secrets", needles.len());
        hits.extend(found);
    }
    for folder in ["operator", "logs"] {
        let (found, read) = search_files(&system.plan.at(folder), &needles)?;
        println!("{folder}: {read} bytes of files searched");
        hits.extend(found);
    }
    if let Some(wire) = wire {
        let packets = wire.stop();
        println!("wire: {} bytes searched", packets.len());
        assert!(packets.len() > 10_000, "the capture saw nothing");
        search_bytes(&packets, &needles, "wire", &mut hits);
    }
    assert_eq!(hits, Vec::<Hit>::new());

    // the same search finds them where they are known: this process is a member
    let (found, _) = search_process(std::process::id(), &needles)?;
    assert!(!found.is_empty(), "the search cannot fail, so it proves nothing");
    Ok(())
}
