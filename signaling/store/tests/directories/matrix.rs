//! Matrix rooms at a real Synapse, changed by their own people.

use crate::suite::{Place, conformance};
use async_trait::async_trait;
use domain::RoomId;
use reqwest::Method;
use room_servers::synapse::{HS_TOKEN, ID, SENDER, Synapse};
use serde_json::json;
use signaling_store::matrix::{Listening, Matrix, MatrixConfig, POLICY};
use signaling_store::outside::{JOURNAL, room_id};
use signaling_store::{Change, Member, Role, RoomDirectory};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{interval, timeout};

struct Homeserver {
    synapse: Synapse,
    directory: Arc<Matrix>,
    _listening: Listening,
    rooms: Mutex<BTreeMap<RoomId, String>>,
}

fn name(member: &Member) -> String {
    format!("{}.{}", member.firm, member.user.as_str())
}

impl Homeserver {
    async fn start() -> Self {
        let synapse = Synapse::start().await.unwrap();
        let [as_token_file, hs_token_file] = synapse.token_files();
        let config: MatrixConfig = serde_json::from_value(json!({
            "homeserver": synapse.url(), "id": ID, "sender": SENDER,
            "listen": format!("127.0.0.1:{}", synapse.pushes_to),
            "as_token_file": as_token_file, "hs_token_file": hs_token_file,
        }))
        .unwrap();
        let directory = Matrix::open(config).unwrap();
        let _listening = directory.listen().await.unwrap();
        Self { synapse, directory, _listening, rooms: Mutex::default() }
    }

    fn native(&self, room: &RoomId) -> String {
        self.rooms.lock().unwrap()[room].clone()
    }
}

#[async_trait]
impl Place for Homeserver {
    fn directory(&self) -> Arc<dyn RoomDirectory> {
        self.directory.clone()
    }

    async fn make(&self, title: &str, members: &[Member]) -> RoomId {
        let all = [("bank-a", "anna"), ("bank-a", "amy"), ("bank-b", "ben")];
        let person = |(firm, user)| (format!("@{firm}.{user}:rooms.test"), json!({ "firm": firm, "user": user }));
        let people: BTreeMap<_, _> = all.into_iter().map(person).collect();
        let hosts = members.iter().filter(|member| member.role == Role::Host);
        let levels: Vec<_> = hosts.map(|member| (format!("@{}:rooms.test", name(member)), 50)).collect();
        let native = self.synapse.room(title, &levels, (POLICY, json!({ "people": people }))).await.unwrap();
        let room = room_id('m', &native);
        self.rooms.lock().unwrap().insert(room.clone(), native);
        for member in members {
            self.add(&room, member).await;
        }
        // our user follows the invitation by itself
        let mut looks = interval(Duration::from_millis(50));
        let come = async {
            while self.directory.room(&room).await.unwrap().is_none() {
                looks.tick().await;
            }
        };
        timeout(Duration::from_secs(30), come).await.expect("the invitation is followed");
        room
    }

    async fn add(&self, room: &RoomId, member: &Member) {
        self.synapse.join(&self.native(room), &name(member)).await.unwrap();
    }

    async fn remove(&self, room: &RoomId, member: &Member) {
        self.synapse.kick(&self.native(room), &name(member)).await.unwrap();
    }

    async fn promote(&self, room: &RoomId, member: &Member) {
        let mut levels = self
            .synapse
            .keeper(Method::GET, &self.native(room), "state/m.room.power_levels/", json!({}))
            .await
            .unwrap();
        levels["users"][format!("@{}:rooms.test", name(member))] = json!(50);
        self.synapse.keeper(Method::PUT, &self.native(room), "state/m.room.power_levels/", levels).await.unwrap();
    }

    async fn rename(&self, room: &RoomId, title: &str) {
        self.synapse
            .keeper(Method::PUT, &self.native(room), "state/m.room.name/", json!({ "name": title }))
            .await
            .unwrap();
    }

    async fn close(&self, room: &RoomId) {
        let body = json!({ "body": "closed", "replacement_room": "" });
        self.synapse.keeper(Method::PUT, &self.native(room), "state/m.room.tombstone/", body).await.unwrap();
    }

    async fn overflow(&self, room: &RoomId) {
        let event = json!({ "type": "m.room.name", "room_id": self.native(room), "state_key": "", "content": {} });
        let events: Vec<_> = (0..=JOURNAL).map(|_| event.clone()).collect();
        assert_eq!(self.synapse.push("overflow", HS_TOKEN, json!(events)).await.unwrap(), 200);
    }

    async fn posted(&self, room: &RoomId) -> Vec<String> {
        self.synapse.said(&self.native(room)).await.unwrap()
    }
}

/// One homeserver for all: it takes four seconds to start.
#[tokio::test(flavor = "multi_thread")]
async fn rooms_at_a_real_synapse() {
    let place = Homeserver::start().await;
    conformance("matrix", &place).await;
    a_transaction_counts_once_and_only_from_the_homeserver(&place).await;
    a_person_proves_itself_by_openid(&place).await;
}

async fn a_transaction_counts_once_and_only_from_the_homeserver(place: &Homeserver) {
    let room = place.make("Project Gum", &[]).await;
    let mut cursor = place.directory.changes(None).await.unwrap().cursor;
    let quiet = Duration::from_millis(700);
    while let Ok(batch) = timeout(quiet, place.directory.changes(Some(&cursor))).await {
        cursor = batch.unwrap().cursor;
    }
    let event = || json!([{ "type": "m.room.name", "room_id": place.native(&room), "state_key": "", "content": {} }]);
    assert_eq!(place.synapse.push("t1", "somebody-elses-token", event()).await.unwrap(), 403);
    assert!(timeout(quiet, place.directory.changes(Some(&cursor))).await.is_err(), "a stranger changes nothing");
    assert_eq!(place.synapse.push("t2", HS_TOKEN, event()).await.unwrap(), 200);
    let batch = place.directory.changes(Some(&cursor)).await.unwrap();
    assert_eq!(batch.changes, [Change::Room(room.clone())]);
    assert_eq!(place.synapse.push("t2", HS_TOKEN, event()).await.unwrap(), 200, "answered, or it would come for ever");
    let again = timeout(quiet, place.directory.changes(Some(&batch.cursor))).await;
    assert!(again.is_err(), "the same transaction again changes nothing");
}

async fn a_person_proves_itself_by_openid(place: &Homeserver) {
    let anna = crate::suite::member("bank-a", "anna", Role::Host);
    let room = place.make("Project Hazel", std::slice::from_ref(&anna)).await;
    let token = place.synapse.openid("@bank-a.anna:rooms.test").await.unwrap();
    assert_eq!(place.directory.member_by_openid(&room, &token).await.unwrap(), Some(anna));
    let other = place.synapse.openid("@bank-b.ben:rooms.test").await.unwrap();
    assert_eq!(place.directory.member_by_openid(&room, &other).await.unwrap(), None, "known, and not a member");
    assert_eq!(place.directory.member_by_openid(&room, "made-up").await.unwrap(), None);
}
