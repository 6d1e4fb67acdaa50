//! Valid inputs of each target, made in code.

pub mod hop;

/// Seeds of [`crate::targets::media`].
pub mod media {
    use crate::targets::media::{good_frame, write_header};
    use domain::{Codec, Epoch, Kid, LeafIndex, Slot};
    use sfu_core::rtcp::build;
    use sfu_core::sdp::{LocalTransport, offer};

    pub fn stun() -> Vec<Vec<u8>> {
        // binding request with USERNAME, PRIORITY and a wrong MESSAGE-INTEGRITY
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend([9; 12]);
        request.extend([0, 6, 0, 9]);
        request.extend(b"abcd:efgh\0\0\0");
        request.extend([0, 0x24, 0, 4, 0x6e, 0, 1, 0xff]);
        request.extend([0, 8, 0, 20]);
        request.extend([1; 20]);
        request[3] = (request.len() - 20) as u8;
        vec![request, vec![1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    }

    pub fn sframe_header() -> Vec<Vec<u8>> {
        let kid = Kid::new(Slot(17), LeafIndex(1000), Epoch(0xfedc));
        let mut all: Vec<Vec<u8>> = [(Kid(0), 0), (Kid(7), 8), (kid, 1 << 40), (Kid(u64::MAX), u64::MAX)]
            .into_iter()
            .map(|(kid, ctr)| write_header(kid, ctr))
            .collect();
        all.push([&[0x32, 20][..], &[1; 20]].concat());
        all
    }

    fn packet(extension: &[u8], padding: bool) -> Vec<u8> {
        let mut packet = vec![0x90 | u8::from(padding) << 5, 96, 0, 7, 0, 0, 0, 1, 0, 0, 0x1b, 0x58];
        packet.extend(extension);
        packet.extend([0x90, 0xe0, 0x81, 0x23, 0x07, 0x20, 0x00]);
        packet.extend(good_frame());
        if padding {
            packet.extend([0, 0, 3]);
        }
        packet
    }

    pub fn rtp() -> Vec<Vec<u8>> {
        let one = [0xbe, 0xde, 0, 2, 0x10, 0xaa, 0x21, 1, 2, 0, 0, 0];
        let two = [0x10, 0, 0, 2, 20, 3, 1, 2, 3, 7, 0, 0];
        vec![packet(&one, false), packet(&two, true)]
    }

    pub fn rtcp() -> Vec<Vec<u8>> {
        let mut compound = build::sender_report(7000, 1 << 40, 9, 10, 11);
        compound.extend(build::receiver_report(1, &[]));
        compound.extend(build::key_frame_request(1, 7000));
        compound.extend(build::nack(1, 7000, &[1, 2, 3, 40, 41]).expect("not empty"));
        compound.extend([0x81, 203, 0, 1, 0, 0, 0x1b, 0x58]);
        vec![compound, build::nack(1, 7000, &(0..200).map(|n| n * 3).collect::<Vec<_>>()).expect("not empty")]
    }

    pub fn sdp() -> Vec<Vec<u8>> {
        let local = LocalTransport {
            association: "a".repeat(20),
            ufrag: "ufrag".to_owned(),
            password: "password-of-enough-length".to_owned(),
            fingerprint: (0..32).map(|n| format!("{n:02X}")).collect::<Vec<_>>().join(":"),
            candidates: vec!["127.0.0.1:8445".parse().expect("an address")],
            tcp: vec!["127.0.0.1:443".parse().expect("an address")],
        };
        let section = |mid: &str, codec| offer::OfferSection {
            mid: mid.to_owned(),
            codec,
            ssrc: 7000,
            repair_ssrc: 7001,
            stream: Some("bank-a".to_owned()),
        };
        let text = offer::write(&local, 1, &[section("0", Codec::Opus), section("1", Codec::Vp8)]);
        let page = text.replace("a=sendonly", "a=sendonly\r\na=ssrc:7000 cname:x\r\na=ssrc-group:FID 7000 7001");
        vec![text.into_bytes(), page.into_bytes()]
    }

    pub fn engine() -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for packet in rtp() {
            all.push([&[0][..], &packet].concat());
            let mut many = Vec::new();
            for n in 0..6u8 {
                let mut one = packet.clone();
                one[3] = n;
                one.insert(0, n * 2);
                one.resize(160, n);
                many.extend(one);
            }
            all.push(many);
        }
        all.extend(rtcp().into_iter().map(|compound| [&[1][..], &compound].concat()));
        all
    }

    pub fn recorder() -> Vec<Vec<u8>> {
        let mut all = rtp();
        let many = (0..8u8).flat_map(|n| {
            let mut one = vec![0x80, if n % 4 == 3 { 0xe0 } else { 96 }, 0, n, 0, 0, 0, n / 4, 0, 0, 0x1b, 0x58];
            one.extend([if n % 4 == 0 { 0x10 } else { 0 }, 1, 2, 3]);
            one.resize(64, n);
            one
        });
        all.push(many.collect());
        all.push(vec![0x8c, 0x81, 0x02, 7, 0x0b, 0xd8, 1, 2, 3]);
        all
    }

    pub fn sealed_frame() -> Vec<Vec<u8>> {
        vec![good_frame()]
    }
}

/// Seeds of [`crate::targets::evidence`].
pub mod evidence {
    use crate::targets::evidence::{AUDIENCE, ISSUER, firms, provider_keys, signed_token};
    use crate::targets::group::Trio;
    use ::evidence::ledger::{self, Head};
    use ::evidence::{grant, order, sender_manifest};
    use domain::message::client::{ToClient, ToServer};
    use domain::message::custody::LedgerEvent;
    use domain::{Ctr, Epoch, Slot};
    use e2ee::leaf::LeafKey;
    use strongroom_tests::firms::{MEETING, T0, id, role_of};

    pub fn documents() -> Vec<Vec<u8>> {
        let firms = firms();
        let manifest = sender_manifest::SenderManifest {
            meeting: MEETING.parse().expect("an id"),
            epoch: Epoch(3),
            slot: Slot::CAMERA,
            first_ctr: Ctr(40),
            hashes: vec![7; 64],
        };
        let event = LedgerEvent {
            at: T0,
            actor: "bank-a/carol".to_owned(),
            action: "replay".to_owned(),
            meeting: MEETING.parse().expect("an id"),
            note: "case 7".to_owned(),
        };
        let entry = Head { next: 0, hash: [0; 32] }.entry(&firms.a.id, event);
        let mut all = vec![
            firms.statements[0].0.clone(),
            firms.a.sign(sender_manifest::LABEL, &sender_manifest::encode(&manifest)).0,
            firms.a.sign(ledger::LABEL, &::evidence::cbor::encode(&entry)).0,
            firms.a.sign(grant::REQUEST_LABEL, b"\xa0").0,
            order(),
        ];
        all.extend(Trio::new().to_servers.into_iter().filter_map(|message| match message {
            ToServer::Receipt { receipt } => Some(receipt.0),
            ToServer::Beacon { beacon } => Some(beacon.0),
            _ => None,
        }));
        all
    }

    pub fn order() -> Vec<u8> {
        let order = order::RemovalOrder {
            meeting: MEETING.parse().expect("an id"),
            participant: id("bank-b/ben/1"),
            leaf: Some(domain::LeafIndex(1)),
            epoch: Epoch(1),
            reason: order::Reason::Host,
            issued_at: T0,
        };
        firms().order.sign_cose(order::LABEL, &order::encode(&order), None)
    }

    pub fn cose() -> Vec<Vec<u8>> {
        let leaf = certificate().remove(0);
        let key = LeafKey::generate();
        vec![firms().statements[0].0.clone(), key.sign_cose("strongroom receipt v1", b"\xa0", Some(&leaf))]
    }

    pub fn id_token() -> Vec<Vec<u8>> {
        let (now, end) = (T0.seconds() - 5, T0.seconds() + 300);
        let common = format!(r#""iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"anna","iat":{now},"exp":{end}"#);
        let login = format!(
            r#"{{{common},"azp":"{AUDIENCE}","nonce":"n","name":"Anna","sid":"s","roles":["member"],"realm_access":{{"roles":["compliance"]}}}}"#
        );
        let event = r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#;
        let logout = format!(r#"{{{common},"jti":"j","sid":"s","events":{event}}}"#);
        let tokens = [login.as_bytes(), logout.as_bytes()].map(|claims| signed_token(claims).into_bytes());
        let mut all = vec![login.into_bytes(), logout.into_bytes(), provider_keys().into_bytes()];
        all.extend(tokens);
        all
    }

    pub fn certificate() -> Vec<Vec<u8>> {
        ["bank-a/anna/1", "bank-a/recorder-1/1"]
            .map(|who| {
                let who = id(who);
                firms().a.issue_at(&LeafKey::generate(), &who, role_of(&who), T0)
            })
            .to_vec()
    }

    /// Everything the service of a little meeting said and heard.
    pub fn conversation() -> (Vec<ToClient>, Vec<ToServer>) {
        let trio = Trio::new();
        (trio.to_clients, trio.to_servers)
    }
}

/// Seeds of [`crate::targets::archive`].
pub mod archive {
    use domain::{Codec, Epoch, Slot};
    use evidence::archive::record::OPENED;
    use evidence::archive::{
        Checkpoint, LogProof, Media, Record, SegmentHeader, SegmentWriter, TrackInfo, manifest, merkle, sha256,
    };
    use strongroom_tests::firms::{MEETING, T0, id};

    fn written() -> (Vec<u8>, Vec<u8>) {
        let track =
            TrackInfo { track: 1, participant: id("bank-a/anna/1"), slot: Slot::MICROPHONE, codec: Codec::Opus };
        let header = SegmentHeader {
            version: 1,
            firm: "bank-a".parse().expect("an id"),
            meeting: MEETING.parse().expect("an id"),
            track: Some(track),
            index: 1,
            first_seq: 1,
            suite: 5,
            clock_rate: 48_000,
            started_at: T0,
            monotonic_ms: 7,
        };
        let mut bytes = Vec::new();
        let mut writer = SegmentWriter::new(header, &mut bytes);
        let frame = crate::targets::media::good_frame();
        for n in 0..6u64 {
            let media = Media {
                sfu_us: n * 20_000,
                rtp_timestamp: n as u32 * 960,
                ssrc: 7000,
                epoch: Epoch(9),
                flags: OPENED,
                shim: &[],
                sframe: &frame,
            };
            writer.push(n * 20_000, &Record::Media(media), &mut bytes);
        }
        writer.checkpoint(200_000, &mut bytes);
        writer.push(1, &Record::SenderReport { sfu_us: 1, ntp: 2, rtp_timestamp: 3 }, &mut bytes);
        let manifest = writer.close("media/1.seg".to_owned(), T0, &mut bytes);
        (bytes, manifest.to_cbor())
    }

    pub fn segment() -> Vec<Vec<u8>> {
        vec![written().0]
    }

    pub fn manifests() -> Vec<Vec<u8>> {
        let leaves: Vec<_> = (0..7u8).map(|n| merkle::leaf_hash(&[n])).collect();
        let checkpoint = Checkpoint { origin: "bank-a/strongroom".to_owned(), size: 7, root: merkle::root(&leaves) };
        let note = checkpoint.note(b"signature", b"key");
        let path = merkle::inclusion(&leaves, 3).expect("inside");
        let proof = LogProof { index: 3, path, checkpoint: note.clone() };
        let key = manifest::EpochKey {
            incarnation: 1,
            epoch: Epoch(3),
            sealed: vec![7; 60].into(),
            transcript_hash: sha256(b"transcript"),
        };
        let tiles = leaves.iter().flat_map(|leaf| leaf.0).collect();
        vec![
            written().1,
            proof.to_cbor(),
            note.into_bytes(),
            [key.to_cbor(), key.to_cbor()].concat(),
            manifest::write_sealed_keys(&[]),
            tiles,
        ]
    }
}

/// Seeds of [`crate::targets::wire`].
pub mod wire {
    use domain::message::control::{FirmRule, FromSfu, ToSfu};
    use domain::message::custody::{Ask, RecordKind};
    use domain::message::export::ToExport;
    use domain::message::record_link::{FromSfuRecord, ToSfuRecord};
    use domain::{Codec, Epoch, LeafIndex, MediaKind, Slot};
    use serde::Serialize;
    use strongroom_tests::firms::{MEETING, id};

    fn json<T: Serialize>(value: &T) -> Vec<u8> {
        serde_json::to_vec(value).expect("plain data")
    }
    fn cbor<T: Serialize>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        ciborium::into_writer(value, &mut out).expect("plain data");
        out
    }

    pub fn client_json() -> Vec<Vec<u8>> {
        let (to_clients, to_servers) = super::evidence::conversation();
        let mut all: Vec<Vec<u8>> = to_servers.iter().map(json).chain(to_clients.iter().map(json)).collect();
        all.sort();
        all.dedup();
        all.retain(|text| text.len() < 4096);
        all
    }

    pub fn control_json() -> Vec<Vec<u8>> {
        let meeting: domain::MeetingId = MEETING.parse().expect("an id");
        let firm = FirmRule {
            firm: "bank-a".parse().expect("an id"),
            audio_video: domain::policy::Rule::Must,
            recorder_grace_ms: 2_000,
        };
        let leaves = vec![(LeafIndex(0), id("bank-a/anna/1"))];
        vec![
            json(&ToSfu::Meeting { meeting: meeting.clone(), firms: vec![firm] }),
            json(&ToSfu::Leaves { meeting: meeting.clone(), epoch: Epoch(7), leaves }),
            json(&ToSfu::Mute {
                meeting: meeting.clone(),
                participant: id("bank-a/anna/1"),
                slot: Slot(2),
                muted: true,
            }),
            json(&FromSfu::LeavesTaken { meeting: meeting.clone(), epoch: Epoch(7) }),
            json(&FromSfu::RecordLink { meeting, participant: id("bank-a/recorder-1/1"), up: true }),
        ]
    }

    pub fn record_link() -> Vec<Vec<u8>> {
        let meeting = MEETING.parse().expect("an id");
        let rtp = super::media::rtp().remove(0);
        let participant = id("bank-a/anna/1");
        vec![
            cbor(&ToSfuRecord::Hello { token: vec![7; 32].into(), meeting, durable: 9 }),
            cbor(&ToSfuRecord::Ack { seq: 300 }),
            cbor(&FromSfuRecord::Packet { seq: 1, track: 2, arrival_us: 3, rtp }),
            cbor(&FromSfuRecord::Track { seq: 1, track: 2, participant, slot: Slot(2), codec: Codec::Vp8 }),
        ]
    }

    pub fn custody() -> Vec<Vec<u8>> {
        vec![
            cbor(&Ask::Info {}),
            cbor(&Ask::CountersignCsr { csr: vec![0x30; 200].into() }),
            cbor(&Ask::SignRecord { kind: RecordKind::Segment, payload: vec![0xa0; 30].into() }),
            cbor(&Ask::StateKey { meeting: MEETING.parse().expect("an id") }),
        ]
    }

    pub fn export() -> Vec<Vec<u8>> {
        let lanes = vec!["Anna".to_owned(), "Ben".to_owned()];
        let frame = ToExport::Frame { lane: 1, kind: MediaKind::Video, pts_us: 40, key_frame: true, data: vec![7; 90] };
        vec![
            cbor(&ToExport::Begin { duration_ms: 9_000, watermark: "carol".to_owned(), lanes }),
            cbor(&frame),
            cbor(&ToExport::End),
        ]
    }
}

/// Seeds of [`crate::targets::group`].
pub mod group {
    use domain::message::client::{ToClient, ToServer};

    fn with(kind: u8, bytes: &[u8]) -> Vec<u8> {
        [&[kind][..], bytes].concat()
    }

    pub fn session() -> Vec<Vec<u8>> {
        let (to_clients, to_servers) = super::evidence::conversation();
        let mut all: Vec<Vec<u8>> = (0..crate::targets::group::TO_CLIENT).map(|kind| with(kind, &[1])).collect();
        for message in to_clients {
            match message {
                ToClient::Commit { commit, .. } => all.push(with(0, &commit)),
                ToClient::Welcome { welcome, tree, .. } => all.extend([with(1, &welcome), with(2, &tree)]),
                ToClient::CommitAdds { joiners } => {
                    all.extend(joiners.iter().map(|joiner| with(8, &joiner.key_package)))
                }
                _ => {}
            }
        }
        for message in to_servers {
            match message {
                ToServer::Commit { group_info, .. } | ToServer::Created { group_info } => {
                    all.push(with(3, &group_info))
                }
                ToServer::Application { message } => all.push(with(4, &message)),
                _ => {}
            }
        }
        all.extend([with(5, &super::evidence::order()), with(7, &super::evidence::order())]);
        all
    }

    pub fn signaling() -> Vec<Vec<u8>> {
        let (_, to_servers) = super::evidence::conversation();
        let mut all: Vec<Vec<u8>> = (0..crate::targets::group::TO_SERVER).map(|kind| with(kind, &[1])).collect();
        for message in to_servers {
            match message {
                ToServer::Commit { commit, group_info, .. } => {
                    all.extend([with(0, &commit), with(2, &commit), with(4, &group_info)]);
                }
                ToServer::KeyPackage { key_package } => all.push(with(3, &key_package)),
                ToServer::Application { message } => all.push(with(5, &message)),
                _ => {}
            }
        }
        all.extend(super::media::sdp().into_iter().map(|text| with(8, &text)));
        all
    }
}
