//! ARP and NDP, sans-I/O: who has a VIP, said to whoever asks.
//!
//! Given frames, a set of VIPs and the time, decides what to say on one interface; never opens a socket, never
//! reads a clock. [`Responder`] is the door; the codecs below it know frames and nothing of VIPs.

pub mod arp;
pub mod beat;
mod claim;
pub mod ethernet;
mod hear;
pub mod ndp;
mod responder;
mod say;
mod schedule;
mod verdict;

pub use claim::{ClaimMode, ClaimState, OnConflict, Outcome};
pub use hear::Received;
pub use responder::{Interface, Peers, Responder};
pub use schedule::PACE;
pub use verdict::{Reason, Verdict, VerdictKind};
