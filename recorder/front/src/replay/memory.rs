//! The memory that clear meetings may take in this process: open replays and exports hold a part of it for as long as they
//! live. What does not fit is refused before anything is opened.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MIB: u64 = 1 << 20;

/// All of it; clones are the same.
#[derive(Clone)]
pub struct Memory {
    free: Arc<Semaphore>,
    all_mib: u32,
}

/// A part that is taken; free again when dropped.
pub struct Held(OwnedSemaphorePermit);

/// Why none is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMemory {
    /// More than there is at all.
    TooLarge,
    /// Others have it now.
    Taken,
}

fn mib(bytes: u64) -> Option<u32> {
    u32::try_from(bytes.div_ceil(MIB)).ok()
}

impl Memory {
    /// So many MiB in all.
    pub fn new(all_mib: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(all_mib as usize)), all_mib }
    }

    /// Takes room for so many bytes.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn hold(&self, bytes: u64) -> Result<Held, NoMemory> {
        let wanted = mib(bytes).filter(|wanted| *wanted <= self.all_mib).ok_or(NoMemory::TooLarge)?;
        self.free.clone().try_acquire_many_owned(wanted).map(Held).map_err(|_| NoMemory::Taken)
    }
}

impl Held {
    /// Gives back what is more than so many bytes.
    pub fn keep(&mut self, bytes: u64) {
        let kept = mib(bytes).map_or(usize::MAX, |kept| kept as usize);
        drop(self.0.split(self.0.num_permits().saturating_sub(kept)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let memory = Memory::new(10);
        assert_eq!(memory.hold(11 * MIB).err(), Some(NoMemory::TooLarge));
        assert_eq!(memory.hold(u64::MAX).err(), Some(NoMemory::TooLarge));
        let mut first = memory.hold(8 * MIB).expect("free");
        assert_eq!(memory.hold(3 * MIB).err(), Some(NoMemory::Taken));
        first.keep(5 * MIB + 1);
        let second = memory.hold(4 * MIB).expect("given back");
        first.keep(u64::MAX);
        assert_eq!(memory.hold(1).err(), Some(NoMemory::Taken));
        drop((first, second));
        assert!(memory.hold(10 * MIB).is_ok());
    }
}
