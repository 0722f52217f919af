//! OpenFlow on the provider bridge, sans-I/O: which rules steer a VIP into OVN, and how they get onto the bridge.
//!
//! Decides: the rules of a segment ([`flows_for`]), what differs from what a bridge has ([`difference`]), and the whole
//! conversation with a switch ([`Session`]: bytes and the time in, bytes and events out), and whether OVN delivers a VIP
//! on this node ([`Delivery`]).
//! Is given: a [`SegmentPlan`](crate::model::SegmentPlan), the bridge's port numbers, the switch's bytes, `now`.
//! Never: opens a socket, reads a clock, or touches a flow without our cookie.

mod action;
mod delivery;
mod diff;
mod flow;
mod kube_ovn;
mod program;
mod session;
pub mod wire;

pub use action::{Action, Field, PORT_IN, PORT_LOCAL};
pub use delivery::{Delivery, Wish, Wishes};
pub use diff::{FlowMod, Spared, Wanted, difference};
pub use flow::{
    ADMITTED, BeatMatch, COOKIE, COOKIE_MASK, Flow, MARK, Match, PRIORITY, TAGGED_PRIORITY, Traffic, VipMatch,
};
pub use program::{BridgePorts, answer_flows, beat_flows, flows_for};
#[cfg(test)]
pub(crate) use session::fake::Fake;
pub use session::{Event, Session, SessionError};
pub use wire::{OpenFlowError, Version};
