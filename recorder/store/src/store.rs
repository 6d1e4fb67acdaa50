//! The boundary: what the recorder asks of a store, and what a dishonest administrator would.

use async_trait::async_trait;
use bytes::Bytes;
use domain::UnixMillis;

/// Why a store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store understood and said no: the object is locked, or we lack the right.
    #[error("refused: {0}")]
    Refused(String),
    /// Under this name stands something already.
    #[error("there is an object of this name")]
    Exists,
    /// No such object or version.
    #[error("no such object")]
    Missing,
    /// Not reached, or it failed by itself: worth another attempt.
    #[error("not reached: {0}")]
    Unavailable(String),
}

/// Legal hold of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// May not be deleted whatever the date.
    Held,
    /// The date alone decides.
    Free,
}

/// What keeps a version from being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// Nobody, its owner included, may delete it before; `None`: not locked in that mode.
    pub until: Option<UnixMillis>,
    /// Legal hold.
    pub hold: Hold,
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Name.
    pub key: String,
    /// The store's id of this version.
    pub id: String,
    /// A later version or a delete marker may stand before it.
    pub latest: Latest,
}

/// Is a version what a reader without a version id gets?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Latest {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// May a put find something under its name?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// No: [`StoreError::Exists`].
    First,
    /// Yes: the older version stays behind the new one.
    Next,
}

/// What the probe tries, as somebody with the recorder's own rights would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Delete the locked version.
    DeleteVersion,
    /// Give it an earlier date.
    Shorten,
    /// From a lock nobody can lift to one that an administrator can.
    Downgrade,
    /// Put other bytes under its name.
    Overwrite,
    /// Turn versioning off, so that an overwrite replaces.
    SuspendVersioning,
}

impl Attack {
    /// All, in the order in which the probe tries them.
    pub const ALL: [Self; 5] =
        [Self::Shorten, Self::Downgrade, Self::Overwrite, Self::DeleteVersion, Self::SuspendVersioning];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeleteVersion => "delete a locked version",
            Self::Shorten => "shorten a retention",
            Self::Downgrade => "turn COMPLIANCE into GOVERNANCE",
            Self::Overwrite => "replace a locked version",
            Self::SuspendVersioning => "suspend versioning",
        }
    }
}

/// A place that keeps objects for a time.
#[async_trait]
pub trait ArchiveStore: Send + Sync {
    /// Name in configuration and log.
    fn name(&self) -> &str;

    /// Puts an object, locked until a date; returns its version id.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is there then, or the same bytes are ([`StoreError::Unavailable`] after the last byte).
    async fn put(&self, key: &str, bytes: Bytes, until: UnixMillis, placing: Placing) -> Result<String, StoreError>;

    /// The bytes of a version; of the latest one without an id, with its id.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn get(&self, key: &str, version: Option<&str>) -> Result<(Bytes, String), StoreError>;

    /// What locks a version.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn lock(&self, key: &str, version: &str) -> Result<Lock, StoreError>;

    /// Locks a version for longer.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for an earlier date.
    async fn extend(&self, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError>;

    /// Sets or lifts the legal hold of a version.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn hold(&self, key: &str, version: &str, hold: Hold) -> Result<(), StoreError>;

    /// Deletes a version for good.
    ///
    /// # Errors
    /// [`StoreError::Refused`] while it is locked or held.
    async fn delete(&self, key: &str, version: &str) -> Result<(), StoreError>;

    /// All versions of all objects whose names begin so, delete markers left out, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn versions(&self, prefix: &str) -> Result<Vec<Version>, StoreError>;

    /// Tries what must not succeed with a version that is locked until a date. The store's own answer is returned; whether the version still stands is the probe's
    /// to look.
    ///
    /// # Errors
    /// [`StoreError::Refused`] is the good answer.
    async fn attack(&self, attack: Attack, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError>;
}
