//! What the probe says of a server whose Object Lock holds, and of one whose does not.

use bytes::Bytes;
use domain::UnixMillis;
use recorder_store::class::Class;
use recorder_store::store::Placing;
use recorder_store::{ArchiveStore, Attack, Hold, StoreError, probe};
use std::time::{SystemTime, UNIX_EPOCH};
use store_servers as stores;

pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UnixMillis(u64::try_from(since.as_millis()).expect("fits"))
}

#[tokio::test]
async fn seaweedfs_is_worm() -> anyhow::Result<()> {
    let server = stores::seaweedfs()?;
    let store = server.bucket("archive-a").await?;
    let found = probe(&store, now(), 1).await?;
    assert!(found.is_worm(), "{found:?}");
    assert_eq!(found.class(Class::Worm), Class::Worm);
    // once more in the same second: its names are new
    assert!(probe(&store, now(), 2).await?.is_worm());
    assert!(!store.versions("probe/").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn moto_is_refused_and_what_it_allowed_is_named() -> anyhow::Result<()> {
    let server = stores::moto()?;
    let store = server.bucket("archive-a").await?;
    let found = probe(&store, now(), 1).await?;
    assert_eq!(found.class(Class::Worm), Class::NotWorm);
    let allowed: Vec<Attack> = found.failures.iter().map(|(attack, _)| *attack).collect();
    assert!(allowed.contains(&Attack::Shorten) && allowed.contains(&Attack::Downgrade), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn a_hold_and_a_later_date_bind_in_a_bucket_and_an_earlier_one_is_refused() -> anyhow::Result<()> {
    let server = stores::seaweedfs()?;
    let store = server.bucket("archive-a").await?;
    let until = UnixMillis(now().seconds() * 1000 + 600_000);
    let version = store.put("a/b", Bytes::from_static(b"one"), until, Placing::First).await?;
    assert_eq!(store.put("a/b", Bytes::from_static(b"x"), until, Placing::First).await, Err(StoreError::Exists));
    let later = until.plus(600_000);
    store.extend("a/b", &version, later).await?;
    assert!(matches!(store.extend("a/b", &version, until).await, Err(StoreError::Refused(_))));
    store.hold("a/b", &version, Hold::Held).await?;
    let lock = store.lock("a/b", &version).await?;
    assert_eq!((lock.until, lock.hold), (Some(later), Hold::Held));
    store.hold("a/b", &version, Hold::Free).await?;
    assert_eq!(store.lock("a/b", &version).await?.hold, Hold::Free);
    assert!(matches!(store.delete("a/b", &version).await, Err(StoreError::Refused(_))), "the date still binds");
    assert_eq!(store.get("a/b", None).await?.0, "one");
    Ok(())
}
