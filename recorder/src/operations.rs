//! How a recorder is seen by its operators: numbers, and what would keep it from recording.

use crate::config::Config;
use crate::room::Shared;
use service::metrics::Sample;
use service::metrics::names::recorder as names;
use service::operations::look::{free_bytes, takes_connections, writable};
use service::operations::reason::Reason;
use service::operations::{Answer, Watched};

/// Free space of the archive below which a recorder is not ready, MiB, if the configuration says nothing: two hours of a
/// meeting of five in 720p.
pub const RESERVE_MIB: u64 = 10 * 1024;

impl Shared {
    async fn custody_up(&self) -> bool {
        takes_connections(&self.config.custody.record).await
    }
}

/// What is wrong with the archive's folder.
fn archive(config: &Config) -> Option<Reason> {
    if !writable(&config.archive.join(config.firm.as_str())) {
        return Some(Reason::ArchiveNotWritable);
    }
    let enough = free_bytes(&config.archive).is_some_and(|free| free >> 20 >= config.reserve_mib);
    (!enough).then_some(Reason::DiskBelowReserve)
}

impl Watched for Shared {
    fn troubles(&self) -> Answer<'_, Vec<Reason>> {
        Box::pin(async {
            let custody = (!self.custody_up().await).then_some(Reason::CustodyUnreachable);
            archive(&self.config).into_iter().chain(custody).collect()
        })
    }

    fn samples(&self) -> Answer<'_, Option<Vec<Sample>>> {
        Box::pin(async {
            names::ROOMS.set(self.config.rooms.len() as u64);
            names::DISK_FREE_BYTES.set(free_bytes(&self.config.archive).unwrap_or(0));
            names::CUSTODY_UP.set(u64::from(self.custody_up().await));
            Some(Vec::new())
        })
    }
}
