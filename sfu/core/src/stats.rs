//! Counters of one shard. Names of people and rooms never are labels.

/// What happened since the shard started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// RTP packets taken from publishers.
    pub received: u64,
    /// Bytes of their payloads.
    pub received_bytes: u64,
    /// Packets forwarded, all subscribers together.
    pub forwarded: u64,
    /// Bytes of RTP forwarded.
    pub forwarded_bytes: u64,
    /// Retransmissions sent.
    pub retransmitted: u64,
    /// Packets recovered by retransmission from publishers.
    pub recovered: u64,
    /// Packets of frames that are not sealed, or malformed.
    pub not_sealed: u64,
    /// Packets of frames with a foreign slot or leaf.
    pub wrong_leaf: u64,
    /// Frame starts whose leaf could not be checked because no line is known.
    pub leaf_unchecked: u64,
    /// Packets dropped because the firm's recorder is not acknowledging.
    pub suspended: u64,
    /// Packets dropped because the sender may not publish or is muted.
    pub not_permitted: u64,
    /// Packets of sound beyond what sound can be.
    pub flooded: u64,
    /// Packets that belong to no negotiated stream, or came twice.
    pub unusable: u64,
    /// Packets of pictures left out because the shard could not keep up.
    pub shed: u64,
    /// Packets of pictures and of repairs left out because too much waited for a subscriber already.
    pub refused: u64,
    /// Packets sent again to find out what a network carries.
    pub probed: u64,
    /// Key-frame requests sent to publishers.
    pub key_requests: u64,
    /// NACKed sequence numbers of subscribers.
    pub nacked: u64,
    /// Sequence numbers asked for again from publishers.
    pub nacks_sent: u64,
    /// Messages put into record logs.
    pub recorded: u64,
    /// Messages dropped from record logs before they were acknowledged.
    pub record_lost: u64,
}
