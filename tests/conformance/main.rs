//! The documents' promises and the tests that keep them.
