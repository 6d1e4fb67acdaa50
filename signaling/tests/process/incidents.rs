//! Incidents over REST: the right people are called into a free crisis room, once; decisions are signed and in a chain;
//! everybody takes home a hand-out that verifies.

use crate::edge::{admitted, greet, hello, link, meet, next_refusal, say};
use crate::rest::{Api, refused};
use crate::site::Site;
use domain::message::client::{ProblemCode, ToClient};
use domain::message::incident::{HandOut, IncidentInfo, IncidentState, LogEntry};
use domain::{B64, UnixMillis};
use evidence::incident::{DECISION, Decision, IncidentError, encode, judge_hand_out};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const CRISES: &str = "[[rest.crises]]\nname = \"trading\"\nlabels = { service = \"trading\" }\nrooms = [\"no-such-room\", \"deal-room\"]\n\
     people = [{ firm = \"bank-a\", user = \"anna\" }, { firm = \"bank-a\", user = \"nobody\" }]\n";

/// As Prometheus Alertmanager 0.27 sends it.
fn group(key: &str, service: &str, status: &str, starts: &str) -> Value {
    let labels = json!({ "alertname": "MatchingEngineDown", "service": service, "severity": "critical" });
    json!({
        "version": "4", "groupKey": key, "truncatedAlerts": 0, "status": status, "receiver": "strongroom",
        "groupLabels": { "alertname": "MatchingEngineDown" }, "commonLabels": labels, "commonAnnotations": {},
        "externalURL": "http://alerts.example",
        "alerts": [{ "status": status, "labels": labels, "annotations": {}, "startsAt": starts,
            "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "9f6e1c2b3a4d5e6f" }],
    })
}

async fn open(api: &Api, body: &Value) -> (StatusCode, IncidentInfo) {
    let answer = api.ask(Method::POST, "/v1/incidents", "operator").json(body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn decision(key: &SigningKey, certificate: &[u8], of: &IncidentInfo, text: &str) -> Value {
    let at = UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64);
    let previous = of.log.last().map_or([0; 32], |last| evidence::sha256(&last.signed));
    let number = of.log.len() as u32 + 1;
    let payload = encode(&Decision { incident: of.incident.clone(), number, previous, text: text.into(), at });
    let signed = evidence::cose::sign::<()>(DECISION, &payload, Some(certificate), |hash| {
        let signature: p256::ecdsa::Signature = key.sign_prehash(hash).map_err(|_| ())?;
        Ok(signature.to_bytes().into())
    });
    json!({ "signed": B64(signed.unwrap()) })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_opens_one_crisis_room_calls_who_is_on_the_list_and_repetitions_change_nothing() {
    let api = Api::start(CRISES);
    let firing = group("{}:{alertname=\"A\"}", "trading", "firing", "2026-11-22T08:00:00Z");
    let posted = Instant::now();
    let (status, first) = open(&api, &firing).await;
    println!("opened after {} ms", posted.elapsed().as_millis());
    assert_eq!((status, first.state, first.room.as_str()), (StatusCode::CREATED, IncidentState::Open, "deal-room"));
    assert!(posted.elapsed().as_secs() < 15, "three times the five seconds that it may take");
    // nobody is on the list who is no member of the room
    assert_eq!(first.people.iter().map(|one| one.user.as_str()).collect::<Vec<_>>(), ["anna"]);
    assert_eq!(first.links.values().collect::<Vec<_>>(), ["https://meet.bank-a.example/?room=deal-room"]);
    let (status, again) = open(&api, &firing).await;
    assert_eq!((status, &again.incident, &again.alerts), (StatusCode::OK, &first.incident, &first.alerts));
    assert!(again.elapsed_ms >= first.elapsed_ms);
    // another group finds no room free, and labels that nobody provided for open nothing
    let other = api.ask(Method::POST, "/v1/incidents", "operator");
    refused(other.json(&group("g2", "trading", "firing", "x")), StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
    let other = api.ask(Method::POST, "/v1/incidents", "operator");
    refused(other.json(&group("g3", "mail", "firing", "x")), StatusCode::CONFLICT, "conflict").await;
    let firm = api.ask(Method::POST, "/v1/incidents", "bank-a");
    refused(firm.json(&firing), StatusCode::FORBIDDEN, "forbidden").await;
    let foreign = api.ask(Method::GET, &format!("/v1/incidents/{}", first.incident), "bank-z");
    refused(foreign, StatusCode::NOT_FOUND, "not-found").await;
    let (_, over) = open(&api, &group("{}:{alertname=\"A\"}", "trading", "resolved", "2026-11-22T08:00:00Z")).await;
    assert_eq!((over.state, over.incident), (IncidentState::Resolved, first.incident));
    let nothing = api.ask(Method::POST, "/v1/incidents", "operator").json(&group("g4", "trading", "resolved", "x"));
    assert_eq!(nothing.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_was_called_enters_and_the_hand_out_holds_every_decision_as_it_was_signed() {
    let api = Api::start(CRISES);
    let site: &Site = &api.site;
    // a second member of the room, who is not called
    let directory = rusqlite::Connection::open(site.path("rooms.db")).unwrap();
    directory.execute("INSERT INTO members VALUES ('deal-room', 'bank-a', 'zoe', 0, '[]')", []).unwrap();
    let mut sfu = link(site, &api.running, Some(&site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let anna = site.firm.member("bank-a/anna/d1");
    let firing = group("g", "trading", "firing", "2026-11-22T08:00:00Z");
    let (_, incident) = open(&api, &firing).await;
    let mut page = admitted(site, &api.running, &anna).await;
    let zoe = greet(&mut meet(&api.running).await, site, &site.firm.member("bank-a/zoe/d1"), "deal-room").await;
    assert!(matches!(zoe, Some(ToClient::Refusal(p)) if p.code == ProblemCode::NotAMember));
    let path = format!("/v1/incidents/{}", incident.incident);
    let post = |body: Value| api.ask(Method::POST, &format!("{path}/decisions"), "bank-a").json(&body);
    let (key, certificate) = &anna;
    let first = decision(key, certificate, &incident, "We fail over to site B.");
    assert_eq!(post(first.clone()).send().await.unwrap().status(), StatusCode::CREATED);
    refused(post(first), StatusCode::CONFLICT, "conflict").await;
    let now: IncidentInfo = api.get(&path).await;
    let (other, stranger) = site.firm.member("bank-a/zoe/d1");
    refused(post(decision(&other, &stranger, &now, "x")), StatusCode::UNPROCESSABLE_ENTITY, "bad-signature").await;
    refused(post(decision(&other, certificate, &now, "x")), StatusCode::UNPROCESSABLE_ENTITY, "bad-signature").await;
    let second = post(decision(key, certificate, &now, "Clients are told at noon.")).send().await.unwrap();
    assert_eq!(second.json::<LogEntry>().await.unwrap().number, 2);
    let early = api.ask(Method::GET, &format!("{path}/hand-out"), "bank-a");
    refused(early, StatusCode::CONFLICT, "conflict").await;
    let closed = api.ask(Method::POST, &format!("{path}/close"), "operator").send().await.unwrap();
    assert_eq!(closed.json::<IncidentInfo>().await.unwrap().state, IncidentState::Closed);
    assert_eq!(next_refusal(&mut page).await, ProblemCode::Removed);
    let taken = api.ask(Method::GET, &format!("{path}/hand-out"), "bank-a").send().await.unwrap();
    let HandOut { signed } = taken.json().await.unwrap();
    let out = judge_hand_out(&site.trust, &signed).unwrap();
    let texts: Vec<&str> = out.log.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(texts, ["We fail over to site B.", "Clients are told at noon."]);
    let mut changed = signed.0.clone();
    let at = changed.windows(6).position(|six| six == b"site B").unwrap();
    changed[at + 5] = b'C';
    assert!(matches!(judge_hand_out(&site.trust, &changed), Err(IncidentError::Cose(_))));
    // a late repetition does not open it again; the same alert firing anew is another incident, in the room that is free
    let (status, same) = open(&api, &firing).await;
    assert_eq!((status, same.incident), (StatusCode::OK, incident.incident));
    let (status, next) = open(&api, &group("g", "trading", "firing", "2026-11-22T11:00:00Z")).await;
    assert_eq!((status, next.state), (StatusCode::CREATED, IncidentState::Open));
}
