//! What the northbound and the southbound tell decisions, kept level with their changes: a change costs what
//! changed, not what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use uuid::Uuid;

use crate::model::{ChassisName, LspName, Network, NodeName, Port, ServiceKey, SubnetName};
use crate::ovsdb::{Datum, Replica, Row, RowChange};

use super::attached::Attached;
use super::foreign::{Foreign, Key};
use super::rows::{
    CHASSIS, LOAD_BALANCER, NB_GLOBAL, PORT_BINDING, ROUTER_PORT, SWITCH, SWITCH_PORT, map, strings, text,
    uuids,
};
use super::wires::{RouterPorts, Tie};
use super::{Owner, globals};

/// What has to be planned again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkDirty {
    /// Whatever uses these addresses, as an endpoint or as a VIP.
    pub addresses: BTreeSet<IpAddr>,
    /// All of it.
    pub everything: bool,
}

/// [`Network`], with what keeps it level.
#[derive(Clone, Debug, Default)]
pub struct NetworkIndex {
    pub(super) network: Network,
    ports: BTreeMap<Uuid, SwitchPort>,
    named: BTreeMap<LspName, Uuid>,
    switches: BTreeMap<Uuid, (SubnetName, BTreeSet<Uuid>)>,
    home: BTreeMap<Uuid, SubnetName>,
    claims: BTreeMap<(SubnetName, IpAddr), BTreeSet<Uuid>>,
    routers: BTreeSet<(SubnetName, Uuid)>,
    router_ports: RouterPorts,
    pub(super) bindings: BTreeMap<LspName, Uuid>,
    pub(super) foreign: Foreign,
    pub(super) attached: Attached,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SwitchPort {
    name: LspName,
    addresses: BTreeSet<IpAddr>,
    tie: Tie,
}

impl NetworkIndex {
    /// What decisions read.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Takes changes of the northbound in.
    pub fn northbound_changed(
        &mut self,
        owner: &Owner,
        replica: &Replica,
        changes: &[RowChange],
    ) -> NetworkDirty {
        let mut dirty = NetworkDirty::default();
        for change in changes {
            let uuid = change.uuid;
            match &*change.table {
                SWITCH_PORT => {
                    let port = replica.row(SWITCH_PORT, &uuid).map(|row| SwitchPort::read(owner, row));
                    self.put_port(uuid, port, &mut dirty);
                }
                SWITCH => self.put_switch(uuid, replica.row(SWITCH, &uuid), &mut dirty),
                LOAD_BALANCER => {
                    let row = replica.row(LOAD_BALANCER, &uuid);
                    let ours = row.filter(|row| owner.owns_load_balancer(uuid, row));
                    if let Some(row) = ours {
                        self.put_served(row, &mut dirty);
                    }
                }
                ROUTER_PORT if self.router_ports.put(uuid, replica) => self.settle_routers(&mut dirty),
                NB_GLOBAL => {
                    dirty.everything |= globals::read(replica, &mut self.network);
                    self.settle_preference(&mut dirty);
                }
                _ => {}
            }
        }
        self.foreign_changed(owner, replica, changes, &mut dirty);
        dirty
    }

    /// Takes changes of the southbound in.
    pub fn southbound_changed(&mut self, replica: &Replica, changes: &[RowChange]) -> NetworkDirty {
        let mut dirty = NetworkDirty::default();
        for change in changes.iter().filter(|change| &*change.table == CHASSIS) {
            self.put_chassis(change.uuid, replica.row(CHASSIS, &change.uuid), &mut dirty);
        }
        let keys = self.foreign.set_southbound_known(!self.network.chassis.is_empty());
        self.settle_holders(keys, &mut dirty);
        for change in changes.iter().filter(|change| &*change.table == PORT_BINDING) {
            let row = replica.row(PORT_BINDING, &change.uuid);
            let Some(named) = row.or(change.old.as_ref()) else { continue };
            let name = LspName::from(text(named, "logical_port"));
            match row.and_then(|row| uuids(row, "chassis").next()) {
                Some(chassis) => self.bindings.insert(name.clone(), chassis),
                None => self.bindings.remove(&name),
            };
            self.settle_node_port(&name, &mut dirty);
            self.rebound(&name, &mut dirty);
        }
        dirty
    }

    /// A node's own port counts where it is there and bound: of one that is not, OVN would let every chassis hand packets on
    /// to it, and none take them (measured).
    fn settle_node_port(&mut self, name: &LspName, dirty: &mut NetworkDirty) {
        let Some(node) = node_of(name) else { return };
        let keys = self.foreign.put_node_port(name, self.bindings.contains_key(name));
        self.settle_holders(keys, dirty);
        let counts = self.named.contains_key(name) && self.bindings.contains_key(name);
        let node_ports = &mut self.network.node_ports;
        dirty.everything |= if counts { node_ports.insert(node) } else { node_ports.remove(&node) };
    }

    /// A chassis comes, goes or is named otherwise once in a long while.
    fn put_chassis(&mut self, uuid: Uuid, row: Option<&Row>, dirty: &mut NetworkDirty) {
        let name = row.map(|row| ChassisName::from(text(row, "name")));
        if self.network.chassis.get(&uuid) == name.as_ref() {
            return;
        }
        dirty.everything = true;
        match name {
            Some(name) => self.network.chassis.insert(uuid, name),
            None => self.network.chassis.remove(&uuid),
        };
    }

    /// The switch that a port is in.
    pub(super) fn switch_of(&self, port: &LspName) -> Option<&SubnetName> {
        self.home.get(self.named.get(port)?)
    }

    fn rebound(&mut self, name: &LspName, dirty: &mut NetworkDirty) {
        let Some(uuid) = self.named.get(name) else { return };
        let (Some(home), Some(port)) = (self.home.get(uuid).cloned(), self.ports.get(uuid)) else { return };
        for address in port.addresses.clone() {
            self.settle(&home, address, dirty);
        }
    }

    fn put_port(&mut self, uuid: Uuid, port: Option<SwitchPort>, dirty: &mut NetworkDirty) {
        if self.ports.get(&uuid) == port.as_ref() {
            return;
        }
        let home = self.home.get(&uuid).cloned();
        if let Some(home) = &home {
            self.release(home, uuid, dirty);
        }
        // A port made anew has the old one's name, and may come before the old one goes.
        let old = self.ports.remove(&uuid);
        if let Some(old) = old.filter(|old| self.named.get(&old.name) == Some(&uuid)) {
            self.named.remove(&old.name);
            self.settle_node_port(&old.name, dirty);
        }
        if let Some(port) = port {
            let name = port.name.clone();
            self.named.insert(name.clone(), uuid);
            self.ports.insert(uuid, port);
            self.settle_node_port(&name, dirty);
        }
        if let Some(home) = &home {
            self.claim(home, uuid, dirty);
        }
    }

    fn put_switch(&mut self, uuid: Uuid, row: Option<&Row>, dirty: &mut NetworkDirty) {
        let (old_name, old_ports) = self.switches.remove(&uuid).unzip();
        let ports: BTreeSet<Uuid> = row.into_iter().flat_map(|row| uuids(row, "ports")).collect();
        let name = row.map(|row| SubnetName::from(text(row, "name")));
        let old_ports = old_ports.unwrap_or_default();
        let renamed = old_name != name;
        if let Some(old_name) = &old_name {
            let gone = old_ports.iter().filter(|port| renamed || !ports.contains(port));
            for port in gone {
                self.release(old_name, *port, dirty);
                self.home.remove(port);
            }
            if renamed {
                self.network.switches.remove(old_name);
                dirty.everything = true;
            }
        }
        let (Some(name), Some(row)) = (name, row) else { return };
        let kube_ovn = row.get("external_ids").and_then(|ids| ids.map_get("vendor")) == Some("kube-ovn");
        let switch = self.network.switches.entry(name.clone()).or_default();
        dirty.everything |= renamed || switch.kube_ovn != kube_ovn;
        switch.kube_ovn = kube_ovn;
        for port in ports.iter().filter(|port| renamed || !old_ports.contains(port)) {
            self.home.insert(*port, name.clone());
            self.claim(&name, *port, dirty);
        }
        self.switches.insert(uuid, (name, ports));
    }

    /// Of a Service's served VIPs only these are left. A row that goes, or loses a VIP, tells nothing by itself:
    /// Kube-OVN deletes rows that it does not know, and ours come back.
    pub fn keep_served(&mut self, service: &ServiceKey, vips: impl IntoIterator<Item = IpAddr>) {
        if let Some(served) = self.network.served.get_mut(service) {
            let kept: BTreeSet<IpAddr> = vips.into_iter().filter(|vip| served.contains(vip)).collect();
            *served = kept;
            if served.is_empty() {
                self.network.served.remove(service);
            }
        }
    }

    /// What a row of ours serves is being served.
    fn put_served(&mut self, row: &Row, dirty: &mut NetworkDirty) {
        let Some((service, _)) = text(row, "name").rsplit_once('/') else { return };
        let Some(service) = ServiceKey::parse(service) else { return };
        let vips = map(row, "vips")
            .keys()
            .filter_map(|key| key.parse().ok())
            .map(|key: SocketAddr| key.ip())
            .collect::<BTreeSet<_>>();
        if vips.is_empty() {
            return;
        }
        let served = self.network.served.entry(service).or_default();
        for vip in vips {
            if served.insert(vip) {
                dirty.addresses.insert(vip);
            }
        }
    }

    /// It is this late, since the start: what foreign rows let go may be ours.
    pub fn advance(&mut self, now: Duration) -> NetworkDirty {
        let mut dirty = NetworkDirty::default();
        let keys = self.foreign.advance(now);
        self.settle_holders(keys, &mut dirty);
        dirty
    }

    /// When [`NetworkIndex::advance`] may make a difference, since the start.
    pub fn due(&self) -> Option<Duration> {
        self.foreign.due()
    }

    /// A row that is not ours may hold a VIP and port: two of them on one switch is undefined in OVN.
    pub(super) fn settle_holders(&mut self, keys: BTreeSet<Key>, dirty: &mut NetworkDirty) {
        for key in keys {
            let on = self.foreign.holders(&key);
            let old = self.network.native.remove(&key).unwrap_or_default();
            if old != on {
                dirty.addresses.insert(key.1.ip());
            }
            if !on.is_empty() {
                self.network.native.insert(key, on);
            }
        }
    }

    fn claim(&mut self, home: &SubnetName, uuid: Uuid, dirty: &mut NetworkDirty) {
        let Some(port) = self.ports.get(&uuid) else { return };
        match &port.tie {
            Tie::Router(_) => {
                self.routers.insert((home.clone(), uuid));
                return self.settle_router(home, dirty);
            }
            Tie::Wire(tag) => {
                if let Some(switch) = self.network.switches.get_mut(home) {
                    switch.wires.insert(port.name.clone(), *tag);
                    dirty.everything = true;
                }
            }
            Tie::None => {}
        }
        for address in port.addresses.clone() {
            self.claims.entry((home.clone(), address)).or_default().insert(uuid);
            self.settle(home, address, dirty);
        }
    }

    fn release(&mut self, home: &SubnetName, uuid: Uuid, dirty: &mut NetworkDirty) {
        if self.routers.remove(&(home.clone(), uuid)) {
            self.settle_router(home, dirty);
        }
        let Some(port) = self.ports.get(&uuid) else { return };
        if let (Tie::Wire(_), Some(switch)) = (&port.tie, self.network.switches.get_mut(home)) {
            switch.wires.remove(&port.name);
            dirty.everything = true;
        }
        for address in port.addresses.clone() {
            if let Some(claimants) = self.claims.get_mut(&(home.clone(), address)) {
                claimants.remove(&uuid);
                if claimants.is_empty() {
                    self.claims.remove(&(home.clone(), address));
                }
            }
            self.settle(home, address, dirty);
        }
    }

    /// Of the ports that claim an address the bound one has it, else the first by name.
    fn settle(&mut self, home: &SubnetName, address: IpAddr, dirty: &mut NetworkDirty) {
        let claimants = self.claims.get(&(home.clone(), address)).into_iter().flatten();
        let ports = claimants.filter_map(|uuid| self.ports.get(uuid)).map(|port| {
            let chassis = self.bindings.get(&port.name).copied();
            Port { name: port.name.clone(), chassis }
        });
        let best = ports.min_by(|a, b| (a.chassis.is_none(), &a.name).cmp(&(b.chassis.is_none(), &b.name)));
        let Some(switch) = self.network.switches.get_mut(home) else { return };
        if switch.ports.get(&address) == best.as_ref() {
            return;
        }
        dirty.addresses.insert(address);
        match best {
            Some(port) => switch.ports.insert(address, port),
            None => switch.ports.remove(&address),
        };
    }

    fn settle_router(&mut self, home: &SubnetName, dirty: &mut NetworkDirty) {
        let from = (home.clone(), Uuid::nil());
        let routers: Vec<Uuid> = self
            .routers
            .range(from..)
            .take_while(|(switch, _)| switch == home)
            .map(|(_, port)| *port)
            .collect();
        let router_ports: BTreeSet<LspName> =
            routers.iter().filter_map(|port| Some(self.ports.get(port)?.name.clone())).collect();
        let names = routers.iter().filter_map(|port| match &self.ports.get(port)?.tie {
            Tie::Router(name) => name.as_deref(),
            Tie::Wire(_) | Tie::None => None,
        });
        let router_mac = self.router_ports.first(&names.collect());
        if let Some(switch) = self.network.switches.get_mut(home) {
            dirty.everything |= switch.router_ports != router_ports || switch.router_mac != router_mac;
            switch.router_ports = router_ports;
            switch.router_mac = router_mac;
        }
    }

    fn settle_routers(&mut self, dirty: &mut NetworkDirty) {
        let homes: BTreeSet<SubnetName> = self.routers.iter().map(|(home, _)| home.clone()).collect();
        homes.iter().for_each(|home| self.settle_router(home, dirty));
    }
}

impl SwitchPort {
    fn read(owner: &Owner, row: &Row) -> Self {
        let kind = text(row, "type");
        // Only a port of the plain type is a pod or a machine. A router port's `addresses` name VIPs.
        let addresses = match kind {
            "" => addresses(row),
            _ => BTreeSet::new(),
        };
        let tie = Tie::read(row, owner.owns(row.get("external_ids")));
        Self { name: LspName::from(text(row, "name")), addresses, tie }
    }
}

/// The addresses of pods' ports that are disabled (`enabled`, ovn-nb(5)), each with its port: OVN drops whatever comes to them.
pub fn disabled_ports(replica: &Replica) -> BTreeMap<IpAddr, LspName> {
    let is_off = |row: &&Row| row.get("enabled").and_then(Datum::as_bool) == Some(false);
    let off = replica.rows(SWITCH_PORT).map(|(_, row)| row).filter(is_off);
    let off = off.filter(|row| text(row, "type").is_empty());
    off.flat_map(|row| addresses(row).into_iter().map(|it| (it, LspName::from(text(row, "name"))))).collect()
}

/// The node whose own port this is, by Kube-OVN's naming.
fn node_of(port: &LspName) -> Option<NodeName> {
    port.as_str().strip_prefix("node-").map(NodeName::from)
}

/// `addresses` and `dynamic_addresses` are texts `MAC IP…` (ovn-nb(5)); words that are no address are passed over.
fn addresses(row: &Row) -> BTreeSet<IpAddr> {
    let texts = strings(row, "addresses").into_iter().chain(strings(row, "dynamic_addresses"));
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
