//! `store-probe`: starts both S3 servers and has the recorder's own probe judge them; one JSON line: what each may be used as.

use anyhow::Context;
use recorder_store::class::Class;
use recorder_store::{ArchiveStore, probe};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

async fn judged(store: &dyn ArchiveStore) -> anyhow::Result<&'static str> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("after 1970")?;
    let now = domain::UnixMillis(u64::try_from(since.as_millis())?);
    let found = probe(store, now, 1).await?;
    Ok(match found.class(Class::Worm) {
        Class::NotWorm => "refused",
        class => class.name(),
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (weed, moto) = (store_servers::seaweedfs()?, store_servers::moto()?);
    let (locked, open) = (weed.bucket("archive-a").await?, moto.bucket("archive-a").await?);
    let line = serde_json::json!({ "seaweedfs": judged(&locked).await?, "moto": judged(&open).await? });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
