//! What a shard sleeps on: one epoll set with the wake-up of its commands and its sockets. Nothing is allocated per sleep.

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Readiness taken per sleep; what is beyond it is reported by the next.
const EVENTS: usize = 128;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or the end.
    Read,
    /// That, or room to write.
    ReadAndWrite,
}

/// An epoll set and the tokens that were ready last.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(EVENTS) })
    }

    /// Reports `token` whenever there is something to read, until it is read (level-triggered).
    pub fn watch(&self, what: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, what, EventData::new_u64(token), EventFlags::IN)?)
    }

    /// Changes what is reported of something watched.
    pub fn change(&self, what: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let flags = match interest {
            Interest::Read => EventFlags::IN,
            Interest::ReadAndWrite => EventFlags::IN | EventFlags::OUT,
        };
        Ok(epoll::modify(&self.epoll, what, EventData::new_u64(token), flags)?)
    }

    /// Sleeps until something is ready or the time is over.
    pub fn wait(&mut self, most: Duration) {
        let timeout = rustix::event::Timespec { tv_sec: most.as_secs() as i64, tv_nsec: most.subsec_nanos().into() };
        self.events.clear();
        // an interrupted sleep is a short one
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout));
    }

    /// The `at`-th token that was ready after the last sleep.
    pub fn ready(&self, at: usize) -> Option<u64> {
        self.events.get(at).map(|event| event.data.u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn what_is_ready_is_reported_by_its_token_and_nothing_else_is() {
        let [quiet, loud] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("loopback"));
        let mut poller = Poller::new().expect("epoll");
        poller.watch(&quiet, 7).expect("watched");
        poller.watch(&loud, 8).expect("watched");
        poller.wait(Duration::from_micros(100));
        assert_eq!(poller.ready(0), None);
        quiet.send_to(&[1], loud.local_addr().expect("bound")).expect("sent");
        poller.wait(Duration::from_secs(10));
        assert_eq!((poller.ready(0), poller.ready(1)), (Some(8), None));
    }
}
