//! What the northbound should hold, and what it tells us about the network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use uuid::Uuid;

use super::{LspName, Mac, Protocol, SubnetName};

/// One row of the northbound's Load_Balancer, wanted or found: the same type, so that a difference is `!=`.
/// The texts are the row's own (ovn-nb(5)): vips `"10.0.0.9:80" = "10.0.0.1:80,10.0.0.2:80"`, IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// `name`; for people, it need not be unique.
    pub name: String,
    /// `protocol`.
    pub protocol: Protocol,
    /// `vips`.
    pub vips: BTreeMap<String, String>,
    /// `ip_port_mappings`: address to the logical switch port that has it.
    pub ip_port_mappings: BTreeMap<String, String>,
    /// `options`.
    pub options: BTreeMap<String, String>,
    /// `selection_fields`.
    pub selection_fields: BTreeSet<String>,
    /// `external_ids`: our marks.
    pub external_ids: BTreeMap<String, String>,
}

/// The router port that we give a switch of a plain upstream OVN, which rewrites no destination MAC after
/// DNAT on a switch: the packet is routed back into the switch instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterPort {
    /// The MAC that rules steer to.
    pub mac: Mac,
    /// The switch's networks, with the network address itself: uses up no address.
    pub networks: BTreeSet<IpNet>,
    /// The VIPs that OVN shall resolve for pods of this switch.
    pub vips: BTreeSet<IpAddr>,
}

/// Everything of ours that the northbound should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Subnets that have a load balancer group attached to their switch, each with its member rows.
    pub groups: BTreeMap<SubnetName, BTreeSet<Uuid>>,
    /// Switches that need a router port of ours.
    pub router_ports: BTreeMap<SubnetName, RouterPort>,
    /// Load balancer rows.
    pub load_balancers: BTreeMap<Uuid, LoadBalancer>,
}

/// How this OVN can be told to prefer the backends of the announcing node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locality {
    /// Kube-OVN's patched OVN: `options:prefer_local_backend=true`, mappings to `<lsp>:0.0.0.0`.
    PreferLocal,
    /// Upstream OVN 26.03 and newer: `options:distributed=true`, mappings to `<lsp>`.
    Distributed,
}

/// What the northbound (and the southbound's port bindings) tell us that decisions depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// `None`: this OVN can keep DNAT local in no way.
    pub locality: Option<Locality>,
    /// What it calls itself: `NB_Global.options:northd_internal_version`.
    pub northd_version: Option<String>,
    /// `NB_Global.options:ls_ct_skip_dst_lport_ips=true`: Kube-OVN sends nothing of a subnet to load balancers.
    pub skips_subnet_addresses: bool,
    /// `NB_Global.options:skip_conntrack_dst_cidrs`.
    pub skipped_cidrs: Vec<IpNet>,
    /// The logical switches, by name.
    pub switches: BTreeMap<SubnetName, Switch>,
    /// Which row of Kube-OVN's own already has a `VIP:port`, by the row's name.
    pub native: BTreeMap<(Protocol, SocketAddr), String>,
}

/// A logical switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// Kube-OVN made it (`external_ids:vendor=kube-ovn`): never give it a router port.
    pub kube_ovn: bool,
    /// It has a router port that is not ours.
    pub routed: bool,
    /// Its ports by address.
    pub ports: BTreeMap<IpAddr, Port>,
}

/// A logical switch port, as found by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: LspName,
    /// The southbound's Chassis row that it is bound to; `None` also where no southbound is watched.
    pub chassis: Option<Uuid>,
}
