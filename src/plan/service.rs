//! What one Service needs in the northbound.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::{
    Gate, Holder, LoadBalancer, NativeRow, Network, NodeName, Port, Protocol, Service, ServiceKey, Subnet,
    SubnetName, World,
};

use super::backends::{Backends, Usable};
use super::unit::{MemberPort, Place, Units};
use super::view::View;
use super::{Policy, Refusal, announcing, exclude_ips, gate, handed_on, subnet, wires};

/// What one Service comes to: its load balancers, and everything that was declined on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePlan {
    /// At most one a protocol.
    pub load_balancers: Vec<LoadBalancer>,
    /// The VIPs that are served, with the subnet of each.
    pub vips: BTreeMap<IpAddr, SubnetName>,
    /// What is not open to everybody, by subnet.
    pub gates: BTreeMap<SubnetName, Gate>,
    /// What is not served, and why.
    pub refusals: BTreeSet<Refusal>,
}

/// The rules, in order: the Service exists and has a VIP; the VIP lies in a subnet that takes VIPs and is
/// nobody else's address; the switch is there and OVN will balance it; each port is ours to serve; each ready
/// endpoint is a port of that switch on a known chassis; and a node may announce it that serves it all. What is not open
/// to everybody is closed, whether or not it is served.
pub fn plan_service(world: &World, network: &Network, policy: &Policy, key: &ServiceKey) -> ServicePlan {
    plan_as_known(world, Some(network), policy, key)
}

/// [`plan_service`]; without a northbound what only that can tell is taken to be as it should.
pub fn plan_as_known(
    world: &World,
    network: Option<&Network>,
    policy: &Policy,
    key: &ServiceKey,
) -> ServicePlan {
    let view = View { world, policy, network, absent: None };
    plan(view, &mut Units::new(view), key)
}

/// [`plan_service`] of many: what Services have in common is decided once.
pub fn plan_services<'k>(
    world: &World,
    network: &Network,
    policy: &Policy,
    keys: impl IntoIterator<Item = &'k ServiceKey>,
) -> Vec<(&'k ServiceKey, ServicePlan)> {
    let view = View { world, policy, network: Some(network), absent: None };
    let mut units = Units::new(view);
    keys.into_iter().map(|key| (key, plan(view, &mut units, key))).collect()
}

/// As [`plan_service`]; without a northbound what only that can tell is taken to be as it should.
pub(super) fn plan<'w>(view: View<'w>, units: &mut Units<'w>, key: &ServiceKey) -> ServicePlan {
    let mut plan = ServicePlan::default();
    let Some(service) = view.world.service(key).filter(|service| view.policy.serves(service)) else {
        return plan;
    };
    plan.refusals.extend(service.proxied.iter().map(|vip| Refusal::Proxied { vip: *vip }));
    if service.vips.is_empty() && service.proxied.is_empty() {
        plan.refusals.insert(match service.hostnames.first() {
            Some(hostname) => Refusal::HostnameOnly { hostname: hostname.clone() },
            None => Refusal::NoVip,
        });
    }
    gate::review(&mut plan.refusals, service);
    for &vip in &service.vips {
        match place_vip(view, service, vip) {
            Ok((subnet, warning)) => {
                plan.vips.insert(vip, subnet.name.clone());
                plan.refusals.extend(warning);
                let place = units.at(subnet, vip);
                let Some(member) = place.members.get(key) else { continue };
                gate::close(view, &mut plan, member, subnet, vip);
                for port in &member.ports {
                    plan_port(
                        view,
                        &mut plan,
                        service,
                        subnet,
                        SocketAddr::new(vip, port.port.port),
                        port,
                        place,
                    );
                }
                wires::review(view, &mut plan.refusals, subnet, vip);
                announcing::review(view.world, &mut plan.refusals, member, place, subnet, vip);
            }
            Err(refusal) => {
                plan.refusals.insert(refusal);
            }
        }
    }
    name_foreign(&mut plan, service);
    plan
}

/// Beside a VIP that is served an address outside all Subnets, and one that kube-proxy serves, is somebody else's: it is
/// named once, and takes nothing from the others.
fn name_foreign(plan: &mut ServicePlan, service: &Service) {
    if plan.vips.is_empty() {
        return;
    }
    let is_stray = |vip: &&IpAddr| plan.refusals.remove(&Refusal::NoSubnet { vip: **vip });
    let strays: Vec<IpAddr> = service.vips.iter().filter(is_stray).copied().collect();
    let strays = strays.into_iter().map(|address| (address, "status.loadBalancer.ingress"));
    let of_others =
        service.external_ips.difference(&service.vips).map(|address| (*address, "spec.externalIPs"));
    for (address, field) in strays.chain(of_others) {
        plan.refusals.insert(Refusal::ForeignAddress { address, field });
    }
}

fn place_vip<'w>(
    view: View<'w>,
    service: &Service,
    vip: IpAddr,
) -> Result<(&'w Subnet, Option<Refusal>), Refusal> {
    let subnet = subnet::of(view.world, service, vip)?;
    exclude_ips::refuse_reserved(view.world, subnet, vip)?;
    if let Some(network) = view.network {
        refuse_unbalanced(network, subnet, vip)?;
    }
    // Last: that it is served already counts only where it can be served still.
    let warning = exclude_ips::refuse_unexcluded(view, subnet, service, vip)?;
    Ok((subnet, warning))
}

/// Refuses what the northbound says OVN would not balance.
fn refuse_unbalanced(network: &Network, subnet: &Subnet, vip: IpAddr) -> Result<(), Refusal> {
    let Some(switch) = network.switches.get(&subnet.name) else {
        return Err(Refusal::NoSwitch { subnet: subnet.name.clone() });
    };
    if network.skips_subnet_addresses {
        return Err(Refusal::SkipsSubnetAddresses { vip });
    }
    // A router port's MAC is what frames are steered to, and from there they are routed to the pod.
    if network.keeps_destination_mac && switch.router_ports.is_empty() {
        return Err(Refusal::KeepsDestinationMac { vip, subnet: subnet.name.clone() });
    }
    if let Some(cidr) = network.skipped_cidrs.iter().find(|cidr| cidr.contains(&vip)) {
        return Err(Refusal::SkippedCidr { vip, cidr: *cidr });
    }
    if let Some(port) = switch.ports.get(&vip) {
        return Err(Refusal::VipIsPort { vip, port: port.name.clone() });
    }
    Ok(())
}

fn plan_port(
    view: View<'_>,
    plan: &mut ServicePlan,
    service: &Service,
    subnet: &Subnet,
    key: SocketAddr,
    port: &MemberPort<'_>,
    place: &Place<'_>,
) {
    let protocol = port.port.protocol;
    if let Some(by) = place.owner(port.port).filter(|_| !port.owned) {
        plan.refusals.insert(Refusal::PortTaken { key, protocol, by: by.clone() });
        return;
    }
    let natives = view.network.and_then(|network| network.native.get(&(protocol, key)));
    let native = natives.and_then(|on| on.get(&subnet.name));
    let taken_over = native.filter(|row| is_taken_over(row.holder, subnet));
    let left = native.filter(|_| taken_over.is_none());
    if let Some(NativeRow { holder, uuid: _, name }) = left {
        let (row, subnet) = (name.clone(), subnet.name.clone());
        plan.refusals.insert(Refusal::NativeOwner { key, protocol, row, holder: *holder, subnet });
        if !holder.serves() {
            return;
        }
    }
    let (serving, ports) = serving_backends(view, plan, subnet, &port.backends);
    if serving.is_empty() {
        plan.refusals.insert(Refusal::NoReadyBackend { key, protocol });
    }
    // Whoever serves it, what is wrong with its endpoints is the same.
    if left.is_some() {
        return;
    }
    plan.refusals.extend(wires::unseen(view, protocol, key));
    let load_balancer = plan.load_balancer(service, protocol);
    load_balancer.vips.insert(key, serving);
    load_balancer.ports.extend(ports);
    load_balancer.subnets.insert(subnet.name.clone());
    let only_on = handed_on::only_on(view, place, subnet, key.ip());
    load_balancer.only_on.extend(only_on.map(|node| (key, node.clone())));
    if let Some(row) = taken_over {
        load_balancer.takes_over.entry(row.uuid).or_default().insert(key);
    }
}

/// What is left over at Kube-OVN is nobody's. A row of another cluster's, or of somebody's own, is never touched, whatever
/// was consented to.
fn is_taken_over(holder: Holder, subnet: &Subnet) -> bool {
    holder == Holder::Leftover || (holder.yields() && subnet.wishes.takeover)
}

/// The backends of a port that OVN can deliver to, and their switch ports.
fn serving_backends(
    view: View<'_>,
    plan: &mut ServicePlan,
    subnet: &Subnet,
    found: &Backends<'_>,
) -> (BTreeSet<SocketAddr>, BTreeMap<IpAddr, Port>) {
    plan.refusals.extend(found.refusals.iter().cloned());
    let Some(network) = view.network else {
        let undelivered = found.usable.iter().filter(|usable| !usable.delivered);
        plan.refusals.extend(undelivered.map(|usable| {
            let (address, node, subnet) = (usable.backend.ip(), usable.node.clone(), subnet.name.clone());
            Refusal::BackendElsewhere { address, node, subnet }
        }));
        return (found.usable.iter().map(|usable| usable.backend).collect(), BTreeMap::new());
    };
    let switch = network.switches.get(&subnet.name);
    let mut serving = BTreeSet::new();
    let mut ports = BTreeMap::new();
    for Usable { backend, node, .. } in &found.usable {
        let address = backend.ip();
        match switch.and_then(|switch| switch.ports.get(&address)) {
            Some(port) => {
                if is_elsewhere(view.world, network, port, node) {
                    let (node, subnet) = ((*node).clone(), subnet.name.clone());
                    plan.refusals.insert(Refusal::BackendElsewhere { address, node, subnet });
                }
                ports.insert(address, port.clone());
                serving.insert(*backend);
            }
            None => {
                plan.refusals.insert(Refusal::BackendNoPort { address, subnet: subnet.name.clone() });
            }
        }
    }
    (serving, ports)
}

/// Whether a port is bound to another chassis than a node's. OVN finds it all the same; that node cannot serve it.
fn is_elsewhere(world: &World, network: &Network, port: &Port, node: &NodeName) -> bool {
    let bound_to = port.chassis.and_then(|chassis| network.chassis.get(&chassis));
    let expected = world.node(node).and_then(|node| node.chassis.as_ref());
    bound_to.zip(expected).is_some_and(|(bound_to, expected)| bound_to != expected)
}

impl ServicePlan {
    fn load_balancer(&mut self, service: &Service, protocol: Protocol) -> &mut LoadBalancer {
        let position = self.load_balancers.iter().position(|found| found.protocol == protocol);
        let position = position.unwrap_or_else(|| {
            self.load_balancers.push(LoadBalancer {
                service: service.key.clone(),
                uid: service.uid.clone(),
                protocol,
                vips: BTreeMap::new(),
                ports: BTreeMap::new(),
                client_ip_affinity: service.client_ip_affinity,
                subnets: BTreeSet::new(),
                only_on: BTreeMap::new(),
                takes_over: BTreeMap::new(),
            });
            self.load_balancers.len() - 1
        });
        &mut self.load_balancers[position]
    }
}
