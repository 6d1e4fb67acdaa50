//! The case of our own shard: real ICE, DTLS and SRTP, everything on.

use crate::generator::{Core, Running, SSRC, connect, maker, pin};
use domain::message::client::PublishedTrack;
use domain::message::control::{FirmRule, FromSfu, ToSfu};
use domain::policy::Rule;
use domain::{Codec, MeetingId, ParticipantId, Slot};
use sfu::shard::commands::{Command, Commands};
use sfu::shard::sockets::Sockets;
use sfu::shard::{Parts, Shard};
use sfu::transport::ice_dtls::IceDtlsFactory;
use sfu_core::sdp::offer::OfferSection;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

fn meeting() -> MeetingId {
    "0123456789abcdef0123456789abcdef".parse().expect("an id")
}

fn who(name: &str) -> ParticipantId {
    format!("bank-a/{name}/1").parse().expect("a participant")
}

/// Starts a shard with one publisher and its subscribers.
pub fn start(subscribers: usize) -> anyhow::Result<Running> {
    let sockets = Sockets::bind(&[IpAddr::from([127, 0, 0, 1])], 0)?;
    let factory = IceDtlsFactory::new(sockets.locals())?;
    let (commands, receiver, wake) = Commands::channel()?;
    let (control, mut told) = mpsc::channel(4096);
    let parts = Parts { sockets, factory, commands: receiver, wake, control, seed: 1 };
    let (id, thread_id) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        pin(Core::Forwarder);
        // the generator waits for it
        let _ = id.send(rustix::thread::gettid().as_raw_nonzero().get() as u32);
        Shard::new(parts).run();
    });
    let thread_id = thread_id.recv()?;
    let say = |message| commands.send(Command::Control(message));
    let firm = FirmRule { firm: "bank-a".parse()?, audio_video: Rule::Off, recorder_grace_ms: 2000 };
    say(ToSfu::Meeting { meeting: meeting(), firms: vec![firm] })?;
    let names: Vec<String> = (0..subscribers).map(|n| format!("sub{n}")).collect();
    for name in names.iter().map(String::as_str).chain(["pub"]) {
        say(ToSfu::Participant { meeting: meeting(), participant: who(name), recorder: false, may_publish: true })?;
    }
    let maker = maker();
    let mut publisher = maker.client();
    let section = OfferSection {
        mid: "0".into(),
        codec: Codec::Vp8,
        ssrc: SSRC,
        repair_ssrc: SSRC + 1,
        stream: Some("me".into()),
    };
    let tracks = vec![PublishedTrack { mid: "0".into(), slot: Slot::CAMERA, codec: Codec::Vp8 }];
    let sdp = publisher.offer(&[section]);
    say(ToSfu::PublishOffer { meeting: meeting(), participant: who("pub"), sdp, tracks })?;
    let mut clients = Vec::new();
    let (mut answered, until) = (false, Instant::now() + Duration::from_secs(10));
    while !answered || clients.len() < subscribers {
        anyhow::ensure!(Instant::now() < until, "the shard made no offers");
        match told.try_recv() {
            Ok(FromSfu::PublishAnswer { sdp, .. }) => {
                publisher.take_answer(&sdp);
                answered = true;
            }
            Ok(FromSfu::SubscribeOffer { participant, sdp, revision, .. }) => {
                let mut client = maker.client();
                let sdp = client.answer(&sdp);
                say(ToSfu::SubscribeAnswer { meeting: meeting(), participant, revision, sdp })?;
                clients.push(client);
            }
            Ok(FromSfu::Failed { detail, .. }) => anyhow::bail!("{detail}"),
            Ok(_) => {}
            Err(_) => std::thread::yield_now(),
        }
    }
    let mut all: Vec<_> = clients.iter_mut().chain([&mut publisher]).collect();
    let mut up = 0;
    connect(&mut all, || {
        while let Ok(message) = told.try_recv() {
            up += count(&message)
        }
    })?;
    while up <= subscribers {
        up += told.try_recv().map_or(0, |message| count(&message));
    }
    let end = Box::new(move || {
        let (reply, answer) = oneshot::channel();
        commands.send(Command::Stats(reply)).ok()?;
        let (edge, _) = answer.blocking_recv().ok()?;
        commands.send(Command::Stop).ok()?;
        drop(told);
        Some(edge.sent_in_runs as f64 / (edge.sent_in_runs + edge.sent_alone).max(1) as f64)
    });
    Ok(Running { publisher, subscribers: clients, thread_id, end, thread, index: 1000, frames: 0 })
}

fn count(message: &FromSfu) -> usize {
    usize::from(matches!(message, FromSfu::Connected { .. }))
}
