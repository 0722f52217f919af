//! What rows of ours say themselves: what a Service had, of which the cluster tells nothing now.
//!
//! Given rows; decides nothing. A load balancer is read back to what it was made from. An ACL of a Service is kept as it
//! stands, since whom it lets in is nowhere else; of the one for all of a switch the VIPs and networks are read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::model::{
    Family, LoadBalancer, LspName, Network, Port, Protocol, ServiceKey, Sources, SubnetName, whole,
};
use crate::ovsdb::{Datum, Replica};

use super::Owner;
use super::owner::{GateRow, RowKey, UID, subnet_of_group};
use super::render::ONLY_ON;
use super::rows::{AclRow, GROUP, LoadBalancerRow, text};

/// What closes VIPs whose Services cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptGates {
    /// ACLs of Services, as they stand.
    pub inside: BTreeMap<RowKey, AclRow>,
    /// By subnet, what its ACL for all of them must go on to hold.
    pub outside: BTreeMap<SubnetName, Outside>,
}

/// What a switch's ACL for all closed VIPs says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// The closed VIPs.
    pub vips: BTreeSet<IpAddr>,
    /// The subnet's own networks.
    pub cidrs: Vec<IpNet>,
    /// The router ports that are passed over.
    pub routers: BTreeSet<LspName>,
}

/// A Service's load balancers, as their rows have them.
pub fn load_balancers(
    owner: &Owner,
    replica: &Replica,
    network: &Network,
    service: &ServiceKey,
) -> Vec<LoadBalancer> {
    let rows = Protocol::ALL.into_iter().filter_map(|protocol| {
        let uuid = owner.load_balancer(service, protocol);
        let row = LoadBalancerRow::read(replica, uuid)?;
        let groups = replica.rows(GROUP).filter(|(_, group)| {
            group.get("load_balancer").is_some_and(|members: &Datum| members.contains_uuid(&uuid))
        });
        let subnets: BTreeSet<SubnetName> =
            groups.filter_map(|(_, group)| subnet_of_group(text(group, "name"))).collect();
        Some(read_back(service, protocol, &row, subnets, network))
    });
    rows.collect()
}

fn read_back(
    service: &ServiceKey,
    protocol: Protocol,
    row: &LoadBalancerRow,
    subnets: BTreeSet<SubnetName>,
    network: &Network,
) -> LoadBalancer {
    let vips = row.vips.iter().filter_map(|(key, backends)| {
        let backends = backends.split(',').filter_map(|backend| backend.parse().ok()).collect();
        Some((key.parse().ok()?, backends))
    });
    let ports = row.ip_port_mappings.iter().filter_map(|(address, port)| {
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let name = port.strip_suffix(":0.0.0.0").unwrap_or(port).into();
        let switches = subnets.iter().filter_map(|subnet| network.switches.get(subnet));
        let known = switches.filter_map(|switch| switch.ports.get(&address)).find(|port| port.name == name);
        Some((address, known.cloned().unwrap_or(Port { name, chassis: None })))
    });
    let only_on = row.external_ids.iter().filter_map(|(id, port)| {
        Some((id.strip_prefix(ONLY_ON)?.parse().ok()?, port.strip_prefix("node-")?.into()))
    });
    LoadBalancer {
        service: service.clone(),
        uid: row.external_ids.get(UID).cloned().unwrap_or_default(),
        protocol,
        vips: vips.collect(),
        ports: ports.collect(),
        client_ip_affinity: !row.selection_fields.is_empty(),
        only_on: only_on.collect(),
        takes_over: BTreeMap::new(),
        subnets,
    }
}

/// A Service's ACLs in these subnets, as they stand.
pub fn gates<'s>(
    owner: &Owner,
    replica: &Replica,
    service: &ServiceKey,
    subnets: impl IntoIterator<Item = &'s SubnetName>,
) -> BTreeMap<RowKey, AclRow> {
    let keys = subnets
        .into_iter()
        .flat_map(|subnet| GateRow::ALL.map(|row| RowKey::Gate(service.clone(), subnet.clone(), row)));
    keys.filter_map(|key| Some((key.clone(), AclRow::read(replica, owner.gate(&key))?))).collect()
}

/// What a switch's ACL for all says; none where it has none. A word of it is an address, a network, or neither.
pub fn outside(owner: &Owner, replica: &Replica, subnet: &SubnetName) -> Option<Outside> {
    let uuid = owner.gate(&RowKey::Outside(subnet.clone(), GateRow::Drop));
    let matches = AclRow::read(replica, uuid)?.matches;
    let words = || matches.split([' ', '{', '}', ',', '(', ')']);
    let refused: Vec<IpNet> =
        words().filter(|word| word.contains('/')).filter_map(|word| word.parse().ok()).collect();
    let cidrs = [Family::V4, Family::V6].into_iter().flat_map(|family| {
        let of_family: Vec<IpNet> =
            refused.iter().filter(|network| Family::of(network.addr()) == family).copied().collect();
        if of_family.is_empty() {
            BTreeSet::new()
        } else {
            Sources::only(of_family).refused_of(whole(family))
        }
    });
    Some(Outside {
        vips: words().filter_map(|word| word.parse().ok()).collect(),
        cidrs: cidrs.collect(),
        routers: passed_over(owner, replica, subnet),
    })
}

/// The router ports that the ACL before it names: each a word in quotes.
fn passed_over(owner: &Owner, replica: &Replica, subnet: &SubnetName) -> BTreeSet<LspName> {
    let uuid = owner.gate(&RowKey::Outside(subnet.clone(), GateRow::Pass));
    let matches = AclRow::read(replica, uuid).map(|row| row.matches).unwrap_or_default();
    matches.split('"').skip(1).step_by(2).map(LspName::from).collect()
}

/// The keys of load balancers.
pub fn keys(load_balancers: &[LoadBalancer]) -> impl Iterator<Item = (Protocol, SocketAddr)> {
    load_balancers.iter().flat_map(|row| row.vips.keys().map(|key| (row.protocol, *key)))
}
