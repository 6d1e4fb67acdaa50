//! Limits shared by both ends of a wire (law 4): each with the reason for its number.

/// Members of one meeting; the KID has 10 bits of leaf, and joins stay under 60 ms (facts: 50 members).
pub const MAX_MEMBERS: usize = 250;
/// One JSON message of a participant: a commit with GroupInfo of 250 members is about 400 kB in base64.
pub const MAX_CLIENT_MESSAGE: usize = 1 << 20;
/// One JSON message of a service on the control link.
pub const MAX_CONTROL_MESSAGE: usize = 1 << 20;
/// Commits kept for those who have not acknowledged: beyond it, or 60 s, a member resyncs.
pub const MAX_KEPT_COMMITS: usize = 256;
/// How long commits are kept, ms.
pub const KEPT_COMMITS_MS: u64 = 60_000;
/// Adds are batched so long, ms.
pub const ADD_BATCH_MS: u64 = 200;
/// The next committer takes over an Add after, ms.
pub const ADD_COMMITTER_MS: u64 = 2_000;
/// The next committer takes over a removal after, ms.
pub const REMOVE_COMMITTER_MS: u64 = 250;
/// At most one epoch per, ms.
pub const EPOCH_SPACING_MS: u64 = 250;
/// A sender that has seen a removal order and no commit stops sending after, ms.
pub const REMOVAL_STOP_MS: u64 = 800;
/// A participant silent for so long (at signaling and at the SFU) is removed, ms.
pub const SILENT_MS: u64 = 30_000;
/// After an Add senders switch at latest after, ms.
pub const EPOCH_SWITCH_MS: u64 = 1_000;
/// Receivers hold frames of the next epoch so long, ms.
pub const HOLD_MS: u64 = 1_000;
/// ... and at most so many per track.
pub const HOLD_FRAMES: usize = 64;
/// Receivers keep epochs left in the last, ms ...
pub const KEEP_EPOCH_MS: u64 = 5_000;
/// ... and at most so many.
pub const KEEP_EPOCHS: usize = 32;
/// A sender manifest at least every, ms.
pub const MANIFEST_MS: u64 = 2_000;
/// A recorder beacon every, ms.
pub const BEACON_MS: u64 = 500;
/// Banner when no beacon for, ms.
pub const BEACON_BANNER_MS: u64 = 1_500;
/// Smallest `recorder_grace`, ms.
pub const GRACE_MIN_MS: u64 = 2_000;
/// Shortest longest pause of a record that a statement may allow, ms: a card number takes that long to say.
pub const PAUSE_MIN_MS: u64 = 10_000;
/// Longest: what takes longer is no card number.
pub const PAUSE_MAX_MS: u64 = 10 * 60_000;
/// People who may pause a firm's record in one room.
pub const MAX_PAUSERS: usize = 16;
/// Largest `recorder_grace`, ms.
pub const GRACE_MAX_MS: u64 = 30_000;
/// One resync per member per, ms.
pub const RESYNC_SPACING_MS: u64 = 5_000;
/// Largest SFrame frame taken: a 4K key frame at 20 Mbit/s stays below.
pub const MAX_FRAME: usize = 2 << 20;
/// Participant certificate life, s (e2ee.md: <= 12 h).
pub const MAX_LEAF_LIFE_S: u64 = 12 * 3600;
/// Largest body of one record-link message: one RTP packet and its head.
pub const MAX_RECORD_MESSAGE: usize = 64 * 1024;
/// Largest custody request: a signed meeting manifest of 250 members.
pub const MAX_CUSTODY_MESSAGE: usize = 4 << 20;
/// Layers of one source, on slots counted from its first: three in simulcast today, one to spare.
pub const MAX_LAYERS: u8 = 4;
/// Sources one page may wish for: 250 members with camera and screen.
pub const MAX_WISHES: usize = 500;
/// Largest file sent in a meeting, bytes: a long presentation; it passes a 10 Mbit/s line in twenty seconds, beside the call.
pub const MAX_FILE: u64 = 25 << 20;
/// A file is sealed and sent in chunks of so many bytes: one holds up the messages behind it for 60 ms on such a line.
pub const FILE_CHUNK: usize = 64 * 1024;
/// What sealing adds to each chunk, bytes.
pub const FILE_TAG: usize = 16;
/// Chunks asked for or sent and not answered: what keeps a line of 100 ms busy at the pace of [`FILE_SPACING_MS`].
pub const FILE_WINDOW: u32 = 8;
/// One chunk in, ms, each way: 26 Mbit/s, half of the messages that a connection may send.
pub const FILE_SPACING_MS: u64 = 20;
/// An administrator's signature under a statement counts so long, ms: two people of one firm meet within half a working day.
pub const CONSENT_MAX_AGE_MS: u64 = 4 * 3_600_000;
