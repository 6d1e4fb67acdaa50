//! The end of a meeting: the rest of the record link, then everything is closed and signed.

use super::{Keys, LINGER_MS, Live};
use crate::clock::{self, now};
use crate::link::{FromLink, Link};
use crate::recording::{self, FromDisk, NoKeys, Recording};
use crate::room::Shared;
use domain::message::record_link::ToSfuRecord;
use e2ee::session::Session;
use evidence::archive::manifest::Closed;
use recorder_core::{Input, Output};
use std::sync::Arc;
use std::time::Duration;

impl Live {
    /// The meeting known here is over: what the SFU still has to say is taken, then everything is closed, in a task of its
    /// own so that the next meeting can begin.
    pub(super) fn meeting_over(&mut self) {
        let Some(recording) = self.recording.take() else { return };
        self.ask_link_ms = None;
        self.statement = None;
        self.receipt = None;
        self.noted.clear();
        tokio::spawn(finish(recording, self.link.take(), self.session.take(), self.shared.clone()));
    }

    /// Closes meetings that a stopped process left, but for the one that goes on.
    pub(super) fn close_unfinished(&mut self, going_on: Option<&domain::MeetingId>) {
        for folder in std::mem::take(&mut self.unfinished) {
            if Some(&folder.meeting) != going_on {
                tokio::spawn(recording::close_unfinished(self.shared.clone(), folder));
            }
        }
    }
}

/// Takes what the link still brings, then closes, signs and logs.
pub(super) async fn finish(
    mut recording: Recording,
    mut link: Option<Link>,
    mut session: Option<Session>,
    shared: Arc<Shared>,
) {
    let meeting = recording.meeting_id.clone();
    let linger = tokio::time::Instant::now() + Duration::from_millis(LINGER_MS);
    let mut told = false;
    loop {
        for output in recording.pump() {
            match output {
                Output::Finished => return recording.conclude(shared, Closed::Ended).await,
                Output::Ack { seq } => {
                    if let Some(link) = &link {
                        link.send(ToSfuRecord::Ack { seq });
                    }
                }
                _ => {}
            }
        }
        if link.is_none() && !told {
            told = true;
            recording.core.handle(now(), Input::Finish, &mut Keys::new(session.as_mut()));
            continue;
        }
        let due = clock::instant(recording.core.poll_timeout().unwrap_or(u64::MAX / 2).min(now().mono_ms + LINGER_MS));
        tokio::select! {
            done = recording.disk() => match done {
                FromDisk::Commit(ticket, Ok(())) => recording.core.handle(now(), Input::Committed { ticket }, &mut NoKeys),
                FromDisk::Commit(_, Err(e)) => {
                    return tracing::error!(%meeting, "the archive fails at its end ({e}); the next start closes the meeting");
                }
                FromDisk::Reopened(_) => {}
            },
            message = async { match &mut link { Some(one) => one.incoming.recv().await, None => std::future::pending().await } } => {
                match message {
                    Some(FromLink::Message(message)) => {
                        recording.core.handle(now(), Input::Link(message), &mut Keys::new(session.as_mut()));
                    }
                    Some(FromLink::Down(_)) | None => link = None,
                }
            }
            () = tokio::time::sleep_until(linger), if link.is_some() => link = None,
            () = tokio::time::sleep_until(due) => recording.core.handle_timeout(now(), &mut Keys::new(session.as_mut())),
        }
    }
}
