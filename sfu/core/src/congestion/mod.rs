//! What one subscriber's network carries: the log of what was sent, the estimate made of the feedback (delay, loss), the
//! probes that find more, and the pacer that keeps bursts from filling queues. It owns no track and decides no layer:
//! the allocator is given the estimate as a [`BitRate`] and says what it would like to have.

pub mod acked;
pub mod aimd;
pub mod delay;
pub mod downlink;
pub mod estimator;
pub mod loss;
pub mod pacer;
pub mod probe;
pub mod rate;
pub mod sent;
mod serve;
pub(crate) mod wakes;

#[cfg(test)]
mod tests;

pub use downlink::{Condition, Downlink};
pub use estimator::Estimator;
pub use rate::BitRate;
pub use sent::Purpose;
pub(crate) use wakes::Wakes;
