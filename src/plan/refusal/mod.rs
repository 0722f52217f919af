//! Every reason we decline, in one place, each with its cure.

mod native;
mod seen;
mod stage;
mod text;
mod vip;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

pub use stage::Stage;

use super::Severity;
use crate::model::{
    Holder, L2StatusKey, LspName, Mac, NodeName, Protocol, ProviderName, ServiceKey, SubnetName, VlanId,
    VlanName,
};

/// Why a Service, a VIP, a port or a backend is not served, or what is to be known of it although it is. `Display`
/// says what is wrong and what to do; [`Refusal::fault`] and [`Refusal::cure`] say each alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the fields are what their types and the messages say")]
pub enum Refusal {
    /// `status.loadBalancer.ingress` has no IP.
    NoVip,
    /// `status.loadBalancer.ingress` has host names only.
    HostnameOnly { hostname: Arc<str> },
    /// No Subnet's `cidrBlock` holds the VIP.
    NoSubnet { vip: IpAddr },
    /// The Subnet that holds the VIP is not an underlay subnet of OVN's.
    NotUnderlay { vip: IpAddr, subnet: SubnetName },
    /// The Subnet has no `enableExternalLBAddress: true`.
    ExternalLbDisabled { vip: IpAddr, subnet: SubnetName },
    /// Kube-OVN could hand the VIP to a pod.
    NotExcluded { vip: IpAddr, subnet: SubnetName },
    /// Kube-OVN could hand the VIP to a pod; it is served all the same.
    ServedNotExcluded { vip: IpAddr, subnet: SubnetName },
    /// The address is somebody's already.
    ReservedAddress { vip: IpAddr, subnet: SubnetName, reserved: Reserved },
    /// The northbound has no logical switch of the Subnet's name.
    NoSwitch { subnet: SubnetName },
    /// Kube-OVN's OVN is told to load-balance nothing inside its subnets.
    SkipsSubnetAddresses { vip: IpAddr },
    /// Kube-OVN's OVN is told to leave the MAC of what it translates, and the Subnet's switch has no router port.
    KeepsDestinationMac { vip: IpAddr, subnet: SubnetName },
    /// Kube-OVN's OVN is told to load-balance nothing for this CIDR.
    SkippedCidr { vip: IpAddr, cidr: IpNet },
    /// A row that is not ours has this VIP and port, of this Subnet.
    NativeOwner { key: SocketAddr, protocol: Protocol, row: String, holder: Holder, subnet: SubnetName },
    /// Another Service has the same VIP, protocol and port.
    PortTaken { key: SocketAddr, protocol: Protocol, by: ServiceKey },
    /// No endpoint is ready (nor serving while it terminates).
    NoReadyBackend { key: SocketAddr, protocol: Protocol },
    /// An endpoint outside the VIP's subnet.
    BackendOutsideSubnet { address: IpAddr, subnet: SubnetName },
    /// An endpoint without `nodeName`.
    BackendWithoutNode { address: IpAddr },
    /// An endpoint on a Node that we do not know.
    BackendOnUnknownNode { address: IpAddr, node: NodeName },
    /// An endpoint on a Node without chassis.
    BackendWithoutChassis { address: IpAddr, node: NodeName },
    /// An endpoint that is no port of the switch.
    BackendNoPort { address: IpAddr, subnet: SubnetName },
    /// An entry of `spec.loadBalancerSourceRanges` is no network.
    BadSourceRange { range: Arc<str>, field: &'static str },
    /// There are source ranges, and none of the VIP's family.
    ClosedToAll { vip: IpAddr },
    /// An endpoint whose port is bound to another chassis than its node's.
    BackendElsewhere { address: IpAddr, node: NodeName, subnet: SubnetName },
    /// The Subnet names a Vlan that does not exist.
    NoVlan { subnet: SubnetName, vlan: VlanName },
    /// The Vlan names a ProviderNetwork that does not exist.
    NoProvider { vlan: VlanName, provider: ProviderName },
    /// `logicalGateway` hides the steering MAC from speakers.
    NoSteeringMac { subnet: SubnetName },
    /// A port of the switch has the VIP as its own address.
    VipIsPort { vip: IpAddr, port: LspName },
    /// Somebody else, MetalLB's speaker most likely, announces the VIP.
    AnnouncedByOthers { vip: IpAddr, node: NodeName, status: L2StatusKey },
    /// The VIP's entry has `ipMode: Proxy`: the address is another load balancer's.
    Proxied { vip: IpAddr },
    /// Beside VIPs that are served the Service has an address of somebody else's.
    ForeignAddress { address: IpAddr, field: &'static str },
    /// There are L2Advertisements for the VIP's pool, and none of them selects the Service.
    NotAdvertised { vip: IpAddr },
    /// There are ready backends, but none on a node that may announce: what is in the way of those that have one, and
    /// how many nodes have none.
    NobodyMayAnnounce { vip: IpAddr, hindered: BTreeMap<Obstacle, BTreeSet<NodeName>>, others: usize },
    /// The node that announces what is tied to the VIP cannot serve this port.
    DarkPort { key: SocketAddr, protocol: Protocol, node: NodeName },
    /// The Vlan has another number than the localnet port's tag.
    VlanDiffers { vlan: VlanName, id: Option<VlanId>, port: LspName, tag: Option<VlanId> },
    /// OVN was told once to balance nothing for this CIDR, and still has the flow.
    SkippedByFlow { vip: IpAddr, cidr: IpNet },
    /// northd has not taken the row up.
    NorthdSilent { key: SocketAddr, protocol: Protocol },
    /// northd took the row up and does not keep DNAT on the node.
    FlowMissing { key: SocketAddr, protocol: Protocol },
    /// northd took the row up and does not bring what it translates to the pods.
    PodFlowMissing { key: SocketAddr, protocol: Protocol },
    /// Frames are steered to a MAC that is not the router port's.
    SteeringDiffers { subnet: SubnetName, mac: Mac, router: Mac },
}

/// What keeps a node from announcing a VIP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// The Subnet's Vlan or ProviderNetwork does not exist, or cannot be read.
    NoProviderNetwork,
    /// The provider network leaves the node out: `excludeNodes`, or Kube-OVN's label.
    OutsideProviderNetwork(ProviderName),
    /// Its condition `Ready` is not true.
    NotReady,
    /// Its condition `NetworkUnavailable` is true.
    NetworkUnavailable,
    /// It has the label `node.kubernetes.io/exclude-from-external-load-balancers`.
    Excluded,
    /// Kube-OVN's label says that the provider network is not ready there.
    ProviderNetworkNotReady(ProviderName),
    /// Its speaker is not alive.
    SpeakerAway,
    /// Its speaker says that it cannot speak on the segment.
    CannotSpeak,
    /// No L2Advertisement of the VIP's pool selects it.
    NotSelected,
    /// The L2Advertisements that select it name other interfaces than the segment's.
    OtherInterfaces,
}

/// Whose address a VIP would take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reserved {
    /// The subnet's gateway.
    Gateway,
    /// The subnet's network address.
    Network,
    /// The subnet's broadcast address.
    Broadcast,
    /// A node's.
    Node(NodeName),
    /// A pod's or a machine's, by Kube-OVN's own books.
    Allocated(Arc<str>),
}

impl Refusal {
    /// A short, stable name, for metrics and Events.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::NoVip => "NoVip",
            Refusal::HostnameOnly { .. } => "HostnameOnly",
            Refusal::NoSubnet { .. } => "NoSubnet",
            Refusal::NotUnderlay { .. } => "NotUnderlay",
            Refusal::ExternalLbDisabled { .. } => "ExternalLbDisabled",
            Refusal::NotExcluded { .. } => "NotExcluded",
            Refusal::ServedNotExcluded { .. } => "ServedNotExcluded",
            Refusal::ReservedAddress { .. } => "ReservedAddress",
            Refusal::NoSwitch { .. } => "NoSwitch",
            Refusal::SkipsSubnetAddresses { .. } => "SkipsSubnetAddresses",
            Refusal::KeepsDestinationMac { .. } => "KeepsDestinationMac",
            Refusal::SkippedCidr { .. } => "SkippedCidr",
            Refusal::NativeOwner { .. } => "NativeOwner",
            Refusal::PortTaken { .. } => "PortTaken",
            Refusal::NoReadyBackend { .. } => "NoReadyBackend",
            Refusal::BackendOutsideSubnet { .. } => "BackendOutsideSubnet",
            Refusal::BackendWithoutNode { .. } => "BackendWithoutNode",
            Refusal::BackendOnUnknownNode { .. } => "BackendOnUnknownNode",
            Refusal::BackendWithoutChassis { .. } => "BackendWithoutChassis",
            Refusal::BackendNoPort { .. } => "BackendNoPort",
            Refusal::BadSourceRange { .. } => "BadSourceRange",
            Refusal::ClosedToAll { .. } => "ClosedToAll",
            Refusal::BackendElsewhere { .. } => "BackendElsewhere",
            Refusal::NoVlan { .. } => "NoVlan",
            Refusal::NoProvider { .. } => "NoProvider",
            Refusal::NoSteeringMac { .. } => "NoSteeringMac",
            Refusal::VipIsPort { .. } => "VipIsPort",
            Refusal::AnnouncedByOthers { .. } => "AnnouncedByOthers",
            Refusal::Proxied { .. } => "Proxied",
            Refusal::ForeignAddress { .. } => "ForeignAddress",
            Refusal::NotAdvertised { .. } => "NotAdvertised",
            Refusal::NobodyMayAnnounce { .. } => "NobodyMayAnnounce",
            Refusal::DarkPort { .. } => "DarkPort",
            Refusal::VlanDiffers { .. } => "VlanDiffers",
            Refusal::SteeringDiffers { .. } => "SteeringDiffers",
            Refusal::SkippedByFlow { .. } => "SkippedByFlow",
            Refusal::NorthdSilent { .. } => "NorthdSilent",
            Refusal::FlowMissing { .. } => "FlowMissing",
            Refusal::PodFlowMissing { .. } => "PodFlowMissing",
        }
    }

    /// Error: a VIP or a port is not served, and stays so until somebody acts. Warning: it is served less well than
    /// it could be, or comes right by itself, or may not be ours to serve at all.
    pub fn severity(&self) -> Severity {
        match self {
            Refusal::ExternalLbDisabled { .. }
            | Refusal::NotExcluded { .. }
            | Refusal::ReservedAddress { .. }
            | Refusal::NoSwitch { .. }
            | Refusal::SkipsSubnetAddresses { .. }
            | Refusal::KeepsDestinationMac { .. }
            | Refusal::SkippedCidr { .. }
            | Refusal::PortTaken { .. }
            | Refusal::BackendOnUnknownNode { .. }
            | Refusal::BadSourceRange { .. }
            | Refusal::ClosedToAll { .. }
            | Refusal::NoVlan { .. }
            | Refusal::NoProvider { .. }
            | Refusal::NoSteeringMac { .. }
            | Refusal::VipIsPort { .. }
            | Refusal::NobodyMayAnnounce { .. }
            | Refusal::VlanDiffers { .. }
            | Refusal::SkippedByFlow { .. }
            | Refusal::NorthdSilent { .. }
            | Refusal::FlowMissing { .. }
            | Refusal::PodFlowMissing { .. }
            | Refusal::SteeringDiffers { .. } => Severity::Error,
            Refusal::NoVip
            | Refusal::HostnameOnly { .. }
            | Refusal::NoSubnet { .. }
            | Refusal::NotUnderlay { .. }
            | Refusal::ServedNotExcluded { .. }
            | Refusal::NativeOwner { .. }
            | Refusal::NoReadyBackend { .. }
            | Refusal::BackendOutsideSubnet { .. }
            | Refusal::BackendWithoutNode { .. }
            | Refusal::BackendWithoutChassis { .. }
            | Refusal::BackendNoPort { .. }
            | Refusal::BackendElsewhere { .. }
            | Refusal::AnnouncedByOthers { .. }
            | Refusal::Proxied { .. }
            | Refusal::ForeignAddress { .. }
            | Refusal::NotAdvertised { .. }
            | Refusal::DarkPort { .. } => Severity::Warning,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.fault(), self.cure())
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::NoProviderNetwork => {
                f.write_str("the Subnet's Vlan or ProviderNetwork does not exist, or cannot be read")
            }
            Obstacle::OutsideProviderNetwork(provider) => {
                write!(f, "left out by ProviderNetwork {provider}")
            }
            Obstacle::NotReady => f.write_str("not Ready"),
            Obstacle::NetworkUnavailable => f.write_str("condition NetworkUnavailable"),
            Obstacle::Excluded => {
                f.write_str("label node.kubernetes.io/exclude-from-external-load-balancers")
            }
            Obstacle::ProviderNetworkNotReady(provider) => {
                write!(f, "ProviderNetwork {provider} is not ready there")
            }
            Obstacle::SpeakerAway => f.write_str("its speaker does not run"),
            Obstacle::CannotSpeak => {
                f.write_str("its speaker has no bridge, port, socket or carrier on the segment")
            }
            Obstacle::NotSelected => f.write_str("selected by no L2Advertisement of the VIP's pool"),
            Obstacle::OtherInterfaces => f.write_str(
                "spec.interfaces of the pool's L2Advertisements names neither its bridge nor its NIC",
            ),
        }
    }
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reserved::Gateway => f.write_str("the gateway"),
            Reserved::Network => f.write_str("the network address"),
            Reserved::Broadcast => f.write_str("the broadcast address"),
            Reserved::Node(node) => write!(f, "the address of Node {node}, on the segment"),
            Reserved::Allocated(holder) => write!(f, "the address of {holder}, by Kube-OVN's books,"),
        }
    }
}
