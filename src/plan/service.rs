//! What one Service needs in the northbound.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::{
    Family, LoadBalancer, Network, Protocol, Service, ServiceKey, ServicePort, Subnet, SubnetName, Switch,
    World,
};

use super::{Policy, Refusal, backends, subnet};

/// What one Service comes to: its load balancers, and everything that was declined on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePlan {
    /// At most one a protocol.
    pub load_balancers: Vec<LoadBalancer>,
    /// The VIPs that are served, with the subnet of each.
    pub vips: BTreeMap<IpAddr, SubnetName>,
    /// What is not served, and why.
    pub refusals: BTreeSet<Refusal>,
}

/// The rules, in order: the Service exists and has a VIP; the VIP lies in a subnet that takes VIPs and is
/// nobody else's address; the switch is there and OVN will balance it; each port is ours to serve; each ready
/// endpoint is a port of that switch on a known chassis.
pub fn plan_service(world: &World, network: &Network, policy: &Policy, key: &ServiceKey) -> ServicePlan {
    let mut plan = ServicePlan::default();
    let Some(service) = world.service(key) else { return plan };
    if service.vips.is_empty() {
        plan.refusals.insert(Refusal::NoVip);
    }
    for &vip in &service.vips {
        match place_vip(world, network, policy, service, vip) {
            Ok((subnet, switch)) => {
                plan.vips.insert(vip, subnet.name.clone());
                for port in &service.ports {
                    plan_port(world, network, &mut plan, service, (subnet, switch), vip, port);
                }
            }
            Err(refusal) => {
                plan.refusals.insert(refusal);
            }
        }
    }
    plan
}

fn place_vip<'w>(
    world: &'w World,
    network: &'w Network,
    policy: &Policy,
    service: &Service,
    vip: IpAddr,
) -> Result<(&'w Subnet, &'w Switch), Refusal> {
    let subnet = subnet::checked(world, policy, service, vip)?;
    let Some(switch) = network.switches.get(&subnet.name) else {
        return Err(Refusal::NoSwitch { subnet: subnet.name.clone() });
    };
    if network.skips_subnet_addresses {
        return Err(Refusal::SkipsSubnetAddresses { vip });
    }
    if let Some(cidr) = network.skipped_cidrs.iter().find(|cidr| cidr.contains(&vip)) {
        return Err(Refusal::SkippedCidr { vip, cidr: *cidr });
    }
    if let Some(port) = switch.ports.get(&vip) {
        return Err(Refusal::VipIsPort { vip, port: port.name.clone() });
    }
    Ok((subnet, switch))
}

fn plan_port(
    world: &World,
    network: &Network,
    plan: &mut ServicePlan,
    service: &Service,
    (subnet, switch): (&Subnet, &Switch),
    vip: IpAddr,
    port: &ServicePort,
) {
    let key = SocketAddr::new(vip, port.port);
    let protocol = port.protocol;
    if let Some(by) = backends::port_owner(world, vip, port).filter(|owner| **owner != service.key) {
        plan.refusals.insert(Refusal::PortTaken { key, protocol, by: by.clone() });
        return;
    }
    if let Some(row) = network.native.get(&(protocol, key)) {
        plan.refusals.insert(Refusal::NativeOwner { key, protocol, row: row.clone() });
        return;
    }
    let found = backends::usable(world, subnet, service, port, Family::of(vip));
    plan.refusals.extend(found.refusals);
    let mut serving = BTreeSet::new();
    let mut ports = BTreeMap::new();
    for backend in found.usable.iter().map(|usable| usable.backend) {
        let address = backend.ip();
        match switch.ports.get(&address) {
            Some(port) => {
                ports.insert(address, port.clone());
                serving.insert(backend);
            }
            None => {
                plan.refusals.insert(Refusal::BackendNoPort { address, subnet: subnet.name.clone() });
            }
        }
    }
    if serving.is_empty() {
        plan.refusals.insert(Refusal::NoReadyBackend { key, protocol });
    }
    let load_balancer = plan.load_balancer(service, protocol);
    load_balancer.vips.insert(key, serving);
    load_balancer.ports.extend(ports);
    load_balancer.subnets.insert(subnet.name.clone());
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
            });
            self.load_balancers.len() - 1
        });
        &mut self.load_balancers[position]
    }
}
