//! Where things live: subnets, VLANs, provider networks, nodes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    AddressRange, ChassisName, Family, InterfaceName, Mac, NodeName, ProviderName, SubnetName, VlanId,
    VlanName,
};

/// A Kube-OVN Subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its name, which is the logical switch's.
    pub name: SubnetName,
    /// `spec.cidrBlock`: one CIDR, or one of each family.
    pub cidrs: Vec<IpNet>,
    /// `spec.gateway`: one address, or one of each family.
    pub gateways: Vec<IpAddr>,
    /// `spec.excludeIps`: what Kube-OVN's address allocation leaves alone.
    pub exclude_ips: Vec<AddressRange>,
    /// Whether `spec.provider` is OVN's own: empty, `ovn`, or ending in `.ovn`.
    pub ovn_provided: bool,
    /// `spec.vlan`: set on an underlay subnet.
    pub vlan: Option<VlanName>,
    /// `spec.enableExternalLBAddress`: whether VIPs may live here.
    pub external_lb: bool,
    /// `spec.logicalGateway`: the switch has a router port whose MAC only the northbound tells.
    pub logical_gateway: bool,
    /// `status.u2oInterconnectionMAC`, set while `spec.u2oInterconnection` is: the switch's router port.
    pub u2o_mac: Option<Mac>,
    /// The annotation `ovn-vip.io/steering-mac`: what the controller read in the northbound, for speakers.
    pub steering_mac: Option<Mac>,
}

impl Subnet {
    /// The CIDR of that family, if the subnet has one.
    pub fn cidr(&self, family: Family) -> Option<&IpNet> {
        self.cidrs.iter().find(|cidr| Family::of(cidr.addr()) == family)
    }

    /// Whether one of the CIDRs holds the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.cidrs.iter().any(|cidr| cidr.contains(&address))
    }
}

/// A Kube-OVN Vlan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// Its name.
    pub name: VlanName,
    /// `spec.id`; `None` is 0, untagged.
    pub id: Option<VlanId>,
    /// `spec.provider`.
    pub provider: ProviderName,
}

/// A Kube-OVN ProviderNetwork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderNetwork {
    /// Its name.
    pub name: ProviderName,
    /// `spec.defaultInterface`.
    pub default_interface: InterfaceName,
    /// `spec.customInterfaces`.
    pub custom_interfaces: Vec<CustomInterface>,
    /// `spec.excludeNodes`.
    pub exclude_nodes: BTreeSet<NodeName>,
    /// `spec.exchangeLinkName`: the bridge has the NIC's name, the NIC the bridge's.
    pub exchange_link_name: bool,
}

/// One entry of `spec.customInterfaces`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomInterface {
    /// The NIC.
    pub interface: InterfaceName,
    /// On these nodes.
    pub nodes: BTreeSet<NodeName>,
}

impl ProviderNetwork {
    /// The OVS bridge of this network and its NIC on a node; `None` where the node is excluded.
    /// Kube-OVN names the bridge `br-<provider>`; with `exchangeLinkName` the two names change places.
    pub fn bridge_and_nic(&self, node: &NodeName) -> Option<(InterfaceName, InterfaceName)> {
        if self.exclude_nodes.contains(node) {
            return None;
        }
        let custom = self.custom_interfaces.iter().find(|custom| custom.nodes.contains(node));
        let nic = custom.map_or(&self.default_interface, |custom| &custom.interface).clone();
        let bridge = InterfaceName::from(format!("br-{}", self.name));
        Some(if self.exchange_link_name { (nic, bridge) } else { (bridge, nic) })
    }
}

/// A Kubernetes Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// The condition `Ready`; a node without conditions (a hand-written manifest) counts as ready.
    pub ready: bool,
    /// `spec.unschedulable`: cordoned.
    pub cordoned: bool,
    /// The label `node.kubernetes.io/exclude-from-external-load-balancers`.
    pub excluded_from_load_balancers: bool,
    /// The annotation `ovn.kubernetes.io/chassis`, which Kube-OVN writes.
    pub chassis: Option<ChassisName>,
    /// `status.addresses` of types InternalIP and ExternalIP.
    pub addresses: BTreeSet<IpAddr>,
    /// Provider networks that the label `<pn>.provider-network.kubernetes.io/ready` calls not ready.
    pub providers_not_ready: BTreeSet<ProviderName>,
}
