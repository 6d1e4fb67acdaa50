//! What one subscriber's network carries: the log of what was sent, the estimate made of the feedback (delay, loss), the
//! probes that find more, and the pacer that keeps bursts from filling queues. It owns no track and decides no layer:
//! the allocator is given [`rate::BitRate`] and says what it would like to have.

pub mod rate;

pub use rate::BitRate;
