//! OpenFlow 1.4 (and 1.3) as bytes: the messages that reading and replacing our flows needs, and no others.
//!
//! Is given whole messages (cut by [`Framer`]) and values; gives values and bytes. A message or a flow that it does not
//! understand is never an error by itself: it is [`Body::Other`], or a [`Found`] that equals no flow of ours.
//! Source: OpenFlow Switch Specification 1.4.0 (ONF TS-012) and 1.3.0 (ONF TS-006).

mod action;
mod bytes;
mod delivery;
mod error;
mod fields;
mod flow_mod;
mod framing;
mod message;
mod oxm;
mod stats;

pub use bytes::Truncated;
pub use delivery::{Answer, Translation, ask_flows_to, ask_groups, ask_to_be_told, decode_answer};
pub use error::OpenFlowError;
pub use flow_mod::FlowMod;
pub use framing::{BadFrame, Framer};
pub use message::{Body, BundleStep, Message, Request, encode};
pub use oxm::{AnyMac, FoundMatch};
pub use stats::{FlowChange, Found};

#[cfg(test)]
pub(super) use delivery::tests::{flow_reply, group_action, group_reply, no_flow_reply, removal};
#[cfg(test)]
pub(super) use flow_mod::tests::{FlowModParts, flow_mod_parts};
#[cfg(test)]
pub(super) use stats::tests::put_entry;

/// A version of the protocol that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// OpenFlow 1.3: without bundles and flow monitors.
    V13,
    /// OpenFlow 1.4.
    V14,
}

impl Version {
    /// Best first.
    pub const ALL: [Version; 2] = [Version::V14, Version::V13];

    /// The number on the wire (OpenFlow 1.4 §7.1).
    pub fn number(self) -> u8 {
        match self {
            Version::V13 => 4,
            Version::V14 => 5,
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&version_name(self.number()))
    }
}

/// The name that `ovs-vsctl set bridge … protocols=` uses for a version number (ovs-vswitchd.conf.db(5)).
pub fn version_name(number: u8) -> String {
    match number {
        1..=6 => format!("OpenFlow1{}", number - 1),
        _ => format!("OpenFlow version {number}"),
    }
}
