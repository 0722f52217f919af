//! Every reason we decline, in one place, each with its cure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::model::{LspName, NodeName, Protocol, ProviderName, ServiceKey, SubnetName, VlanName};

/// Why a Service, a VIP, a port or a backend is not served. `Display` says what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what their types and the messages say")]
pub enum Refusal {
    /// `status.loadBalancer.ingress` has no IP.
    #[error(
        "the Service has no VIP: status.loadBalancer.ingress names no IP; is MetalLB's controller running, with a pool that has a free address?"
    )]
    NoVip,
    /// No Subnet's `cidrBlock` holds the VIP.
    #[error("no Subnet's cidrBlock holds VIP {vip}; give MetalLB a pool inside an underlay Subnet")]
    NoSubnet { vip: IpAddr },
    /// The Subnet that holds the VIP is not an underlay subnet of OVN's.
    #[error(
        "VIP {vip} lies in Subnet {subnet}, which is no underlay subnet of OVN: spec.vlan must name a Vlan and spec.provider be empty, ovn or end in .ovn"
    )]
    NotUnderlay { vip: IpAddr, subnet: SubnetName },
    /// The Subnet has no `enableExternalLBAddress: true`.
    #[error(
        "VIP {vip} lies in Subnet {subnet}, which takes no VIPs; set spec.enableExternalLBAddress: true there"
    )]
    ExternalLbDisabled { vip: IpAddr, subnet: SubnetName },
    /// Kube-OVN could hand the VIP to a pod.
    #[error("Kube-OVN may hand VIP {vip} to a pod; add {vip} to spec.excludeIps of Subnet {subnet}")]
    NotExcluded { vip: IpAddr, subnet: SubnetName },
    /// The address is somebody's already.
    #[error("VIP {vip} is {reserved} of Subnet {subnet}; take it out of MetalLB's pool")]
    ReservedAddress { vip: IpAddr, subnet: SubnetName, reserved: Reserved },
    /// The northbound has no logical switch of the Subnet's name.
    #[error(
        "the northbound has no logical switch {subnet}; is the Subnet ready, and is this its northbound?"
    )]
    NoSwitch { subnet: SubnetName },
    /// Kube-OVN's OVN is told to load-balance nothing inside its subnets.
    #[error(
        "OVN would not balance VIP {vip}: NB_Global.options:ls_ct_skip_dst_lport_ips is true; start kube-ovn-controller with --ls-ct-skip-dst-lport-ips=false"
    )]
    SkipsSubnetAddresses { vip: IpAddr },
    /// Kube-OVN's OVN is told to load-balance nothing for this CIDR.
    #[error(
        "OVN would not balance VIP {vip}: NB_Global.options:skip_conntrack_dst_cidrs has {cidr}; take it out of kube-ovn-controller's --skip-conntrack-dst-cidrs"
    )]
    SkippedCidr { vip: IpAddr, cidr: IpNet },
    /// A row that is not ours has this VIP and port: Kube-OVN serves it itself.
    #[error(
        "Load_Balancer {row}, which is not ours, has {protocol} {key} already, and it is left to it; where it is Kube-OVN's, start kube-ovn-controller with --enable-ovn-lb-prefer-local=false to hand it over"
    )]
    NativeOwner { key: SocketAddr, protocol: Protocol, row: String },
    /// Another Service has the same VIP, protocol and port.
    #[error("{protocol} {key} is Service {by}'s already; give one of the two another port or VIP")]
    PortTaken { key: SocketAddr, protocol: Protocol, by: ServiceKey },
    /// No endpoint is ready (nor serving while it terminates).
    #[error("no endpoint for {protocol} {key} is ready; nobody serves it until one is")]
    NoReadyBackend { key: SocketAddr, protocol: Protocol },
    /// An endpoint outside the VIP's subnet.
    #[error(
        "endpoint {address} lies outside Subnet {subnet}; only pods of the VIP's own subnet can serve it"
    )]
    BackendOutsideSubnet { address: IpAddr, subnet: SubnetName },
    /// An endpoint without `nodeName`.
    #[error(
        "endpoint {address} has no nodeName, so no node can answer for it; set nodeName in its EndpointSlice"
    )]
    BackendWithoutNode { address: IpAddr },
    /// An endpoint on a Node that we do not know.
    #[error(
        "endpoint {address} is on Node {node}, which does not exist; correct nodeName in its EndpointSlice"
    )]
    BackendOnUnknownNode { address: IpAddr, node: NodeName },
    /// An endpoint on a Node without chassis.
    #[error(
        "endpoint {address} is on Node {node}, which has no annotation ovn.kubernetes.io/chassis; is kube-ovn-cni running there?"
    )]
    BackendWithoutChassis { address: IpAddr, node: NodeName },
    /// An endpoint that is no port of the switch.
    #[error("endpoint {address} is no port of logical switch {subnet}; OVN would drop its traffic")]
    BackendNoPort { address: IpAddr, subnet: SubnetName },
    /// The Subnet names a Vlan that does not exist.
    #[error("Subnet {subnet} names Vlan {vlan}, which does not exist; correct spec.vlan")]
    NoVlan { subnet: SubnetName, vlan: VlanName },
    /// The Vlan names a ProviderNetwork that does not exist.
    #[error("Vlan {vlan} names ProviderNetwork {provider}, which does not exist; correct spec.provider")]
    NoProvider { vlan: VlanName, provider: ProviderName },
    /// `logicalGateway` hides the steering MAC from speakers.
    #[error(
        "Subnet {subnet} has logicalGateway, whose MAC is in the northbound only; annotate the Subnet with ovn-vip.io/steering-mac"
    )]
    NoSteeringMac { subnet: SubnetName },
    /// A port of the switch has the VIP as its own address.
    #[error(
        "VIP {vip} is the address of logical switch port {port}; take it out of MetalLB's pool, or release the port's address"
    )]
    VipIsPort { vip: IpAddr, port: LspName },
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
}

impl Refusal {
    /// A short, stable name, for metrics and Events.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::NoVip => "NoVip",
            Refusal::NoSubnet { .. } => "NoSubnet",
            Refusal::NotUnderlay { .. } => "NotUnderlay",
            Refusal::ExternalLbDisabled { .. } => "ExternalLbDisabled",
            Refusal::NotExcluded { .. } => "NotExcluded",
            Refusal::ReservedAddress { .. } => "ReservedAddress",
            Refusal::NoSwitch { .. } => "NoSwitch",
            Refusal::SkipsSubnetAddresses { .. } => "SkipsSubnetAddresses",
            Refusal::SkippedCidr { .. } => "SkippedCidr",
            Refusal::NativeOwner { .. } => "NativeOwner",
            Refusal::PortTaken { .. } => "PortTaken",
            Refusal::NoReadyBackend { .. } => "NoReadyBackend",
            Refusal::BackendOutsideSubnet { .. } => "BackendOutsideSubnet",
            Refusal::BackendWithoutNode { .. } => "BackendWithoutNode",
            Refusal::BackendOnUnknownNode { .. } => "BackendOnUnknownNode",
            Refusal::BackendWithoutChassis { .. } => "BackendWithoutChassis",
            Refusal::BackendNoPort { .. } => "BackendNoPort",
            Refusal::NoVlan { .. } => "NoVlan",
            Refusal::NoProvider { .. } => "NoProvider",
            Refusal::NoSteeringMac { .. } => "NoSteeringMac",
            Refusal::VipIsPort { .. } => "VipIsPort",
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
        }
    }
}
