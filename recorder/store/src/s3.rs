//! An S3 bucket with Object Lock in COMPLIANCE mode.
//!
//! The bucket must have been made with Object Lock (and so with versioning); this never makes one. The recorder's right
//! on it should be: put, get, list versions, put retention, put legal hold, delete versions. That such rights do not
//! suffice to get rid of a locked version is what the probe shows.
//! Not a wire type: what is read here is configuration and a file of credentials.

use crate::store::{ArchiveStore, Attack, Hold, Latest, Lock, Placing, StoreError, Version};
use async_trait::async_trait;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    BucketVersioningStatus, ChecksumAlgorithm, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockMode,
    ObjectLockRetention, ObjectLockRetentionMode, VersioningConfiguration,
};
use bytes::Bytes;
use domain::UnixMillis;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// To reach the server: it is in the firm's own net, or one continent away.
const CONNECT: Duration = Duration::from_secs(5);
/// One attempt with 64 MiB at 10 Mbit/s.
const ATTEMPT: Duration = Duration::from_secs(60);
/// Attempts of the client itself; the upload tries again anyway.
const ATTEMPTS: u32 = 2;
/// The probe tries to shorten by: still in the future, so that only the lock can be the reason of a refusal.
const SHORTER_MS: u64 = 30_000;
/// Keys of one page of a listing.
const PAGE: i32 = 1000;

/// `[stores.s3]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// Address of the server; without it Amazon's of the region.
    pub endpoint: Option<String>,
    /// Region.
    pub region: String,
    /// Bucket, made with Object Lock.
    pub bucket: String,
    /// Id of the access key.
    pub access_key: String,
    /// File with the secret of the access key.
    pub secret_file: PathBuf,
}

/// A bucket.
pub struct S3 {
    name: String,
    bucket: String,
    client: aws_sdk_s3::Client,
}

impl S3 {
    /// Reads the secret; reaches nothing yet.
    ///
    /// # Errors
    /// A text that names what cannot be read.
    pub fn open(name: String, config: &S3Config, folder: &Path) -> Result<Self, String> {
        let path = folder.join(&config.secret_file);
        let secret = std::fs::read_to_string(&path)
            .map_err(|e| format!("`stores.s3.secret_file` {}: cannot be read ({e})", path.display()))?;
        let credentials = Credentials::new(&config.access_key, secret.trim(), None, None, "file");
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
        let mut builder = aws_sdk_s3::Config::builder()
            .region(Region::new(config.region.clone()))
            .credentials_provider(credentials)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .behavior_version_latest();
        if let Some(endpoint) = &config.endpoint {
            // servers other than Amazon's seldom have a name for each bucket
            builder = builder.endpoint_url(endpoint).force_path_style(true);
        }
        Ok(Self { name, bucket: config.bucket.clone(), client: aws_sdk_s3::Client::from_conf(builder.build()) })
    }

    /// Makes the bucket with Object Lock: for tests and a first set-up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn make_bucket(&self) -> Result<(), StoreError> {
        let made = self.client.create_bucket().bucket(&self.bucket).object_lock_enabled_for_bucket(true).send().await;
        made.map(drop).map_err(judge)
    }

    async fn retain(
        &self,
        key: &str,
        version: &str,
        mode: ObjectLockRetentionMode,
        until: UnixMillis,
    ) -> Result<(), StoreError> {
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(date(until)).build();
        let request = self.client.put_object_retention().bucket(&self.bucket).key(key).version_id(version);
        request.retention(retention).send().await.map(drop).map_err(judge)
    }

    async fn latest(&self, key: &str) -> Result<String, StoreError> {
        let all = self.versions(key).await?;
        let latest = all.into_iter().find(|one| one.key == key && one.latest == Latest::Yes);
        latest.map(|one| one.id).ok_or(StoreError::Missing)
    }

    async fn versioning(&self, status: BucketVersioningStatus) -> Result<(), StoreError> {
        let wanted = VersioningConfiguration::builder().status(status).build();
        let request = self.client.put_bucket_versioning().bucket(&self.bucket).versioning_configuration(wanted);
        request.send().await.map(drop).map_err(judge)
    }
}

/// Dates of Object Lock have seconds: rounded up, so that nothing is locked for less than asked.
fn date(until: UnixMillis) -> DateTime {
    DateTime::from_secs(i64::try_from(until.0.div_ceil(1000)).unwrap_or(i64::MAX))
}

/// What an error of the client means.
fn judge<E: ProvideErrorMetadata>(error: SdkError<E>) -> StoreError {
    let SdkError::ServiceError(service) = &error else {
        return StoreError::Unavailable(match &error {
            SdkError::TimeoutError(_) => "no answer in time".to_owned(),
            SdkError::DispatchFailure(failure) => {
                failure.as_connector_error().map_or_else(|| "no connection".to_owned(), ToString::to_string)
            }
            SdkError::ConstructionFailure(_) => "the request could not be made".to_owned(),
            _ => "the answer could not be read".to_owned(),
        });
    };
    let code = service.err().code().unwrap_or_default();
    let text = format!("{code} {}", service.err().message().unwrap_or_default()).trim().to_owned();
    match code {
        "NoSuchKey" | "NoSuchVersion" | "NotFound" => StoreError::Missing,
        "PreconditionFailed" => StoreError::Exists,
        "InternalError" | "ServiceUnavailable" | "SlowDown" | "RequestTimeout" | "ConditionalRequestConflict" => {
            StoreError::Unavailable(text)
        }
        "" if service.raw().status().is_server_error() => StoreError::Unavailable("an error of the server".to_owned()),
        _ => StoreError::Refused(text),
    }
}

#[async_trait]
impl ArchiveStore for S3 {
    fn name(&self) -> &str {
        &self.name
    }

    async fn put(&self, key: &str, bytes: Bytes, until: UnixMillis, placing: Placing) -> Result<String, StoreError> {
        let mut request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .body(ByteStream::from(bytes))
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .object_lock_mode(ObjectLockMode::Compliance)
            .object_lock_retain_until_date(date(until));
        if placing == Placing::First {
            request = request.if_none_match("*");
        }
        let answer = request.send().await.map_err(judge)?;
        let version = answer.version_id().filter(|id| !id.is_empty() && *id != "null");
        version.map(str::to_owned).ok_or_else(|| {
            StoreError::Refused("the bucket names no versions: it must be made with Object Lock".to_owned())
        })
    }

    async fn get(&self, key: &str, version: Option<&str>) -> Result<(Bytes, String), StoreError> {
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let answer = request.set_version_id(version.map(str::to_owned)).send().await.map_err(judge)?;
        let id = answer.version_id().or(version).filter(|id| !id.is_empty()).map(str::to_owned);
        let id = match id {
            Some(id) => id,
            // some servers do not say which version the latest one is
            None => self.latest(key).await?,
        };
        let body = answer.body.collect().await;
        Ok((body.map_err(|e| StoreError::Unavailable(e.to_string()))?.into_bytes(), id))
    }

    /// From the object's head: one question for date and hold, and servers answer it that fail at the others.
    async fn lock(&self, key: &str, version: &str) -> Result<Lock, StoreError> {
        let request = self.client.head_object().bucket(&self.bucket).key(key).version_id(version);
        let head = request.send().await.map_err(judge)?;
        // in another mode an administrator may lift it, which is no lock
        let locked = head.object_lock_mode() == Some(&ObjectLockMode::Compliance);
        let until = head.object_lock_retain_until_date().filter(|_| locked);
        let until = until.and_then(|date| u64::try_from(date.secs()).ok()).map(|s| UnixMillis(s * 1000));
        let held = head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On);
        Ok(Lock { until, hold: if held { Hold::Held } else { Hold::Free } })
    }

    async fn extend(&self, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError> {
        let now = self.lock(key, version).await?.until;
        // dates of the store are whole seconds, rounded up
        if now.is_some_and(|now| until.0.div_ceil(1000) < now.seconds()) {
            return Err(StoreError::Refused("a retention is never shortened".to_owned()));
        }
        self.retain(key, version, ObjectLockRetentionMode::Compliance, until).await
    }

    async fn hold(&self, key: &str, version: &str, hold: Hold) -> Result<(), StoreError> {
        let status = match hold {
            Hold::Held => ObjectLockLegalHoldStatus::On,
            Hold::Free => ObjectLockLegalHoldStatus::Off,
        };
        let hold = ObjectLockLegalHold::builder().status(status).build();
        let request = self.client.put_object_legal_hold().bucket(&self.bucket).key(key).version_id(version);
        request.legal_hold(hold).send().await.map(drop).map_err(judge)
    }

    async fn delete(&self, key: &str, version: &str) -> Result<(), StoreError> {
        let request = self.client.delete_object().bucket(&self.bucket).key(key).version_id(version);
        request.send().await.map(drop).map_err(judge)
    }

    async fn versions(&self, prefix: &str) -> Result<Vec<Version>, StoreError> {
        let mut found = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix).max_keys(PAGE);
            let request = request.set_key_marker(key_marker).set_version_id_marker(id_marker);
            let page = request.send().await.map_err(judge)?;
            found.extend(page.versions().iter().filter_map(|one| {
                let latest = if one.is_latest() == Some(true) { Latest::Yes } else { Latest::No };
                Some(Version { key: one.key()?.to_owned(), id: one.version_id()?.to_owned(), latest })
            }));
            if page.is_truncated() != Some(true) {
                found.sort();
                return Ok(found);
            }
            key_marker = page.next_key_marker().map(str::to_owned);
            id_marker = page.next_version_id_marker().map(str::to_owned);
            if key_marker.is_none() {
                return Err(StoreError::Unavailable("a listing that is cut names no place to go on".to_owned()));
            }
        }
    }

    async fn attack(&self, attack: Attack, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError> {
        match attack {
            Attack::DeleteVersion => {
                if let Ok(()) = self.delete(key, version).await {
                    return Ok(());
                }
                let request = self.client.delete_object().bucket(&self.bucket).key(key).version_id(version);
                // the strongest form: an administrator who says that governance does not bind
                request.bypass_governance_retention(true).send().await.map(drop).map_err(judge)
            }
            Attack::Shorten => {
                let earlier = UnixMillis(until.0.saturating_sub(SHORTER_MS));
                self.retain(key, version, ObjectLockRetentionMode::Compliance, earlier).await
            }
            Attack::Downgrade => self.retain(key, version, ObjectLockRetentionMode::Governance, until).await,
            Attack::Overwrite => {
                let body = ByteStream::from_static(b"other bytes");
                self.client.put_object().bucket(&self.bucket).key(key).body(body).send().await.map(drop).map_err(judge)
            }
            Attack::SuspendVersioning => {
                self.versioning(BucketVersioningStatus::Suspended).await?;
                // it must not stay so because we tried
                self.versioning(BucketVersioningStatus::Enabled).await
            }
        }
    }
}
