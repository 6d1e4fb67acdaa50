//! The documents' promises and the tests that keep them: what a document names must be there.

mod compliance;
mod threats;
