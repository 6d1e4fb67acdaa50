//! Symphony rooms, at a fake made from the published shapes of its APIs.

use crate::suite::{Place, conformance};
use async_trait::async_trait;
use domain::RoomId;
use room_servers::symphony::{ACCOUNT, Owner, Symphony as Fake};
use serde_json::json;
use signaling_store::outside::{JOURNAL, room_id};
use signaling_store::symphony::{Symphony, SymphonyConfig};
use signaling_store::{Change, Member, Role, RoomDirectory};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

struct Pod {
    fake: Fake,
    directory: Arc<Symphony>,
    rooms: Mutex<BTreeMap<RoomId, String>>,
}

fn email(member: &Member) -> String {
    format!("{}@{}.test", member.user.as_str(), member.firm)
}

impl Pod {
    async fn start() -> Self {
        let fake = Fake::start().await.unwrap();
        let config: SymphonyConfig = serde_json::from_value(json!({
            "pod": fake.url(), "agent": fake.url(), "key_manager": fake.url(), "account": ACCOUNT,
            "key_file": fake.key_file(), "companies": { "1": "bank-a", "2": "bank-b" },
        }))
        .unwrap();
        Self { fake, directory: Symphony::open(config).unwrap(), rooms: Mutex::default() }
    }

    fn native(&self, room: &RoomId) -> String {
        self.rooms.lock().unwrap()[room].clone()
    }
}

#[async_trait]
impl Place for Pod {
    fn directory(&self) -> Arc<dyn RoomDirectory> {
        self.directory.clone()
    }
    async fn make(&self, title: &str, members: &[Member]) -> RoomId {
        let native = format!("usnBKBkH_BVrGOiVpaupEH___okFfE7Q{}", self.rooms.lock().unwrap().len());
        let room = room_id('s', &native);
        self.fake.make(&native, title);
        self.rooms.lock().unwrap().insert(room.clone(), native);
        for member in members {
            self.add(&room, member).await;
        }
        room
    }
    async fn add(&self, room: &RoomId, member: &Member) {
        let company = if member.firm.as_str() == "bank-a" { 1 } else { 2 };
        let owner = if member.role == Role::Host { Owner::Yes } else { Owner::No };
        self.fake.join(&self.native(room), company, &email(member), owner).unwrap();
    }
    async fn remove(&self, room: &RoomId, member: &Member) {
        self.fake.leave(&self.native(room), &email(member)).unwrap();
    }
    async fn promote(&self, room: &RoomId, member: &Member) {
        self.fake.promote(&self.native(room), &email(member)).unwrap();
    }
    async fn rename(&self, room: &RoomId, title: &str) {
        self.fake.rename(&self.native(room), title).unwrap();
    }
    async fn close(&self, room: &RoomId) {
        self.fake.deactivate(&self.native(room)).unwrap();
    }
    async fn overflow(&self, room: &RoomId) {
        (0..=JOURNAL).for_each(|n| self.fake.rename(&self.native(room), &n.to_string()).unwrap());
    }
    async fn posted(&self, room: &RoomId) -> Vec<String> {
        self.fake.said(&self.native(room))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_in_symphony() {
    conformance("symphony", &Pod::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_is_begun_anew_and_a_feed_that_was_forgotten_is_a_reset() {
    let pod = Pod::start().await;
    let anna = crate::suite::member("bank-a", "anna", Role::Host);
    let room = pod.make("Project Alder", std::slice::from_ref(&anna)).await;
    let cursor = pod.directory.changes(None).await.unwrap().cursor;
    pod.fake.expire_sessions();
    assert_eq!(pod.directory.room(&room).await.unwrap().unwrap().members, std::slice::from_ref(&anna));
    pod.fake.expire_sessions();
    pod.remove(&room, &anna).await;
    let batch = pod.directory.changes(Some(&cursor)).await.unwrap();
    assert_eq!(batch.changes, [Change::Room(room)]);
    pod.fake.forget_feed();
    let batch = pod.directory.changes(Some(&batch.cursor)).await.unwrap();
    assert_eq!(batch.changes, [Change::Reset]);
}
