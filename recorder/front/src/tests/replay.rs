//! From request to bytes: two persons, the ledger first, ranges, the grant's end, damage, export.

use super::kit::{DURATION_MS, MEETING, NOW, Person, Town, person};
use crate::webm::tests::fixture;
use domain::message::custody::LeafRole;
use domain::{B64, MediaKind, UnixMillis};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

async fn post_request(town: &Town, who: &Person, session: &str) -> reqwest::Response {
    let body = json!({"request": B64(who.request(town.manifest_hash))});
    town.post("/api/requests").bearer_auth(session).json(&body).send().await.expect("sent")
}

async fn code(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.expect("a problem document");
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_meetings_list_shows_what_was_signed_and_says_what_is_damaged() {
    let town = Town::new().await;
    let session = town.session(&Person::new("carol", LeafRole::Compliance));
    let list = || async {
        town.get("/api/meetings").bearer_auth(&session).send().await.expect("sent").json::<Value>().await.expect("JSON")
    };
    let rows = list().await;
    assert_eq!(rows[0]["meeting"], MEETING);
    assert_eq!(rows[0]["integrity"], "verified");
    assert_eq!(rows[0]["manifest_hash"], B64(town.manifest_hash.to_vec()).encode());
    std::fs::remove_file(town.meeting.join("tracks/1/1.seg")).expect("removed");
    assert!(list().await[0]["integrity"].as_str().expect("text").contains("tracks/1/1.seg"));
    let mut signed = std::fs::read(town.meeting.join("meeting.cose")).expect("read");
    let middle = signed.len() / 2;
    signed[middle] ^= 1;
    std::fs::write(town.meeting.join("meeting.cose"), signed).expect("written");
    assert!(list().await[0]["integrity"].as_str().expect("text").contains("not signed"));
}

#[tokio::test]
async fn an_officer_cannot_approve_the_own_request_nor_sign_for_another() {
    let town = Town::new().await;
    let (carol, chris) = (Person::new("carol", LeafRole::Compliance), Person::new("chris", LeafRole::Compliance));
    let (as_carol, as_chris) = (town.session(&carol), town.session(&chris));
    assert_eq!(
        code(post_request(&town, &carol, &as_chris).await).await.0,
        403,
        "signed by another than who is signed in"
    );
    let row: Value = post_request(&town, &carol, &as_carol).await.json().await.expect("JSON");
    let id = row["id"].as_str().expect("an id");
    let request = carol.request(town.manifest_hash);
    let signed = B64::decode(row["signed"].as_str().expect("text")).expect("base64url").0;
    let approve = |approval: Vec<u8>, session: String| {
        town.post(&format!("/api/requests/{id}/approval"))
            .bearer_auth(session)
            .json(&json!({"approval": B64(approval)}))
            .send()
    };
    let own = approve(carol.approval(&signed, NOW.plus(60_000)), as_carol.clone()).await.expect("sent");
    assert_eq!(code(own).await, (403, "two-persons".to_owned()));
    let not_open = town.post(&format!("/api/requests/{id}/open")).bearer_auth(&as_carol).send().await.expect("sent");
    assert_eq!(code(not_open).await, (409, "not-approved".to_owned()));
    let borrowed = approve(chris.approval(&signed, NOW.plus(60_000)), as_carol.clone()).await.expect("sent");
    assert_eq!(borrowed.status(), 403);
    let other = approve(chris.approval(b"another request", NOW.plus(60_000)), as_chris.clone()).await.expect("sent");
    assert_eq!(other.status(), 400);
    let right = approve(chris.approval(&signed, NOW.plus(60_000)), as_chris.clone()).await.expect("sent");
    assert_eq!(right.status(), 200);
    let foreign = town.post(&format!("/api/requests/{id}/open")).bearer_auth(&as_chris).send().await.expect("sent");
    assert_eq!(foreign.status(), 403, "only the requester opens");
    assert_eq!(town.log.opened.load(Ordering::Relaxed), 0);
    assert!(!request.is_empty());
}

#[tokio::test]
async fn who_was_in_the_meeting_may_not_request_its_replay() {
    let town = Town::new().await;
    let anna = Person::new("anna", LeafRole::Compliance);
    let session = town.session(&anna);
    assert_eq!(code(post_request(&town, &anna, &session).await).await, (403, "in-roster".to_owned()));
    assert!(town.log.actions().is_empty());
}

#[tokio::test]
async fn requests_and_approvals_survive_a_restart() {
    let town = Town::new().await;
    let (_, id) = town.approved().await;
    let again = crate::review::requests::Requests::open(
        &town.folder.path().join("archive"),
        super::kit::firm(),
        &town.app.trust,
    )
    .expect("read");
    let stored = again.get(&id).expect("kept");
    assert_eq!(stored.row().approver.as_deref(), Some("chris"));
}

#[tokio::test]
async fn an_opened_meeting_plays_from_its_begin_with_every_frame_in_place() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let (opened, cookie) = town.open(&session, &id).await;
    assert_eq!(opened["duration_ms"], DURATION_MS);
    let lanes = opened["lanes"].as_array().expect("lanes");
    assert_eq!(lanes.len(), 2);
    assert_eq!((lanes[0]["name"].as_str(), lanes[1]["name"].as_str()), (Some("Anna Berg"), Some("Ben Cole")));
    assert_eq!(
        (&lanes[0]["from_ms"], &lanes[1]["from_ms"]),
        (&json!(0), &json!(2000)),
        "senders meet on one time line"
    );
    assert_eq!(opened["events"][0]["kind"], "join");
    for lane in lanes {
        let sent = town
            .get(lane["parts"][0]["src"].as_str().expect("text"))
            .header("Cookie", &cookie)
            .send()
            .await
            .expect("sent");
        assert_eq!(sent.status(), 200);
        assert_eq!(sent.headers()["content-type"], "video/webm");
        let bytes = sent.bytes().await.expect("bytes");
        let whole = |kind: MediaKind| {
            fixture()
                .into_iter()
                .filter(|(of, _)| *of == kind)
                .all(|(_, input)| bytes.windows(input.data.len()).any(|w| w == input.data.as_slice()))
        };
        assert!(whole(MediaKind::Audio) && whole(MediaKind::Video));
    }
}

#[tokio::test]
async fn the_ledger_has_each_step_before_its_bytes_and_reads_back_verified() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let (opened, cookie) = town.open(&session, &id).await;
    let src = opened["lanes"][0]["parts"][0]["src"].as_str().expect("text").to_owned();
    let range = |range: &'static str| town.get(&src).header("Cookie", &cookie).header("Range", range).send();
    let first = range("bytes=0-999").await.expect("sent");
    assert_eq!(first.status(), 206);
    assert!(first.headers()["content-range"].to_str().expect("text").starts_with("bytes 0-999/"));
    assert_eq!(first.bytes().await.expect("bytes").len(), 1000);
    range("bytes=1000-1999").await.expect("sent").bytes().await.expect("bytes");
    assert_eq!(town.log.actions(), ["request", "approve", "play"], "going on is not a new access");
    let jump = range("bytes=20000-").await.expect("sent");
    assert_eq!(jump.status(), 206);
    assert_eq!(town.log.actions(), ["request", "approve", "play", "seek"]);
    assert_eq!(range("bytes=999999999-").await.expect("sent").status(), 416);
    let event = json!({"grant": opened["grant"], "action": "seek", "at_ms": 1234});
    assert_eq!(town.post("/api/ledger").bearer_auth(&session).json(&event).send().await.expect("sent").status(), 204);
    let rows: Value =
        town.get("/api/ledger?from=0").bearer_auth(&session).send().await.expect("sent").json().await.expect("JSON");
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row["integrity"] == "verified"));
    assert_eq!(rows[2]["event"]["actor"], person("carol").uri());
    town.log.entries.lock().expect("held briefly").remove(1);
    let rows: Value =
        town.get("/api/ledger?from=0").bearer_auth(&session).send().await.expect("sent").json().await.expect("JSON");
    assert!(rows[1]["integrity"] != "verified" && rows[0]["integrity"] == "verified");
}

#[tokio::test]
async fn a_long_ledger_shows_its_newest_entries_and_what_was_read_before_cannot_be_rewritten() {
    let town = Town::new().await;
    let session = town.session(&Person::new("carol", LeafRole::Compliance));
    let rows = async |from: &str| -> Vec<Value> {
        let sent = town.get(&format!("/api/ledger{from}")).bearer_auth(&session).send().await.expect("sent");
        sent.json().await.expect("JSON")
    };
    town.log.fill(2_300);
    let newest = rows("").await;
    assert_eq!(
        (newest.len(), newest[0]["index"].as_u64(), newest[999]["index"].as_u64()),
        (1000, Some(1300), Some(2299))
    );
    assert!(newest.iter().all(|row| row["integrity"] == "verified"));
    let page = rows("?from=500").await;
    assert_eq!((page.len(), page[0]["index"].as_u64()), (1000, Some(500)));
    town.log.fill(1);
    assert_eq!(rows("").await[999]["index"], 2300, "reading goes on where it stood");
    // somebody with the ledger key writes another past: every signature and every link of it holds
    town.log.entries.lock().expect("held briefly").clear();
    town.log.fill_at(UnixMillis(NOW.0 + 1), 2_301);
    let past = rows("?from=0").await;
    assert_eq!(past[999]["integrity"], "verified", "a chain of its own");
    assert!(
        rows("?from=1").await.iter().any(|row| row["integrity"].as_str().is_some_and(|text| text.contains("earlier")))
    );
}

#[tokio::test]
async fn closing_a_replay_and_signing_out_wipe_it_at_once() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let path = format!("/api/requests/{id}/open");
    let (opened, cookie) = town.open(&session, &id).await;
    let src = opened["lanes"][0]["parts"][0]["src"].as_str().expect("text").to_owned();
    let lane = async || town.get(&src).header("Cookie", &cookie).send().await.expect("sent").status();
    let other = town.session(&Person::new("chris", LeafRole::Compliance));
    assert_eq!(town.delete(&path).bearer_auth(&other).send().await.expect("sent").status(), 204);
    assert_eq!(lane().await, 200, "another officer does not close it");
    assert_eq!(town.delete(&path).bearer_auth(&session).send().await.expect("sent").status(), 204);
    assert_eq!(lane().await, 404);
    let (opened, cookie) = town.open(&session, &id).await;
    let src = opened["lanes"][0]["parts"][0]["src"].as_str().expect("text").to_owned();
    assert_eq!(town.delete("/api/session").bearer_auth(&session).send().await.expect("sent").status(), 204);
    assert_eq!(town.get(&src).header("Cookie", &cookie).send().await.expect("sent").status(), 404);
    assert_eq!(town.get("/api/meetings").bearer_auth(&session).send().await.expect("sent").status(), 401);
    assert_eq!(town.delete("/api/session").bearer_auth(&session).send().await.expect("sent").status(), 401);
}

#[tokio::test]
async fn a_replay_ends_with_the_certificate_of_who_opened_it() {
    let town = Town::new().await;
    let (carol, chris) = (Person::new("carol", LeafRole::Compliance), Person::new("chris", LeafRole::Compliance));
    let (session, as_chris) = (town.session(&carol), town.session(&chris));
    let row: Value = post_request(&town, &carol, &session).await.json().await.expect("JSON");
    let signed = B64::decode(row["signed"].as_str().expect("text")).expect("base64url").0;
    let id = row["id"].as_str().expect("an id");
    let approval = json!({"approval": B64(chris.approval(&signed, NOW.plus(7_200_000)))});
    let sent = town.post(&format!("/api/requests/{id}/approval")).bearer_auth(&as_chris).json(&approval).send().await;
    assert_eq!(sent.expect("sent").status(), 200);
    let (opened, _) = town.open(&session, id).await;
    assert_eq!(opened["until"], NOW.plus(3_600_000 - 60_000).0, "the certificate's end, not the approval's");
}

#[tokio::test]
async fn what_does_not_fit_in_memory_is_refused_before_custody_opens_it() {
    let town = Town::with(|config| config.memory_mib = 1).await;
    let (session, id) = town.approved().await;
    let held = town.app.means.memory.hold(1).expect("free");
    let open =
        async || town.post(&format!("/api/requests/{id}/open")).bearer_auth(&session).send().await.expect("sent");
    assert_eq!(code(open().await).await, (429, "rate-limited".to_owned()));
    assert_eq!(town.log.opened.load(Ordering::Relaxed), 0);
    drop(held);
    assert_eq!(open().await.status(), 200);
    let small = Town::with(|config| config.memory_mib = 0).await;
    let (session, id) = small.approved().await;
    let sent = small.post(&format!("/api/requests/{id}/open")).bearer_auth(&session).send().await.expect("sent");
    assert_eq!(code(sent).await, (409, "too-large".to_owned()));
}

#[tokio::test]
async fn with_a_dead_ledger_no_byte_flows() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let (opened, cookie) = town.open(&session, &id).await;
    let src = opened["lanes"][0]["parts"][0]["src"].as_str().expect("text").to_owned();
    town.log.dead.store(true, Ordering::Relaxed);
    let refused = town.get(&src).header("Cookie", &cookie).send().await.expect("sent");
    assert_eq!(refused.status(), 503);
    assert!(refused.bytes().await.expect("bytes").windows(4).all(|w| w != [0x1a, 0x45, 0xdf, 0xa3]));
    for (path, body) in [
        ("/api/ledger".to_owned(), json!({"grant": opened["grant"], "action": "play", "at_ms": 0})),
        (format!("/api/requests/{id}/open"), json!({})),
    ] {
        assert_eq!(
            town.post(&path).bearer_auth(&session).json(&body).send().await.expect("sent").status(),
            503,
            "{path}"
        );
    }
    let dora = Person::new("dora", LeafRole::Compliance);
    let as_dora = town.session(&dora);
    assert_eq!(post_request(&town, &dora, &as_dora).await.status(), 503);
    assert_eq!(town.app.requests.list().len(), 1, "what the ledger did not take is not kept");
    town.log.dead.store(false, Ordering::Relaxed);
    assert_eq!(town.get(&src).header("Cookie", &cookie).send().await.expect("sent").status(), 200);
}

#[tokio::test]
async fn a_lane_wants_grant_and_cookie_and_ends_with_the_grant() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let (opened, cookie) = town.open(&session, &id).await;
    let src = opened["lanes"][0]["parts"][0]["src"].as_str().expect("text").to_owned();
    assert_eq!(town.get(&src).send().await.expect("sent").status(), 404, "the address alone opens nothing");
    assert_eq!(town.get(&src).bearer_auth(&session).send().await.expect("sent").status(), 404);
    let wrong = format!("{}x", cookie);
    assert_eq!(town.get(&src).header("Cookie", wrong).send().await.expect("sent").status(), 404);
    assert_eq!(
        town.get(&src.replace("/0-0.webm", "/7-0.webm")).header("Cookie", &cookie).send().await.expect("sent").status(),
        404
    );
    assert_eq!(town.get(&src).header("Cookie", &cookie).send().await.expect("sent").status(), 200);
    town.advance(600_000);
    assert_eq!(town.get(&src).header("Cookie", &cookie).send().await.expect("sent").status(), 404);
    town.advance(1);
    let late = town.post(&format!("/api/requests/{id}/open")).bearer_auth(&session).send().await.expect("sent");
    assert_eq!(late.status(), 403, "an old approval opens nothing");
}

#[tokio::test]
async fn the_cookie_is_for_this_grant_only_and_no_script_reads_it() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let sent = town.post(&format!("/api/requests/{id}/open")).bearer_auth(&session).send().await.expect("sent");
    let cookie = sent.headers()["set-cookie"].to_str().expect("text").to_owned();
    let opened: Value = sent.json().await.expect("JSON");
    assert!(cookie.contains("; HttpOnly; SameSite=Strict"));
    assert!(cookie.contains(&format!("; Path=/replay/{};", opened["grant"].as_str().expect("text"))));
}

#[tokio::test]
async fn nothing_of_a_damaged_segment_is_shown_and_the_file_is_named() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let path = town.meeting.join("tracks/2/1.seg");
    let mut bytes = std::fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let sent = town.post(&format!("/api/requests/{id}/open")).bearer_auth(&session).send().await.expect("sent");
    assert_eq!(sent.status(), 409);
    assert!(sent.text().await.expect("text").contains("tracks/2/1.seg"));
}

#[tokio::test]
async fn exports_need_an_open_grant_and_say_what_is_missing() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let post = || town.post("/api/exports").bearer_auth(&session).json(&json!({"request": id})).send();
    assert_eq!(code(post().await.expect("sent")).await, (409, "not-open".to_owned()));
    town.open(&session, &id).await;
    let (status, _) = code(post().await.expect("sent")).await;
    assert_eq!(status, 503, "no exporter is configured");
    assert_eq!(town.log.actions(), ["request", "approve"]);
}

/// A stand-in for the exporter: reads all frames, writes their number, speaks the protocol.
const EXPORTER: &str = "#!/usr/bin/python3\nimport sys,struct\nn=0\nwhile True:\n  h=sys.stdin.buffer.read(4)\n  if len(h)<4: break\n  sys.stdin.buffer.read(struct.unpack('>I',h)[0]); n+=1\nopen(sys.argv[3],'w').write('frames %d'%n)\nprint('{\"state\":\"done\",\"bytes\":9}')\n";

/// An interpreter in a sandbox on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn settled(town: &Town, session: &str, id: &str) -> Value {
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(10));
    while Instant::now() < deadline {
        look.tick().await;
        let state: Value = town
            .get(&format!("/api/exports/{id}"))
            .bearer_auth(session)
            .send()
            .await
            .expect("sent")
            .json()
            .await
            .expect("JSON");
        if !["queued", "running"].contains(&state["state"].as_str().unwrap_or_default()) {
            return state;
        }
    }
    panic!("the export neither ended nor failed");
}

#[tokio::test]
async fn an_export_runs_in_the_sandbox_is_in_the_ledger_and_leaves_nothing_behind() {
    let tools = tempfile::tempdir().expect("folder");
    let program = tools.path().join("exporter");
    std::fs::write(&program, EXPORTER).expect("written");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let exports = tools.path().join("exports");
    std::fs::create_dir(&exports).expect("made");
    let town = Town::with(|config| {
        config.export = Some(program.clone());
        config.exports = exports.clone();
    })
    .await;
    let (session, id) = town.approved().await;
    town.open(&session, &id).await;
    let begun: Value = town
        .post("/api/exports")
        .bearer_auth(&session)
        .json(&json!({"request": id}))
        .send()
        .await
        .expect("sent")
        .json()
        .await
        .expect("JSON");
    let job = begun["id"].as_str().unwrap_or_else(|| panic!("{begun}"));
    assert_eq!(town.log.actions(), ["request", "approve", "export"]);
    let done = settled(&town, &session, job).await;
    assert_eq!(done["state"], "done", "{done}");
    let href = done["href"].as_str().expect("an address");
    let other = town.session(&Person::new("chris", LeafRole::Compliance));
    assert_eq!(town.get(href).bearer_auth(other).send().await.expect("sent").status(), 404, "another officer's export");
    let copy = town.get(href).bearer_auth(&session).send().await.expect("sent").text().await.expect("text");
    let frames: u64 = copy.strip_prefix("frames ").and_then(|n| n.parse().ok()).expect("a number");
    assert!(frames > 2 + 2 * 240, "{frames}");
    assert_eq!(town.log.actions(), ["request", "approve", "export", "export"]);
    assert_eq!(std::fs::read_dir(&exports).expect("read").count(), 0, "the clear copy is not left in the file system");
    assert_eq!(
        town.delete(&format!("/api/exports/{job}")).bearer_auth(&session).send().await.expect("sent").status(),
        204
    );
    assert_eq!(town.get(href).bearer_auth(&session).send().await.expect("sent").status(), 404);
}
