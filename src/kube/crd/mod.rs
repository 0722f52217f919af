//! The fields that we read of Kube-OVN's custom resources, kubeovn.io/v1, and of MetalLB's, metallb.io/v1beta1.
//!
//! Tolerant on purpose: releases differ. Unknown fields are ignored, absent or `null` ones are empty, and the
//! counters that are numbers in one release and strings in the next are not read at all.

mod metallb;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer};

/// `apiVersion` of Kube-OVN's.
pub const API_VERSION: &str = "kubeovn.io/v1";

pub use metallb::{
    AddressPool, AddressPoolSpec, Advertisement, AdvertisementSpec, L2Status, L2StatusStatus,
    METALLB_VERSION, ServiceAllocation,
};

/// A Subnet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Subnet {
    /// Its name and annotations.
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(deserialize_with = "nullable")]
    pub spec: SubnetSpec,
    /// What Kube-OVN made of it.
    #[serde(deserialize_with = "nullable")]
    pub status: SubnetStatus,
}

/// `spec` of a Subnet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubnetSpec {
    /// One CIDR, or one of each family with a comma between; empty on a subnet of protocol `Mac`.
    #[serde(deserialize_with = "nullable")]
    pub cidr_block: String,
    /// One address, or one of each family with a comma between.
    #[serde(deserialize_with = "nullable")]
    pub gateway: String,
    /// Addresses and `first..last` ranges.
    #[serde(deserialize_with = "nullable")]
    pub exclude_ips: Vec<String>,
    /// Empty, `ovn` or `….ovn` for a subnet in OVN.
    #[serde(deserialize_with = "nullable")]
    pub provider: String,
    /// Name of the Vpc; empty is the default one.
    #[serde(deserialize_with = "nullable")]
    pub vpc: String,
    /// Name of the Vlan, on an underlay subnet.
    #[serde(deserialize_with = "nullable")]
    pub vlan: String,
    /// Whether VIPs may live here.
    #[serde(rename = "enableExternalLBAddress", deserialize_with = "nullable")]
    pub enable_external_lb_address: bool,
    /// Whether the switch has a router port with the gateway's address.
    #[serde(deserialize_with = "nullable")]
    pub logical_gateway: bool,
}

/// `status` of a Subnet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SubnetStatus {
    /// MAC of the switch's router port while `spec.u2oInterconnection` is set.
    #[serde(rename = "u2oInterconnectionMAC", deserialize_with = "nullable")]
    pub u2o_interconnection_mac: String,
}

/// A Vlan.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Vlan {
    /// Its name.
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(deserialize_with = "nullable")]
    pub spec: VlanSpec,
}

/// `spec` of a Vlan.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VlanSpec {
    /// The 802.1Q identifier; 0 is untagged.
    #[serde(deserialize_with = "nullable")]
    pub id: i64,
    /// Name of the ProviderNetwork.
    #[serde(deserialize_with = "nullable")]
    pub provider: String,
}

/// A ProviderNetwork.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProviderNetwork {
    /// Its name.
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(deserialize_with = "nullable")]
    pub spec: ProviderNetworkSpec,
}

/// `spec` of a ProviderNetwork.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProviderNetworkSpec {
    /// The NIC on nodes without an entry of their own.
    #[serde(deserialize_with = "nullable")]
    pub default_interface: String,
    /// Other NICs on some nodes.
    #[serde(deserialize_with = "nullable")]
    pub custom_interfaces: Vec<CustomInterface>,
    /// Nodes without this network.
    #[serde(deserialize_with = "nullable")]
    pub exclude_nodes: Vec<String>,
    /// Whether bridge and NIC change names.
    #[serde(deserialize_with = "nullable")]
    pub exchange_link_name: bool,
}

/// One of a ProviderNetwork's `spec.customInterfaces`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CustomInterface {
    /// The NIC.
    #[serde(deserialize_with = "nullable")]
    pub interface: String,
    /// The nodes.
    #[serde(deserialize_with = "nullable")]
    pub nodes: Vec<String>,
}

/// An IP.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ip {
    /// Its name.
    pub metadata: ObjectMeta,
    /// Who has what.
    #[serde(deserialize_with = "nullable")]
    pub spec: IpSpec,
}

/// `spec` of an IP.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IpSpec {
    /// The Subnet.
    #[serde(deserialize_with = "nullable")]
    pub subnet: String,
    /// `Pod` (or empty), `VirtualMachine`, …
    #[serde(deserialize_with = "nullable")]
    pub pod_type: String,
    /// The pod, by name.
    #[serde(deserialize_with = "nullable")]
    pub pod_name: String,
    /// The pod's namespace.
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    /// Both addresses with a comma between; all that old releases have.
    #[serde(deserialize_with = "nullable")]
    pub ip_address: String,
    /// Its IPv4 address.
    #[serde(deserialize_with = "nullable")]
    pub v4_ip_address: String,
    /// Its IPv6 address.
    #[serde(deserialize_with = "nullable")]
    pub v6_ip_address: String,
}

/// A Vip.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Vip {
    /// Its name.
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(deserialize_with = "nullable")]
    pub spec: VipSpec,
    /// What it got.
    #[serde(deserialize_with = "nullable")]
    pub status: VipStatus,
}

/// `spec` of a Vip.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VipSpec {
    /// The Subnet.
    #[serde(deserialize_with = "nullable")]
    pub subnet: String,
    /// The IPv4 address that it is to have.
    #[serde(rename = "v4ip", deserialize_with = "nullable")]
    pub v4: String,
    /// The IPv6 address that it is to have.
    #[serde(rename = "v6ip", deserialize_with = "nullable")]
    pub v6: String,
}

/// `status` of a Vip.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VipStatus {
    /// Its IPv4 address.
    #[serde(rename = "v4ip", deserialize_with = "nullable")]
    pub v4: String,
    /// Its IPv6 address.
    #[serde(rename = "v6ip", deserialize_with = "nullable")]
    pub v6: String,
}

/// Go writes an empty list or map as `null` where the field is not `omitempty`.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
