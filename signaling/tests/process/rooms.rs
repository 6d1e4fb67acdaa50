//! Rooms that change, and that cannot be read for a while, under running meetings: the real process, a real PostgreSQL.

use crate::edge::{greet, hello, link, meet, next, say};
use crate::rest::Api;
use crate::site::{Running, Site, free_port};
use domain::message::client::{ProblemCode, ToClient, ToServer};
use domain::message::control::ToSfu;
use domain::message::rest::{MeetingInfo, Page};
use p256::ecdsa::SigningKey;
use room_servers::postgres::Postgres;
use room_servers::synapse::{ID, SENDER, Synapse};
use serde_json::json;
use signaling_store::matrix::POLICY;
use signaling_store::outside::room_id;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use tokio_tungstenite::WebSocketStream;

type Tab = WebSocketStream<TcpStream>;
type Leaf = (SigningKey, Vec<u8>);

/// Three times the 2 s in which a change of membership must show.
const EFFECT: Duration = Duration::from_secs(6);

/// Comes until it is let in: an SFU's hello, or a database, may still be on its way.
async fn admitted(site: &Site, running: &Running, leaf: &Leaf) -> Tab {
    admitted_to(site, running, leaf, "deal-room").await
}

async fn admitted_to(site: &Site, running: &Running, leaf: &Leaf, room: &str) -> Tab {
    let mut pause = interval(Duration::from_millis(50));
    let coming = async {
        loop {
            pause.tick().await;
            let mut page = meet(running).await;
            if let Some(ToClient::Admitted { .. }) = greet(&mut page, site, leaf, room).await {
                return page;
            }
        }
    };
    timeout(Duration::from_secs(30), coming).await.expect("let in at last")
}

async fn refused(site: &Site, running: &Running, leaf: &Leaf) -> ProblemCode {
    match greet(&mut meet(running).await, site, leaf, "deal-room").await {
        Some(ToClient::Refusal(problem)) => problem.code,
        other => panic!("not refused: {other:?}"),
    }
}

async fn told_to_go(page: &mut Tab) -> ProblemCode {
    loop {
        match next(page).await {
            Some(ToClient::Refusal(problem)) => return problem.code,
            Some(_) => {}
            None => panic!("closed without a word"),
        }
    }
}

/// For `cargo xtask check rooms`.
fn effect(since: Instant) {
    println!("rooms: {}", json!({ "membership_effect_ms": since.elapsed().as_millis() as u64 }));
}

/// In the meeting as before: what is said is answered.
async fn alive(page: &mut Tab) {
    say(page, &ToServer::Ping {}).await;
    while !matches!(next(page).await.expect("still open"), ToClient::Pong {}) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_taken_out_of_the_room_is_out_of_the_meeting_and_the_room_is_told_of_it() {
    let site = Site::new();
    let running = site.start();
    let mut sfu = link(&site, &running, Some(&site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let mut page = admitted(&site, &running, &site.firm.member("bank-a/anna/d1")).await;
    let rooms = rusqlite::Connection::open(site.path("rooms.db")).unwrap();
    rooms.execute("DELETE FROM members WHERE user = 'anna'", []).unwrap();
    let removed = Instant::now();
    let code = timeout(EFFECT, told_to_go(&mut page)).await.expect("in time");
    assert_eq!(code, ProblemCode::Removed);
    effect(removed);
    loop {
        if let ToSfu::MeetingEnded { .. } = next(&mut sfu).await.expect("the link stands") {
            break;
        }
    }
    let mut looks = interval(Duration::from_millis(20));
    let said = || -> Vec<String> {
        let mut asked = rooms.prepare("SELECT kind FROM notices WHERE room = 'deal-room' ORDER BY id").unwrap();
        asked.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let told = async {
        while said() != ["meeting-started", "meeting-ended"] {
            looks.tick().await;
        }
    };
    timeout(EFFECT, told).await.unwrap_or_else(|_| panic!("the room was told {:?}", said()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_or_loses_the_hosts_role_in_the_directory_has_or_has_it_not_in_the_meeting() {
    let site = Site::new();
    let running = site.start();
    let mut sfu = link(&site, &running, Some(&site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let mut page = admitted(&site, &running, &site.firm.member("bank-a/anna/d1")).await;
    let rooms = rusqlite::Connection::open(site.path("rooms.db")).unwrap();
    for host in [false, true] {
        rooms.execute("UPDATE members SET host = ?1 WHERE user = 'anna'", [host]).unwrap();
        let changed = Instant::now();
        let told = async {
            loop {
                match next(&mut page).await.expect("still open") {
                    ToClient::RosterChanged { entry } if entry.host == host => return,
                    _ => {}
                }
            }
        };
        timeout(EFFECT, told).await.expect("in time");
        effect(changed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_ends_no_meeting_lets_nobody_in_and_is_used_again_by_itself() {
    let (site, mut database) = (Site::new(), Postgres::start().unwrap());
    let member = |user: &str| format!(r#"{{"firm":"bank-a","user":"{user}"}}"#);
    let members = [member("anna"), member("amy")].join(",");
    site.write("rooms.json", format!(r#"[{{"room":"deal-room","title":"Alder","members":[{members}]}}]"#));
    // rooms and records in one database
    let place = format!(
        "postgres = {{ url = \"{}\", password_file = \"{}\" }}",
        database.url(),
        database.password_file().display()
    );
    let both = format!("{place}\nseed = \"rooms.json\"\n[store]\n{place}");
    site.configure_rooms(free_port(), free_port(), "", &both);
    let running = site.start();
    let mut sfu = link(&site, &running, Some(&site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let (anna, amy) = (site.firm.member("bank-a/anna/d1"), site.firm.member("bank-a/amy/d1"));
    let mut page = admitted(&site, &running, &anna).await;

    database.stop();
    assert_eq!(refused(&site, &running, &amy).await, ProblemCode::RoomsUnavailable);
    alive(&mut page).await;
    // a connection that was lost meanwhile comes back into the meeting it was in
    let mut page = match greet(&mut meet(&running).await, &site, &anna, "deal-room").await {
        Some(ToClient::Admitted { .. }) => admitted(&site, &running, &anna).await,
        other => panic!("not let back in: {other:?}"),
    };

    database.go_on().unwrap();
    let back = Instant::now();
    let mut other = admitted(&site, &running, &amy).await;
    println!("let in {} ms after the database came back", back.elapsed().as_millis());
    alive(&mut page).await;
    database.sql(r#"DELETE FROM members WHERE "user" = 'amy'"#).unwrap();
    let removed = Instant::now();
    assert_eq!(timeout(EFFECT, told_to_go(&mut other)).await.expect("in time"), ProblemCode::Removed);
    effect(removed);
    assert_eq!(refused(&site, &running, &amy).await, ProblemCode::NotAMember);
    alive(&mut page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_away_end_no_meeting_let_nobody_in_and_are_as_they_were_when_they_are_back() {
    let mut database = Postgres::start().unwrap();
    let store = format!(
        "[store]\npostgres = {{ url = \"{}\", password_file = \"{}\" }}\n",
        database.url(),
        database.password_file().display()
    );
    let api = Api::start(&store);
    let (site, running) = (&api.site, &api.running);
    let mut sfu = link(site, running, Some(&site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let anna = site.firm.member("bank-a/anna/d1");
    let mut page = admitted(site, running, &anna).await;
    let running_now = |all: &Page<MeetingInfo>| all.items.len() == 1;
    let before: Page<MeetingInfo> = api.until("/v1/meetings?state=running", running_now).await;

    database.stop();
    // rooms can be read, the statements about them cannot
    assert_eq!(refused(site, running, &site.firm.member("bank-a/anna/d2")).await, ProblemCode::RoomsUnavailable);
    let asked = api.ask(reqwest::Method::GET, "/v1/meetings", "operator");
    crate::rest::refused(asked, reqwest::StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
    alive(&mut page).await;

    database.go_on().unwrap();
    let mut other = admitted(site, running, &site.firm.member("bank-a/anna/d2")).await;
    alive(&mut page).await;
    alive(&mut other).await;
    let after: Page<MeetingInfo> = api.until("/v1/meetings?state=running", running_now).await;
    assert_eq!(after.items, before.items);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_signaling_knows_statements_and_takes_the_place_of_the_one_before() {
    let site = Site::new();
    let old = site.start();
    let anna = site.firm.member("bank-a/anna/d1");
    let mut sfu = link(&site, &old, Some(&site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let Some(ToSfu::Fence { fence: first }) = next(&mut sfu).await else { panic!("no fence") };
    let mut page = admitted(&site, &old, &anna).await;
    // the folder that the statement came by is empty now
    std::fs::remove_file(site.path("statements/bank-a.deal-room.cose")).unwrap();
    site.configure(free_port(), free_port(), "");
    let new = site.start();
    let mut sfu = link(&site, &new, Some(&site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let Some(ToSfu::Fence { fence: second }) = next(&mut sfu).await else { panic!("no fence") };
    assert!(second > first, "an SFU refuses what the first one says from now on");
    admitted(&site, &new, &anna).await;
    // the first one is still there, and lets nobody in; who is in it goes on
    assert_eq!(refused(&site, &old, &site.firm.member("bank-a/anna/d2")).await, ProblemCode::RoomsUnavailable);
    alive(&mut page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sfu_whose_place_another_took_is_heard_no_more() {
    let site = Site::new();
    let running = site.start();
    let mut first = link(&site, &running, Some(&site.operator)).await.unwrap();
    say(&mut first, &hello()).await;
    let Some(ToSfu::Fence { fence: one }) = next(&mut first).await else { panic!("no fence") };
    let mut second = link(&site, &running, Some(&site.operator)).await.unwrap();
    say(&mut second, &hello()).await;
    let Some(ToSfu::Fence { fence: other }) = next(&mut second).await else { panic!("no fence") };
    assert!(other > one);
    assert!(next::<ToSfu, _>(&mut first).await.is_none(), "its link ends");
    admitted(&site, &running, &site.firm.member("bank-a/anna/d1")).await;
    assert!(matches!(next(&mut second).await, Some(ToSfu::Meeting { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_kicked_out_of_a_matrix_room_is_out_of_the_running_meeting() {
    let (site, synapse) = (Site::new(), Synapse::start().await.unwrap());
    let people = json!({ "people": { "@anna:rooms.test": { "firm": "bank-a", "user": "anna" } } });
    let native = synapse.room("Project Alder", &[], (POLICY, people)).await.unwrap();
    synapse.join(&native, "anna").await.unwrap();
    let room = room_id('m', &native);
    site.state(room.as_str());
    let [as_token, hs_token] = synapse.token_files();
    let matrix = format!(
        "[directory.matrix]\nhomeserver = \"{}\"\nid = \"{ID}\"\nsender = \"{SENDER}\"\nlisten = \"127.0.0.1:{}\"\n\
         as_token_file = \"{}\"\nhs_token_file = \"{}\"\n",
        synapse.url(),
        synapse.pushes_to,
        as_token.display(),
        hs_token.display()
    );
    site.configure_rooms(free_port(), free_port(), "", &matrix);
    let running = site.start();
    let mut sfu = link(&site, &running, Some(&site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let mut page = admitted_to(&site, &running, &site.firm.member("bank-a/anna/d1"), room.as_str()).await;
    synapse.kick(&native, "anna").await.unwrap();
    let kicked = Instant::now();
    assert_eq!(timeout(EFFECT, told_to_go(&mut page)).await.expect("in time"), ProblemCode::Removed);
    effect(kicked);
    let mut looks = interval(Duration::from_millis(50));
    let told = async {
        while synapse.said(&native).await.unwrap().len() < 2 {
            looks.tick().await;
        }
    };
    timeout(EFFECT, told).await.expect("the room is told that a meeting began and ended");
}
