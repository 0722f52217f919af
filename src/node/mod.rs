//! One node, as a machine: what happens goes in, what is to be done comes out.
//!
//! Decides: what is steered and spoken on each segment, when a VIP is taken and let go, what is reported and told.
//! Is given: changes of the cluster, a [`Sight`] of the node's switches, frames, what became of sockets, the time.
//! Gives: rules and wishes for the switches, frames to send, what is to be written and said, a deadline.
//! Never: opens a socket, reads a clock, waits. [`crate::speaker`] does that; a test does it in virtual time.
//!
//! [`Agent`] is the place to start. `segment` has what is spoken, `tenure` and `contest` what speakers agree on among themselves,
//! `liveness` who of them lives, `claims` and `hearsay` what they tell each other in their beats.

mod agent;
pub mod bridge;
mod claims;
mod contest;
mod departed;
mod hearsay;
mod liveness;
mod published;
mod segment;
mod served;
mod sight;
mod spared;
pub mod status;
mod telling;
mod tenure;

pub use agent::{Agent, Settings};
pub use bridge::{Located, NotFound, locate};
pub use liveness::{Cadence, Identity};
pub use segment::{Manner, News};
pub use sight::Sight;
pub use telling::{Told, UidOf};
pub use tenure::Probe;
