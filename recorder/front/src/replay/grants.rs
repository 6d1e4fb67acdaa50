//! Open grants: the opened meeting of one request, for one officer's session, until the grant ends. When it ends it
//! is taken out of the map; keys and clear parts are wiped as the last running answer lets go.

use crate::idp::secret;
use crate::replay::marks::CHAT;
use crate::replay::reel::Reel;
use dashmap::DashMap;
use domain::{MeetingId, ParticipantId, UnixMillis};
use openssl::memcmp;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Grants open at once in one front: a few officers' desks. What they hold is bounded by [`crate::replay::memory`].
pub const MAX_GRANTS: usize = 8;
/// A range that begins this close behind what was served is the player going on, not a jump.
const GOING_ON: usize = 4 << 20;

/// How a lane was read so far.
#[derive(Default)]
pub struct Reading {
    started: bool,
    served: usize,
}

/// A part of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which lane.
    pub lane: usize,
    /// Which part.
    pub part: usize,
}

impl Place {
    /// From a file's name, `<lane>-<part>.webm`.
    pub fn read(file: &str) -> Option<Self> {
        let (lane, part) = file.strip_suffix(".webm")?.split_once('-')?;
        Some(Self { lane: lane.parse().ok()?, part: part.parse().ok()? })
    }
}

/// One open grant.
pub struct OpenGrant {
    /// Path secret.
    pub grant: String,
    /// Cookie secret, sent to the officer's browser only.
    pub cookie: String,
    /// Request it opened.
    pub request: String,
    /// Case of the request.
    pub case: String,
    /// Whose session.
    pub officer: ParticipantId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Ends.
    pub until: UnixMillis,
    /// Length, ms.
    pub duration_ms: u64,
    /// The meeting.
    pub reel: Arc<Reel>,
    reading: Vec<tokio::sync::Mutex<Reading>>,
    ended: AtomicBool,
}

/// What a range means for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// First bytes of this lane.
    Play,
    /// A jump to another place.
    Seek,
    /// The player goes on.
    GoesOn,
}

impl Reading {
    /// Judges a range that begins at `first`.
    pub fn judge(&self, first: usize) -> Move {
        if !self.started {
            Move::Play
        } else if first > self.served || first + GOING_ON < self.served {
            Move::Seek
        } else {
            Move::GoesOn
        }
    }
    /// The range up to `end` is being served, and its entry is in the ledger.
    pub fn serve(&mut self, end: usize) {
        self.started = true;
        self.served = end;
    }
}

impl OpenGrant {
    /// How a part of a lane was read; held while its ledger entry is appended, so that no byte overtakes it.
    pub fn reading(&self, at: Place) -> Option<&tokio::sync::Mutex<Reading>> {
        let parts = self.reel.plan.spans.len();
        self.reading.get(at.lane.checked_mul(parts)?.checked_add(at.part).filter(|_| at.part < parts)?)
    }
    /// Not any more?
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
    /// Name of the cookie: one per grant, so that two tabs do not overwrite each other.
    pub fn cookie_name(&self) -> String {
        cookie_name(&self.grant)
    }
}

/// Name of a grant's cookie.
pub fn cookie_name(grant: &str) -> String {
    format!("sr_replay_{}", grant.get(..8).unwrap_or_default())
}

/// What a grant is made of.
pub struct NewGrant {
    /// Request it opens.
    pub request: String,
    /// Case of the request.
    pub case: String,
    /// Whose session.
    pub officer: ParticipantId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Ends.
    pub until: UnixMillis,
    /// Length, ms.
    pub duration_ms: u64,
    /// The meeting.
    pub reel: Arc<Reel>,
}

/// All open grants.
#[derive(Default)]
pub struct Grants {
    open: DashMap<String, Arc<OpenGrant>>,
    making: Mutex<()>,
}

impl Grants {
    /// Takes a grant in. Another open grant of the same request ends by it. `None`: too many are open.
    pub fn add(&self, new: NewGrant, now: UnixMillis) -> Option<Arc<OpenGrant>> {
        let _one = self.making.lock().expect("nothing panics while it is held");
        self.sweep(now);
        self.end_where(|grant| grant.request == new.request);
        if self.open.len() >= MAX_GRANTS {
            return None;
        }
        let places = 0..new.reel.plan.lanes.len() * new.reel.plan.spans.len();
        let grant = Arc::new(OpenGrant {
            grant: secret(),
            cookie: secret(),
            request: new.request,
            case: new.case,
            officer: new.officer,
            meeting: new.meeting,
            until: new.until,
            duration_ms: new.duration_ms,
            reading: places.map(|_| tokio::sync::Mutex::default()).collect(),
            reel: new.reel,
            ended: AtomicBool::new(false),
        });
        self.open.insert(grant.grant.clone(), grant.clone());
        Some(grant)
    }

    /// Is there place for another?
    pub fn has_place(&self, request: &str, now: UnixMillis) -> bool {
        self.sweep(now);
        self.open.len() < MAX_GRANTS || self.open.iter().any(|grant| grant.request == request)
    }

    /// The living grant of a path and a cookie.
    pub fn by_cookie(&self, grant: &str, cookie: Option<&str>, now: UnixMillis) -> Option<Arc<OpenGrant>> {
        let open = self.by_path(grant, now)?;
        let shown = cookie?.as_bytes();
        let right = open.cookie.as_bytes();
        (shown.len() == right.len() && memcmp::eq(shown, right)).then_some(open)
    }

    /// The living grant of a path; the caller judges the session.
    pub fn by_path(&self, grant: &str, now: UnixMillis) -> Option<Arc<OpenGrant>> {
        let open = self.open.get(grant)?.clone();
        (open.until > now && !open.has_ended()).then_some(open)
    }

    /// The living grant of a request.
    pub fn by_request(&self, request: &str, now: UnixMillis) -> Option<Arc<OpenGrant>> {
        let open = self.open.iter().find(|grant| grant.request == request && grant.until > now)?;
        Some(open.clone())
    }

    /// Grants that this officer has open.
    pub fn of(&self, officer: &ParticipantId, now: UnixMillis) -> Vec<Arc<OpenGrant>> {
        let own = self.open.iter().filter(|grant| grant.officer == *officer && grant.until > now && !grant.has_ended());
        own.map(|grant| grant.value().clone()).collect()
    }

    /// Meetings that this officer has open and in whose chat the text stands.
    pub fn with_chat(&self, officer: &ParticipantId, text: &str, now: UnixMillis) -> HashSet<MeetingId> {
        let text = text.trim().to_lowercase();
        let has = |grant: &OpenGrant| {
            grant.reel.plan.events.iter().any(|event| event.kind == CHAT && event.text.to_lowercase().contains(&text))
        };
        let open = self.open.iter().filter(|grant| grant.officer == *officer && grant.until > now && !text.is_empty());
        open.filter(|grant| has(grant)).map(|grant| grant.meeting.clone()).collect()
    }

    /// Ends what has expired: running answers stop, the lanes are wiped with the last of them.
    pub fn sweep(&self, now: UnixMillis) {
        self.end_where(|grant| grant.until <= now);
    }

    /// Ends grants.
    pub fn end_where(&self, which: impl Fn(&OpenGrant) -> bool) {
        self.open.retain(|_, grant| {
            let ends = which(grant);
            if ends {
                grant.ended.store(true, Ordering::Relaxed);
            }
            !ends
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_range_plays_going_on_is_quiet_and_jumps_are_seeks() {
        let mut reading = Reading::default();
        assert_eq!(reading.judge(0), Move::Play);
        assert_eq!(reading.judge(9_000_000), Move::Play);
        reading.serve(10_000_000);
        assert_eq!(reading.judge(10_000_000), Move::GoesOn);
        assert_eq!(reading.judge(9_000_000), Move::GoesOn);
        assert_eq!(reading.judge(10_000_001), Move::Seek);
        assert_eq!(reading.judge(0), Move::Seek);
    }

    fn new(reel: &Arc<Reel>, request: &str, until: u64) -> NewGrant {
        NewGrant {
            request: request.to_owned(),
            case: "1".to_owned(),
            officer: "bank-a/carol/d1".parse().expect("an id"),
            meeting: "m1".parse().expect("an id"),
            until: UnixMillis(until),
            duration_ms: 1,
            reel: reel.clone(),
        }
    }

    #[test]
    fn a_grant_wants_its_cookie_and_ends_at_its_time() {
        let (grants, reel) = (Grants::default(), crate::tests::kit::reel());
        let open = grants.add(new(&reel, "r1", 100), UnixMillis(0)).expect("place");
        assert!(grants.by_cookie(&open.grant, Some(&open.cookie), UnixMillis(99)).is_some());
        assert!(grants.by_cookie(&open.grant, None, UnixMillis(99)).is_none());
        assert!(grants.by_cookie(&open.grant, Some("other"), UnixMillis(99)).is_none());
        assert!(grants.by_cookie(&open.grant, Some(&open.cookie), UnixMillis(100)).is_none());
        grants.sweep(UnixMillis(100));
        assert!(open.has_ended(), "running answers stop");
        assert_eq!(Arc::strong_count(&open), 1, "nothing else holds the lanes");
    }

    #[test]
    fn opening_again_ends_the_grant_before_and_the_number_is_bounded() {
        let (grants, reel) = (Grants::default(), crate::tests::kit::reel());
        let first = grants.add(new(&reel, "r1", 100), UnixMillis(0)).expect("place");
        grants.add(new(&reel, "r1", 100), UnixMillis(0)).expect("place");
        assert!(first.has_ended());
        for number in 2..=MAX_GRANTS {
            grants.add(new(&reel, &format!("r{number}"), 100), UnixMillis(0)).expect("place");
        }
        assert!(grants.add(new(&reel, "r99", 100), UnixMillis(0)).is_none());
        assert!(grants.has_place("r1", UnixMillis(0)) && !grants.has_place("r99", UnixMillis(0)));
    }
}
