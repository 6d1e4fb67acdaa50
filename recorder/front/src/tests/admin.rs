//! The administrators' pages: who reaches them, what a change of a statement needs, and what it never gives.

use super::kit::{MEETING, NOW, Person, Town, firm};
use crate::admin::draft::blank;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use domain::B64;
use domain::limits::CONSENT_MAX_AGE_MS;
use domain::message::admin::{DraftAnswer, RoomPolicy, StatedRooms};
use domain::message::custody::LeafRole;
use domain::message::rest::{Page, PutStatement, StatementInfo};
use domain::policy::{Rule, Statement};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const ENDPOINTS: [(&str, &str); 12] = [
    ("GET", "/api/admin/rooms"),
    ("GET", "/api/admin/rooms/deal-room"),
    ("POST", "/api/admin/rooms/deal-room/draft"),
    ("POST", "/api/admin/rooms/deal-room/proposals"),
    ("DELETE", "/api/admin/rooms/deal-room/proposals/x"),
    ("POST", "/api/admin/rooms/deal-room/proposals/x/approval"),
    ("POST", "/api/admin/rooms/deal-room/handing"),
    ("GET", "/api/admin/firms"),
    ("GET", "/api/admin/custody"),
    ("GET", "/api/admin/forecast?hours=10"),
    ("GET", "/api/admin/ledger"),
    ("GET", "/api/admin/health"),
];

async fn ask(town: &Town, (method, path): (&str, &str), session: Option<&str>, body: &Value) -> (u16, Value) {
    let request = match method {
        "GET" => town.get(path),
        "DELETE" => town.delete(path),
        _ => town.post(path).json(body),
    };
    let request = if let Some(session) = session { request.bearer_auth(session) } else { request };
    let answer = request.send().await.expect("sent");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// Two administrators of a firm that wants both.
struct Desk {
    town: Town,
    adam: Person,
    alma: Person,
}

impl Desk {
    async fn new() -> Self {
        let town = Town::with(|config| config.administration.administrators = 2).await;
        let administrator = |user| Person::new(user, LeafRole::Administrator);
        Self { town, adam: administrator("adam"), alma: administrator("alma") }
    }

    /// What the front would have signed for a change to this rule.
    async fn draft(&self, rule: Rule) -> Statement {
        let wanted = Statement {
            audio_video: rule,
            ..blank(&firm(), &"deal-room".parse().expect("an id"), &self.town.app.trust, NOW)
        };
        let body = json!({"language": "en", "statement": serde_json::to_value(wanted).expect("JSON")});
        let session = self.town.session(&self.adam);
        let (status, answer) =
            ask(&self.town, ("POST", "/api/admin/rooms/deal-room/draft"), Some(&session), &body).await;
        assert_eq!(status, 200, "{answer}");
        serde_json::from_value::<DraftAnswer>(answer).expect("an answer").statement
    }

    async fn send(&self, who: &Person, path: &str, signed: Vec<u8>) -> (u16, Value) {
        let path = format!("/api/admin/rooms/deal-room/proposals{path}");
        ask(&self.town, ("POST", &path), Some(&self.town.session(who)), &json!({"consent": B64(signed)})).await
    }

    async fn propose(&self, statement: &Statement) -> (u16, Value) {
        self.send(&self.adam, "", self.adam.consent(statement)).await
    }

    async fn approve(&self, who: &Person, statement: &Statement) -> (u16, Value) {
        let id = hex::encode(evidence::sha256(&evidence::statement::encode(statement)));
        self.send(who, &format!("/{id}/approval"), who.consent(statement)).await
    }
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn only_the_firms_own_administrators_reach_their_pages() {
    let town = Town::new().await;
    let session = |user, role| town.session(&Person::new(user, role));
    let own = session("adam", LeafRole::Administrator);
    let strangers = [session("anna", LeafRole::Member), session("carol", LeafRole::Compliance)];
    // the trust map has one firm: what a partner's administrator would be is made from ours
    let adam = Person::new("adam", LeafRole::Administrator);
    let mut other = evidence::identity::judge(&town.app.trust, &adam.leaf, NOW.seconds()).expect("a good leaf");
    other.participant.firm = "bank-b".parse().expect("an id");
    let other = town.app.sessions.begin(&other, NOW);
    for at in ENDPOINTS {
        let body = if at.1.ends_with("draft") { draft_body() } else { json!({"consent": "AAAA"}) };
        assert_eq!(ask(&town, at, None, &body).await.0, 401, "{at:?}");
        assert_eq!(ask(&town, at, Some("guess"), &body).await.0, 401, "{at:?}");
        for stranger in strangers.iter().chain([&other]) {
            assert_eq!(ask(&town, at, Some(stranger), &body).await.0, 403, "{at:?}");
        }
        if at.0 == "GET" {
            assert_eq!(ask(&town, at, Some(&own), &body).await.0, 200, "{at:?}");
        }
    }
    assert_eq!(town.log.opened.load(std::sync::atomic::Ordering::Relaxed), 0, "nothing of it opens a meeting");
}

fn draft_body() -> Value {
    let statement = json!({"version": 2, "serial": 1, "firm": "bank-a", "room": "deal-room", "audio_video": "must",
        "chat": "off", "files": "off", "tier": "full", "retention_years": 7, "recorder_grace_ms": 10_000,
        "archive_key_ids": [], "issued_at": 0});
    json!({"language": "en", "statement": statement})
}

#[tokio::test]
async fn an_administrator_opens_no_meeting_and_reads_no_officers_case() {
    let town = Town::new().await;
    let (_, id) = town.approved().await;
    let adam = town.session(&Person::new("adam", LeafRole::Administrator));
    for at in [("POST", &*format!("/api/requests/{id}/open")), ("POST", &*format!("/api/requests/{id}/bundle"))] {
        assert_eq!(ask(&town, at, Some(&adam), &json!({})).await.0, 403, "{at:?}");
    }
    let (status, page) = ask(&town, ("GET", "/api/admin/ledger"), Some(&adam), &json!({})).await;
    assert_eq!((status, page["verified"].as_u64()), (200, Some(2)), "{page}");
    let actions: Vec<_> = page["rows"].as_array().expect("rows").iter().map(|row| &row["event"]["action"]).collect();
    assert_eq!(actions, ["request", "approve"]);
    assert!(!page.to_string().contains("42") && !page.to_string().contains(MEETING), "{page}");
    assert_eq!(town.log.opened.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn under_four_eyes_a_change_waits_for_a_second_person_and_each_act_is_in_the_ledger_first() {
    let desk = Desk::new().await;
    let wanted = desk.draft(Rule::Must).await;
    assert_eq!((wanted.serial, wanted.version), (1, 2));
    let proposed = desk.propose(&wanted).await;
    assert_eq!(proposed.0, 200, "{}", proposed.1);
    assert!(proposed.1["history"].as_array().is_some_and(Vec::is_empty), "one person changes nothing");
    assert!(desk.town.log.consents.lock().expect("held briefly").is_empty(), "custody was not asked");
    assert_eq!(code(&desk.approve(&desk.adam, &wanted).await), (403, "two-persons"));
    let borrowed = desk.adam.consent(&wanted);
    let id = hex::encode(evidence::sha256(&evidence::statement::encode(&wanted)));
    assert_eq!(desk.send(&desk.alma, &format!("/{id}/approval"), borrowed).await.0, 403, "signed by somebody else");
    let mut other = wanted.clone();
    other.retention_years += 1;
    let swapped = desk.alma.consent(&other);
    assert_eq!(code(&desk.send(&desk.alma, &format!("/{id}/approval"), swapped).await), (409, "another-change"));
    let made = desk.approve(&desk.alma, &wanted).await;
    assert_eq!(made.0, 200, "{}", made.1);
    let policy: RoomPolicy = serde_json::from_value(made.1).expect("a room");
    let [version] = policy.history.as_slice() else { panic!("one version") };
    assert_eq!(version.by.iter().map(|user| user.as_str()).collect::<Vec<_>>(), ["adam", "alma"]);
    assert!(policy.proposal.is_none() && !version.handed);
    assert_eq!(version.statement, wanted);
    assert_eq!(desk.town.log.actions(), ["propose", "agree", "state"]);
    assert_eq!(*desk.town.log.consents.lock().expect("held briefly"), [2]);
    // people of the room see it at once
    let rooms = desk.town.app.rooms.of(&"anna".parse().expect("an id"));
    assert_eq!((rooms[0].audio_video.as_str(), rooms[0].statements.len()), ("must", 1));
}

#[tokio::test]
async fn a_change_over_a_version_that_was_replaced_and_one_that_comes_again_are_refused() {
    let desk = Desk::new().await;
    let first = desk.draft(Rule::Must).await;
    let late = Statement { retention_years: 9, ..first.clone() };
    desk.propose(&first).await;
    assert_eq!(code(&desk.propose(&late).await), (409, "waiting"));
    assert_eq!(desk.approve(&desk.alma, &first).await.0, 200);
    assert_eq!(code(&desk.propose(&late).await), (409, "stale"), "nobody writes over what he has not seen");
    assert_eq!(code(&desk.propose(&first).await), (409, "stale"), "made once");
    assert_eq!(code(&desk.approve(&desk.alma, &first).await), (409, "stale"));
    let second = desk.draft(Rule::Should).await;
    assert_eq!((second.serial, second.conditions.previous.is_some()), (2, true));
    desk.propose(&second).await;
    let id = hex::encode(evidence::sha256(&evidence::statement::encode(&second)));
    let path = format!("/api/admin/rooms/deal-room/proposals/{id}");
    let session = desk.town.session(&desk.alma);
    assert_eq!(ask(&desk.town, ("DELETE", &path), Some(&session), &json!({})).await.0, 200);
    assert_eq!(code(&desk.propose(&second).await), (409, "over"), "a withdrawn change does not come back");
    assert_eq!(code(&desk.approve(&desk.alma, &second).await), (409, "stale"));
    assert_eq!(desk.town.log.actions(), ["propose", "agree", "state", "propose", "withdraw"]);
}

#[tokio::test]
async fn a_statement_of_another_firm_room_or_time_and_one_without_the_ledger_are_refused() {
    let desk = Desk::new().await;
    let wanted = desk.draft(Rule::Must).await;
    let foreign = Statement { firm: "bank-b".parse().expect("an id"), ..wanted.clone() };
    assert_eq!(code(&desk.propose(&foreign).await), (403, "other-firm"));
    let elsewhere = Statement { room: "other-room".parse().expect("an id"), ..wanted.clone() };
    assert_eq!(desk.propose(&elsewhere).await.0, 400);
    let unknown_key = Statement { archive_key_ids: vec!["ab".repeat(32)], ..wanted.clone() };
    assert_eq!(desk.propose(&unknown_key).await.0, 400);
    let out_of_range = Statement { recorder_grace_ms: 1, ..wanted.clone() };
    assert_eq!(desk.propose(&out_of_range).await.0, 400);
    let member = Person::new("adam", LeafRole::Member);
    assert_eq!(desk.send(&desk.adam, "", member.consent(&wanted)).await.0, 403, "not by that certificate");
    desk.town.log.dead.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(desk.propose(&wanted).await.0, 503);
    desk.town.log.dead.store(false, std::sync::atomic::Ordering::Relaxed);
    let session = desk.town.session(&desk.adam);
    let (_, room) = ask(&desk.town, ("GET", "/api/admin/rooms/deal-room"), Some(&session), &json!({})).await;
    assert!(room["proposal"].is_null(), "what is not in the ledger does not wait");
    let old = Statement { issued_at: domain::UnixMillis(NOW.0 - CONSENT_MAX_AGE_MS - 1), ..wanted };
    assert_eq!(code(&desk.propose(&old).await), (409, "expired"));
}

#[tokio::test]
async fn a_draft_says_what_changes_who_would_be_refused_and_what_it_costs_and_keeps_nothing() {
    let town = Town::new().await;
    let session = town.session(&Person::new("adam", LeafRole::Administrator));
    let mut body = draft_body();
    (body["hours"], body["language"]) = (json!(100), json!("de"));
    let (status, answer) = ask(&town, ("POST", "/api/admin/rooms/deal-room/draft"), Some(&session), &body).await;
    assert_eq!(status, 200, "{answer}");
    let answer: DraftAnswer = serde_json::from_value(answer).expect("an answer");
    assert!(answer.changes.iter().any(|line| line.effect == "stricter"), "{:?}", answer.changes);
    let ben = answer.simulation.refused.iter().find(|row| row.user.as_str() == "ben").expect("ben is refused");
    assert!(ben.said.contains("bank-b") && ben.said.contains("Administration"), "{}", ben.said);
    assert_eq!(answer.cost.bytes_a_month, 396_000_000_000);
    assert_eq!(answer.notices.len(), 3);
    assert!(town.log.actions().is_empty());
    let (_, rooms) = ask(&town, ("GET", "/api/admin/rooms"), Some(&session), &json!({})).await;
    let rooms: StatedRooms = serde_json::from_value(rooms).expect("rooms");
    assert!(rooms.rooms[0].present.is_none() && !rooms.handing && rooms.administrators == 1);
}

/// What a stand-in for signaling was given.
type Given = Arc<Mutex<Vec<(Option<String>, Vec<u8>)>>>;

fn listed(given: &Given) -> Vec<StatementInfo> {
    let row = |(_, signed): &(Option<String>, Vec<u8>)| {
        let payload = evidence::cose::payload_unverified(signed).expect("signed");
        let statement: Statement = evidence::cbor::decode(&payload).expect("a statement");
        let hash = hex::encode(evidence::sha256(signed));
        StatementInfo {
            firm: statement.firm,
            room: statement.room,
            serial: statement.serial,
            signed: signed.clone().into(),
            hash,
        }
    };
    given.lock().expect("held briefly").last().map(row).into_iter().collect()
}

async fn take(State(given): State<Given>, headers: HeaderMap, Json(put): Json<PutStatement>) -> StatusCode {
    let condition = headers.get("if-match").map(|value| value.to_str().expect("text").trim_matches('"').to_owned());
    assert_eq!(headers["authorization"], "Bearer the-front");
    if condition != listed(&given).first().map(|present| present.hash.clone()) {
        return StatusCode::PRECONDITION_FAILED;
    }
    given.lock().expect("held briefly").push((condition, put.signed.0));
    StatusCode::OK
}

async fn newest(
    State(given): State<Given>,
    Path((_, firm)): Path<(String, String)>,
) -> Result<Json<StatementInfo>, StatusCode> {
    let found = listed(&given).into_iter().find(|row| row.firm.as_str() == firm);
    found.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Signaling's interface for programs, as far as a front uses it.
async fn signaling(given: Given) -> String {
    let page = async |State(given): State<Given>| Json(Page { items: listed(&given), next: None });
    let none = async || Json(Page::<Value> { items: Vec::new(), next: None });
    let router = Router::new()
        .route("/v1/rooms", get(none))
        .route("/v1/rooms/{room}/statements", get(page))
        .route("/v1/rooms/{room}/statements/{firm}", get(newest).put(take))
        .with_state(given);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = format!("http://signaling.localhost:{}", listener.local_addr().expect("bound").port());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn a_signed_statement_is_handed_to_signaling_in_its_order_also_after_an_answer_that_was_lost() {
    use std::os::unix::fs::PermissionsExt;
    let given = Given::default();
    let address = signaling(given.clone()).await;
    let folder = tempfile::tempdir().expect("folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "the-front").expect("written");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("set");
    let town = Town::with(|config| {
        config.administration.signaling = Some(address);
        config.administration.token_file = Some(token);
        config.administration.settle(std::path::Path::new("/front.toml")).expect("good");
    })
    .await;
    let desk = Desk {
        town,
        adam: Person::new("adam", LeafRole::Administrator),
        alma: Person::new("alma", LeafRole::Administrator),
    };
    let first = desk.draft(Rule::Must).await;
    let made = desk.propose(&first).await;
    assert_eq!((made.0, &made.1["history"][0]["handed"]), (200, &json!(true)), "{}", made.1);
    // as if the front had ended before it wrote down that signaling has it
    let handed = desk.town.app.config.archive.join("policy/deal-room.1.handed");
    std::fs::remove_file(&handed).expect("it was there");
    let second = desk.draft(Rule::Should).await;
    let made = desk.propose(&second).await;
    assert_eq!(
        (made.0, &made.1["history"][0]["handed"], &made.1["history"][1]["handed"]),
        (200, &json!(true), &json!(true))
    );
    let given = given.lock().expect("held briefly");
    assert_eq!(given.len(), 2, "the first is not there twice");
    assert_eq!(given[1].0, Some(hex::encode(evidence::sha256(&given[0].1))), "each replaces the one before");
}

#[test]
fn what_the_page_signs_is_what_custody_encodes() {
    let known: Value =
        serde_json::from_str(include_str!("../../../../web-demo/test/unit/statement.json")).expect("JSON");
    let statement: Statement = serde_json::from_value(known["statement"].clone()).expect("a statement");
    assert_eq!(hex::encode(evidence::statement::encode(&statement)), known["cbor"].as_str().expect("text"));
    // ... and the JSON that the page gets has the fields in the same order
    let told = serde_json::to_string(&statement).expect("JSON");
    let order =
        ["\"version\"", "\"audio_video\"", "\"pause\"", "\"conditions\"", "\"contact\"", "\"guests\"", "\"previous\""];
    let at: Vec<_> = order.iter().map(|key| told.find(key).expect("there")).collect();
    assert!(at.is_sorted(), "{told}");
}
