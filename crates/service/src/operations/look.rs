//! What a service looks at to know whether it is ready: folders, space, sockets. Each look is short and changes nothing.

use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// A process on this machine takes a connection within this time, also when it is busy.
const TAKEN: Duration = Duration::from_secs(2);

/// Bytes free for this user in the file system of `folder`.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// May this user write into `folder`? A file system mounted read-only says no.
pub fn writable(folder: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Does somebody take connections on this Unix socket?
pub async fn takes_connections(socket: &Path) -> bool {
    matches!(tokio::time::timeout(TAKEN, UnixStream::connect(socket)).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_without_its_process_and_a_folder_that_is_not_there_are_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(free_bytes(folder.path()).is_some_and(|free| free > 0) && writable(folder.path()));
        assert!(free_bytes(&folder.path().join("none")).is_none() && !writable(&folder.path().join("none")));
        let socket = folder.path().join("s");
        let listener = tokio::net::UnixListener::bind(&socket).expect("bound");
        assert!(takes_connections(&socket).await);
        drop(listener);
        assert!(!takes_connections(&socket).await, "the file is there, nobody listens");
    }
}
