//! Invitations over HTTP: who may leave one, what its link tells, where its calendar entry leads, what its code opens.

use super::access::csr;
use super::kit::{NOW, ORIGIN, Person, Town};
use domain::B64;
use domain::message::custody::LeafRole;
use domain::message::front::{EnrolledGuest, InvitationView};
use evidence::invitation::{Invitation, code_hash};
use p256::ecdsa::SigningKey;
use reqwest::StatusCode;
use serde_json::json;

const GUEST: &str = "guest-00112233445566aa";
const CODE: &str = "AB2CD3EF4G";

fn invitation(room: &str, guest: &str) -> Invitation {
    let guest: domain::UserId = guest.parse().expect("an id");
    Invitation {
        room: room.parse().expect("an id"),
        name: "Gus, Guest".into(),
        code_hash: code_hash(&guest, CODE),
        guest,
        issued_at: NOW,
        valid_from: NOW,
        valid_until: NOW.plus(3_600_000),
    }
}

async fn leave(town: &Town, by: &Person, signed: Vec<u8>) -> reqwest::Response {
    let session = town.session(by);
    let body = json!({ "invitation": B64(signed) });
    town.post("/api/invitations").bearer_auth(session).json(&body).send().await.expect("sent")
}

async fn enrol(town: &Town, code: &str, csr: &[u8]) -> reqwest::Response {
    let body = json!({ "invitation": GUEST, "code": code, "csr": B64(csr.to_vec()) });
    town.post("/enrol/guest").json(&body).send().await.expect("sent")
}

fn own_csr(seed: u8) -> Vec<u8> {
    csr(&SigningKey::from_slice(&[seed; 32]).expect("a scalar"))
}

#[tokio::test]
async fn a_members_invitation_tells_its_link_who_invites_where_and_when_and_a_calendar_leads_to_the_firms_own_page() {
    let town = Town::new().await;
    let anna = Person::new("anna", LeafRole::Member);
    let signed = anna.invites(&invitation("deal-room", GUEST));
    let answer = leave(&town, &anna, signed.clone()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let view: InvitationView = answer.json().await.expect("JSON");
    assert_eq!((view.title.as_str(), view.invited_by.as_str()), ("Project Alder", "anna"));
    assert_eq!(view.link, format!("{ORIGIN}/guest?i={GUEST}"), "the page of who invites, not signaling's");
    // whoever has the link sees that, and not what codes could be tried by
    let shown = town.get(&format!("/api/invitations/{GUEST}")).send().await.expect("sent").text().await.expect("text");
    assert!(shown.contains("Project Alder") && !shown.contains(&B64(signed).encode()));
    let calendar = town.get(&format!("/api/invitations/{GUEST}/meeting.ics")).send().await.expect("sent");
    assert_eq!(calendar.headers()["content-type"], "text/calendar; charset=utf-8");
    let calendar = calendar.text().await.expect("text").replace("\r\n ", "");
    assert!(calendar.contains(&format!("URL:{ORIGIN}/guest?i={GUEST}\r\n")), "{calendar}");
    assert!(calendar.contains("SUMMARY:Project Alder\r\n") && !calendar.contains(CODE), "{calendar}");
}

#[tokio::test]
async fn nobody_leaves_an_invitation_that_is_not_its_own_to_its_own_room() {
    let town = Town::new().await;
    let (anna, carol) = (Person::new("anna", LeafRole::Member), Person::new("carol", LeafRole::Compliance));
    let stranger = Person::new("zoe", LeafRole::Member);
    let good = invitation("deal-room", GUEST);
    let without = town.post("/api/invitations").json(&json!({ "invitation": B64(anna.invites(&good)) }));
    assert_eq!(without.send().await.expect("sent").status(), StatusCode::UNAUTHORIZED);
    let late = Invitation { valid_until: good.valid_from.plus(13 * 3_600_000), ..good.clone() };
    for (what, by, signed, status) in [
        ("an officer", &carol, carol.invites(&good), StatusCode::FORBIDDEN),
        ("another's", &anna, stranger.invites(&good), StatusCode::FORBIDDEN),
        ("no member of the room", &stranger, stranger.invites(&good), StatusCode::FORBIDDEN),
        ("to another room", &anna, anna.invites(&invitation("other-room", GUEST)), StatusCode::FORBIDDEN),
        ("for longer than a day's meeting", &anna, anna.invites(&late), StatusCode::BAD_REQUEST),
        ("garbage", &anna, vec![0; 99], StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(leave(&town, by, signed).await.status(), status, "{what}");
    }
    let none = town.get(&format!("/api/invitations/{GUEST}")).send().await.expect("sent");
    assert_eq!(none.status(), StatusCode::NOT_FOUND, "nothing of it was kept");
    // the second of one name does not replace the first
    assert!(leave(&town, &anna, anna.invites(&good)).await.status().is_success());
    let other = Invitation { name: "Somebody else".into(), ..good };
    assert!(!leave(&town, &anna, anna.invites(&other)).await.status().is_success());
    let shown = town.get(&format!("/api/invitations/{GUEST}")).send().await.expect("sent");
    assert_eq!(shown.json::<InvitationView>().await.expect("JSON").name, "Gus, Guest");
}

#[tokio::test]
async fn a_code_opens_an_invitation_for_one_device_as_long_as_it_holds() {
    let town = Town::new().await;
    let anna = Person::new("anna", LeafRole::Member);
    let signed = anna.invites(&invitation("deal-room", GUEST));
    let (first, second) = (own_csr(71), own_csr(72));
    assert_eq!(enrol(&town, CODE, &first).await.status(), StatusCode::NOT_FOUND, "nobody invited");
    leave(&town, &anna, signed.clone()).await;
    assert_eq!(enrol(&town, "WRONGCODE2", &first).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(enrol(&town, &"A".repeat(65), &first).await.status(), StatusCode::BAD_REQUEST);
    for _ in 0..2 {
        // an answer that was lost is given again
        let answer = enrol(&town, CODE, &first).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let enrolled: EnrolledGuest = answer.json().await.expect("JSON");
        let leaf = evidence::identity::judge(&town.app.trust, &enrolled.chain[0], NOW.seconds()).expect("a good leaf");
        assert_eq!((leaf.role, leaf.participant.user.as_str()), (LeafRole::Guest, GUEST));
        assert_eq!(enrolled.invitation.0, signed, "to be shown at the door");
    }
    let other = enrol(&town, CODE, &second).await;
    assert_eq!(other.status(), StatusCode::FORBIDDEN);
    assert!(other.text().await.expect("text").contains("code-used"));
    town.advance(3_600_001);
    assert_eq!(enrol(&town, CODE, &first).await.status(), StatusCode::NOT_FOUND, "it has ended");
}
