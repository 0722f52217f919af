//! Gates as rows: what keeps a packet that may not reach a VIP away from the load balancer.
//!
//! A gate is two ACLs with one match (ovn-nb(5), ACL). `allow-stateless` counts before connection tracking, so that the
//! load balancer never sees the packet, be it of a new connection or an open one; `drop` then ends it. Neither makes the
//! switch track what it did not track before.
//!
//! Refused is, without the mark of a rule on the bridge: a source inside the subnet that no range holds (a row pair per
//! Service and switch); any source outside the subnet, and any fragment, whose later parts name no port (one pair per
//! switch). So a packet from the wire passes a rule of ours or not at all, and a pod's by its own address.
//!
//! What comes from a router port of another's is passed over, by an ACL before them (`pass`).
//!
//! Every match is positive: OVN turns `!=` on a set of networks into more flows than a node holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use uuid::Uuid;

use crate::model::{Family, Gate, MARK_BIT, Protocol, ServiceKey, Sources, SubnetName, whole};

use super::Owner;
use super::kept::{KeptGates, Outside};
use super::owner::{GateRow, RowKey};
use super::rows::AclRow;

/// Before every ACL of Kube-OVN's (`pkg/util/const.go`: 18484 at most); the highest there is.
const PRIORITY: i64 = 32767;
/// Kube-OVN's own (`AnpACLTier`), and so before its network policies. It sets those of tier 0 to 2 at each start.
const TIER: i64 = 1;
/// The longest name of an ACL (ovn-nb(5)).
const LONGEST_NAME: usize = 63;

/// The gates of all Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    services: BTreeMap<ServiceKey, (String, BTreeMap<SubnetName, Gate>)>,
    kept: KeptGates,
}

impl Gates {
    /// Replaces one Service's, given with its uid; whether that altered anything.
    pub fn put(&mut self, service: &ServiceKey, uid: &str, gates: BTreeMap<SubnetName, Gate>) -> bool {
        let new = (!gates.is_empty()).then(|| (uid.to_owned(), gates));
        if self.services.get(service) == new.as_ref() {
            return false;
        }
        match new {
            Some(new) => self.services.insert(service.clone(), new),
            None => self.services.remove(service),
        };
        true
    }

    /// Replaces what closes VIPs of Services that cannot be read; whether that altered anything.
    pub fn keep(&mut self, kept: KeptGates) -> bool {
        let altered = self.kept != kept;
        self.kept = kept;
        altered
    }

    /// The Services that have one.
    pub fn services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.services.keys()
    }

    /// The rows, each with the subnet whose switch has it.
    pub fn rows(&self, owner: &Owner) -> BTreeMap<Uuid, (SubnetName, AclRow)> {
        let mut rows = BTreeMap::new();
        let mut by_subnet: BTreeMap<&SubnetName, Vec<&Gate>> = BTreeMap::new();
        for (service, (uid, gates)) in &self.services {
            for (subnet, gate) in gates {
                by_subnet.entry(subnet).or_default().push(gate);
                let Some(matches) = inside(gate) else { continue };
                let marks = owner.marks(service, uid).into_iter().chain(owner.gate_marks(subnet));
                let marks: BTreeMap<String, String> = marks.collect();
                for row in GateRow::CLOSING {
                    let uuid = owner.gate(&RowKey::Gate(service.clone(), subnet.clone(), row));
                    let name = name(&service.to_string(), row);
                    rows.insert(uuid, (subnet.clone(), acl(name, row, &matches, &marks)));
                }
            }
        }
        for (key, row) in &self.kept.inside {
            if let RowKey::Gate(_, subnet, _) = key {
                rows.insert(owner.gate(key), (subnet.clone(), row.clone()));
            }
        }
        let closed: BTreeSet<&SubnetName> =
            by_subnet.keys().copied().chain(self.kept.outside.keys()).collect();
        for subnet in closed {
            let gates = by_subnet.get(subnet).map(Vec::as_slice).unwrap_or_default();
            let all = all_of(gates, self.kept.outside.get(subnet));
            let marks: BTreeMap<String, String> = owner.gate_marks(subnet).into_iter().collect();
            let passed = (!all.routers.is_empty()).then_some(GateRow::Pass);
            for row in GateRow::CLOSING.into_iter().chain(passed) {
                let uuid = owner.gate(&RowKey::Outside(subnet.clone(), row));
                let name = name(&format!("outside {subnet}"), row);
                let matches = if row == GateRow::Pass { routed(&all) } else { outside(&all) };
                rows.insert(uuid, (subnet.clone(), acl(name, row, &matches, &marks)));
            }
        }
        rows
    }
}

fn acl(name: String, row: GateRow, matches: &str, marks: &BTreeMap<String, String>) -> AclRow {
    let priority = match row {
        GateRow::Pass => PRIORITY,
        GateRow::Drop => PRIORITY - 1,
        GateRow::Bypass => PRIORITY - 2,
    };
    AclRow {
        name,
        priority,
        tier: TIER,
        action: row.action().to_owned(),
        matches: matches.to_owned(),
        external_ids: marks.clone(),
    }
}

fn name(of: &str, row: GateRow) -> String {
    let most = LONGEST_NAME - row.action().len() - 1;
    format!("{} {}", of.chars().take(most).collect::<String>(), row.action())
}

/// What a Service's ranges refuse inside the subnet; `None` where that is nobody.
fn inside(gate: &Gate) -> Option<String> {
    let mut ports: BTreeMap<(IpAddr, Protocol), BTreeSet<u16>> = BTreeMap::new();
    for (protocol, key) in &gate.keys {
        let key: &SocketAddr = key;
        ports.entry((key.ip(), *protocol)).or_default().insert(key.port());
    }
    let parts = ports.iter().filter_map(|((vip, protocol), ports)| {
        let family = Family::of(*vip);
        let cidrs = gate.cidrs.iter().filter(|cidr| Family::of(cidr.addr()) == family);
        let refused: BTreeSet<IpNet> = cidrs.flat_map(|cidr| gate.sources.refused_of(cidr.trunc())).collect();
        let ip = symbol(family);
        (!refused.is_empty()).then(|| {
            format!(
                "({ip}.dst == {vip} && {protocol}.dst == {} && {ip}.src == {})",
                set(ports),
                set(&refused)
            )
        })
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| format!("{} && ({})", unmarked(), parts.join(" || ")))
}

/// What is refused for every VIP of a switch that has a gate.
fn outside(all: &Outside) -> String {
    let Outside { vips, cidrs, routers: _ } = all;
    let parts = [Family::V4, Family::V6].into_iter().filter_map(|family| {
        let of_family: BTreeSet<IpAddr> =
            vips.iter().filter(|vip| Family::of(**vip) == family).copied().collect();
        let within = Sources::only(cidrs.iter().copied()).refused_of(whole(family));
        let ip = symbol(family);
        (!of_family.is_empty()).then(|| {
            // Each part has two sets, of one field each: OVN makes that their sum in flows, and anything else their product.
            let vips = set(&of_family);
            format!(
                "({ip}.dst == {vips} && {ip}.src == {}) || ({ip}.dst == {vips} && ip.is_frag)",
                set(&within)
            )
        })
    });
    let parts: Vec<String> = parts.collect();
    format!("{} && ({})", unmarked(), parts.join(" || "))
}

/// What comes from another's router port is not translated in this switch, and meets the bridge of the node that announces.
/// It is known by the port, which nobody can forge; anybody can send with the router's MAC.
fn routed(all: &Outside) -> String {
    let of = |family| all.vips.iter().filter(|vip| Family::of(**vip) == family).copied().collect();
    let families = [Family::V4, Family::V6].map(|family| (symbol(family), of(family)));
    let vips = families.into_iter().filter(|(_, vips): &(_, BTreeSet<IpAddr>)| !vips.is_empty());
    let vips: Vec<String> = vips.map(|(ip, vips)| format!("{ip}.dst == {}", set(&vips))).collect();
    let ports: Vec<String> = all.routers.iter().map(|port| format!("{:?}", port.as_str())).collect();
    format!("inport == {{{}}} && ({})", ports.join(", "), vips.join(" || "))
}

/// All gates of a switch, with what must go on to be closed. The Subnet's own word on its networks counts more.
fn all_of(gates: &[&Gate], kept: Option<&Outside>) -> Outside {
    let kept = kept.cloned().unwrap_or_default();
    if gates.is_empty() {
        return kept;
    }
    let cidrs: BTreeSet<IpNet> = gates.iter().flat_map(|gate| &gate.cidrs).map(IpNet::trunc).collect();
    let vips = gates.iter().flat_map(|gate| &gate.keys).map(|(_, key)| key.ip());
    Outside {
        vips: vips.chain(kept.vips).collect(),
        cidrs: cidrs.into_iter().collect(),
        routers: gates.iter().flat_map(|gate| gate.routers.clone()).collect(),
    }
}

fn unmarked() -> String {
    format!("pkt.mark[{MARK_BIT}] == 0")
}

fn symbol(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip4",
        Family::V6 => "ip6",
    }
}

fn set<M: ToString>(members: &BTreeSet<M>) -> String {
    let members: Vec<String> = members.iter().map(ToString::to_string).collect();
    format!("{{{}}}", members.join(", "))
}
