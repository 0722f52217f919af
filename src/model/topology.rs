//! Where things live: subnets, VLANs, provider networks, nodes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{
    AddressRange, AllocationName, ChassisName, Family, InterfaceName, Labels, Mac, NodeName, ProviderName,
    SubnetName, VlanId, VlanName, VpcName,
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
    /// `spec.vpc`; `None` is the default one.
    pub vpc: Option<VpcName>,
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
    /// What its annotations ask of us.
    pub wishes: SubnetWishes,
    /// The annotation `ovn-vip.io/vips`: the VIPs that the controller serves here, by its own word.
    pub served: BTreeSet<IpAddr>,
    /// The annotation `ovn-vip.io/undeliverable`: endpoints that OVN cannot deliver to, by the controller's word. With a
    /// node: not on that node, whatever their EndpointSlice says; without: the switch has no port of the address.
    pub undeliverable: BTreeSet<(IpAddr, Option<NodeName>)>,
}

/// What a Subnet's annotations ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetWishes {
    /// `ovn-vip.io/exclude-ips`, which counts more than the setting of the same name.
    pub exclude_ips: Option<ExcludeIps>,
    /// `ovn-vip.io/announce`: `false` leaves ARP and neighbour discovery for its VIPs to others.
    pub announce: bool,
    /// `ovn-vip.io/takeover`: VIPs that Kube-OVN balances itself are taken out of its row, and balanced by us.
    pub takeover: bool,
}

impl Default for SubnetWishes {
    fn default() -> Self {
        Self { exclude_ips: None, announce: true, takeover: false }
    }
}

/// What to do with a VIP that its subnet's `excludeIps` does not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExcludeIps {
    /// Refuse it.
    #[default]
    Enforce,
    /// Serve it, and say so.
    Warn,
    /// Refuse it until the Subnet covers it, and add what is missing to the Subnet.
    Fix,
}

/// A Kube-OVN IP, or a Vip: addresses that somebody has, or wants kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Its name; a Vip's says so.
    pub name: AllocationName,
    /// `spec.subnet`.
    pub subnet: SubnetName,
    /// `spec.v4IpAddress` and `spec.v6IpAddress`.
    pub addresses: BTreeSet<IpAddr>,
    /// Whose they are, such as `Pod default/nginx`; for people.
    pub holder: Arc<str>,
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

    /// Whether OVN is not known to be unable to deliver to this endpoint on this node.
    pub fn delivers(&self, address: IpAddr, node: &NodeName) -> bool {
        self.undeliverable.is_empty()
            || !(self.undeliverable.contains(&(address, None))
                || self.undeliverable.contains(&(address, Some(node.clone()))))
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
    /// The condition `NetworkUnavailable`.
    pub network_unavailable: bool,
    /// `spec.unschedulable`: cordoned.
    pub cordoned: bool,
    /// The label `node.kubernetes.io/exclude-from-external-load-balancers`.
    pub excluded_from_load_balancers: bool,
    /// The annotation `ovn.kubernetes.io/chassis`, which Kube-OVN writes.
    pub chassis: Option<ChassisName>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `status.addresses` of types InternalIP and ExternalIP.
    pub addresses: BTreeSet<IpAddr>,
    /// Provider networks that the label `<pn>.provider-network.kubernetes.io/ready` calls not ready.
    pub providers_not_ready: BTreeSet<ProviderName>,
    /// Provider networks that the label `<pn>.provider-network.kubernetes.io/exclude` leaves this node out of.
    pub providers_excluding: BTreeSet<ProviderName>,
}
