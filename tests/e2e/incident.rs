//! An alert opens a crisis room, and ten people are in it with sound and picture, while no identity provider answers.

use anyhow::{Context, ensure};
use domain::message::custody::LeafRole;
use domain::message::incident::IncidentInfo;
use domain::message::rest::{Page, ParticipantInfo};
use e2ee::session::{Event, SendState};
use participant::login::enrol;
use participant::meeting::{Happening, Participant};
use room_servers::collector::Collector;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::time::Duration;
use strongroom_tests::people::{PATIENCE, join_as, send_until_heard, until};
use strongroom_tests::system::{System, prepared};
use tokio::time::{Instant, interval, timeout};

/// The crisis room of the test, where nothing is recorded.
const ROOM: &str = "coffee-room";
/// From the alert to the tenth person's media.
const TEN_IN: Duration = Duration::from_secs(60);
const TOKEN: &str = "a token of this test alone";
const CALLED: [(&str, &str); 4] = [("bank-a", "anna"), ("bank-a", "sam"), ("bank-b", "ben"), ("bank-b", "stella")];

#[tokio::test(flavor = "multi_thread")]
async fn ten_people_are_in_media_after_an_alert_while_the_identity_providers_are_down() -> anyhow::Result<()> {
    let (plan, state) = prepared()?;
    let port = plan.programs_port();
    let hash: String = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    let scopes = ["incidents:write", "incidents:read", "participants:read"];
    let clients = json!([{ "name": "alerts", "token_sha256": hash, "scopes": scopes }]);
    std::fs::write(plan.at("operator/clients.json"), clients.to_string())?;
    let people: Vec<String> = CALLED.iter().map(|(f, u)| format!("{{ firm = \"{f}\", user = \"{u}\" }}")).collect();
    let collector = Collector::start().await?;
    let config = plan.at("operator/signaling.toml");
    let text = std::fs::read_to_string(&config)?;
    let told = format!("[operations]\notlp_endpoint = \"{}\"\n", collector.url());
    let text = text.replace("[operations]\n", &told);
    let rest =
        format!("{text}\n[[rest.crises]]\nname = \"all\"\nrooms = [\"{ROOM}\"]\npeople = [{}]\n", people.join(", "));
    std::fs::write(&config, rest)?;
    let system = System::start_prepared(plan, state)?;
    // everybody signed in this morning; then the firms' fronts go, and with them their identity providers
    let mut ready = Vec::new();
    for (n, (firm, user)) in CALLED.iter().cycle().take(10).enumerate() {
        let join = join_as(&system, firm, user, ROOM, &format!("d{n}"));
        let enrolment = enrol(&join.front, user, &join.password, join.device.clone(), LeafRole::Member).await?;
        ready.push((join, enrolment));
    }
    for firm in ["bank-a", "bank-b"] {
        system.kill(&format!("{firm} front"))?;
    }
    let http = reqwest::Client::new();
    let labels = json!({ "alertname": "MatchingEngineDown" });
    let alert =
        json!({ "status": "firing", "labels": labels, "startsAt": "2026-11-22T08:00:00Z", "fingerprint": "f1" });
    let group =
        json!({ "version": "4", "groupKey": "g1", "status": "firing", "commonLabels": labels, "alerts": [alert] });
    let base = format!("http://127.0.0.1:{port}/v1");
    let posted = Instant::now();
    let answer = http.post(format!("{base}/incidents")).bearer_auth(TOKEN).json(&group).send().await?;
    ensure!(answer.status() == 201, "{}", answer.text().await?);
    let incident: IncidentInfo = answer.json().await?;
    let opened = posted.elapsed();
    assert_eq!(incident.people.len(), CALLED.len());
    let entering = ready.into_iter().map(|(join, enrolment)| tokio::spawn(Participant::enter(join, enrolment)));
    let mut inside = Vec::new();
    for entering in entering.collect::<Vec<_>>() {
        inside.push(entering.await??);
    }
    let path = format!("{base}/meetings/{}/participants", incident.meeting);
    let mut looks = interval(Duration::from_millis(100));
    let all_in = async {
        loop {
            looks.tick().await;
            let page: Page<ParticipantInfo> = http.get(&path).bearer_auth(TOKEN).send().await?.json().await?;
            if page.items.iter().filter(|one| one.media).count() == 10 {
                return anyhow::Ok(posted.elapsed());
            }
        }
    };
    let media = timeout(3 * TEN_IN, all_in).await.context("ten people in media")??;
    println!(
        "rooms: {}",
        json!({ "incident_open_ms": opened.as_millis(), "incident_ten_in_media_ms": media.as_millis() })
    );
    assert!(opened < 3 * Duration::from_secs(5) && media < 3 * TEN_IN, "{opened:?} {media:?}");
    // what took how long is told to the collector, and nothing of who and where
    let spans = timeout(PATIENCE, collector.spans(&["join", "commit", "request"])).await.context("traces")?;
    let told = serde_json::to_string(&spans)?;
    let names = CALLED.iter().flat_map(|(firm, user)| [*firm, *user]).chain([ROOM, incident.meeting.as_str()]);
    names.for_each(|name| assert!(!told.contains(name), "{name}"));
    // and the last one is heard by the first
    let mut last = inside.pop().context("ten")?;
    let allowed = |h: &Happening| matches!(h, Happening::Session(Event::Sending(SendState::Allowed)));
    timeout(PATIENCE, until(&mut last, "sending allowed", allowed)).await??;
    send_until_heard(&last, &mut inside[0], b"the engine is back").await?;
    Ok(())
}
