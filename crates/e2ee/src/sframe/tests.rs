//! Known answers of RFC 9605 and the attacks on single frames (T1-T5, T9).

use super::*;
use ::sframe::CipherSuite;
use ::sframe::frame::{EncryptedFrameView, MediaFrameView, MonotonicCounter};
use ::sframe::key::{DecryptionKey, EncryptionKey};
use domain::{Epoch, LeafIndex, Slot};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/rfc9605.json")).expect("committed JSON")
}
fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("hexadecimal")).expect("hexadecimal")
}
fn base() -> BaseKey {
    BaseKey::from_bytes(&[9; 32]).expect("32 bytes")
}
fn kid() -> Kid {
    Kid::new(Slot(2), LeafIndex(3), Epoch(7))
}
fn sealed(key: &mut SealKey, frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    key.seal(true, frame, 42, &mut out).expect("a plain frame");
    out
}

#[test]
fn t1_every_header_of_rfc_9605_appendix_c_reads_back() {
    let vectors = vectors();
    let list = vectors["header"].as_array().expect("a list");
    assert_eq!(list.len(), 289);
    for vector in list {
        let encoded = bytes(&vector["encoded"]);
        let header = domain::sframe::header(&encoded).expect("an RFC vector");
        let (kid, ctr) = (Kid(vector["kid"].as_u64().expect("u64")), Ctr(vector["ctr"].as_u64().expect("u64")));
        assert_eq!((header.kid, header.ctr, header.len), (kid, ctr, encoded.len()));
        assert_eq!(header_len(kid, ctr), encoded.len());
    }
}

#[test]
fn t1_every_frame_of_rfc_9605_appendix_c_seals_and_opens_with_its_metadata() {
    let vectors = vectors();
    for vector in vectors["sframe"].as_array().expect("a list") {
        let suite = match vector["cipher_suite"].as_u64() {
            Some(1) => CipherSuite::AesCtr128HmacSha256_80,
            Some(2) => CipherSuite::AesCtr128HmacSha256_64,
            Some(3) => CipherSuite::AesCtr128HmacSha256_32,
            Some(4) => CipherSuite::AesGcm128Sha256,
            Some(5) => CipherSuite::AesGcm256Sha512,
            other => panic!("no suite of the RFC: {other:?}"),
        };
        let (kid, ctr) = (vector["kid"].as_u64().expect("u64"), vector["ctr"].as_u64().expect("u64"));
        let (base, meta) = (bytes(&vector["base_key"]), bytes(&vector["metadata"]));
        let (plain, wanted) = (bytes(&vector["pt"]), bytes(&vector["ct"]));
        let mut counter = MonotonicCounter::with_start_value(ctr, u64::MAX);
        let key = EncryptionKey::derive_from(suite, kid, &base).expect("a key");
        let mut out = Vec::new();
        let frame = MediaFrameView::try_with_meta_data(&mut counter, &plain, &meta).expect("a counter");
        frame.encrypt_into(&key, &mut out).expect("seals");
        assert_eq!(&out[meta.len()..], wanted, "suite {suite:?}");
        let key = DecryptionKey::derive_from(suite, kid, &base).expect("a key");
        let mut opened = Vec::new();
        let view = EncryptedFrameView::try_with_meta_data(&wanted, &meta).expect("a header");
        assert_eq!(view.decrypt_into(&key, &mut opened).expect("opens").payload(), plain);
        let mut other = Vec::new();
        let view = EncryptedFrameView::try_with_meta_data(&wanted, b"other").expect("a header");
        assert!(view.decrypt_into(&key, &mut other).is_err(), "metadata is authenticated");
    }
}

#[test]
fn t1_no_header_makes_the_opener_panic() {
    let mut opener = Opener::live(base(), Epoch(7));
    let mut state = 1u64;
    for len in 0..64usize {
        for _ in 0..200 {
            let wire: Vec<u8> = (0..len)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 56) as u8
                })
                .collect();
            for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::Av1] {
                assert!(opener.open(codec, &wire).is_err());
            }
        }
    }
    assert!(opener.kids() == 0, "nothing unauthentic leaves a key behind");
}

#[test]
fn frames_of_every_codec_open_to_what_was_sealed() {
    for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let mut key = SealKey::new(&base(), kid(), codec);
        let mut opener = Opener::live(base(), Epoch(7));
        for len in [1usize, 7, 200, 70_000] {
            let frame = vec![len as u8; len];
            let mut out = Vec::new();
            let place = key.seal(false, &frame, 1_000_000, &mut out).expect("a plain frame");
            let opened = opener.open(codec, &out).expect("authentic");
            assert_eq!((opened.frame, opened.capture_us, opened.kid), (frame, 1_000_000, kid()));
            assert_eq!(
                opened.sha256[..evidence::sender_manifest::HASH],
                evidence::sender_manifest::frame_hash(&out[place.shim..])
            );
        }
    }
}

#[test]
fn t2_a_flip_of_any_bit_of_shim_header_ciphertext_or_tag_is_rejected() {
    for codec in [Codec::Opus, Codec::Vp8, Codec::Av1] {
        let mut key = SealKey::new(&base(), kid(), codec);
        let wire = sealed(&mut key, b"a frame of some length");
        for at in 0..wire.len() * 8 {
            let mut broken = wire.clone();
            broken[at / 8] ^= 1 << (at % 8);
            assert!(Opener::live(base(), Epoch(7)).open(codec, &broken).is_err(), "{codec:?} bit {at}");
        }
        let other = if codec == Codec::Opus { Codec::Vp9 } else { Codec::Opus };
        assert!(Opener::live(base(), Epoch(7)).open(other, &wire).is_err(), "the codec id is authenticated");
    }
}

#[test]
fn t3_a_replayed_frame_is_a_duplicate_inside_and_below_the_window() {
    let mut key = SealKey::new(&base(), kid(), Codec::Vp9);
    let mut opener = Opener::live(base(), Epoch(7));
    let wires: Vec<_> = (0..replay::WINDOW + 10).map(|_| sealed(&mut key, b"x")).collect();
    for wire in &wires {
        opener.open(Codec::Vp9, wire).expect("fresh");
    }
    for wire in [&wires[0], &wires[5], &wires[20], &wires[wires.len() - 1]] {
        assert_eq!(opener.open(Codec::Vp9, wire), Err(OpenError::Duplicate));
    }
}

#[test]
fn t4_a_forged_huge_counter_does_not_move_the_window() {
    let mut key = SealKey::new(&base(), kid(), Codec::Vp9);
    let mut opener = Opener::live(base(), Epoch(7));
    let first = sealed(&mut key, b"first");
    let second = sealed(&mut key, b"second");
    opener.open(Codec::Vp9, &first).expect("fresh");
    let huge = sealed(&mut SealKey::new(&base(), kid(), Codec::Vp9).at_counter(1 << 39), b"huge");
    let mut forged = huge.clone();
    *forged.last_mut().expect("a tag") ^= 1;
    assert_eq!(opener.open(Codec::Vp9, &forged), Err(OpenError::Unauthentic));
    opener.open(Codec::Vp9, &second).expect("the window has not moved");
    opener.open(Codec::Vp9, &huge).expect("an authentic one moves it");
    assert_eq!(opener.open(Codec::Vp9, &second), Err(OpenError::Duplicate));
}

/// Sealed with the right key by somebody who chooses the counter.
fn sealed_at(ctr: u64) -> Vec<u8> {
    let raw = EncryptionKey::derive_from(SUITE, kid().0, base().expose()).expect("a key");
    let mut counter = MonotonicCounter::with_start_value(ctr, u64::MAX);
    let meta = metadata(&[], Codec::Vp9);
    let mut out = Vec::new();
    let plain = [&b"media"[..], &[0; CAPTURE]].concat();
    let view = MediaFrameView::try_with_meta_data(&mut counter, &plain, &meta).expect("a counter");
    view.encrypt_into(&raw, &mut out).expect("seals");
    out.split_off(meta.len())
}

#[test]
fn t4_a_members_own_counter_at_the_very_end_neither_opens_nor_stops_the_receiver() {
    let mut opener = Opener::live(base(), Epoch(7));
    for ctr in [u64::MAX, u64::MAX - 1, 1 << 40] {
        assert_eq!(opener.open(Codec::Vp9, &sealed_at(ctr)), Err(OpenError::Malformed), "{ctr}");
    }
    opener.open(Codec::Vp9, &sealed_at((1 << 40) - 1)).expect("the last counter a sender has");
}

#[test]
fn t5_a_counter_that_is_used_up_refuses_to_seal() {
    let mut key = SealKey::new(&base(), kid(), Codec::Opus).at_counter((1 << 40) - 1);
    let mut out = Vec::new();
    key.seal(false, b"last", 0, &mut out).expect("the last counter");
    assert_eq!(key.seal(false, b"one more", 0, &mut out), Err(SealKeyError::Exhausted));
    assert!(out.is_empty() || out.len() == 1, "nothing sealed is left in the buffer");
}

#[test]
fn t6_a_key_opens_the_frames_of_its_own_kid_only() {
    let wire = sealed(&mut SealKey::new(&base(), kid(), Codec::Vp9), b"x");
    let other = Kid::new(Slot(2), LeafIndex(4), Epoch(7));
    assert_eq!(OpenKey::live(&base(), other).open(Codec::Vp9, &wire), Err(OpenError::Unauthentic));
    assert!(OpenKey::live(&base(), kid()).open(Codec::Vp9, &wire).is_ok());
}

#[test]
fn t20_a_frame_larger_than_any_is_not_even_tried() {
    let mut key = SealKey::new(&base(), kid(), Codec::Vp9);
    let mut out = Vec::new();
    let largest = vec![1; domain::limits::MAX_FRAME - 64];
    key.seal(false, &largest, 0, &mut out).expect("the largest");
    assert!(Opener::live(base(), Epoch(7)).open(Codec::Vp9, &out).is_ok());
    assert_eq!(key.seal(false, &[&largest[..], &[1]].concat(), 0, &mut out), Err(SealKeyError::TooLong));
    let too_long = vec![0x99; domain::limits::MAX_FRAME + 1];
    assert_eq!(Opener::live(base(), Epoch(7)).open(Codec::Vp9, &too_long), Err(OpenError::Malformed));
}

#[test]
fn t9_plain_and_empty_frames_never_open() {
    let mut opener = Opener::live(base(), Epoch(7));
    for plain in [&b""[..], &[0], &[0x78; 40], &[0x00; 3], &[0x9d, 0x01, 0x2a]] {
        assert!(opener.open(Codec::Vp8, plain).is_err());
        assert!(opener.open(Codec::Opus, plain).is_err());
    }
    let mut key = SealKey::new(&base(), kid(), Codec::Opus);
    assert_eq!(key.seal(false, b"", 0, &mut Vec::new()), Err(SealKeyError::Empty));
}

#[test]
fn t9_an_authentic_frame_without_media_is_refused() {
    let raw = EncryptionKey::derive_from(SUITE, kid().0, base().expose()).expect("a key");
    let mut counter = MonotonicCounter::default();
    let meta = metadata(&[], Codec::Opus);
    for plain in [&b""[..], &[0; CAPTURE - 1], &[0; CAPTURE]] {
        let mut out = Vec::new();
        let view = MediaFrameView::try_with_meta_data(&mut counter, plain, &meta).expect("a counter");
        view.encrypt_into(&raw, &mut out).expect("seals");
        let opened = Opener::live(base(), Epoch(7)).open(Codec::Opus, &out[meta.len()..]);
        assert!(matches!(opened, Err(OpenError::Empty | OpenError::Malformed)), "{opened:?}");
    }
}

#[test]
fn a_base_key_opens_only_frames_of_its_epoch() {
    let mut key = SealKey::new(&base(), Kid::new(Slot(2), LeafIndex(3), Epoch(8)), Codec::Opus);
    let wire = sealed(&mut key, b"x");
    assert_eq!(Opener::live(base(), Epoch(7)).open(Codec::Opus, &wire), Err(OpenError::UnknownEpoch));
    let mut other = SealKey::new(&base(), Kid(1 << 40 | 7), Codec::Opus);
    let wire = sealed(&mut other, b"x");
    assert_eq!(Opener::live(base(), Epoch(7)).open(Codec::Opus, &wire), Err(OpenError::UnknownEpoch));
}
