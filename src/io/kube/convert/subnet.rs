//! Kube-OVN's Subnets.

use ipnet::IpNet;

use super::scalar::{list, parse_cidr};
use super::{Converted, Notes};
use crate::io::kube::{Kind, Problem, crd};
use crate::model::{Family, Object, Subnet, VlanName};

/// Our own annotation: the controller writes it, speakers read it.
const STEERING_MAC: &str = "ovn-vip.io/steering-mac";

/// A Subnet. Without a good `cidrBlock` it cannot be used; an empty one (protocol `Mac`) is good.
pub fn subnet(object: &crd::Subnet, problems: &mut Vec<Problem>) -> Converted {
    let Some(mut notes) = Notes::of(Kind::Subnet, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let crd::SubnetSpec {
        cidr_block,
        gateway,
        exclude_ips,
        provider,
        vlan,
        enable_external_lb_address,
        logical_gateway,
    } = &object.spec;
    let Some(cidrs) = cidrs(cidr_block) else {
        let cure = "write one CIDR, or an IPv4 and an IPv6 one with a comma between";
        return notes.unusable("spec.cidrBlock", cidr_block, cure);
    };
    let steering_mac = object.metadata.annotations.iter().flatten().find(|(name, _)| *name == STEERING_MAC);
    let exclude_ips = exclude_ips.iter().enumerate();
    Converted::Object(Object::Subnet(Subnet {
        name: notes.name.into(),
        cidrs,
        gateways: list(gateway).filter_map(|text| notes.address("spec.gateway", text)).collect(),
        exclude_ips: exclude_ips
            .filter_map(|(i, text)| notes.range(format!("spec.excludeIps[{i}]"), text))
            .collect(),
        ovn_provided: provider.is_empty() || provider == "ovn" || provider.ends_with(".ovn"),
        vlan: (!vlan.is_empty()).then(|| VlanName::from(vlan.as_str())),
        external_lb: *enable_external_lb_address,
        logical_gateway: *logical_gateway,
        u2o_mac: notes.mac("status.u2oInterconnectionMAC", &object.status.u2o_interconnection_mac),
        steering_mac: steering_mac
            .and_then(|(name, text)| notes.mac(format!("metadata.annotations[{name}]"), text)),
    }))
}

/// At most one of each family.
fn cidrs(text: &str) -> Option<Vec<IpNet>> {
    let mut cidrs: Vec<IpNet> = Vec::new();
    for part in list(text) {
        let cidr = parse_cidr(part)?;
        if cidrs.iter().any(|other| Family::of(other.addr()) == Family::of(cidr.addr())) {
            return None;
        }
        cidrs.push(cidr);
    }
    Some(cidrs)
}
