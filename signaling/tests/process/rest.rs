//! The REST interface of the running process: tokens, problems, pages, tags, idempotency, webhooks that are signed and come
//! again, and a real meeting that is announced, seen, thinned out and ended.

use crate::edge::{admitted, hello, link, next_refusal};
use crate::site::{Running, Site, free_port};
use domain::message::client::ProblemCode;
use domain::message::rest::{MeetingInfo, MeetingState, Page, ParticipantInfo, RestProblem, RoomInfo, StatementInfo};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Three times what any answer here may take.
const PATIENCE: Duration = Duration::from_secs(30);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Tokens are their client's name and `-token`.
fn clients() -> Value {
    let hash = |name: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{name}-token").as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let all = [
        "rooms:read",
        "meetings:read",
        "meetings:write",
        "participants:read",
        "participants:write",
        "statements:read",
        "statements:write",
        "webhooks:write",
        "incidents:read",
        "incidents:write",
    ];
    json!([
        { "name": "operator", "token_sha256": hash("operator"), "scopes": all },
        { "name": "bank-a", "firm": "bank-a", "token_sha256": hash("bank-a"), "scopes": all },
        { "name": "bank-z", "firm": "bank-z", "token_sha256": hash("bank-z"), "scopes": all },
        { "name": "reader", "token_sha256": hash("reader"), "scopes": ["rooms:read"] },
    ])
}

pub struct Api {
    pub site: Site,
    pub running: Running,
    base: String,
    http: reqwest::Client,
}

impl Api {
    /// A process with `[rest]` and what is added to it.
    pub fn start(more: &str) -> Self {
        let (site, port) = (Site::new(), free_port());
        site.write("clients.json", clients().to_string());
        site.write("hook.secret", SECRET);
        let rest = format!(
            "[rest]\nlisten = \"127.0.0.1:{port}\"\nclients = \"clients.json\"\n\
             fronts = {{ bank-a = \"https://meet.bank-a.example\" }}\n{more}"
        );
        site.configure(free_port(), free_port(), &rest);
        let running = site.start();
        Self { site, running, base: format!("http://127.0.0.1:{port}"), http: reqwest::Client::new() }
    }

    /// Where something is.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn ask(&self, method: Method, path: &str, client: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(format!("{client}-token"))
    }

    pub async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        self.ask(Method::GET, path, "operator").send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> reqwest::Response {
        self.ask(Method::POST, path, "operator").json(&body).send().await.unwrap()
    }

    /// Asks until it is so.
    pub async fn until<T: serde::de::DeserializeOwned>(&self, path: &str, is: impl Fn(&T) -> bool) -> T {
        // a fifth of what a client may ask
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        let asked = async {
            loop {
                let now: T = self.get(path).await;
                if is(&now) {
                    return now;
                }
                looks.tick().await;
            }
        };
        timeout(PATIENCE, asked).await.expect("in time")
    }
}

pub async fn refused(request: reqwest::RequestBuilder, status: StatusCode, code: &str) {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), status, "{code}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let retry = answer.headers().contains_key("retry-after");
    let problem: RestProblem = answer.json().await.unwrap();
    assert_eq!(problem.kind, format!("urn:strongroom:problem:{code}"));
    assert_eq!(problem.status, status.as_u16());
    assert_eq!(retry, ["rate-limited", "unavailable"].contains(&code));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_scopes_and_its_firm_say_and_nothing_else() {
    let api = Api::start("");
    let stranger = reqwest::Client::new().get(format!("{}/v1/rooms", api.base));
    refused(stranger, StatusCode::UNAUTHORIZED, "unauthorized").await;
    refused(api.ask(Method::GET, "/v1/rooms", "nobody"), StatusCode::UNAUTHORIZED, "unauthorized").await;
    refused(api.ask(Method::GET, "/v1/meetings", "reader"), StatusCode::FORBIDDEN, "forbidden").await;
    refused(api.ask(Method::GET, "/v1/rooms/deal-room", "bank-z"), StatusCode::NOT_FOUND, "not-found").await;
    refused(api.ask(Method::GET, "/v1/rooms/no-room", "operator"), StatusCode::NOT_FOUND, "not-found").await;
    refused(api.ask(Method::GET, "/v1/nothing", "operator"), StatusCode::NOT_FOUND, "not-found").await;
    refused(api.ask(Method::PATCH, "/v1/rooms", "operator"), StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed")
        .await;
    refused(api.ask(Method::GET, "/v1/rooms?limit=0", "operator"), StatusCode::BAD_REQUEST, "bad-message").await;
    let page: Page<RoomInfo> = api.get("/v1/rooms?limit=1").await;
    assert_eq!(page.items[0].members.len(), 1);
    let none: Page<RoomInfo> = api.ask(Method::GET, "/v1/rooms", "bank-z").send().await.unwrap().json().await.unwrap();
    assert!(none.items.is_empty());
    let plain = api.ask(Method::POST, "/v1/rooms/deal-room/meetings", "operator").body("{}");
    refused(plain, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type").await;
    let shape = api.ask(Method::POST, "/v1/rooms/deal-room/meetings", "operator").json(&json!({ "colour": 1 }));
    refused(shape, StatusCode::BAD_REQUEST, "bad-message").await;
    // the participants' listener has none of it
    let public = reqwest::get(format!("http://127.0.0.1:{}/v1/rooms", api.running.port)).await.unwrap();
    assert_eq!(public.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_fast_is_told_when_to_come_again() {
    let api = Api::start("");
    let mut limited = None;
    for _ in 0..2_000 {
        let answer = api.ask(Method::GET, "/v1/webhooks", "reader").send().await.unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            limited = Some(answer.headers()["retry-after"].clone());
            break;
        }
    }
    assert_eq!(limited.expect("a limit"), "1");
    // each client has its own
    assert_eq!(api.ask(Method::GET, "/v1/rooms", "operator").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_taken_when_it_judges_well_and_names_what_it_replaces() {
    let api = Api::start("");
    let path = "/v1/rooms/deal-room/statements/bank-a";
    let answer = api.ask(Method::GET, path, "bank-a").send().await.unwrap();
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let first: StatementInfo = answer.json().await.unwrap();
    assert_eq!((first.serial, format!("\"{}\"", first.hash)), (1, tag.clone()));
    let same = api.ask(Method::GET, path, "bank-a").header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    let signed = |serial| json!({ "signed": domain::B64(crate::site::signed(serial)) });
    let put = |body: &Value| api.ask(Method::PUT, path, "bank-a").json(body);
    refused(put(&signed(2)), StatusCode::PRECONDITION_REQUIRED, "precondition-required").await;
    refused(put(&signed(2)).header("if-none-match", "*"), StatusCode::PRECONDITION_FAILED, "precondition-failed").await;
    refused(put(&signed(2)).header("if-match", "\"00\""), StatusCode::PRECONDITION_FAILED, "precondition-failed").await;
    let mut forged = crate::site::signed(2);
    *forged.last_mut().unwrap() ^= 1;
    let forged = json!({ "signed": domain::B64(forged) });
    refused(put(&forged).header("if-match", &tag), StatusCode::UNPROCESSABLE_ENTITY, "bad-signature").await;
    refused(put(&signed(0)).header("if-match", &tag), StatusCode::CONFLICT, "conflict").await;
    let foreign = api.ask(Method::PUT, "/v1/rooms/deal-room/statements/bank-b", "bank-a").json(&signed(2));
    refused(foreign, StatusCode::FORBIDDEN, "forbidden").await;
    let taken = put(&signed(2)).header("if-match", &tag).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::OK);
    let stale = put(&signed(3)).header("if-match", &tag);
    refused(stale, StatusCode::PRECONDITION_FAILED, "precondition-failed").await;
    let all: Page<StatementInfo> = api.get("/v1/rooms/deal-room/statements").await;
    assert_eq!(all.items.iter().map(|one| one.serial).collect::<Vec<_>>(), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_gives_its_first_answer_again_and_takes_no_other_request() {
    let api = Api::start("");
    let announce = |client, key, body: Value| {
        let asked = api.ask(Method::POST, "/v1/rooms/deal-room/meetings", client).json(&body);
        asked.header("idempotency-key", key)
    };
    let first = announce("operator", "k1", json!({})).send().await.unwrap();
    assert_eq!(first.status(), StatusCode::CREATED);
    let location = first.headers()["location"].clone();
    let first: MeetingInfo = first.json().await.unwrap();
    let again = announce("operator", "k1", json!({})).send().await.unwrap();
    assert_eq!((again.status(), &again.headers()["location"]), (StatusCode::CREATED, &location));
    assert_eq!(again.json::<MeetingInfo>().await.unwrap(), first);
    let other = announce("operator", "k1", json!({ "x": 1 }));
    refused(other, StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch").await;
    // without it the second announcement is one too many; another client's key of the same name is its own
    refused(announce("operator", "k2", json!({})), StatusCode::CONFLICT, "conflict").await;
    refused(announce("bank-a", "k1", json!({})), StatusCode::CONFLICT, "conflict").await;
    refused(announce("operator", "", json!({})), StatusCode::BAD_REQUEST, "bad-message").await;
    assert_eq!(first.links["bank-a".parse().as_ref().unwrap()], "https://meet.bank-a.example/?room=deal-room");
    let page: Page<MeetingInfo> = api.get("/v1/meetings?state=announced").await;
    assert_eq!(page.items, [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_meeting_runs_under_its_id_is_seen_thinned_out_and_ended() {
    let api = Api::start("");
    let announced: MeetingInfo = api.post("/v1/rooms/deal-room/meetings", json!({})).await.json().await.unwrap();
    let mut sfu = link(&api.site, &api.running, Some(&api.site.operator)).await.unwrap();
    crate::edge::say(&mut sfu, &hello()).await;
    let anna = api.site.firm.member("bank-a/anna/d1");
    let mut page = admitted(&api.site, &api.running, &anna).await;
    let path = format!("/v1/meetings/{}", announced.meeting);
    let running: MeetingInfo = api.until(&path, |one: &MeetingInfo| one.state == MeetingState::Running).await;
    assert_eq!(running.created_at, announced.created_at);
    let people: Page<ParticipantInfo> = api.get(&format!("{path}/participants")).await;
    assert_eq!(people.items.iter().map(|one| one.user.as_str()).collect::<Vec<_>>(), ["anna"]);
    let out = |client, user| api.ask(Method::DELETE, &format!("{path}/participants/bank-a/{user}"), client);
    refused(out("bank-z", "anna"), StatusCode::NOT_FOUND, "not-found").await;
    refused(out("operator", "nobody"), StatusCode::NOT_FOUND, "not-found").await;
    assert_eq!(out("bank-a", "anna").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(next_refusal(&mut page).await, ProblemCode::Removed);
    api.until(&path, |one: &MeetingInfo| one.state == MeetingState::Ended).await;
    // the next one is another, and ends for all when it is told to
    let mut page = admitted(&api.site, &api.running, &anna).await;
    let list: Page<MeetingInfo> =
        api.until("/v1/meetings?state=running", |l: &Page<MeetingInfo>| !l.items.is_empty()).await;
    let ended = api.post(&format!("/v1/meetings/{}/end", list.items[0].meeting), json!(null)).await;
    assert_eq!(ended.json::<MeetingInfo>().await.unwrap().state, MeetingState::Ended);
    assert_eq!(next_refusal(&mut page).await, ProblemCode::Removed);
}

/// One request as a receiver reads it, answered with `status`: headers and body.
async fn receive(listener: &TcpListener, status: &str) -> (String, Vec<u8>) {
    let (mut socket, _) = timeout(PATIENCE, listener.accept()).await.expect("in time").unwrap();
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length: usize =
                length.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                socket.write_all(answer.as_bytes()).await.unwrap();
                return (head.to_ascii_lowercase(), body.as_bytes()[..length].to_vec());
            }
        }
        assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "closed in the middle");
    }
}

fn value<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_signed_until_it_takes_it_and_once_more_when_asked() {
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", receiver.local_addr().unwrap());
    let hook = |name: &str, more: &str| {
        format!(
            "[[rest.webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret_file = \"hook.secret\"\nfirst_retry_ms = 10\n{more}\n"
        )
    };
    let quiet = hook("bank-z", "reach = \"private\"\nfirm = \"bank-z\"");
    let api = Api::start(&format!("{}{quiet}", hook("desk", "reach = \"private\"")));
    assert!(api.post("/v1/rooms/deal-room/meetings", json!({})).await.status().is_success());
    let (first, body) = receive(&receiver, "500 Broken").await;
    let (second, same) = receive(&receiver, "204 No Content").await;
    let id = value(&first, "webhook-id").to_owned();
    assert_eq!((value(&second, "webhook-id"), &same), (id.as_str(), &body), "the same message under the same id");
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["type"], "meeting.announced");
    assert_eq!(event["data"]["links"]["bank-a"], "https://meet.bank-a.example/?room=deal-room");
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &SECRET[6..]).unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    let signed = [format!("{id}.{}.", value(&second, "webhook-timestamp")).as_bytes(), &body].concat();
    // the header's case is lost in `receive`: compared so
    let mac = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, aws_lc_rs::hmac::sign(&key, &signed));
    assert_eq!(value(&second, "webhook-signature"), format!("v1,{mac}").to_ascii_lowercase());
    api.until("/v1/webhooks", |l: &Value| l["items"][0]["delivered"] == 1).await;
    let asked = api.post("/v1/webhooks/desk/replay", json!({ "since": 0 })).await;
    assert_eq!(asked.json::<Value>().await.unwrap(), json!({ "messages": 1 }));
    let (third, _) = receive(&receiver, "204 No Content").await;
    assert_eq!(value(&third, "webhook-id"), id);
    // by command, beside the running process
    let mut command = api.site.command("replay-webhook");
    assert!(command.args(["--name", "desk", "--since", "0"]).status().unwrap().success());
    let (fourth, _) = receive(&receiver, "204 No Content").await;
    assert_eq!(value(&fourth, "webhook-id"), id);
    let counts: Value = api.get("/v1/webhooks").await;
    assert_eq!(counts["items"][1], json!({ "name": "bank-z", "waiting": 0, "delivered": 0, "dead": 0, "attempts": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_never_reaches_this_machine_unless_its_configuration_says_so() {
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = receiver.local_addr().unwrap().port();
    let hook = format!(
        "[[rest.webhooks]]\nname = \"desk\"\nurl = \"https://localhost:{port}/\"\nsecret_file = \"hook.secret\"\nfirst_retry_ms = 1\n"
    );
    let api = Api::start(&hook);
    assert!(api.post("/v1/rooms/deal-room/meetings", json!({})).await.status().is_success());
    // attempts are made and fail, and not one connection was made
    let log = api.until("/v1/webhooks", |l: &Value| l["items"][0]["attempts"].as_u64() >= Some(4));
    tokio::select! {
        connected = receiver.accept() => panic!("it was reached: {connected:?}"),
        _ = log => {}
    }
}
