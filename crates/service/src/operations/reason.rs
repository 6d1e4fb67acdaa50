//! Why a service is not ready: a closed list, so that the answer of `/readyz` can hold no name and each reason is documented.

/// One reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// SFU: no control link.
    ControlLinkDown,
    /// SFU: a shard is silent.
    ShardSilent,
    /// Signaling: no SFU.
    NoSfu,
    /// Signaling: the room directory fails.
    DirectoryUnreadable,
    /// Signaling, front: the statements cannot be read.
    StatementsUnreadable,
    /// Signaling: another process has its database now.
    Replaced,
    /// Recorder, front: a token's process takes no connection.
    CustodyUnreachable,
    /// Recorder: too little space for the archive.
    DiskBelowReserve,
    /// Recorder: the archive folder cannot be written.
    ArchiveNotWritable,
    /// Front: the archive folder cannot be read.
    ArchiveUnreadable,
    /// Custody: the token's module is inside one call for long.
    TokenSlow,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ControlLinkDown,
        Self::ShardSilent,
        Self::NoSfu,
        Self::DirectoryUnreadable,
        Self::StatementsUnreadable,
        Self::Replaced,
        Self::CustodyUnreachable,
        Self::DiskBelowReserve,
        Self::ArchiveNotWritable,
        Self::ArchiveUnreadable,
        Self::TokenSlow,
    ];

    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::ControlLinkDown => "control-link-down",
            Self::ShardSilent => "shard-silent",
            Self::NoSfu => "no-sfu",
            Self::DirectoryUnreadable => "directory-unreadable",
            Self::StatementsUnreadable => "statements-unreadable",
            Self::Replaced => "replaced",
            Self::CustodyUnreachable => "custody-unreachable",
            Self::DiskBelowReserve => "disk-below-reserve",
            Self::ArchiveNotWritable => "archive-not-writable",
            Self::ArchiveUnreadable => "archive-unreadable",
            Self::TokenSlow => "token-slow",
        }
    }

    /// What it means and what to do.
    pub fn text(self) -> &'static str {
        match self {
            Self::ControlLinkDown => {
                "no control link to signaling; see that signaling runs and that `control.url` and the certificates are right"
            }
            Self::ShardSilent => "a shard does not answer; the node is overloaded or stuck: restart it if this stays",
            Self::NoSfu => "no SFU is connected; start one, or look at its log",
            Self::DirectoryUnreadable => {
                "the room directory does not answer; look at what `[directory]` names: the file and its disk, or the server"
            }
            Self::StatementsUnreadable => {
                "the folder of signed statements or the records cannot be read; look at `statements` and `[store]`"
            }
            Self::Replaced => "another signaling process took over this database; stop this one",
            Self::CustodyUnreachable => {
                "a token's process takes no connection; start strongroom-custody, or look at its log"
            }
            Self::DiskBelowReserve => "less than the reserve is free for the archive; add space before recordings stop",
            Self::ArchiveNotWritable => "the archive folder cannot be written; look at its disk and owner",
            Self::ArchiveUnreadable => "the archive folder cannot be read; look at its mount and owner",
            Self::TokenSlow => "the token's module has been inside one call for long; look at the HSM and its network",
        }
    }
}
