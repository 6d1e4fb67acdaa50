//! What every room directory keeps, whatever its rooms are in.

use async_trait::async_trait;
use domain::{FirmId, MeetingId, RoomId, UserId};
use signaling_store::{Change, Cursor, Member, Notice, Role, RoomDirectory, State};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Three times the 2 s in which a change must show.
const PATIENCE: Duration = Duration::from_secs(6);

/// A place with rooms, and what its own people do there.
#[async_trait]
pub trait Place: Sync {
    /// As signaling sees it.
    fn directory(&self) -> Arc<dyn RoomDirectory>;
    /// A room with this title and these members.
    async fn make(&self, title: &str, members: &[Member]) -> RoomId;
    async fn add(&self, room: &RoomId, member: &Member);
    async fn remove(&self, room: &RoomId, member: &Member);
    async fn promote(&self, room: &RoomId, member: &Member);
    async fn rename(&self, room: &RoomId, title: &str);
    async fn close(&self, room: &RoomId);
    /// Makes so much happen that a reader who was away cannot be told all of it.
    async fn overflow(&self, room: &RoomId);
    /// Texts that stand in the room for its people, newest last.
    async fn posted(&self, room: &RoomId) -> Vec<String>;
}

pub fn member(firm: &str, user: &str, role: Role) -> Member {
    let (firm, user): (FirmId, UserId) = (firm.parse().unwrap(), user.parse().unwrap());
    Member { firm, user, role, groups: Default::default() }
}

/// Reads the stream until it tells of `room`, then goes on from there.
async fn told(directory: &dyn RoomDirectory, cursor: &mut Cursor, room: &RoomId) -> Duration {
    let began = Instant::now();
    let heard = async {
        loop {
            let batch = directory.changes(Some(cursor)).await.unwrap();
            *cursor = batch.cursor;
            if batch.changes.iter().any(|change| *change == Change::Room(room.clone())) {
                return;
            }
            assert!(!batch.changes.contains(&Change::Reset), "nothing was lost");
        }
    };
    timeout(PATIENCE, heard).await.expect("the change is told in time");
    began.elapsed()
}

/// Reads what has been told until nothing more comes at once.
async fn drained(directory: &dyn RoomDirectory, cursor: &mut Cursor) {
    while let Ok(batch) = timeout(Duration::from_millis(700), directory.changes(Some(cursor))).await {
        *cursor = batch.unwrap().cursor;
    }
}

async fn members(directory: &dyn RoomDirectory, room: &RoomId) -> Vec<Member> {
    directory.room(room).await.unwrap().expect("the room is there").members
}

/// Everything. `cargo xtask check rooms` reads which adapter passed.
pub async fn conformance(adapter: &str, place: &impl Place) {
    let directory = place.directory();
    let directory = directory.as_ref();
    reads(place, directory).await;
    tells(place, directory).await;
    resets(place, directory).await;
    posts(place, directory).await;
    println!("rooms: {{\"directories\":[\"{adapter}\"]}}");
}

async fn reads(place: &impl Place, directory: &dyn RoomDirectory) {
    assert_eq!(directory.room(&"nowhere".parse().unwrap()).await.unwrap(), None, "an unknown room is none");
    let (anna, ben) = (member("bank-a", "anna", Role::Host), member("bank-b", "ben", Role::Participant));
    let room = place.make("Project Alder", &[anna.clone(), ben.clone()]).await;
    let read = directory.room(&room).await.unwrap().expect("it was made");
    assert_eq!((read.title.as_str(), read.state), ("Project Alder", State::Open));
    assert_eq!(read.members, [anna, ben], "each with its firm and role, ordered");
    let other = place.make("Project Birch", &[member("bank-a", "amy", Role::Host)]).await;
    assert_ne!(room, other);
    assert_eq!(members(directory, &room).await.len(), 2, "rooms are apart");
}

async fn tells(place: &impl Place, directory: &dyn RoomDirectory) {
    let (anna, ben) = (member("bank-a", "anna", Role::Host), member("bank-b", "ben", Role::Participant));
    let room = place.make("Project Cedar", std::slice::from_ref(&anna)).await;
    let first = directory.changes(None).await.unwrap();
    assert_eq!(first.changes, [Change::Reset], "who has no place in the stream reads everything first");
    let mut cursor = first.cursor;
    drained(directory, &mut cursor).await;

    let before = cursor.clone();
    place.add(&room, &ben).await;
    let took = told(directory, &mut cursor, &room).await;
    assert!(members(directory, &room).await.contains(&ben));
    drained(directory, &mut cursor).await;
    place.remove(&room, &ben).await;
    let gone = told(directory, &mut cursor, &room).await;
    println!("told of who came after {took:?}, of who went after {gone:?}");
    assert_eq!(members(directory, &room).await, std::slice::from_ref(&anna));

    let mut again = before;
    told(directory, &mut again, &room).await;

    place.add(&room, &ben).await;
    drained(directory, &mut cursor).await;
    place.promote(&room, &ben).await;
    told(directory, &mut cursor, &room).await;
    let host = Member { role: Role::Host, ..ben };
    assert!(members(directory, &room).await.contains(&host), "a new role is read");
    drained(directory, &mut cursor).await;
    place.rename(&room, "Project Dogwood").await;
    told(directory, &mut cursor, &room).await;
    assert_eq!(directory.room(&room).await.unwrap().unwrap().title, "Project Dogwood");
    drained(directory, &mut cursor).await;
    place.close(&room).await;
    told(directory, &mut cursor, &room).await;
    let closed = directory.room(&room).await.unwrap();
    assert!(closed.is_none_or(|room| room.state == State::Closed), "no meeting runs in a closed room");
}

async fn resets(place: &impl Place, directory: &dyn RoomDirectory) {
    let room = place.make("Project Elm", &[member("bank-a", "anna", Role::Host)]).await;
    let old = directory.changes(None).await.unwrap().cursor;
    place.overflow(&room).await;
    let batch = timeout(PATIENCE, directory.changes(Some(&old))).await.expect("at once").unwrap();
    assert_eq!(batch.changes, [Change::Reset], "a reader that was away too long is told so");
    for strange in ["", "x", "99999999999", "-5"] {
        let strange = Cursor(strange.to_owned());
        let batch = timeout(PATIENCE, directory.changes(Some(&strange))).await.expect("at once").unwrap();
        assert_eq!(batch.changes, [Change::Reset], "{strange:?} is no place in the stream");
    }
}

async fn posts(place: &impl Place, directory: &dyn RoomDirectory) {
    let room = place.make("Project Fir", &[member("bank-a", "anna", Role::Host)]).await;
    let meeting: MeetingId = "00112233445566778899aabbccddeeff".parse().unwrap();
    let notices = [
        Notice::Started { meeting: meeting.clone() },
        Notice::Recorded {
            meeting: meeting.clone(),
            firms: vec!["bank-a".parse().unwrap(), "bank-b".parse().unwrap()],
        },
        Notice::Ended { meeting },
    ];
    for notice in &notices {
        directory.post(&room, notice).await.unwrap();
    }
    let said = place.posted(&room).await;
    assert_eq!(said.len(), notices.len(), "{said:?}");
    for (said, notice) in said.iter().zip(&notices) {
        assert!(said.contains(&notice.text()), "{said}");
    }
    assert!(said[1].contains("bank-a, bank-b"), "{said:?}");
}
