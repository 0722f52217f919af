//! A plan as rows: what the northbound should hold, in its own words.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use uuid::Uuid;

use crate::model::{
    Gaps, LoadBalancer, Locality, Mac, Network, Port, Protocol, ServiceKey, Subnet, SubnetName,
};

use super::Owner;
use super::gate::Gates;
use super::owner::load_balancer_name;
use super::revision::{self, REVISION};
use super::rows::{LoadBalancerRow, Selection};

/// `external_ids` key of Kube-OVN's OVN (1.15.20 and newer), before a VIP and port: the port of the node whose chassis alone
/// translates it. Any other hands the packet on, out of the switch. Older ones ignore it.
pub(super) const ONLY_ON: &str = "kube-ovn.io/local-external-vip/";

/// What this OVN understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// How it prefers local backends.
    pub locality: Locality,
    /// What it can select a backend by.
    pub selection: Selection,
}

/// Everything of ours that the northbound should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Load balancer rows.
    pub load_balancers: BTreeMap<Uuid, LoadBalancerRow>,
    /// The subnets whose switch has our group attached, each with its member rows.
    pub groups: BTreeMap<SubnetName, BTreeSet<Uuid>>,
    /// The switches that have a router port of ours.
    pub router_ports: BTreeMap<SubnetName, RouterPort>,
    /// What keeps clients from VIPs.
    pub gates: Gates,
    /// Keys that a row of ours takes over, by our row: the rows of Kube-OVN's that have them.
    pub takeovers: BTreeMap<Uuid, BTreeMap<Uuid, BTreeSet<SocketAddr>>>,
    /// What cannot be read: rows for these subnets stay.
    pub gaps: Gaps,
    rows_of: BTreeMap<ServiceKey, BTreeSet<Uuid>>,
    vips_of: BTreeMap<ServiceKey, BTreeMap<IpAddr, SubnetName>>,
    holders: BTreeMap<(SubnetName, IpAddr), BTreeSet<ServiceKey>>,
}

/// The router port that we give a switch of a plain upstream OVN. OVN translates the destination address on
/// a switch but leaves the MAC, so that a packet must be routed back into the switch to find the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterPort {
    /// The MAC that rules steer to.
    pub mac: Mac,
    /// The switch's networks with the network address itself, which uses up no address.
    pub networks: BTreeSet<IpNet>,
    /// The VIPs that OVN resolves for pods of this switch.
    pub vips: BTreeSet<IpAddr>,
}

impl Desired {
    /// The Services that have a row.
    pub fn services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.rows_of.keys().chain(self.gates.services())
    }

    /// Replaces one Service's part, and says which rows that touches.
    pub fn put_service(
        &mut self,
        owner: &Owner,
        dialect: &Dialect,
        key: &ServiceKey,
        load_balancers: &[LoadBalancer],
    ) -> BTreeSet<Uuid> {
        let mut touched = self.rows_of.remove(key).unwrap_or_default();
        for uuid in &touched {
            self.load_balancers.remove(uuid);
            self.takeovers.remove(uuid);
            self.groups.values_mut().for_each(|members| {
                members.remove(uuid);
            });
        }
        for load_balancer in load_balancers {
            let uuid = owner.load_balancer(key, load_balancer.protocol);
            for subnet in &load_balancer.subnets {
                self.groups.entry(subnet.clone()).or_default().insert(uuid);
            }
            self.load_balancers.insert(uuid, render(owner, dialect, load_balancer));
            self.rows_of.entry(key.clone()).or_default().insert(uuid);
            if !load_balancer.takes_over.is_empty() {
                self.takeovers.insert(uuid, load_balancer.takes_over.clone());
            }
            touched.insert(uuid);
        }
        touched
    }

    /// Replaces one Service's VIPs, which our router ports resolve for pods; whether that altered a port.
    pub fn put_vips(&mut self, key: &ServiceKey, vips: &BTreeMap<IpAddr, SubnetName>) -> bool {
        let old = self.vips_of.remove(key).unwrap_or_default();
        if !vips.is_empty() {
            self.vips_of.insert(key.clone(), vips.clone());
        }
        if old == *vips {
            return false;
        }
        let mut altered = false;
        for (vip, subnet) in old.into_iter().filter(|(vip, subnet)| vips.get(vip) != Some(subnet)) {
            altered |= self.drop_vip(key, vip, subnet);
        }
        for (vip, subnet) in vips {
            self.holders.entry((subnet.clone(), *vip)).or_default().insert(key.clone());
            altered |= self.router_ports.get_mut(subnet).is_some_and(|port| port.vips.insert(*vip));
        }
        altered
    }

    /// Takes a Service's hold of a VIP away; whether that altered a port.
    fn drop_vip(&mut self, key: &ServiceKey, vip: IpAddr, subnet: SubnetName) -> bool {
        let at = (subnet, vip);
        let Some(holders) = self.holders.get_mut(&at) else { return false };
        holders.remove(key);
        if !holders.is_empty() {
            return false;
        }
        self.holders.remove(&at);
        self.router_ports.get_mut(&at.0).is_some_and(|port| port.vips.remove(&vip))
    }

    /// Replaces the subnets: those that take VIPs and have a switch, each perhaps with a router port of ours.
    pub fn put_subnets<'w>(&mut self, subnets: impl IntoIterator<Item = (&'w Subnet, Option<Mac>)>) {
        let members = std::mem::take(&mut self.groups);
        self.router_ports.clear();
        for (subnet, router_mac) in subnets {
            let kept = members.get(&subnet.name).cloned().unwrap_or_default();
            self.groups.insert(subnet.name.clone(), kept);
            if let Some(mac) = router_mac {
                let networks = subnet.cidrs.iter().map(IpNet::trunc).collect();
                let port = RouterPort { mac, networks, vips: BTreeSet::new() };
                self.router_ports.insert(subnet.name.clone(), port);
            }
        }
        for (subnet, vip) in self.holders.keys() {
            if let Some(port) = self.router_ports.get_mut(subnet) {
                port.vips.insert(*vip);
            }
        }
    }
}

/// Whether a subnet's switch needs a router port of ours: upstream OVN, no router port yet, not Kube-OVN's
/// (whose patched OVN would stop rewriting the MAC itself).
pub fn needs_router_port(network: &Network, subnet: &SubnetName) -> bool {
    let switch = network.switches.get(subnet);
    network.locality == Some(Locality::Distributed)
        && switch.is_some_and(|switch| !switch.kube_ovn && switch.router_ports.is_empty())
}

/// One load balancer as its row (ovn-nb(5), Load_Balancer).
fn render(owner: &Owner, dialect: &Dialect, load_balancer: &LoadBalancer) -> LoadBalancerRow {
    let LoadBalancer {
        service,
        uid,
        protocol,
        vips,
        ports,
        client_ip_affinity,
        subnets: _,
        only_on,
        takes_over: _,
    } = load_balancer;
    let only_on = only_on.iter().map(|(key, node)| (format!("{ONLY_ON}{key}"), format!("node-{node}")));
    let vips = vips.iter().map(|(key, backends)| {
        let backends: Vec<String> = backends.iter().map(ToString::to_string).collect();
        (key.to_string(), backends.join(","))
    });
    let mappings = ports.iter().map(|(address, port)| mapping(dialect.locality, *address, port));
    let mut options = BTreeMap::from([
        (locality_option(dialect.locality).to_owned(), "true".to_owned()),
        // Without a backend the client is told at once (measured: RST); with one it has no effect.
        ("reject".to_owned(), "true".to_owned()),
    ]);
    if *protocol == Protocol::Udp {
        // A flow of datagrams would stay with a backend that is gone. On TCP it would cut open connections.
        options.insert("ct_flush".to_owned(), "true".to_owned());
    }
    if let Some(digest) = revision::digest(ports) {
        options.insert(REVISION.to_owned(), digest);
    }
    // Not affinity_timeout: it loses every client's first connection (measured).
    let selection_fields =
        if *client_ip_affinity { dialect.selection.of_client_address() } else { BTreeSet::new() };
    LoadBalancerRow {
        name: load_balancer_name(service, *protocol),
        protocol: protocol.as_str().to_owned(),
        vips: vips.collect(),
        ip_port_mappings: mappings.collect(),
        options,
        selection_fields,
        external_ids: owner.marks(service, uid).into_iter().chain(only_on).collect(),
    }
}

/// The option of a row that asks for it.
pub fn locality_option(locality: Locality) -> &'static str {
    match locality {
        Locality::PreferLocal => "prefer_local_backend",
        Locality::Distributed => "distributed",
    }
}

/// Key: the address, IPv6 in brackets. Value: the port, for Kube-OVN's OVN with a source address it ignores.
fn mapping(locality: Locality, address: IpAddr, port: &Port) -> (String, String) {
    let key = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let value = match locality {
        Locality::PreferLocal => format!("{}:0.0.0.0", port.name),
        Locality::Distributed => port.name.to_string(),
    };
    (key, value)
}
