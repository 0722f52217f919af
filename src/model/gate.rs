//! What closes a Service's VIPs in OVN.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use ipnet::IpNet;

use super::{LspName, Protocol, Sources, SubnetName};

/// The bit of a packet's mark by which the bridge tells OVN whom it let in; it is a host's own, and on no wire. Among
/// kube-proxy, Calico, Cilium and Kube-OVN nobody marks with it what comes from a NIC.
pub const MARK_BIT: u8 = 26;

/// What must not get into a subnet's switch unseen: the keys of one Service that are not open to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The subnet.
    pub subnet: SubnetName,
    /// Its `cidrBlock`s.
    pub cidrs: Vec<IpNet>,
    /// The router ports on its switch that are not ours: what comes from there is not translated in this switch.
    pub routers: BTreeSet<LspName>,
    /// Each VIP and port.
    pub keys: BTreeSet<(Protocol, SocketAddr)>,
    /// Who may reach them.
    pub sources: Sources,
}
