//! Who somebody is: signing in at a firm's own provider, and what ends when the firm says so.

use crate::meeting::voice;
use domain::message::custody::LeafRole;
use domain::message::front::BeginLogin;
use e2ee::session::Event;
use participant::meeting::{Happening, Participant};
use std::time::Duration;
use strongroom_tests::oidc::Provider;
use strongroom_tests::people::{PATIENCE, enter, join_as, send_until_heard};
use strongroom_tests::system::{System, prepared};
use tokio::time::{Instant, timeout_at};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_at_the_firms_own_provider_and_is_heard() -> anyhow::Result<()> {
    let (plan, state) = prepared()?;
    let provider = Provider::start(&plan, System::firm("bank-a")).await?;
    let system = System::start_prepared(plan, state)?;
    let mut browser = provider.browser(&system.front("bank-a"))?;
    let enrolment = browser.enrol("anna", "a1", LeafRole::Member).await?;
    let anna = Participant::enter(join_as(&system, "bank-a", "anna", "coffee-room", "a1"), enrolment).await?;
    let mut ben = enter(&system, "bank-b", "ben", "coffee-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"signed in elsewhere").await?;
    // a sign-in is worth something once, in the tab that began it
    let visit = browser.visit(&BeginLogin::Login {}, "anna").await?;
    let mut stolen = visit.clone();
    stolen.secret = "of another tab".to_owned();
    assert!(browser.finish(&stolen).await.is_err(), "finished by another tab");
    assert!(browser.finish(&visit).await.is_err(), "used up by the first attempt");
    // the development provider is not there
    let login = browser
        .http
        .post(format!("{}/idp/login", system.front("bank-a")))
        .json(&serde_json::json!({"user": "anna", "password": "anna-demo"}));
    assert_eq!(login.send().await?.status(), 404);
    // nobody gets a role from asking for it
    let officer = browser.enrol("anna", "a2", LeafRole::Compliance).await;
    assert!(officer.err().is_some_and(|error| error.to_string().contains("role")));
    Ok(())
}

/// Speaks until nobody hears it any more; answers when `listener` last heard it.
async fn last_heard(anna: Participant, listener: &mut Participant, from: Instant) -> anyhow::Result<Duration> {
    let anna = std::sync::Arc::new(anna);
    let speaking = voice(&anna);
    let mut last = Duration::ZERO;
    while let Ok(happening) = timeout_at(from + PATIENCE, listener.next()).await {
        match happening {
            Some(Happening::Frame { from: sender, .. }) if sender == anna.id => last = from.elapsed(),
            Some(Happening::Session(Event::Epoch { members, .. }))
                if !members.iter().any(|m| m.participant == anna.id) =>
            {
                break;
            }
            Some(_) => {}
            None => anyhow::bail!("the listener's meeting ended"),
        }
    }
    speaking.abort();
    Ok(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_out_at_the_provider_is_out_of_a_running_meeting_within_seconds() -> anyhow::Result<()> {
    let (plan, state) = prepared()?;
    let provider = Provider::start(&plan, System::firm("bank-a")).await?;
    let system = System::start_prepared(plan, state)?;
    let mut browser = provider.browser(&system.front("bank-a"))?;
    let enrolment = browser.enrol("anna", "a1", LeafRole::Member).await?;
    let anna = Participant::enter(join_as(&system, "bank-a", "anna", "coffee-room", "a1"), enrolment).await?;
    let mut ben = enter(&system, "bank-b", "ben", "coffee-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"still an employee").await?;
    let begun = Instant::now();
    provider.logout("anna").await?;
    let heard = last_heard(anna, &mut ben, begun).await?;
    let gone = begun.elapsed();
    println!("last heard {heard:?} after the logout, out of the group after {gone:?}");
    // the promise is 5 s; three times that on a busy machine
    assert!(gone < Duration::from_secs(15), "{gone:?}");
    // neither the old certificate nor a new sign-in leads back
    assert!(browser.enrol("anna", "a2", LeafRole::Member).await.is_err());
    Ok(())
}
