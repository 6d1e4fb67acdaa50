//! Seeds of [`crate::targets::hop`].

use super::media;
use crate::targets::hop::part;
use sfu_core::Micros;
use sfu_core::rtcp::{build, twcc};
use std::time::Instant;

/// Feedback about packets with gaps between.
fn told(spacing_us: u64, count: u16) -> Vec<u8> {
    let mut arrivals = twcc::Arrivals::default();
    for n in (0..count).filter(|n| n % 7 != 3) {
        arrivals.note(Micros(64_000_000 + u64::from(n) * spacing_us), n);
    }
    arrivals.feedback(1, 2).expect("something arrived")
}

pub fn feedback() -> Vec<Vec<u8>> {
    let runs =
        [&[0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 20, 0, 0, 1, 0][..], &[0, 3, 0x20, 3, 0xa0, 1]].concat();
    vec![told(1_000, 30), told(100_000, 20), [runs, vec![4, 4, 4, 8, 12, 0, 0, 0]].concat()]
}

/// Three temporal layers, then frames that lean on the structure.
pub fn dependency() -> Vec<Vec<u8>> {
    let mut key = vec![0x80, 0, 7, 0x80, 0x00, 0x8a, 0x71, 0x55, 0xd4, 0x48, 0x14, 0x1d, 0x24, 0xa0, 0x10, 0, 0, 0];
    key.resize(64, 0);
    vec![[key.clone(), vec![0x81, 0, 8]].concat(), key, vec![0xc2, 0, 9, 0x20, 0xff, 0xff]]
}

pub fn descriptors() -> Vec<Vec<u8>> {
    vec![
        vec![0x90, 0xe0, 0x81, 0x23, 0x07, 0x20, 0x00, 9],
        vec![0xba, 0x81, 0x02, 0x00, 0x30, 1, 64, 0, 180, 2, 128, 1, 104, 7],
        vec![0xf8, 0x81, 0x03, 0x40, 0x03, 0x04, 9],
        vec![0x0a, 0x18, 3, 0x10, 1, 2, 0x14, 3, 4, 5, 9],
        vec![0x00, 0x82, 0x01, 0x32, 0x05, 9],
    ]
}

/// A ClientHello with its random bytes fixed.
fn hello() -> Vec<u8> {
    let certificate = dimpl::certificate::generate_self_signed_certificate().expect("a certificate");
    let config = dimpl::Config::builder().dangerously_set_rng_seed(7).build().expect("a configuration");
    let now = Instant::now();
    let mut client = dimpl::Dtls::new_12(config.into(), certificate, now);
    client.set_active(true);
    client.handle_timeout(now).expect("a client that begins");
    let mut buffer = vec![0; 4_096];
    let dimpl::Output::Packet(record) = client.poll_output(&mut buffer) else { panic!("a ClientHello") };
    let mut record = record.to_vec();
    // time stands at the front of the random bytes
    record[27..31].fill(7);
    record
}

/// A handshake record of epoch 0 with one fragment of a message.
fn fragment(kind: u8, message: u8, total: u8, offset: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, message + 1, 0, 12 + body.len() as u8];
    out.extend([kind, 0, 0, total, 0, message, 0, 0, offset, 0, 0, body.len() as u8]);
    out.extend(body);
    out
}

pub fn dtls() -> Vec<Vec<u8>> {
    let hello = hello();
    let check = part(0, 0, &[]);
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let ccs = [20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1];
    let sealed = [&[22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 40][..], &[7; 40]].concat();
    let pieces = [fragment(11, 1, 90, 0, &[0x30; 40]), fragment(11, 1, 90, 40, &[0x30; 50])];
    vec![
        [check.clone(), part(2, 1, &hello), part(2, 100, &hello)].concat(),
        [check.clone(), part(2, 1, &hello), part(2, 1, &pieces[0]), part(2, 1, &pieces[1])].concat(),
        [
            check,
            part(2, 1, &hello),
            part(2, 1, &fragment(16, 2, 66, 0, &[4; 66])),
            part(2, 0, &ccs),
            part(2, 0, &sealed),
        ]
        .concat(),
        [part(2, 1, &hello), part(3, 1, &alert), part(1, 1, &media::stun().remove(0))].concat(),
    ]
}

/// The payload of a frame's only packet, number `n`.
fn picture(n: u8) -> Vec<u8> {
    [&[0x90, 0x80, 0x80, n, 0][..], &super::media::sealed_frame().remove(0)].concat()
}

pub fn repairs() -> Vec<Vec<u8>> {
    let media = |n: u8| part(0, n, &picture(n));
    let repair = |n: u8, of: u8| part(1, n, &[&[0, of][..], &picture(of)].concat());
    vec![
        [media(4), media(6), repair(7, 5), media(8), repair(9, 5), repair(10, 200)].concat(),
        [repair(1, 1), media(4), repair(5, 3), repair(6, 4)].concat(),
        // no payload, half a number, a number alone, padding over all of it
        [media(4), media(6), part(1, 1, &[]), part(1, 2, &[0]), part(1, 3, &[0, 5]), part(0x21, 4, &[0, 5, 0, 3])]
            .concat(),
        // under the media's SSRC, another publisher's, a sound's and nobody's
        [media(4), media(6)]
            .into_iter()
            .chain(
                [0x03, 0x41, 0x43, 0x81, 0x83, 0xc1, 0xc3]
                    .map(|kind| part(kind, kind, &[&[0, 5][..], &picture(5)].concat())),
            )
            .collect::<Vec<_>>()
            .concat(),
    ]
}

pub fn server() -> Vec<Vec<u8>> {
    let rtp = |n: u8, kind: u8, ssrc: [u8; 2], payload: &[u8]| {
        let head = [0x80, kind, 0, n, 0, 0, 0, n, 0, 0, ssrc[0], ssrc[1]];
        [&head[..], payload].concat()
    };
    let video = |n| rtp(n, 96 | 0x80, [0x1b, 0x58], &picture(n));
    let sound = |n| rtp(n, 111, [0x1b, 0x5a], &super::media::sealed_frame().remove(0));
    let asked = build::nack(1, 1 << 16, &[1_000, 1_001]).expect("not empty");
    let whole = [
        part(0, 1, &[]),
        part(3, 1, &hello()),
        part(7, 5, &video(1)),
        part(8, 5, &sound(1)),
        part(7, 5, &video(3)),
        part(6, 20, &told(5_000, 12)),
        part(6, 20, &asked),
        part(5, 20, &media::rtcp().remove(0)),
        part(1, 1, &[]),
        part(2, 1, &media::stun().remove(0)),
    ];
    let mut all = vec![whole.concat()];
    all.push((0..12).flat_map(|n| part(if n % 2 == 0 { 7 } else { 0x88 }, 9, &video(n))).collect());
    all
}
