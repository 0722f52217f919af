//! Kube-OVN's Subnets and IPs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::packed::{pack_addresses, unpack};
use super::scalar::{list, parse_address, parse_cidr};
use super::{Converted, Notes};
use crate::kube::marks::UNDELIVERABLE;
use crate::kube::{Kind, Problem, crd};
use crate::model::{
    Allocation, AllocationName, ExcludeIps, Family, NodeName, Object, Subnet, SubnetWishes, VlanName,
};

/// Our own annotation: the controller writes it, speakers read it.
const STEERING_MAC: &str = "ovn-vip.io/steering-mac";
/// Our own annotation: the controller writes which VIPs are served, speakers read it.
const VIPS: &str = "ovn-vip.io/vips";
/// An operator's annotation: `enforce`, `warn` or `fix`.
const EXCLUDE_IPS: &str = "ovn-vip.io/exclude-ips";
/// An operator's annotation: `true` or `false`.
const ANNOUNCE: &str = "ovn-vip.io/announce";
/// An operator's annotation: `true` or `false`.
const TAKEOVER: &str = "ovn-vip.io/takeover";
/// Kube-OVN's default Vpc (its flag `--cluster-router`).
const DEFAULT_VPC: &str = "ovn-cluster";

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
        vpc,
        vlan,
        enable_external_lb_address,
        logical_gateway,
    } = &object.spec;
    let Some(cidrs) = cidrs(cidr_block) else {
        let cure = "write one CIDR, or an IPv4 and an IPv6 one with a comma between";
        return notes.unusable("spec.cidrBlock", cidr_block, cure);
    };
    let steering_mac = annotation(&object.metadata, STEERING_MAC).unwrap_or_default();
    let wishes = wishes(&object.metadata, &mut notes);
    let exclude_ips = exclude_ips.iter().enumerate();
    Converted::Object(Object::Subnet(Subnet {
        name: notes.name.into(),
        cidrs,
        gateways: list(gateway).filter_map(|text| notes.address("spec.gateway", text)).collect(),
        exclude_ips: exclude_ips
            .filter_map(|(i, text)| notes.range(format!("spec.excludeIps[{i}]"), text))
            .collect(),
        ovn_provided: provider.is_empty() || provider == "ovn" || provider.ends_with(".ovn"),
        vpc: (!vpc.is_empty() && vpc != DEFAULT_VPC).then(|| vpc.as_str().into()),
        vlan: (!vlan.is_empty()).then(|| VlanName::from(vlan.as_str())),
        external_lb: *enable_external_lb_address,
        logical_gateway: *logical_gateway,
        u2o_mac: notes.mac("status.u2oInterconnectionMAC", &object.status.u2o_interconnection_mac),
        steering_mac: notes.mac(field_of(STEERING_MAC), steering_mac),
        wishes,
        served: addresses_in(annotation(&object.metadata, VIPS).unwrap_or_default()),
        undeliverable: undeliverable(annotation(&object.metadata, UNDELIVERABLE).unwrap_or_default()),
    }))
}

/// An IP. One without a Subnet or an address is none that matters here.
pub fn allocation(object: &crd::Ip, problems: &mut Vec<Problem>) -> Converted {
    let Some(mut notes) = Notes::of(Kind::Allocation, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let crd::IpSpec { subnet, pod_type, pod_name, namespace, ip_address, v4_ip_address, v6_ip_address } =
        &object.spec;
    let fields = [
        ("spec.v4IpAddress", v4_ip_address),
        ("spec.v6IpAddress", v6_ip_address),
        ("spec.ipAddress", ip_address),
    ];
    let texts = fields.into_iter().flat_map(|(field, text)| list(text).map(move |text| (field, text)));
    let addresses: BTreeSet<IpAddr> = texts.filter_map(|(field, text)| notes.address(field, text)).collect();
    if subnet.is_empty() || addresses.is_empty() {
        return Converted::NotOurs(notes.key());
    }
    let kind = if pod_type.is_empty() { "Pod" } else { pod_type };
    let holder = match namespace.is_empty() || pod_name.is_empty() {
        true => format!("IP {}", notes.name),
        false => format!("{kind} {namespace}/{pod_name}"),
    };
    Converted::Object(Object::Allocation(Allocation {
        name: notes.name.into(),
        subnet: subnet.as_str().into(),
        addresses,
        holder: holder.into(),
    }))
}

/// A Vip. One without a Subnet or an address is none that matters here.
pub fn vip(object: &crd::Vip, problems: &mut Vec<Problem>) -> Converted {
    let Some(mut notes) = Notes::of(Kind::Vip, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let crd::Vip { metadata: _, spec, status } = object;
    let fields = [
        ("spec.v4ip", &spec.v4),
        ("spec.v6ip", &spec.v6),
        ("status.v4ip", &status.v4),
        ("status.v6ip", &status.v6),
    ];
    let texts = fields.into_iter().flat_map(|(field, text)| list(text).map(move |text| (field, text)));
    let addresses: BTreeSet<IpAddr> = texts.filter_map(|(field, text)| notes.address(field, text)).collect();
    if spec.subnet.is_empty() || addresses.is_empty() {
        return Converted::NotOurs(notes.key());
    }
    Converted::Object(Object::Allocation(Allocation {
        name: AllocationName::vip(notes.name),
        subnet: spec.subnet.as_str().into(),
        addresses,
        holder: format!("Vip {}", notes.name).into(),
    }))
}

/// What its annotations ask of us; a value that cannot be read counts as none.
fn wishes(metadata: &ObjectMeta, notes: &mut Notes) -> SubnetWishes {
    let none = SubnetWishes::default();
    SubnetWishes {
        exclude_ips: match annotation(metadata, EXCLUDE_IPS) {
            None => None,
            Some("enforce") => Some(ExcludeIps::Enforce),
            Some("warn") => Some(ExcludeIps::Warn),
            Some("fix") => Some(ExcludeIps::Fix),
            Some(other) => {
                notes.say(
                    field_of(EXCLUDE_IPS),
                    other,
                    "write enforce, warn or fix; until then --exclude-ips counts",
                );
                None
            }
        },
        announce: notes.flag(metadata, ANNOUNCE, none.announce),
        takeover: notes.flag(metadata, TAKEOVER, none.takeover),
    }
}

fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

fn field_of(annotation: &str) -> String {
    format!("metadata.annotations[{annotation}]")
}

/// The addresses among the words of a text that we wrote, whatever else it says.
fn addresses_in(text: &str) -> BTreeSet<IpAddr> {
    let (packed, plain): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with(MORE_VIPS));
    let words = plain
        .into_iter()
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':')));
    let packed = packed.into_iter().filter_map(|line| unpack(line.strip_prefix(MORE_VIPS)?.trim()));
    words.filter_map(parse_address).chain(packed.flat_map(BTreeMap::into_keys)).collect()
}

/// The beginning of a line with VIPs for whose Services there is no room.
const MORE_VIPS: &str = "more:";

/// The annotation with the VIPs that are served: a line each, with the Services; of very many the last ones together, so that
/// there is room for all (ADR 0061).
pub fn vips_text(vips: &BTreeMap<IpAddr, String>) -> String {
    let lines = if vips.len() > MOST_LINES { FEWER_LINES } else { MOST_LINES };
    let plain = vips.iter().take(lines).map(|(vip, services)| format!("{vip} {services}"));
    let rest: BTreeSet<IpAddr> = vips.keys().skip(lines).copied().collect();
    let rest = (!rest.is_empty()).then(|| format!("{MORE_VIPS} {}", pack_addresses(&rest)));
    plain.chain(rest).collect::<Vec<_>>().join("\n")
}

/// Lines of some 50 bytes each; all annotations of an object may have 256 KiB.
const MOST_LINES: usize = 3000;
/// The same where others have to find room.
const FEWER_LINES: usize = 1000;

/// Words `address` and `address@node` of a text that we wrote; others are passed over.
fn undeliverable(text: &str) -> BTreeSet<(IpAddr, Option<NodeName>)> {
    let words = text.split_whitespace().filter_map(|word| match word.split_once('@') {
        Some((address, node)) => Some((parse_address(address)?, Some(NodeName::from(node)))),
        None => Some((parse_address(word)?, None)),
    });
    words.collect()
}

impl Notes<'_> {
    fn flag(&mut self, metadata: &ObjectMeta, name: &str, default: bool) -> bool {
        match annotation(metadata, name) {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(other) => {
                let cure = format!("write \"true\" or \"false\"; {default} is assumed");
                self.say(field_of(name), other, &cure);
                default
            }
        }
    }
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
