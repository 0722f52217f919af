//! What one node answers for, and what it steers into OVN.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{InterfaceName, Mac, NodeName, Protocol, ServiceKey, Sources, SubnetName, Term, VlanId};

/// The EtherType of the speakers' own frames: "Local Experimental EtherType 1" (IEEE 802, 9.2.4).
pub const ETHERTYPE_BEAT: u16 = 0x88b5;

/// What one node does on each of its underlay segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnouncePlan {
    /// By subnet; every subnet that takes VIPs and reaches this node, also where it delivers none.
    pub segments: BTreeMap<SubnetName, SegmentPlan>,
    /// The OVS bridges of all provider networks on this node: where rules of ours may lie.
    pub bridges: BTreeSet<InterfaceName>,
    /// The Services of which this node states in MetalLB's way that it announces them, each with the VIP by which that
    /// is decided: the first one that anybody announces, so that no Service is stated by two nodes.
    pub stated: BTreeMap<ServiceKey, (SubnetName, IpAddr)>,
}

/// One subnet, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPlan {
    /// The provider network's OVS bridge.
    pub bridge: InterfaceName,
    /// The bridge's NIC: where frames come from.
    pub nic: InterfaceName,
    /// The VLAN tag on the wire, if any.
    pub vlan: Option<VlanId>,
    /// The bridge's patch port to the subnet's localnet port (`patch-localnet.<subnet>-to-br-int`).
    pub patch_port: InterfaceName,
    /// The destination MAC that OVN expects of a frame for a VIP.
    pub steering_mac: Mac,
    /// Every VIP that this node can deliver, announced by it or not: rules are ready before a claim.
    pub steered: BTreeMap<IpAddr, Steered>,
    /// The MACs that the other nodes' speakers say they answer with; `None` where speakers do not know each other.
    pub peers: Option<BTreeSet<Mac>>,
    /// The other nodes whose speakers say that they beat on the segment, each with its MAC.
    pub beating: BTreeMap<NodeName, Mac>,
    /// The VIPs that this node answers for; each is also in `steered`.
    pub announced: BTreeMap<IpAddr, PlannedClaim>,
    /// The VIPs of `steered` that another node is to announce: one that this node still answers for is let go once the
    /// other is heard.
    pub handed_over: BTreeSet<IpAddr>,
    /// The MACs of those other nodes' speakers, where they are known: a VIP is let go for that one's word, and nobody
    /// else's.
    pub successors: BTreeMap<IpAddr, Mac>,
    /// The VIPs of `handed_over` that the other node says it holds by now.
    pub taken_over: BTreeSet<IpAddr>,
}

/// How this node takes a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedClaim {
    /// The term to hold it with: the one that it is held with already, or one more than the highest that is known.
    pub term: Term,
    /// Whether no node of this cluster is known to have held it: then it has to be asked first whether somebody else
    /// has the address (RFC 5227 §2.1).
    pub first: bool,
}

/// What of a VIP is steered into OVN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steered {
    /// Protocol and port, as clients use them, and which clients.
    pub ports: BTreeMap<(Protocol, u16), Sources>,
    /// A Service with this VIP is not open to everybody: OVN lets in what bears our mark, and drops the rest.
    pub gated: bool,
    /// The addresses of this node's backends: what OVN has to translate it to here.
    pub local: BTreeSet<IpAddr>,
    /// The addresses of other nodes' backends, to which no frame can be delivered from here.
    pub elsewhere: BTreeSet<IpAddr>,
}
