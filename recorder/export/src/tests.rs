//! Exports judged by their content, and what garbage does to them.

use super::*;
use domain::MediaKind;
use domain::message::export::ToExport;
use std::process::Command as Process;

/// 3 s of a moving ball and a 440 Hz tone, as in the front's tests.
const FIXTURE: &[u8] = include_bytes!("../../front/src/webm/fixture.frames");

fn fixture(lane: u32, shift_us: u64) -> Vec<ToExport> {
    let (mut out, mut rest) = (Vec::new(), FIXTURE);
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let len = usize::from(u16::from_be_bytes([head[6], head[7]]));
        let ms = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        let kind = if head[0] == 0 { MediaKind::Video } else { MediaKind::Audio };
        let pts_us = shift_us + u64::from(ms) * 1000;
        out.push(ToExport::Frame { lane, kind, pts_us, key_frame: head[1] == 1, data: tail[..len].to_vec() });
        rest = &tail[len..];
    }
    out
}

fn framed(messages: &[ToExport]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages {
        let mut body = Vec::new();
        ciborium::into_writer(message, &mut body).expect("encodes");
        out.extend((body.len() as u32).to_be_bytes());
        out.extend(body);
    }
    out
}

/// `duration_ms` with these lanes' frames, merged in order of time.
fn meeting(duration_ms: u64, lanes: &[Vec<ToExport>]) -> Vec<u8> {
    let names = (0..lanes.len()).map(|n| format!("Person <{n}> & Co")).collect();
    let mut frames: Vec<ToExport> = lanes.concat();
    let time = |message: &ToExport| if let ToExport::Frame { pts_us, .. } = message { *pts_us } else { 0 };
    frames.sort_by_key(time);
    let begin = ToExport::Begin { duration_ms, watermark: "REPLAY carol@bank-a <case> & 42".to_owned(), lanes: names };
    framed(&[&[begin], frames.as_slice(), &[ToExport::End]].concat())
}

/// Luma of every pixel of one frame at a time, 128 x 72.
fn pixels(file: &Path, at: &str) -> Vec<u8> {
    let output = Process::new("ffmpeg")
        .args(["-v", "error", "-ss", at, "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-vf", "scale=128:72,format=gray", "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg is installed");
    assert_eq!(output.stdout.len(), 128 * 72, "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Brightest pixel of the upper part (without the name) of the left or right half.
fn brightest(pixels: &[u8], half: usize) -> u8 {
    let rows = (20..50).flat_map(|y| pixels[y * 128 + half * 64..y * 128 + half * 64 + 64].iter());
    rows.copied().max().unwrap_or(0)
}

fn volume(file: &Path, at: &str) -> f64 {
    let output = Process::new("ffmpeg")
        .args(["-v", "info", "-ss", at, "-t", "0.5", "-i"])
        .arg(file)
        .args(["-vn", "-af", "volumedetect", "-f", "null", "-"])
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = said.split("mean_volume: ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|v| v.parse().ok());
    value.unwrap_or_else(|| panic!("no volume in {said}"))
}

#[test]
fn two_lanes_one_late_become_one_picture_and_one_sound_with_the_right_content_at_the_right_time() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.webm");
    // the first is there for 3 s of 6, the second comes at 2 s; nobody fills the holes for the exporter here
    let input = meeting(6_000, &[fixture(0, 0), fixture(1, 2_000_000)]);
    run(input.as_slice(), &out).expect("composed");
    let (early, both, late) = (pixels(&out, "1.0"), pixels(&out, "2.5"), pixels(&out, "5.5"));
    assert!(brightest(&early, 0) > 150 && brightest(&early, 1) < 60, "only the first at 1 s");
    assert!(brightest(&both, 0) > 150 && brightest(&both, 1) > 150, "both at 2.5 s");
    assert!(volume(&out, "0.5") > -40.0 && volume(&out, "3.5") > -40.0, "a tone while somebody sends one");
    assert!(volume(&out, "5.3") < -60.0, "silence after");
    // the watermark: a shaded band with text at the bottom of the picture
    let band: Vec<u8> = (66..72).flat_map(|y| late[y * 128..(y + 1) * 128].to_vec()).collect();
    assert!(band.iter().copied().max().unwrap_or(0) > 100, "text at the bottom");
    let probe = Process::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration:stream=codec_name,width,height", "-of", "default=nw=1"])
        .arg(&out)
        .output()
        .expect("ffprobe is installed");
    let said = String::from_utf8_lossy(&probe.stdout).into_owned();
    for line in ["codec_name=vp8", "codec_name=opus", "width=1280", "height=720", "duration=6.0"] {
        assert!(said.contains(line), "{line} is missing in {said}");
    }
}

#[test]
fn a_picture_appears_at_its_time_and_not_before() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.webm");
    run(meeting(3_000, &[fixture(0, 1_050_000)]).as_slice(), &out).expect("composed");
    let output = Process::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&out)
        .args(["-vf", "scale=128:72,format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg is installed");
    let bright = |picture: &[u8]| brightest(picture, 0).max(brightest(picture, 1)) > 100;
    let first = output.stdout.chunks_exact(128 * 72).position(bright).expect("the ball is shown");
    // 30 pictures a second: 1.05 s lies between the 31st and the 32nd, in the middle of a tick of three
    assert_eq!(first, 32);
}

#[test]
fn frames_that_do_not_decode_do_not_stop_an_export() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.webm");
    let mut frames = fixture(0, 0);
    for (n, message) in frames.iter_mut().enumerate() {
        if let ToExport::Frame { data, .. } = message
            && n % 7 == 3
        {
            data.iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
    }
    run(meeting(3_000, &[frames]).as_slice(), &out).expect("composed");
    assert!(std::fs::metadata(&out).expect("written").len() > 10_000);
}
