//! The life of a closed meeting: holds, longer classes, disposal, in every place at once.
//!
//! The rules are `evidence::retention`'s; here are the files of the books ([`books`]), the order of a disposal
//! ([`disposal`], without I/O), the office that carries out what two officers signed ([`office`]), and the spool in which the
//! front lays what they signed on its pages ([`spool`]). Every act is in the firm's log before anything is done.

pub mod books;
pub mod disposal;
pub mod office;
pub mod spool;

pub use books::{Books, Log};
pub use office::{Carried, Office, OfficeError, Plan};
pub use spool::{Acts, Spool};

use crate::layout::Folder;
use crate::store::Hold;
use crate::upload::{Keep, Keeping};
use domain::UnixMillis;

/// What the books say, for the uploads of a running recorder: new objects of a held meeting are held too.
pub struct ByBook(pub Books);

impl Keeping for ByBook {
    fn keep(&self, folder: &Folder, until: UnixMillis) -> Keep {
        match self.0.read(&folder.meeting) {
            Ok(None) => Keep { until, hold: Hold::Free },
            Ok(Some(book)) => {
                let hold = if book.standing.holds().is_empty() { Hold::Free } else { Hold::Held };
                Keep { until: until.max(book.standing.until()), hold }
            }
            // a book that cannot be read may hold a hold
            Err(e) => {
                tracing::error!(meeting = %folder.meeting, "its book of retention does not hold ({e}): it is held until it does");
                Keep { until, hold: Hold::Held }
            }
        }
    }
}
