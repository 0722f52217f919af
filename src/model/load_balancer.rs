//! What shall be balanced, and what the northbound tells us about the network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use uuid::Uuid;

use super::{ChassisName, LspName, Mac, NativeRow, NodeName, Protocol, ServiceKey, SubnetName, VlanId};

/// One Service's traffic of one protocol: what becomes one Load_Balancer row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Whose it is.
    pub service: ServiceKey,
    /// The Service's `metadata.uid`, or empty.
    pub uid: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Each VIP and port, with the backends that serve it, on every node. None: refused actively.
    pub vips: BTreeMap<SocketAddr, BTreeSet<SocketAddr>>,
    /// The logical switch port of each backend.
    pub ports: BTreeMap<IpAddr, Port>,
    /// A client stays with one backend, by its address.
    pub client_ip_affinity: bool,
    /// The subnets on whose switches it is needed.
    pub subnets: BTreeSet<SubnetName>,
    /// The VIPs and ports that only this node translates, which announces them; every other hands them on to it.
    pub only_on: BTreeMap<SocketAddr, NodeName>,
    /// Keys to be taken out of rows of Kube-OVN's, left over there or with consent: two rows with one VIP are undefined in OVN.
    pub takes_over: BTreeMap<Uuid, BTreeSet<SocketAddr>>,
}

/// How this OVN can be told to prefer the backends of the announcing node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locality {
    /// Kube-OVN's patched OVN: `options:prefer_local_backend=true`, mappings to `<lsp>:0.0.0.0`.
    PreferLocal,
    /// Upstream OVN 26.03 and newer: `options:distributed=true`, mappings to `<lsp>`.
    Distributed,
}

/// What is missing in the southbound of a row that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unseen {
    /// Flows with the row's backends: northd has not taken it up.
    Flows,
    /// Their keeping DNAT on the node.
    Locality,
    /// What brings a packet that was translated to the port of its pod, in a switch without a router port.
    Pod,
}

/// What the northbound (and the southbound's port bindings) tell us that decisions depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// `None`: this OVN can keep DNAT local in no way.
    pub locality: Option<Locality>,
    /// What it calls itself: `NB_Global.options:northd_internal_version`.
    pub northd_version: Option<String>,
    /// `NB_Global.options:ls_ct_skip_dst_lport_ips=true`: nothing for a subnet's addresses is load-balanced.
    pub skips_subnet_addresses: bool,
    /// Kube-OVN's OVN that is told to leave the MAC of what it translates (`NB_Global.options:ls_dnat_mod_dl_dst=false`).
    pub keeps_destination_mac: bool,
    /// `NB_Global.options:skip_conntrack_dst_cidrs`.
    pub skipped_cidrs: Vec<IpNet>,
    /// The logical switches, by name.
    pub switches: BTreeMap<SubnetName, Switch>,
    /// Which row that is not ours has a VIP and port already, or had it a moment ago, on the switches that have a row.
    pub native: BTreeMap<(Protocol, SocketAddr), BTreeMap<SubnetName, NativeRow>>,
    /// The nodes that have a port of their own in Kube-OVN's network (`node-<node>`, in its switch `join`), bound to a chassis.
    pub node_ports: BTreeSet<NodeName>,
    /// The southbound's chassis, by their rows: none where no southbound is watched.
    pub chassis: BTreeMap<Uuid, ChassisName>,
    /// What is not seen in the southbound of rows that were written a while ago.
    pub unseen: BTreeMap<(Protocol, SocketAddr), Unseen>,
    /// What the southbound's own flows leave unbalanced, whatever NB_Global says now.
    pub skipped_by_flow: BTreeSet<IpNet>,
    /// What a northd of that version was seen to ignore.
    pub given_up: (Option<String>, BTreeSet<Locality>),
    /// The VIPs that rows of ours serve already, by Service.
    pub served: BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
}

/// A logical switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// Kube-OVN made it (`external_ids:vendor=kube-ovn`): never give it a router port.
    pub kube_ovn: bool,
    /// Its router ports that are not ours.
    pub router_ports: BTreeSet<LspName>,
    /// That router port's MAC: the one that a frame must be steered to.
    pub router_mac: Option<Mac>,
    /// Its localnet ports, each with its tag.
    pub wires: BTreeMap<LspName, Option<VlanId>>,
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
