//! SRTP and SRTCP of the AEAD profiles (RFC 3711, RFC 7714) on aws-lc-rs. One owner per key: whoever holds a [`Sender`]
//! is the only one that ever seals with it, and it refuses to seal an index twice.

use super::replay::Window;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Bytes of the authentication tag.
pub const TAG: usize = sfu_core::TAG;
/// Bytes of a master salt.
const SALT: usize = 12;
/// SSRCs that one peer may open: eight tracks with repair streams, over some changes of encoder.
const MAX_SSRCS: usize = 128;
/// Bytes behind the ciphertext of an SRTCP packet: E flag and index.
const SRTCP_INDEX: usize = 4;

/// The AEAD profiles of RFC 7714; there are no others here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// AEAD_AES_256_GCM.
    Aes256Gcm,
    /// AEAD_AES_128_GCM.
    Aes128Gcm,
}

impl Profile {
    fn key_len(self) -> usize {
        match self {
            Self::Aes256Gcm => 32,
            Self::Aes128Gcm => 16,
        }
    }
}

/// Which end of the DTLS association we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We sent the ClientHello.
    Client,
    /// We answered it.
    Server,
}

/// Why a packet was not opened or not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrtpError {
    /// Shorter than its parts.
    #[error("the packet is too short")]
    Short,
    /// Seen before, or too old to tell.
    #[error("the packet was seen before")]
    Replayed,
    /// The tag is wrong: the peer, or somebody on the path.
    #[error("the packet is not authentic")]
    Forged,
    /// The peer uses too many SSRCs.
    #[error("too many streams")]
    TooManyStreams,
    /// Our bug: an index would be sealed twice.
    #[error("an index would be used twice")]
    Reused,
    /// Keying material of the wrong length.
    #[error("keying material of the wrong length")]
    Keys,
}

struct Session {
    rtp: LessSafeKey,
    rtp_salt: [u8; SALT],
    rtcp: LessSafeKey,
    rtcp_salt: [u8; SALT],
}

/// Key derivation of RFC 3711 section 4.3.1 (AES-CM), with the 96-bit salt of RFC 7714 section 11.
fn derive(key: &[u8], salt: &[u8], label: u8, out: &mut [u8]) -> Result<(), SrtpError> {
    let mut iv = [0u8; 16];
    iv[..SALT].copy_from_slice(salt);
    iv[7] ^= label;
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    let key = UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::ctr).map_err(|_| SrtpError::Keys)?;
    out.fill(0);
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(out, context).map_err(|_| SrtpError::Keys)?;
    Ok(())
}

impl Session {
    fn new(key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let session_key = |label| {
            let mut bytes = Zeroizing::new(vec![0; key.len()]);
            derive(key, salt, label, &mut bytes)?;
            UnboundKey::new(algorithm, &bytes).map(LessSafeKey::new).map_err(|_| SrtpError::Keys)
        };
        let session_salt = |label| {
            let mut bytes = [0; SALT];
            derive(key, salt, label, &mut bytes).map(|()| bytes)
        };
        Ok(Self {
            rtp: session_key(0)?,
            rtp_salt: session_salt(2)?,
            rtcp: session_key(3)?,
            rtcp_salt: session_salt(5)?,
        })
    }
}

/// RFC 7714 section 8.1: two zero bytes, SSRC, 48 bits of index, all masked by the salt.
fn nonce(salt: &[u8; SALT], ssrc: u32, index: u64) -> Nonce {
    let mut bytes = [0u8; SALT];
    bytes[2..6].copy_from_slice(&ssrc.to_be_bytes());
    bytes[6..].copy_from_slice(&index.to_be_bytes()[2..]);
    for (byte, mask) in bytes.iter_mut().zip(salt) {
        *byte ^= mask;
    }
    Nonce::assume_unique_for_key(bytes)
}

/// What a transport seals with and opens with.
pub struct Contexts {
    /// Our direction.
    pub sender: Sender,
    /// The peer's direction.
    pub receiver: Receiver,
}

impl Contexts {
    /// From the exported keying material (RFC 5764 section 4.2): client key, server key, client salt, server salt.
    pub fn new(material: &[u8], profile: Profile, role: Role) -> Result<Self, SrtpError> {
        let n = profile.key_len();
        if material.len() != 2 * (n + SALT) {
            return Err(SrtpError::Keys);
        }
        let (keys, salts) = material.split_at(2 * n);
        let client = Session::new(&keys[..n], &salts[..SALT])?;
        let server = Session::new(&keys[n..], &salts[SALT..])?;
        let (ours, theirs) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        Ok(Self {
            sender: Sender { session: ours, ssrcs: Vec::new(), windows: Vec::new(), rtcp_index: 0 },
            receiver: Receiver { session: theirs, rtp: HashMap::new(), rtcp: HashMap::new() },
        })
    }
}

/// Opens what the peer sends.
pub struct Receiver {
    session: Session,
    rtp: HashMap<u32, Window>,
    rtcp: HashMap<u32, Window>,
}

impl Receiver {
    /// Opens an RTP packet in place. Returns its extended index and the length of header and plaintext.
    pub fn open(
        &mut self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        sequence: u16,
    ) -> Result<(u64, usize), SrtpError> {
        if packet.len() < header + TAG {
            return Err(SrtpError::Short);
        }
        let window = self.rtp.get(&ssrc);
        let index = window.map_or(u64::from(sequence), |w| w.guess(sequence));
        if window.is_some_and(|w| !w.is_new(index)) {
            return Err(SrtpError::Replayed);
        }
        if window.is_none() && self.rtp.len() >= MAX_SSRCS {
            return Err(SrtpError::TooManyStreams);
        }
        let (head, body) = packet.split_at_mut(header);
        let nonce = nonce(&self.session.rtp_salt, ssrc, index);
        let plain =
            self.session.rtp.open_in_place(nonce, Aad::from(&*head), body).map_err(|_| SrtpError::Forged)?.len();
        self.rtp.entry(ssrc).or_default().mark(index);
        Ok((index, header + plain))
    }

    /// Opens an RTCP compound in place; returns its length.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        if packet.len() < 8 + TAG + SRTCP_INDEX {
            return Err(SrtpError::Short);
        }
        let end = packet.len() - SRTCP_INDEX;
        let mut trailer = [0; SRTCP_INDEX];
        trailer.copy_from_slice(&packet[end..]);
        let word = u32::from_be_bytes(trailer);
        // a packet that is not encrypted is not taken
        if word >> 31 == 0 {
            return Err(SrtpError::Forged);
        }
        let index = u64::from(word & 0x7fff_ffff);
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let window = self.rtcp.get(&ssrc);
        if window.is_some_and(|w| !w.is_new(index)) {
            return Err(SrtpError::Replayed);
        }
        if window.is_none() && self.rtcp.len() >= MAX_SSRCS {
            return Err(SrtpError::TooManyStreams);
        }
        let mut aad = [0u8; 12];
        aad[..8].copy_from_slice(&packet[..8]);
        aad[8..].copy_from_slice(&trailer);
        let nonce = nonce(&self.session.rtcp_salt, ssrc, index);
        let plain = self
            .session
            .rtcp
            .open_in_place(nonce, Aad::from(aad), &mut packet[8..end])
            .map_err(|_| SrtpError::Forged)?
            .len();
        self.rtcp.entry(ssrc).or_default().mark(index);
        Ok(8 + plain)
    }
}

/// Seals what we send.
pub struct Sender {
    session: Session,
    // parallel: the scan over SSRCs stays in one cache line for usual peers
    ssrcs: Vec<u32>,
    windows: Vec<Window>,
    rtcp_index: u32,
}

impl Sender {
    /// Seals `packet` (header, plaintext, [`TAG`] bytes of room) in place.
    pub fn seal(&mut self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) -> Result<(), SrtpError> {
        let Some(end) = packet.len().checked_sub(TAG).filter(|end| *end >= header) else {
            return Err(SrtpError::Short);
        };
        let at = match self.ssrcs.iter().position(|known| *known == ssrc) {
            Some(at) => at,
            None => {
                self.ssrcs.push(ssrc);
                self.windows.push(Window::default());
                self.ssrcs.len() - 1
            }
        };
        let window = &mut self.windows[at];
        if !window.is_new(index) {
            return Err(SrtpError::Reused);
        }
        window.mark(index);
        let (head, rest) = packet.split_at_mut(header);
        let (body, room) = rest.split_at_mut(end - header);
        let nonce = nonce(&self.session.rtp_salt, ssrc, index);
        let tag =
            self.session.rtp.seal_in_place_separate_tag(nonce, Aad::from(&*head), body).map_err(|_| SrtpError::Keys)?;
        room.copy_from_slice(tag.as_ref());
        Ok(())
    }

    /// Seals an RTCP compound.
    pub fn seal_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
        if packet.len() < 8 || self.rtcp_index >= 1 << 31 {
            return Err(SrtpError::Short);
        }
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let index = self.rtcp_index;
        self.rtcp_index += 1;
        let trailer = (index | 1 << 31).to_be_bytes();
        let mut aad = [0u8; 12];
        aad[..8].copy_from_slice(&packet[..8]);
        aad[8..].copy_from_slice(&trailer);
        let mut out = packet.to_vec();
        let nonce = nonce(&self.session.rtcp_salt, ssrc, index.into());
        let tag = self
            .session
            .rtcp
            .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out[8..])
            .map_err(|_| SrtpError::Keys)?;
        out.extend_from_slice(tag.as_ref());
        out.extend_from_slice(&trailer);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(profile: Profile) -> (Contexts, Contexts) {
        let material: Vec<u8> = (0..2 * (profile.key_len() + SALT) as u8).collect();
        let side = |role| Contexts::new(&material, profile, role).expect("the right length");
        (side(Role::Client), side(Role::Server))
    }

    fn packet(sequence: u16) -> Vec<u8> {
        let mut p = vec![0x80, 96];
        p.extend(sequence.to_be_bytes());
        p.extend([0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3]);
        p.extend([0; TAG]);
        p
    }

    #[test]
    fn rtp_passes_over_a_wrap_of_the_sequence_and_never_twice() {
        for profile in [Profile::Aes256Gcm, Profile::Aes128Gcm] {
            let (mut client, mut server) = pair(profile);
            for index in 65_500u64..65_600 {
                let mut p = packet(index as u16);
                client.sender.seal(&mut p, 12, 9, index).expect("sealed");
                assert_ne!(p[12..15], [1, 2, 3]);
                let mut again = p.clone();
                assert_eq!(server.receiver.open(&mut p, 12, 9, index as u16), Ok((index, 15)));
                assert_eq!(p[12..15], [1, 2, 3]);
                assert_eq!(server.receiver.open(&mut again, 12, 9, index as u16), Err(SrtpError::Replayed));
            }
        }
    }

    #[test]
    fn an_index_is_never_sealed_twice() {
        let (mut client, _) = pair(Profile::Aes256Gcm);
        client.sender.seal(&mut packet(7), 12, 9, 7).expect("sealed");
        client.sender.seal(&mut packet(6), 12, 9, 6).expect("late, but new");
        assert_eq!(client.sender.seal(&mut packet(7), 12, 9, 7), Err(SrtpError::Reused));
        client.sender.seal(&mut packet(7), 12, 10, 7).expect("another stream");
    }

    #[test]
    fn every_changed_byte_is_forged_and_leaves_no_mark() {
        let (mut client, mut server) = pair(Profile::Aes256Gcm);
        let mut sealed = packet(7);
        client.sender.seal(&mut sealed, 12, 9, 7).expect("sealed");
        for at in 0..sealed.len() {
            let mut p = sealed.clone();
            p[at] ^= 1;
            let (ssrc, sequence) = (u32::from_be_bytes([p[8], p[9], p[10], p[11]]), u16::from_be_bytes([p[2], p[3]]));
            assert_eq!(server.receiver.open(&mut p, 12, ssrc, sequence), Err(SrtpError::Forged), "byte {at}");
        }
        for len in 0..12 + TAG {
            assert_eq!(server.receiver.open(&mut sealed.clone()[..len], 12, 9, 7), Err(SrtpError::Short));
        }
        assert!(server.receiver.rtp.is_empty());
        assert_eq!(server.receiver.open(&mut sealed, 12, 9, 7), Ok((7, 15)));
    }

    #[test]
    fn rtcp_passes_once() {
        let (mut client, mut server) = pair(Profile::Aes128Gcm);
        let plain = [0x80, 201, 0, 1, 0, 0, 0, 5];
        let mut sealed = client.sender.seal_rtcp(&plain).expect("sealed");
        let mut again = sealed.clone();
        let mut clear = sealed.clone();
        let flag = clear.len() - 4;
        clear[flag] &= 0x7f;
        assert_eq!(server.receiver.open_rtcp(&mut clear), Err(SrtpError::Forged));
        assert_eq!(server.receiver.open_rtcp(&mut sealed), Ok(8));
        assert_eq!(sealed[..8], plain);
        assert_eq!(server.receiver.open_rtcp(&mut again), Err(SrtpError::Replayed));
        assert_eq!(server.receiver.open_rtcp(&mut [0x80; 20]), Err(SrtpError::Short));
    }

    #[test]
    fn session_keys_are_those_of_the_published_derivation() {
        // RFC 3711 appendix B.3: master key and salt (112 bits, the last 16 of them zero here as in RFC 7714)
        let key = [0xE1, 0xF9, 0x7A, 0x0D, 0x3E, 0x01, 0x8B, 0xE0, 0xD6, 0x4F, 0xA3, 0x2C, 0x06, 0xDE, 0x41, 0x39];
        let block = |iv: [u8; 16]| {
            let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &key).expect("key")).expect("key");
            let mut out = [0u8; 16];
            key.less_safe_encrypt(&mut out, EncryptionContext::Iv128(FixedLength::from(iv))).expect("16 bytes");
            out
        };
        // the cipher key of the appendix, from its own IV
        let iv = [0x0E, 0xC6, 0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6, 0, 0];
        let expected = [0xC6, 0x1E, 0x7A, 0x93, 0x74, 0x4F, 0x39, 0xEE, 0x10, 0x73, 0x4A, 0xFE, 0x3F, 0xF7, 0xA0, 0x87];
        assert_eq!(block(iv), expected);
        // ours with the 96 bits of that salt
        let mut ours = [0u8; 16];
        derive(&key, &iv[..SALT], 0, &mut ours).expect("derived");
        let mut short = iv;
        short[12..].fill(0);
        assert_eq!(ours, block(short));
        let mut labelled = short;
        labelled[7] ^= 3;
        derive(&key, &iv[..SALT], 3, &mut ours).expect("derived");
        assert_eq!(ours, block(labelled));
    }
}
