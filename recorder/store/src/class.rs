//! What a store is worth as evidence, and what a room that must be recorded wants.
//! Not a wire type: what is read here is configuration and the recorder's own status file.

use domain::policy::Archive;
use serde::{Deserialize, Serialize};

/// What a store keeps, from the most to the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Write once: proven by the probe that neither deletes, shortens, downgrades nor replaces.
    Worm,
    /// An administrator can change it, but not unnoticed: log, stamps and the second store tell.
    TamperEvident,
    /// For trying things out.
    Test,
    /// Said to be WORM, and the probe showed that it is not.
    NotWorm,
}

impl Class {
    /// As in the configuration and the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worm => "worm",
            Self::TamperEvident => "tamper-evident",
            Self::Test => "test",
            Self::NotWorm => "not-worm",
        }
    }
}

/// What stands beside the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// What the firm's signed statement accepts.
    pub archive: Archive,
    /// A time-stamp authority is configured.
    pub stamped: Stamped,
    /// This installation says that it is a demonstration.
    pub purpose: Purpose,
}

/// Are manifests stamped by an authority?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamped {
    /// Yes.
    Yes,
    /// No authority is configured.
    No,
}

/// What an installation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Records of a firm.
    Production,
    /// A demonstration: its archive is not WORM, and every page says so.
    Demonstration,
}

/// Why a meeting that must be kept may not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPermitted {
    /// The statement wants WORM and no store is.
    #[error("the firm's statement wants a WORM store; the stores are: {0}")]
    NoWorm(String),
    /// The audit-trail alternative wants two stores.
    #[error("the audit-trail alternative wants two stores, each at least tamper-evident; the stores are: {0}")]
    NoSecondStore(String),
    /// ... and stamps.
    #[error("the audit-trail alternative wants a time-stamp authority ([stamp]); none is configured")]
    NoStamp,
}

fn list(classes: &[Class]) -> String {
    if classes.is_empty() { "none".to_owned() } else { classes.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ") }
}

/// May a meeting that must be kept begin? The firm's log is always there, so nothing asks for it.
///
/// # Errors
/// [`NotPermitted`] that says what is missing.
pub fn permits(classes: &[Class], demand: Demand) -> Result<(), NotPermitted> {
    if demand.purpose == Purpose::Demonstration || classes.contains(&Class::Worm) {
        return Ok(());
    }
    if demand.archive == Archive::Worm {
        return Err(NotPermitted::NoWorm(list(classes)));
    }
    if classes.iter().filter(|class| **class <= Class::TamperEvident).count() < 2 {
        return Err(NotPermitted::NoSecondStore(list(classes)));
    }
    if demand.stamped == Stamped::No { Err(NotPermitted::NoStamp) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{NotWorm, TamperEvident, Test, Worm};

    fn asks(archive: Archive, stamped: Stamped) -> Demand {
        Demand { archive, stamped, purpose: Purpose::Production }
    }

    #[test]
    fn a_must_record_meeting_wants_worm_or_the_whole_audit_trail() {
        let worm = asks(Archive::Worm, Stamped::Yes);
        assert_eq!(permits(&[NotWorm, Worm], worm), Ok(()));
        for poor in [&[][..], &[Test], &[NotWorm, NotWorm], &[TamperEvident, TamperEvident]] {
            assert!(matches!(permits(poor, worm), Err(NotPermitted::NoWorm(_))), "{poor:?}");
        }
        let trail = asks(Archive::AuditTrail, Stamped::Yes);
        assert_eq!(permits(&[TamperEvident, TamperEvident], trail), Ok(()));
        for poor in [&[][..], &[TamperEvident], &[TamperEvident, Test], &[TamperEvident, NotWorm]] {
            assert!(matches!(permits(poor, trail), Err(NotPermitted::NoSecondStore(_))), "{poor:?}");
        }
        let unstamped = asks(Archive::AuditTrail, Stamped::No);
        assert_eq!(permits(&[TamperEvident, TamperEvident], unstamped), Err(NotPermitted::NoStamp));
    }

    #[test]
    fn a_demonstration_records_on_anything_and_says_so_elsewhere() {
        let demo = Demand { archive: Archive::Worm, stamped: Stamped::No, purpose: Purpose::Demonstration };
        assert_eq!(permits(&[], demo), Ok(()));
        assert!(permits(&[], Demand { purpose: Purpose::Production, ..demo }).is_err());
    }
}
