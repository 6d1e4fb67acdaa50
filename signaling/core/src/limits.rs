//! Limits of signaling alone, each with its reason; those shared with clients are `domain::limits` (law 4).

/// A connection that has not proven itself after, ms: two round trips and one signature take far less.
pub const HELLO_TIMEOUT_MS: u64 = 10_000;
/// A commit waits at most so long for the SFU to take its leaves, ms: an epoch change must stay unnoticed.
pub const LEAVES_WAIT_MS: u64 = 100;
/// Answers to a commit are awaited so long, ms; then those that came decide. Long enough for a slow network, and inside
/// the 3 s in which a bad commit must be undone.
pub const DECIDE_MS: u64 = 2_000;
/// Who was told to create the group and has not after, ms, is passed over.
pub const CREATE_MS: u64 = 2_000;
/// A group without a member able to commit is given up after, ms, when people wait: inside the 3 s bound.
pub const ORPHAN_MS: u64 = 2_000;
/// Refusals that make a committer skipped ...
pub const STRIKES: usize = 2;
/// ... when they fall within, ms.
pub const STRIKE_WINDOW_MS: u64 = 60_000;
/// Group states kept to withdraw commits: refusals arrive within a second, an epoch takes 250 ms.
pub const KEPT_STATES: usize = 8;
/// A commit nobody asked for (renewal, update) at most once per, ms and member.
pub const UNASKED_COMMIT_MS: u64 = 5_000;
/// KeyPackages remembered as used: 250 members, each joining sixteen times.
pub const USED_KEY_PACKAGES: usize = 4_096;
/// Largest SDP, bytes: 64 sections of a large call.
pub const MAX_SDP: usize = 64 * 1024;
/// Most tracks of one participant: slots 0 to 31.
pub const MAX_TRACKS: usize = 32;
/// Largest ICE candidate line, bytes.
pub const MAX_CANDIDATE: usize = 1_024;
/// The directory's stream of changes counts as lost after, ms: six of its longest silences.
pub const FEED_LOST_MS: u64 = 30_000;
/// Recorders that wait at one room: a few a firm.
pub const MAX_PARKED: usize = 64;
/// Messages a second of one connection: beacons, manifests and candidates of a busy client stay below 30 ...
pub const MESSAGES_PER_S: u64 = 100;
/// ... and a burst of trickled candidates and acknowledgements below this.
pub const MESSAGE_BURST: u64 = 400;
/// Whose certificate is expired for so long is removed, ms: a page renews it an hour before, so it had two hours to.
pub const EXPIRED_MS: u64 = 3_600_000;
/// Record link tokens at most one per, ms and recorder.
pub const RECORD_TOKEN_MS: u64 = 1_000;
/// Stricter terms begin after, ms: who is inside finishes a sentence, and reads what will hold.
pub const TERMS_CHANGE_MS: u64 = 30_000;
/// People who wait for new terms: as many as a meeting takes.
pub const MAX_WAITING: usize = domain::limits::MAX_MEMBERS;
/// Removal orders are kept for those who return and replay commits, ms: as long as the commits.
pub const KEPT_ORDERS_MS: u64 = domain::limits::KEPT_COMMITS_MS;
/// After a host ended the meeting pages say goodbye by themselves within, ms: last frames and their manifests go first.
pub const END_MS: u64 = 3_000;
/// Acts whose effect lasts are told to newcomers, at most so many: hand-overs and the last lock.
pub const MAX_LASTING_ACTS: usize = 256;
/// Wrong passcodes of one person ...
pub const PASSCODE_TRIES: u32 = 5;
/// ... before it may try again after, ms: 10^6 passcodes then take years.
pub const PASSCODE_REST_MS: u64 = 600_000;
/// Longest and shortest passcode, bytes.
pub const PASSCODE_BYTES: std::ops::RangeInclusive<usize> = 4..=64;
/// People whose wrong tries are remembered: as many as a directory's room may have.
pub const MAX_TRIERS: usize = 4_096;
/// A sealed file that is whole stays so long, ms: everybody inside has had time to want it, recorders fetch it at once.
pub const BLOB_KEPT_MS: u64 = 3_600_000;
/// ... and one that does not grow any more: a lost connection is back within it.
pub const BLOB_STARTED_MS: u64 = 120_000;
/// Files of one person at a time: the hand-outs of a meeting.
pub const MAX_BLOBS_PERSON: usize = 20;
/// Files of one meeting at a time.
pub const MAX_BLOBS_MEETING: usize = 200;
/// Bytes of files of one meeting: eight of the largest.
pub const MAX_HELD_MEETING: u64 = 208 << 20;
/// Bytes of files of the whole service: what a machine of 4 GiB has left beside its connections.
pub const MAX_HELD: u64 = 1 << 30;
