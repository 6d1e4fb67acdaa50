//! End to end: real binaries, real tokens, native participants.
