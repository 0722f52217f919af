//! ARP and NDP, sans-I/O: who has a VIP, said to whoever asks.
//!
//! Given frames, a set of VIPs and the time, decides what to say on one interface; never opens a socket, never
//! reads a clock. [`Responder`] is the door; the codecs below it know frames and nothing of VIPs.

pub mod arp;
pub mod ethernet;
pub mod ndp;
mod responder;
mod schedule;
mod verdict;

pub use responder::{Interface, Received, Responder};
pub use schedule::{PACE, ROUNDS, SPACING};
pub use verdict::{Reason, Verdict, VerdictKind};
