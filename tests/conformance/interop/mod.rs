//! Other MLS implementations in a Strongroom meeting: members with X.509 credentials that share no code with ours below the
//! wire (ts-mls under Node). They come in by signaling's own core, open and seal frames, speak, and commit what the
//! delivery service asks of the lowest leaf. What they do not do is judge certificates or terms: those rules are ours.

mod foreigner;
mod table;
mod ts_mls;

use domain::message::client::ToServer;
use domain::message::member::{MemberMessage, Sign};
use domain::{Codec, Kid, Slot};
use e2ee::session::Event;
use e2ee::sframe::{BaseKey, Opener, SealKey};
use foreigner::{Foreigner, Stack};
use strongroom_tests::firms::id;
use table::{STRANGER, Table};

const ANNA: &str = "bank-a/anna/1";
const BEN: &str = "bank-b/ben/1";
const CARLA: &str = "bank-a/carla/1";

/// Both ways: a frame of the stranger's stack opens here, one of ours opens there.
fn frames_cross(table: &mut Table, with: &str) -> anyhow::Result<()> {
    let epoch = table.session(with).epoch().expect("in a group");
    let stranger = table.stranger.as_mut().expect("seated");
    anyhow::ensure!(stranger.epoch == Some(epoch), "both are in the same epoch");
    let base = BaseKey::from_bytes(&stranger.stack.base_key()?).expect("32 bytes");
    anyhow::ensure!(Some(base.commitment()) == table.session(with).epoch_commitment(epoch), "one base key");
    let leaf = table.leaf_of_stranger(with);
    let mut wire = Vec::new();
    SealKey::new(&base, Kid::new(Slot::MICROPHONE, leaf, epoch), Codec::Opus).seal(false, b"theirs", 1, &mut wire)?;
    let now = table.now;
    let opened = table.session(with).open(now, &id(STRANGER), Slot::MICROPHONE, Codec::Opus, &wire)?;
    anyhow::ensure!(opened.frame == b"theirs");
    table.session(with).seal(now, Slot::MICROPHONE, false, b"ours", 1, &mut wire)?;
    let opened = Opener::from_base_key(base, epoch).open(Codec::Opus, &wire)?;
    anyhow::ensure!(opened.frame == b"ours");
    Ok(())
}

/// A hand raised by the stranger is seen by everybody, as its own.
fn is_heard(table: &mut Table, sign: Sign, by: &[&str]) -> anyhow::Result<()> {
    let words = evidence::cbor::encode(&MemberMessage::Sign { sign });
    let stranger = table.stranger.as_mut().expect("seated");
    let message = stranger.stack.say(&words)?;
    table.say_as_stranger(ToServer::Application { message: message.into() })?;
    for who in by {
        let seen =
            |event: &Event| matches!(event, Event::Sign { from, sign: seen } if *from == id(STRANGER) && *seen == sign);
        anyhow::ensure!(table.events(who).iter().any(seen), "{who} sees {sign:?}");
    }
    Ok(())
}

/// The whole life of a member: added by ours, follows ours, speaks, then commits an Add and a Remove itself.
fn lives_in_a_meeting(stack: impl FnOnce(&Foreigner) -> anyhow::Result<Box<dyn Stack>>) -> anyhow::Result<()> {
    let mut table = Table::open();
    table.join(ANNA)?;
    table.seat(stack)?;
    frames_cross(&mut table, ANNA)?;
    // ours commits, the stranger follows
    table.join(BEN)?;
    frames_cross(&mut table, ANNA)?;
    frames_cross(&mut table, BEN)?;
    let now = table.now;
    is_heard(&mut table, Sign::HandUp { since: now }, &[ANNA, BEN])?;
    let now = table.now;
    table.session(BEN).sign(now, Sign::Applause {})?;
    table.run(100)?;
    let heard = table.stranger.as_ref().expect("seated").heard.clone();
    let applause = evidence::cbor::encode(&MemberMessage::Sign { sign: Sign::Applause {} });
    anyhow::ensure!(heard.contains(&applause), "the stranger reads what ours say");
    // the lowest leaf goes: now the stranger is the committer, of the removal first
    let before = table.session(BEN).epoch().expect("in a group");
    table.leave(ANNA)?;
    anyhow::ensure!(table.session(BEN).epoch().is_some_and(|epoch| epoch > before), "its removal is taken");
    anyhow::ensure!(table.session(BEN).members().len() == 2);
    frames_cross(&mut table, BEN)?;
    // ... and of an Add: ours joins by its Welcome
    table.join(CARLA)?;
    anyhow::ensure!(table.stranger.as_ref().expect("seated").commits == 2, "both commits were the stranger's");
    frames_cross(&mut table, BEN)?;
    frames_cross(&mut table, CARLA)?;
    is_heard(&mut table, Sign::HandDown {}, &[BEN, CARLA])?;
    for who in [BEN, CARLA] {
        let incident = table.events(who).iter().find(|event| matches!(event, Event::Incident { .. }));
        anyhow::ensure!(incident.is_none(), "{who} noticed {incident:?}");
    }
    Ok(())
}

#[test]
fn ts_mls_lives_in_a_meeting_as_a_member_with_an_x509_credential() {
    lives_in_a_meeting(|person| Ok(Box::new(ts_mls::TsMls::start(person)?))).expect("as a member of ours would");
}
