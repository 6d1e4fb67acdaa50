//! Files judged by other readers, and the filling of holes.

use super::*;
use std::process::Command;

/// 3 s of a moving ball (160 x 90 VP8, key frame each second) and a 440 Hz tone (Opus, 20 ms): records of
/// kind u8, key u8, ms u32, length u16, bytes.
const FIXTURE: &[u8] = include_bytes!("fixture.frames");

pub(crate) fn fixture() -> Vec<(MediaKind, Input)> {
    let (mut out, mut rest) = (Vec::new(), FIXTURE);
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let len = usize::from(u16::from_be_bytes([head[6], head[7]]));
        let ms = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        let kind = if head[0] == 0 { MediaKind::Video } else { MediaKind::Audio };
        let data = Zeroizing::new(tail[..len].to_vec());
        out.push((kind, Input { pts_us: u64::from(ms) * 1000, key_frame: head[1] == 1, lost_before: false, data }));
        rest = &tail[len..];
    }
    out
}

/// The fixture moved by `shift_us`, as a finished file of `duration_ms`.
pub(crate) fn file(shift_us: u64, duration_ms: u64) -> Webm {
    let (mut heard, mut seen) = (Vec::new(), Vec::new());
    for (kind, mut input) in fixture() {
        input.pts_us += shift_us;
        if kind == MediaKind::Audio { heard.push(input) } else { seen.push(input) }
    }
    let (mut frames, size) = picture(seen, duration_ms * 1000);
    frames.extend(sound(heard, duration_ms * 1000));
    write(frames, size, duration_ms)
}

fn tool(program: &str, arguments: &[&str], path: &std::path::Path) -> String {
    let output = Command::new(program)
        .args(arguments.iter().map(|a| if *a == "FILE" { path.to_str().expect("utf-8") } else { a }))
        .output()
        .unwrap_or_else(|e| panic!("{program} is needed by this test (apt-get install ffmpeg): {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn written(webm: &Webm) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(".webm").expect("temporary file");
    std::fs::write(file.path(), webm.bytes.as_slice()).expect("written");
    file
}

#[test]
fn another_reader_finds_duration_tracks_and_every_frame() {
    let webm = file(2_000_000, 8_000);
    let file = written(&webm);
    let seen = tool(
        "ffprobe",
        &[
            "-v",
            "error",
            "-count_packets",
            "-show_entries",
            "format=duration:stream=codec_name,width,height,nb_read_packets",
            "-of",
            "default=nw=1",
            "FILE",
        ],
        file.path(),
    );
    for line in
        ["codec_name=vp8", "width=160", "height=90", "codec_name=opus", "duration=8.000000", "nb_read_packets=400"]
    {
        assert!(seen.contains(line), "{line} is missing in\n{seen}");
    }
}

#[test]
fn it_decodes_without_an_error_and_is_black_and_silent_before_the_first_frame() {
    let webm = file(2_000_000, 8_000);
    let file = written(&webm);
    // any decoding error is printed at this level
    let errors = tool("ffmpeg", &["-v", "error", "-xerror", "-i", "FILE", "-f", "null", "-"], file.path());
    assert_eq!(errors.trim(), "");
    let heard = ["-v", "info", "-i", "FILE", "-af", "silencedetect=n=-50dB:d=0.5", "-vn", "-f", "null", "-"];
    let judged = tool("ffmpeg", &heard, file.path());
    assert!(judged.contains("silence_start: 0") && judged.contains("silence_end: 2.0"), "{judged}");
    assert!(brightest(file.path(), "0.0") <= 20, "black before");
    assert!(brightest(file.path(), "3.0") >= 100, "the ball");
    assert!(brightest(file.path(), "6.5") <= 20, "black after");
}

/// Luma of the brightest pixel of the first frame from a time on.
fn brightest(file: &std::path::Path, at: &str) -> u8 {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-vf", "scale=160:90,format=gray", "-ss", at, "-frames:v", "1", "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg is installed");
    output.stdout.into_iter().max().unwrap_or_else(|| panic!("no picture at {at}"))
}

#[test]
fn cues_point_at_clusters_that_begin_with_a_key_frame() {
    let webm = file(0, 3_000);
    let bytes = webm.bytes.as_slice();
    let segment = bytes.windows(4).position(|w| w == [0x18, 0x53, 0x80, 0x67]).expect("segment") + 12;
    let mut at = 0;
    let mut cues = 0;
    while let Some(found) = bytes[at..].windows(2).position(|w| w == [0xf1, 0x01]) {
        let place = at + found + 9;
        let position = u64::from_be_bytes(bytes[place..place + 8].try_into().expect("8 bytes")) as usize;
        assert_eq!(bytes[segment + position..segment + position + 4], [0x1f, 0x43, 0xb6, 0x75]);
        cues += 1;
        at = place;
        if cues == 3 {
            break;
        }
    }
    assert_eq!(cues, 3, "one for each of the three key frames");
}

#[test]
fn sound_with_a_stalled_sender_keeps_every_packet_and_its_place() {
    let packets: Vec<Input> = (0..200u64)
        .map(|i| {
            // a thread that stalls 140 ms delivers seven packets late
            let late = if (60..67).contains(&i) { 140_000 - (i - 60) * 20_000 } else { 0 };
            let data = Zeroizing::new(vec![0xf8, i as u8, 1]);
            Input { pts_us: 1_000_000 + i * 20_000 + late, key_frame: true, lost_before: false, data }
        })
        .collect();
    let out = sound(packets, 5_000_000);
    assert_eq!(out.len(), 250);
    let first = out.iter().position(|frame| frame.data[1] == 0 && frame.data[2] == 1).expect("kept");
    assert_eq!(out[first].pts_us, 1_000_000);
    assert!((0..200).all(|i| out[first + i].data[1] == i as u8), "in order, without a hole");
}

#[test]
fn a_hole_in_sound_becomes_silence_of_the_same_length() {
    let packets: Vec<Input> = (0..100u64)
        .map(|i| {
            let hole = if i >= 50 { 700_000 } else { 0 };
            Input {
                pts_us: i * 20_000 + hole,
                key_frame: true,
                lost_before: false,
                data: Zeroizing::new(vec![0xf8, i as u8, 1]),
            }
        })
        .collect();
    let out = sound(packets, 2_700_000);
    let after = out.iter().find(|frame| frame.data[1] == 50 && frame.data[2] == 1).expect("kept");
    assert_eq!(after.pts_us, 1_700_000);
    assert!(out.windows(2).all(|w| w[1].pts_us - w[0].pts_us == SILENCE_US));
}

#[test]
fn after_a_loss_nothing_is_shown_until_the_next_key_frame() {
    let mut frames: Vec<Input> =
        fixture().into_iter().filter(|(kind, _)| *kind == MediaKind::Video).map(|(_, input)| input).collect();
    let total = frames.len();
    let lost = frames.iter().skip(1).position(|frame| frame.key_frame).expect("a second key frame") - 4;
    frames[lost].lost_before = true;
    let (out, _) = picture(frames, 3_000_000);
    assert_eq!(out.iter().filter(|frame| frame.data.as_slice() != BLACK).count(), total - 5);
}

#[test]
fn a_picture_that_claims_to_be_huge_is_black_until_the_next_honest_one() {
    let frames = || -> Vec<Input> {
        fixture().into_iter().filter(|(kind, _)| *kind == MediaKind::Video).map(|(_, input)| input).collect()
    };
    let honest = picture(frames(), 3_000_000).0.len();
    for flagged in [true, false] {
        let mut seen = frames();
        let second = seen.iter().skip(1).position(|frame| frame.key_frame).expect("a key frame each second") + 1;
        seen[second].data[6..10].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
        seen[second].key_frame = flagged;
        let after: Vec<Frame> = picture(seen, 3_000_000).0;
        assert!(after.iter().all(|frame| frame.data.get(6..10) != Some(&[0xff, 0x3f, 0xff, 0x3f])), "{flagged}");
        assert!(after.len() < honest, "what hangs on it is not shown either");
        assert!(after.iter().any(|frame| frame.key_frame && frame.pts_us >= 2_000_000), "the next one is");
    }
}

#[test]
fn opus_lengths_follow_the_toc_byte() {
    assert_eq!(opus_duration_us(&SILENCE), Some(20_000));
    assert_eq!(opus_duration_us(&[0x0b << 3, 1]), Some(60_000));
    assert_eq!(opus_duration_us(&[0xf8 | 3, 3]), Some(60_000));
    assert_eq!(opus_duration_us(&[0xf8 | 3, 0]), None);
    assert_eq!(opus_duration_us(&[]), None);
}
