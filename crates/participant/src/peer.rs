//! The two PeerConnections of a native participant, on the crate `webrtc`: publish (we offer) and subscribe (the SFU
//! offers). Carries sealed frames; knows nothing of keys.

use crate::packets::{Depacketizer, Packetizer};
use crate::{ParticipantError, environment};
use domain::message::client::PublishedTrack;
use domain::{Codec, MediaKind, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_VP8, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionState,
    Registry, SrtpProtectionProfile,
};
use webrtc::rtp_transceiver::RtpSender;
use webrtc::runtime::TokioRuntime;

/// Sealed frames waiting for their reader; a slow reader loses the newest, it never holds up the network.
const FRAME_QUEUE: usize = 1_024;
/// New tracks waiting to be looked at: the largest meeting arriving at once.
const MAX_NEW_TRACKS: usize = 1_024;

/// A sealed frame as it came over a receiving section.
#[derive(Debug)]
pub struct Received {
    /// `a=mid` of the section.
    pub mid: String,
    /// Shim, SFrame header, ciphertext, tag.
    pub wire: Vec<u8>,
    /// RTP timestamp as the SFU rewrote it.
    pub timestamp: u32,
}

#[derive(Clone)]
struct Handler {
    gathered: watch::Sender<bool>,
    connected: watch::Sender<bool>,
    tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.gathered.send(true);
        }
    }
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let _ = self.connected.send(state == RTCPeerConnectionState::Connected);
    }
    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let _ = self.tracks.try_send(track);
    }
}

fn codec_parameters(codec: Codec) -> RTCRtpCodecParameters {
    let (mime, clock_rate, channels, payload_type) = match codec {
        Codec::Opus => (MIME_TYPE_OPUS, 48_000, 2, 111),
        _ => (MIME_TYPE_VP8, 90_000, 0, 96),
    };
    let feedback = |kind: &str, parameter: &str| RTCPFeedback { typ: kind.into(), parameter: parameter.into() };
    let rtcp_feedback = if codec == Codec::Opus { vec![] } else { vec![feedback("nack", ""), feedback("nack", "pli")] };
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate,
            channels,
            sdp_fmtp_line: String::new(),
            rtcp_feedback,
        },
        payload_type,
    }
}

fn kind(codec: Codec) -> RtpCodecKind {
    if codec.kind() == MediaKind::Audio { RtpCodecKind::Audio } else { RtpCodecKind::Video }
}

/// One of the two connections.
pub struct Peer {
    connection: Arc<dyn PeerConnection>,
    gathered: watch::Receiver<bool>,
    connected: watch::Receiver<bool>,
}

impl Peer {
    async fn build() -> Result<(Self, mpsc::Receiver<Arc<dyn TrackRemote>>), ParticipantError> {
        let mut engine = MediaEngine::default();
        for codec in [Codec::Opus, Codec::Vp8] {
            engine.register_codec(codec_parameters(codec), kind(codec)).map_err(environment("register a codec"))?;
        }
        let registry =
            register_default_interceptors(Registry::new(), &mut engine).map_err(environment("interceptors"))?;
        // the SFU takes nothing but AEAD (media.md)
        let settings = SettingEngineBuilder::new()
            .with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            ])
            // the SFU is the DTLS server on both transports, as it is for browsers
            .with_answering_dtls_role(RTCDtlsRole::Client)
            .build();
        let (gathered, gathered_rx) = watch::channel(false);
        let (connected, connected_rx) = watch::channel(false);
        let (tracks, tracks_rx) = mpsc::channel(MAX_NEW_TRACKS);
        let connection = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_media_engine(engine)
            .with_setting_engine(settings)
            .with_interceptor_registry(registry)
            .with_handler(Arc::new(Handler { gathered, connected, tracks }))
            .with_runtime(Arc::new(TokioRuntime))
            .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
            .build()
            .await
            .map_err(environment("open a PeerConnection"))?;
        let peer = Self { connection: Arc::new(connection), gathered: gathered_rx, connected: connected_rx };
        Ok((peer, tracks_rx))
    }

    async fn local_sdp(&mut self) -> Result<String, ParticipantError> {
        let _ = self.gathered.wait_for(|done| *done).await;
        let description = self.connection.local_description().await;
        description
            .map(|d| d.sdp)
            .ok_or(ParticipantError::Environment { doing: "describe the connection", what: "nothing local".into() })
    }

    /// Waits until ICE and DTLS are done.
    pub async fn connected(&mut self) {
        let _ = self.connected.wait_for(|up| *up).await;
    }

    /// Are ICE and DTLS done?
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Closes it; the SFU hears it at once.
    pub async fn close(&self) {
        let _ = self.connection.close().await;
    }
}

/// Publish connection: tracks by slot.
pub struct Publisher {
    /// The connection.
    pub peer: Peer,
    tracks: BTreeMap<Slot, Sending>,
}

struct Sending {
    track: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    ssrc: u32,
    cutter: Packetizer,
    payload_type: Option<u8>,
}

impl Publisher {
    /// Makes the offer for these sources.
    pub async fn offer(sources: &[(Slot, Codec)]) -> Result<(Self, String, Vec<PublishedTrack>), ParticipantError> {
        let (mut peer, _) = Peer::build().await?;
        let mut tracks = BTreeMap::new();
        for (slot, codec) in sources {
            let ssrc = rand::random::<u32>() | 1;
            let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
                "participant".into(),
                format!("slot-{}", slot.0),
                format!("slot-{}", slot.0),
                kind(*codec),
                vec![RTCRtpEncodingParameters {
                    rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
                    codec: codec_parameters(*codec).rtp_codec,
                    ..Default::default()
                }],
            )));
            let sender = peer
                .connection
                .add_track(Arc::clone(&track) as Arc<dyn TrackLocal>)
                .await
                .map_err(environment("add a track"))?;
            let cutter = Packetizer::new(*codec, rand::random());
            tracks.insert(*slot, Sending { track, sender, ssrc, cutter, payload_type: None });
        }
        let offer = peer.connection.create_offer(None).await.map_err(environment("make an offer"))?;
        peer.connection.set_local_description(offer).await.map_err(environment("take our offer"))?;
        let sdp = peer.local_sdp().await?;
        let published = published(&sdp, sources);
        Ok((Self { peer, tracks }, sdp, published))
    }

    /// Takes the SFU's answer.
    pub async fn answer(&mut self, sdp: String) -> Result<(), ParticipantError> {
        let answer = RTCSessionDescription::answer(sdp).map_err(environment("read the SFU's answer"))?;
        self.peer.connection.set_remote_description(answer).await.map_err(environment("take the SFU's answer"))?;
        for sending in self.tracks.values_mut() {
            let parameters = sending.sender.get_parameters().await.map_err(environment("read the negotiated codec"))?;
            sending.payload_type = parameters.rtp_parameters.codecs.first().map(|codec| codec.payload_type);
        }
        Ok(())
    }

    /// Sends one sealed frame; nothing is sent for a slot that was not negotiated.
    pub async fn send(&mut self, slot: Slot, wire: &[u8], timestamp: u32) -> Result<(), ParticipantError> {
        let Some(sending) = self.tracks.get_mut(&slot) else { return Ok(()) };
        let Some(payload_type) = sending.payload_type else { return Ok(()) };
        for part in sending.cutter.cut(wire, timestamp) {
            let header = rtc::rtp::Header {
                version: 2,
                marker: part.marker,
                payload_type,
                sequence_number: part.sequence,
                timestamp: part.timestamp,
                ssrc: sending.ssrc,
                ..Default::default()
            };
            let packet = rtc::rtp::Packet { header, payload: part.payload };
            sending.track.write_rtp(packet).await.map_err(environment("send a packet"))?;
        }
        Ok(())
    }
}

/// Sections of an offer in order, matched with the sources in order of their kind.
fn published(sdp: &str, sources: &[(Slot, Codec)]) -> Vec<PublishedTrack> {
    let mut left: Vec<_> = sources.to_vec();
    let mut out = Vec::new();
    let mut section: Option<MediaKind> = None;
    for line in sdp.lines() {
        if let Some(rest) = line.strip_prefix("m=") {
            section = match rest.split(' ').next() {
                Some("audio") => Some(MediaKind::Audio),
                Some("video") => Some(MediaKind::Video),
                _ => None,
            };
        }
        if let (Some(mid), Some(kind)) = (line.strip_prefix("a=mid:"), section)
            && let Some(at) = left.iter().position(|(_, codec)| codec.kind() == kind)
        {
            let (slot, codec) = left.remove(at);
            out.push(PublishedTrack { mid: mid.trim().to_owned(), slot, codec });
        }
    }
    out
}

/// Where feedback about a section goes.
type Feedback = Arc<Mutex<BTreeMap<String, (Arc<dyn TrackRemote>, u32)>>>;

/// Subscribe connection: frames of every section.
pub struct Subscriber {
    /// The connection.
    pub peer: Peer,
    feedback: Feedback,
}

impl Subscriber {
    /// Opens it; frames come out of the channel.
    pub async fn open() -> Result<(Self, mpsc::Receiver<Received>), ParticipantError> {
        let (peer, mut tracks) = Peer::build().await?;
        let (frames, frames_rx) = mpsc::channel(FRAME_QUEUE);
        let connection = Arc::clone(&peer.connection);
        let feedback = Feedback::default();
        let learnt = Arc::clone(&feedback);
        tokio::spawn(async move {
            while let Some(track) = tracks.recv().await {
                tokio::spawn(read_track(Arc::clone(&connection), track, frames.clone(), Arc::clone(&learnt)));
            }
        });
        Ok((Self { peer, feedback }, frames_rx))
    }

    /// Asks for a key frame of a section (RFC 4585 section 6.3.1).
    pub async fn ask_key_frame(&self, mid: &str) {
        let section = self.feedback.lock().unwrap_or_else(PoisonError::into_inner).get(mid).cloned();
        if let Some((track, media_ssrc)) = section {
            let loss = PictureLossIndication { sender_ssrc: 1, media_ssrc };
            let _ = track.write_rtcp(vec![Box::new(loss)]).await;
        }
    }

    /// Answers the SFU's offer.
    pub async fn answer(&mut self, sdp: String) -> Result<String, ParticipantError> {
        let offer = RTCSessionDescription::offer(sdp).map_err(environment("read the SFU's offer"))?;
        self.peer.connection.set_remote_description(offer).await.map_err(environment("take the SFU's offer"))?;
        let answer = self.peer.connection.create_answer(None).await.map_err(environment("make an answer"))?;
        self.peer.connection.set_local_description(answer).await.map_err(environment("take our answer"))?;
        self.peer.local_sdp().await
    }
}

async fn read_track(
    connection: Arc<dyn PeerConnection>,
    track: Arc<dyn TrackRemote>,
    frames: mpsc::Sender<Received>,
    feedback: Feedback,
) {
    let codec = if track.kind().await == RtpCodecKind::Audio { Codec::Opus } else { Codec::Vp8 };
    let mut joiner = Depacketizer::new(codec);
    let mut mid = None;
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        if mid.is_none() {
            mid = mid_of(&connection, &track).await;
            if let Some(mid) = &mid {
                let section = (Arc::clone(&track), packet.header.ssrc);
                feedback.lock().unwrap_or_else(PoisonError::into_inner).insert(mid.clone(), section);
            }
        }
        let header = &packet.header;
        let frame = joiner.take(header.sequence_number, header.timestamp, header.marker, &packet.payload);
        if let (Some((timestamp, wire)), Some(mid)) = (frame, &mid) {
            let _ = frames.try_send(Received { mid: mid.clone(), wire, timestamp });
        }
    }
}

async fn mid_of(connection: &Arc<dyn PeerConnection>, track: &Arc<dyn TrackRemote>) -> Option<String> {
    let id = track.track_id().await;
    for transceiver in connection.get_transceivers().await {
        if let Ok(Some(receiver)) = transceiver.receiver().await
            && receiver.track().track_id().await == id
        {
            return transceiver.mid().await.ok().flatten().map(|mid| mid.to_string());
        }
    }
    None
}
