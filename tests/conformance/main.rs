//! The documents' promises and the tests that keep them: what a document names must be there; and the wire's promise, that
//! other implementations of its standards can speak it.

mod compliance;
mod interop;
mod threats;
