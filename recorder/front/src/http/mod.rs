//! The HTTP edge: router, security headers, host check, pages, listening. Judges nothing about meetings.

pub mod guard;
pub mod headers;
pub mod listen;
pub mod pages;
pub mod range;
pub mod router;
