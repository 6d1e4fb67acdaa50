//! One suite over the records on both databases: what is written is read, what must be refused is, what was there stays.

use domain::message::incident::{IncidentInfo, IncidentState};
use domain::message::rest::MeetingState;
use domain::{B64, FirmId, MeetingId, RoomId, UnixMillis};
use room_servers::postgres::Postgres;
use signaling_store::Records;
use signaling_store::database::{DatabaseError, PostgresConfig};
use signaling_store::records::{
    Attempted, Earlier, Incident, Incidents, Kept, Meeting, Placed, Standing, Stated, Stored, Term,
};

const DAY_MS: u64 = 24 * 3_600_000;

/// Everything, on an empty database.
async fn conformance(records: &Records) {
    keys(records).await;
    meetings(records).await;
    messages(records).await;
    incidents(records).await;
    statements(records).await;
    placements(records).await;
    invitations(records).await;
}

async fn keys(records: &Records) {
    let id = ("desk".to_owned(), "k1".to_owned());
    let begin = async |request: &[u8], at| records.begin(&id, request, UnixMillis(at)).await.unwrap();
    assert_eq!(begin(b"a", 1).await, Earlier::None);
    assert_eq!(begin(b"a", 2).await, Earlier::Busy);
    assert_eq!(begin(b"b", 2).await, Earlier::Other);
    let kept = Kept { status: 201, headers: ["x".into(), "/y".into(), String::new()], body: b"{}".to_vec() };
    records.keep(&id, &kept).await.unwrap();
    assert_eq!(begin(b"a", 3).await, Earlier::Answered(kept.clone()));
    records.free(&id).await.unwrap();
    assert_eq!(begin(b"a", 3).await, Earlier::Answered(kept), "an answer is not freed");
    assert_eq!(begin(b"b", 2 + DAY_MS).await, Earlier::None, "after a day it is forgotten");
    records.free(&id).await.unwrap();
    assert_eq!(begin(b"c", 3 + DAY_MS).await, Earlier::None, "work that came to nothing is");
}

fn meeting(n: u64, firm: &str, state: MeetingState) -> Meeting {
    Meeting {
        meeting: format!("m{n}").parse().unwrap(),
        room: "deal-room".parse().unwrap(),
        firms: [firm.parse().unwrap()].into(),
        state,
        created: UnixMillis(n),
        started: None,
        ended: None,
    }
}

async fn meetings(records: &Records) {
    for n in 1..=5u64 {
        let state = if n == 5 { MeetingState::Running } else { MeetingState::Ended };
        records.put_meeting(&meeting(n, if n == 3 { "bank-b" } else { "bank-a" }, state)).await.unwrap();
    }
    let (a, room): (FirmId, RoomId) = ("bank-a".parse().unwrap(), "deal-room".parse().unwrap());
    let ids = |found: &[Meeting]| found.iter().map(|m| m.meeting.to_string()).collect::<Vec<_>>().join(" ");
    let first = records.meetings(Some(&a), None, None, 2).await.unwrap();
    assert_eq!(ids(&first), "m5 m4");
    let after = first.last().map(|m| (m.created, m.meeting.clone()));
    assert_eq!(ids(&records.meetings(Some(&a), None, after, 9).await.unwrap()), "m2 m1");
    assert_eq!(ids(&records.meetings(None, Some(MeetingState::Running), None, 9).await.unwrap()), "m5");
    let running = records.meeting_of(&room).await.unwrap().expect("it runs");
    assert_eq!((running.started, running.meeting.as_str()), (None, "m5"));
    let started = Meeting { started: Some(UnixMillis(7)), firms: ["bank-b".parse().unwrap()].into(), ..running };
    records.put_meeting(&started).await.unwrap();
    assert_eq!(records.meeting(&started.meeting).await.unwrap(), Some(started), "written anew");
    assert_eq!(ids(&records.meetings(Some(&a), None, None, 9).await.unwrap()), "m4 m2 m1", "its firms too");
    // a process that begins again knows that nothing runs
    records.begin_again(UnixMillis(9)).await.unwrap();
    assert_eq!(records.meeting_of(&room).await.unwrap(), None);
    let over = records.meeting(&"m5".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((over.state, over.ended), (MeetingState::Ended, Some(UnixMillis(9))));
}

async fn messages(records: &Records) {
    let hooks = ["desk".to_owned(), "other".to_owned()];
    records.queue("msg_1", &hooks, b"{1}", UnixMillis(10)).await.unwrap();
    records.queue("msg_1", &hooks, b"{other}", UnixMillis(11)).await.unwrap();
    let (first, due) = records.due("desk").await.unwrap().expect("it waits");
    assert_eq!((first.body.as_slice(), first.attempts, due), (&b"{1}"[..], 0, UnixMillis(10)));
    records.attempted("msg_1", "desk", Attempted::Again(UnixMillis(99))).await.unwrap();
    let (again, due) = records.due("desk").await.unwrap().expect("it waits");
    assert_eq!((again.attempts, due), (1, UnixMillis(99)));
    records.attempted("msg_1", "desk", Attempted::Delivered).await.unwrap();
    records.attempted("msg_1", "other", Attempted::Dead).await.unwrap();
    assert_eq!(records.due("desk").await.unwrap(), None);
    assert_eq!(records.counts("desk").await.unwrap(), [0, 1, 0, 2]);
    assert_eq!(records.counts("other").await.unwrap(), [0, 0, 1, 1]);
    assert_eq!(records.counts("nobody").await.unwrap(), [0; 4]);
    assert_eq!(records.replay("desk", UnixMillis(11), UnixMillis(50)).await.unwrap(), 0);
    assert_eq!(records.replay("desk", UnixMillis(10), UnixMillis(50)).await.unwrap(), 1);
    assert_eq!(
        records.due("desk").await.unwrap().map(|(message, at)| (message.attempts, at)),
        Some((0, UnixMillis(50)))
    );
}

async fn incidents(records: &Records) {
    let mut one = Incident {
        group_key: "g1".into(),
        info: IncidentInfo {
            incident: "i1".into(),
            state: IncidentState::Open,
            crisis: "all".into(),
            room: "crisis-1".parse().unwrap(),
            meeting: "m9".parse().unwrap(),
            opened_at: UnixMillis(5),
            closed_at: None,
            elapsed_ms: 0,
            alerts: Default::default(),
            people: Vec::new(),
            links: Default::default(),
            log: Vec::new(),
        },
    };
    records.put_incident(&one).await.unwrap();
    assert_eq!(records.last_incident("g1").await.unwrap(), Some(one.clone()));
    assert_eq!(records.incidents(Incidents::Open, 9).await.unwrap(), [one.clone()]);
    one.info.state = IncidentState::Closed;
    records.put_incident(&one).await.unwrap();
    assert_eq!(records.incidents(Incidents::Open, 9).await.unwrap(), []);
    assert_eq!(records.incidents(Incidents::All, 9).await.unwrap(), [one.clone()]);
    assert_eq!(records.incident("i1").await.unwrap(), Some(one));
    assert_eq!(records.incident("i2").await.unwrap(), None);
}

fn stated(firm: &str, room: &str, serial: u64) -> Stated {
    let signed = B64(format!("{firm} {room} {serial}").into_bytes());
    Stated { firm: firm.parse().unwrap(), room: room.parse().unwrap(), serial, signed }
}

async fn about(records: &Records, room: &RoomId) -> Result<Vec<Stated>, DatabaseError> {
    records.statements_for(room, Term(u64::MAX >> 1)).await.map(|(_, all)| all)
}

async fn statements(records: &Records) {
    let room: RoomId = "deal-room".parse().unwrap();
    assert_eq!(about(records, &room).await.unwrap(), []);
    let all = [stated("bank-b", "deal-room", 1), stated("bank-a", "deal-room", 9), stated("bank-a", "other", 1)];
    assert_eq!(records.put_statements(&all, UnixMillis(1)).await.unwrap(), [Stored::New; 3]);
    let older = [stated("bank-a", "deal-room", 8)];
    assert_eq!(records.put_statements(&older, UnixMillis(2)).await.unwrap(), [Stored::New], "every version is kept");
    let forged = Stated { signed: B64(b"other bytes".to_vec()), ..stated("bank-a", "deal-room", 9) };
    assert_eq!(records.put_statements(&[forged], UnixMillis(3)).await.unwrap(), [Stored::Known]);
    let newest = [stated("bank-a", "deal-room", 9), stated("bank-b", "deal-room", 1)];
    assert_eq!(about(records, &room).await.unwrap(), newest, "the newest of each firm, ordered by firm");
    let rooms: Vec<_> = records.stated_rooms().await.unwrap().into_iter().map(|room| room.to_string()).collect();
    assert_eq!(rooms, ["deal-room", "other"]);
}

async fn placements(records: &Records) {
    let old = records.begin_term().await.unwrap();
    let placed = |n: u32, term| Placed {
        meeting: format!("p{n}").parse::<MeetingId>().unwrap(),
        room: "deal-room".parse().unwrap(),
        node: "sfu-1".into(),
        term,
    };
    assert_eq!(records.standing(old).await.unwrap(), Standing::Ours);
    assert_eq!(records.place(&placed(1, old), UnixMillis(1)).await.unwrap(), Standing::Ours);
    assert_eq!(records.place(&placed(2, old), UnixMillis(1)).await.unwrap(), Standing::Ours);
    records.lift(&"p2".parse().unwrap()).await.unwrap();
    // another process begins: the first one places nothing any more, neither a new meeting nor one of its own
    let new = records.begin_term().await.unwrap();
    assert!(new > old);
    assert_eq!(records.standing(old).await.unwrap(), Standing::Replaced(new));
    for n in [1, 3] {
        assert_eq!(records.place(&placed(n, old), UnixMillis(2)).await.unwrap(), Standing::Replaced(new), "p{n}");
    }
    assert_eq!(records.place(&placed(4, new), UnixMillis(2)).await.unwrap(), Standing::Ours);
    assert_eq!(records.take_orphans(new).await.unwrap(), [placed(1, old)], "what the first one never ended");
    assert_eq!(records.take_orphans(new).await.unwrap(), [], "once");
}

async fn invitations(records: &Records) {
    let (one, other) = ([1; 32], [2; 32]);
    records.end_invitation(&one, UnixMillis(100), UnixMillis(1)).await.unwrap();
    records.end_invitation(&one, UnixMillis(100), UnixMillis(2)).await.unwrap();
    assert!(records.is_invitation_ended(&one).await.unwrap());
    assert!(!records.is_invitation_ended(&other).await.unwrap());
    records.end_invitation(&other, UnixMillis(500), UnixMillis(101)).await.unwrap();
    assert!(!records.is_invitation_ended(&one).await.unwrap(), "it ended by itself");
}

#[tokio::test]
async fn records_in_sqlite_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signaling.db");
    let records = Records::sqlite(&path).unwrap();
    conformance(&records).await;
    drop(records);
    let again = Records::sqlite(&path).unwrap();
    assert_eq!(about(&again, &"other".parse().unwrap()).await.unwrap(), [stated("bank-a", "other", 1)]);
}

#[tokio::test]
async fn records_in_postgresql_stand_beside_the_rooms_and_a_server_that_was_away_is_used_again() {
    let mut server = Postgres::start().unwrap();
    let config = PostgresConfig { url: server.url(), password_file: Some(server.password_file()), ca: None };
    let (rooms, one, other) = tokio::join!(
        signaling_store::database::Postgres::open(&config),
        Records::postgres(&config),
        Records::postgres(&config)
    );
    rooms.unwrap();
    let (records, _) = (one.unwrap(), other.unwrap());
    conformance(&records).await;
    server.stop();
    assert!(about(&records, &"other".parse().unwrap()).await.is_err(), "no answer is no empty room");
    server.go_on().unwrap();
    assert_eq!(about(&records, &"other".parse().unwrap()).await.unwrap(), [stated("bank-a", "other", 1)]);
}

#[tokio::test]
async fn records_of_before_there_were_versions_are_brought_up_to_date_with_their_meetings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rest.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../migrations/records-sqlite/0001-rest.sql")).unwrap();
    old.execute_batch(r#"INSERT INTO meetings VALUES ('m1', 'deal-room', 'announced', '["bank-a"]', 3, NULL, NULL)"#)
        .unwrap();
    drop(old);
    let records = Records::sqlite(&path).unwrap();
    let found = records.meetings(Some(&"bank-a".parse().unwrap()), None, None, 9).await.unwrap();
    assert_eq!(found, [Meeting { created: UnixMillis(3), ..meeting(1, "bank-a", MeetingState::Announced) }]);
}
