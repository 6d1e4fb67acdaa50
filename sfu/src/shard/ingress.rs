//! A datagram's way in: sorted by its first byte, tied to a proven source, opened, handed to the engine.

use super::endpoint::{Endpoint, Endpoints};
use super::{EdgeStats, guard};
use crate::transport::Path;
use domain::TransportKind;
use sfu_core::rtp::{self, Header};
use sfu_core::{Engine, Micros, PeerKey};
use std::time::Instant;

/// The way of one datagram in.
pub(super) struct Ingress<'a> {
    /// Time of the batch.
    pub now: Instant,
    /// The same in the engine's time.
    pub micros: Micros,
    /// Transports.
    pub endpoints: &'a mut Endpoints,
    /// Takes what was opened.
    pub engine: &'a mut Engine,
    /// Counters.
    pub stats: &'a mut EdgeStats,
    /// Whom the datagram is handled for.
    pub blamed: Option<PeerKey>,
}

impl Ingress<'_> {
    /// Takes one datagram or frame, whatever it does to its transport. Notes the endpoint that may have something to say.
    pub(super) fn take(mut self, path: Path, datagram: &mut [u8], touched: &mut Vec<usize>) {
        self.engine.acts_for_nobody();
        match guard::caught(|| self.datagram(path, datagram)) {
            Ok(Some(place)) if !touched.contains(&place) => touched.push(place),
            Ok(_) => {}
            Err(guard::Panicked) => {
                let Self { micros, endpoints, engine, stats, blamed, .. } = self;
                guard::contain(micros, endpoints, engine, stats, blamed);
            }
        }
    }

    /// Sorts by the first byte (RFC 7983). Returns the endpoint that may have something to say.
    fn datagram(&mut self, path: Path, datagram: &mut [u8]) -> Option<usize> {
        match *datagram.first()? {
            0..=3 => self.stun(path, datagram),
            20..=63 => {
                let place = self.proven(path)?;
                let now = self.now;
                self.endpoint(place)?.transport.handle_dtls(now, datagram);
                Some(place)
            }
            128..=191 => {
                let place = self.proven(path)?;
                if self.media(place, datagram).is_none() {
                    self.stats.not_opened += 1;
                }
                None
            }
            _ => {
                self.stats.unproven += 1;
                None
            }
        }
    }

    fn proven(&mut self, path: Path) -> Option<usize> {
        let place = self.endpoints.by_address(path);
        if place.is_none() {
            self.stats.unproven += 1;
        }
        place
    }

    fn endpoint(&mut self, place: usize) -> Option<&mut Endpoint> {
        let endpoint = self.endpoints.get(place)?;
        self.blamed = Some(endpoint.peer);
        Some(endpoint)
    }

    fn stun(&mut self, path: Path, datagram: &[u8]) -> Option<usize> {
        let named = is::stun::StunMessage::parse(datagram).ok().and_then(|message| {
            let (ufrag, _) = message.split_username()?;
            self.endpoints.by_ufrag(ufrag)
        });
        let Some(place) = named else {
            self.stats.bad_stun += 1;
            return None;
        };
        let now = self.now;
        let endpoint = self.endpoint(place)?;
        if endpoint.transport.handle_stun(now, path, datagram) {
            endpoint.heard = now;
            self.endpoints.prove(place, path);
        } else {
            self.stats.bad_stun += 1;
        }
        Some(place)
    }

    fn media(&mut self, place: usize, datagram: &mut [u8]) -> Option<()> {
        let endpoint = self.endpoints.get(place)?;
        self.blamed = Some(endpoint.peer);
        let receiver = &mut endpoint.srtp.as_mut()?.receiver;
        if rtp::is_rtcp(datagram) {
            let len = receiver.open_rtcp(datagram).ok()?;
            endpoint.heard = self.now;
            self.engine.handle_rtcp(self.micros, endpoint.peer, endpoint.kind, &datagram[..len]);
            return Some(());
        }
        let header = Header::parse(datagram)?;
        let (index, len) = receiver.open(datagram, header.len, header.ssrc, header.sequence).ok()?;
        endpoint.heard = self.now;
        if endpoint.kind == TransportKind::Publish {
            self.engine.handle_rtp(self.micros, endpoint.peer, &header, index, &datagram[..len]);
        }
        Some(())
    }
}
