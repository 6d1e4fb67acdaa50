//! What a recorder promised before it died, a line each: `ack SEQ` (everything up to it is durable), `key INCARNATION EPOCH
//! HASH` (a receipt: the sealed base key is durable), `sealed PATH HASH` (a signed segment manifest is), `reopened MS`,
//! `done`. A line that was cut by the kill promises nothing.

use std::fmt;

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// Every record-link message up to here.
    Ack(u64),
    /// The sealed base key of an epoch, by its SHA-256.
    Key {
        /// Counts the recorder's starts.
        incarnation: u64,
        /// Epoch.
        epoch: u64,
        /// Hexadecimal.
        hash: String,
    },
    /// A signed segment manifest, by its SHA-256.
    Sealed {
        /// Path in the meeting's folder.
        path: String,
        /// Hexadecimal.
        hash: String,
    },
    /// What was there was read again, in so many ms.
    Reopened(u64),
    /// The meeting is closed and signed.
    Done,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ack(seq) => write!(f, "ack {seq}"),
            Self::Key { incarnation, epoch, hash } => write!(f, "key {incarnation} {epoch} {hash}"),
            Self::Sealed { path, hash } => write!(f, "sealed {path} {hash}"),
            Self::Reopened(ms) => write!(f, "reopened {ms}"),
            Self::Done => f.write_str("done"),
        }
    }
}

impl Promise {
    /// Reads a line; `None` if it is none.
    pub fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        Some(match words[..] {
            ["ack", seq] => Self::Ack(seq.parse().ok()?),
            ["key", incarnation, epoch, hash] => {
                Self::Key { incarnation: incarnation.parse().ok()?, epoch: epoch.parse().ok()?, hash: hash.to_owned() }
            }
            ["sealed", path, hash] => Self::Sealed { path: path.to_owned(), hash: hash.to_owned() },
            ["reopened", ms] => Self::Reopened(ms.parse().ok()?),
            ["done"] => Self::Done,
            _ => return None,
        })
    }
}

/// Everything promised by one recording, over all its lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promises {
    /// Highest acknowledged message.
    pub acknowledged: u64,
    /// Receipts.
    pub keys: Vec<(u64, u64, String)>,
    /// Signed segments.
    pub sealed: Vec<(String, String)>,
    /// Longest reopening, ms.
    pub reopened_ms: u64,
    /// Closed and signed.
    pub done: bool,
}

impl Promises {
    /// Takes what came over the pipe; the last line counts only if it is whole.
    pub fn take(&mut self, text: &str) {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for promise in whole.lines().filter_map(Promise::read) {
            match promise {
                Promise::Ack(seq) => self.acknowledged = self.acknowledged.max(seq),
                Promise::Key { incarnation, epoch, hash } => self.keys.push((incarnation, epoch, hash)),
                Promise::Sealed { path, hash } => {
                    self.sealed.retain(|(known, _)| *known != path);
                    self.sealed.push((path, hash));
                }
                Promise::Reopened(ms) => self.reopened_ms = self.reopened_ms.max(ms),
                Promise::Done => self.done = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_line_promises_nothing() {
        let mut promises = Promises::default();
        promises.take("ack 12\nkey 1 2 ab\nack 3");
        assert_eq!((promises.acknowledged, promises.keys.len()), (12, 1));
        promises.take("ack 345\nack 34");
        assert_eq!(promises.acknowledged, 345);
    }
}
