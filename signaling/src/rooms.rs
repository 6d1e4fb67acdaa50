//! Rooms as the running meetings see them: the directory's answers in the core's words, its stream of changes followed, and
//! what is told back to the people of a room. Owns no room.

use crate::hub::Hub;
use domain::RoomId;
use domain::message::control::ToSfu;
use service::metrics::names::signaling as names;
use service::security::{Event, report};
use signaling_core::{Member, RoomRecord, Turn};
use signaling_store::database::DatabaseError;
use signaling_store::directory::FEED_WAIT;
use signaling_store::{Batch, Change, Cursor, DirectoryError, Notice, Role, Room, State};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};

/// A read of one room takes milliseconds; who joins waits for it.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// A directory that did not answer is asked again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// The feed is judged so often.
const JUDGE: Duration = Duration::from_secs(1);
/// Notices that wait for a slow directory: meetings go on without them.
pub const NOTICES: usize = 1_024;

/// What was found of a room.
pub enum Found {
    /// It has members.
    Room(RoomRecord),
    /// There is none, it is closed or nobody is in it: all look the same.
    Nothing,
    /// Nobody knows now.
    Silence,
}

fn members(room: Option<Room>) -> (String, Vec<Member>) {
    let Some(room) = room.filter(|room| room.state == State::Open) else { return Default::default() };
    let member = |found: signaling_store::Member| Member {
        firm: found.firm,
        user: found.user,
        host: found.role == Role::Host,
        groups: found.groups,
    };
    (room.title, room.members.into_iter().map(member).collect())
}

impl Hub {
    async fn read(&self, room: &RoomId) -> Result<Option<Room>, DirectoryError> {
        let late = || DirectoryError::Unreachable("no answer in time".to_owned());
        let read = timeout(READ_WITHIN, self.directory.room(room)).await.unwrap_or_else(|_| Err(late()));
        let narrow = |mut found: Room| {
            if let Some(only) = self.narrowed.get(room) {
                found.members.retain(|member| only.contains(&(member.firm.clone(), member.user.clone())));
            }
            found
        };
        read.map(|found| found.map(narrow)).inspect_err(|error| {
            names::DIRECTORY_FAILED.count();
            tracing::error!("{error}");
        })
    }

    /// Members of a room as the directory has them now, waited for as long as it takes. A room that was deleted or closed
    /// has none.
    pub async fn members_at_last(&self, room: &RoomId) -> Vec<Member> {
        loop {
            match self.read(room).await {
                Ok(found) => return members(found).1,
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    /// The room as the directory and the statements have it now, for somebody who wants in.
    pub async fn find(&self, room: &RoomId) -> Found {
        if !self.feed().stands(self.clock.now()) {
            return Found::Silence;
        }
        let Ok(found) = self.read(room).await else { return Found::Silence };
        let (title, members) = members(found);
        if members.is_empty() {
            return Found::Nothing;
        }
        let late = || DatabaseError::Failed("no answer in time".to_owned());
        let read = timeout(READ_WITHIN, self.statements.about(self.clock.now(), room)).await;
        let statements = match read.unwrap_or_else(|_| Err(late())) {
            Ok(statements) => statements.into_iter().map(|one| (one.firm, one.signed)).collect(),
            Err(error) => {
                tracing::error!("cannot read the statements: {error}");
                return Found::Silence;
            }
        };
        Found::Room(RoomRecord { room: room.clone(), title, members, statements })
    }

    /// Can the room directory be read, and the statements?
    pub async fn readable(&self) -> (bool, bool) {
        // a room that nobody has: only the directory's own failure counts
        let directory = match "operations-probe".parse::<RoomId>() {
            Ok(nobody) => self.read(&nobody).await.is_ok() && self.feed().stands(self.clock.now()),
            Err(_) => false,
        };
        (directory, self.statements.readable().await)
    }

    fn heard(&self, batch: &Batch) {
        self.feed().heard(self.clock.now());
        for change in &batch.changes {
            match change {
                Change::Room(room) => self.look_at(room),
                Change::Reset => self.look_everywhere(),
            }
        }
    }

    fn judge_feed(&self) {
        let turn = self.feed().turn(self.clock.now());
        match turn {
            Some(Turn::Lost) => {
                names::DIRECTORY_UP.set(0);
                report(Event::DirectoryLost);
                tracing::error!("the room directory is not heard of: nobody new comes in, running meetings go on");
            }
            Some(Turn::Back) => {
                names::DIRECTORY_UP.set(1);
                report(Event::DirectoryBack);
                // the stream tells what was missed; a directory that came back with other rooms would not
                self.look_everywhere();
            }
            None => {}
        }
    }
}

async fn next(hub: &Hub, since: Option<&Cursor>) -> Option<Batch> {
    match timeout(FEED_WAIT + READ_WITHIN, hub.directory.changes(since)).await {
        Ok(batch) => batch.inspect_err(|error| tracing::warn!("{error}")).ok(),
        Err(_) => None,
    }
}

/// Follows the directory's stream for as long as the process lives.
pub async fn follow(hub: Arc<Hub>) {
    names::DIRECTORY_UP.set(1);
    let mut judge = interval(JUDGE);
    let mut cursor: Option<Cursor> = None;
    loop {
        let heard = {
            let next = next(&hub, cursor.as_ref());
            tokio::pin!(next);
            loop {
                tokio::select! {
                    heard = &mut next => break heard,
                    _ = judge.tick() => hub.judge_feed(),
                }
            }
        };
        match heard {
            Some(batch) => {
                hub.heard(&batch);
                cursor = Some(batch.cursor);
            }
            None => {
                names::DIRECTORY_FAILED.count();
                sleep(AGAIN).await;
            }
        }
        hub.judge_feed();
    }
}

/// Posts notices one after the other. One that the directory does not take is left out: it harms no meeting.
pub async fn post(hub: Arc<Hub>, mut notices: mpsc::Receiver<(RoomId, Notice)>) {
    while let Some((room, notice)) = notices.recv().await {
        let posted = timeout(READ_WITHIN, hub.directory.post(&room, &notice)).await;
        if !matches!(posted, Ok(Ok(()))) {
            tracing::warn!(%room, "the room directory did not take the notice {}", notice.kind());
        }
    }
}

/// What the room's people are told when this goes to the SFU. `begun`: was the meeting known before?
pub fn notices_of(message: &ToSfu, begun: Begun) -> Vec<Notice> {
    match message {
        ToSfu::Meeting { meeting, firms } if begun == Begun::Now => {
            let firms: Vec<_> =
                firms.iter().filter(|rule| rule.audio_video.keeps()).map(|rule| rule.firm.clone()).collect();
            let started = Notice::Started { meeting: meeting.clone() };
            let recorded = (!firms.is_empty()).then(|| Notice::Recorded { meeting: meeting.clone(), firms });
            [Some(started), recorded].into_iter().flatten().collect()
        }
        ToSfu::MeetingEnded { meeting } => vec![Notice::Ended { meeting: meeting.clone() }],
        _ => Vec::new(),
    }
}

/// When a meeting began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// With this message.
    Now,
    /// Before it.
    Before,
}
