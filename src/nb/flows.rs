//! What northd made of our rows: the southbound's logical flows, read into facts.
//!
//! A flow names the row that it comes from by the first eight digits of its uuid (`external_ids:stage-hint`, northd.c). DNAT is
//! local where it asks for a port of this chassis (`is_chassis_resident`, Kube-OVN's patch) or is `ct_lb_mark_local` (26.03).
//! Two stages are read whole: `ls_in_lb` balances, `ls_in_pre_lb` says what is not to be. Of `ls_in_l2_lkup` only what Kube-OVN's
//! `ls_dnat_mod_dl_dst` makes, which has a priority of its own: what was translated to a pod's address goes to its port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use uuid::Uuid;

use crate::model::LspName;
use crate::ovsdb::{Condition, Datum, Function, Replica, Row, RowChange, RowFilter};

use super::rows::{LOGICAL_FLOW, text};

pub(super) const BALANCES: &str = "ls_in_lb";
const PREPARES: &str = "ls_in_pre_lb";
const FORWARDS: &str = "ls_in_l2_lkup";
/// Of the flows that bring what was translated to its pod (`build_lswitch_dnat_mod_dl_dst_rules`).
const FORWARDS_AT: i64 = 55;

/// The flows that are followed: those of the two stages, whosever they are, and those that bring what was translated to pods.
pub fn filter() -> RowFilter {
    let of_stage =
        |stage| Condition::new("external_ids", Function::Includes, Datum::map([("stage-name", stage)]));
    let forwards = Condition::new("priority", Function::Equal, Datum::from(FORWARDS_AT));
    let stages = [BALANCES, PREPARES].map(of_stage).into_iter();
    RowFilter::AnyOf(stages.chain([forwards]).collect())
}

/// What the flows of a row say of one VIP and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// They are as the row is, and keep DNAT on the node.
    Local,
    /// They are as the row is, and go to any node.
    Anywhere,
    /// There is none, or none with the row's backends.
    Nothing,
}

/// All flows that are followed, by what they are about.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    balancing: BTreeMap<u32, BTreeMap<Uuid, Balancing>>,
    hints: BTreeMap<Uuid, u32>,
    skips: BTreeMap<Uuid, IpNet>,
    /// By the address of a pod the flows to its port.
    forwarding: BTreeMap<IpAddr, BTreeMap<Uuid, LspName>>,
    forwarded: BTreeMap<Uuid, IpAddr>,
}

/// What a flow is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A row, by its hint.
    Row(u32),
    /// A pod, by its address.
    Pod(IpAddr),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Balancing {
    address: IpAddr,
    port: u16,
    local: bool,
    /// Only where this node's own port is (Kube-OVN's `local-external-vip`): no flow is for all nodes then.
    handed_on: bool,
    backends: BTreeSet<SocketAddr>,
}

/// The row that a hint names, as far as it does.
pub fn hint_of(row: Uuid) -> u32 {
    row.as_fields().0
}

impl Flows {
    /// Takes a change in; what it is about.
    pub fn put(&mut self, replica: &Replica, change: &RowChange) -> Option<About> {
        let uuid = change.uuid;
        if let Some(address) = self.forwarded.remove(&uuid) {
            self.forget_forward(uuid, address);
            self.put_forward(replica, uuid);
            return Some(About::Pod(address));
        }
        let left = self.hints.remove(&uuid);
        if let Some(hint) = left
            && let Some(flows) = self.balancing.get_mut(&hint)
        {
            flows.remove(&uuid);
            if flows.is_empty() {
                self.balancing.remove(&hint);
            }
        }
        self.skips.remove(&uuid);
        let left = left.map(About::Row);
        let Some(row) = replica.row(LOGICAL_FLOW, &uuid) else { return left };
        let id = |key| row.get("external_ids").and_then(|ids| ids.map_get(key)).unwrap_or_default();
        if id("stage-name") == PREPARES {
            self.skips.extend(skipped(row).map(|cidr| (uuid, cidr)));
            return None;
        }
        if id("stage-name") == FORWARDS {
            return self.put_forward(replica, uuid).map(About::Pod);
        }
        let hint = u32::from_str_radix(id("stage-hint"), 16).ok();
        let Some((hint, read)) = hint.zip(Balancing::read(row)) else { return left };
        self.balancing.entry(hint).or_default().insert(uuid, read);
        self.hints.insert(uuid, hint);
        Some(About::Row(hint))
    }

    /// A flow is never altered, but for its place in the table of what it is about (`ovn-northd` makes it anew).
    fn put_forward(&mut self, replica: &Replica, uuid: Uuid) -> Option<IpAddr> {
        let (address, port) = forwards(replica.row(LOGICAL_FLOW, &uuid)?)?;
        self.forwarding.entry(address).or_default().insert(uuid, port);
        self.forwarded.insert(uuid, address);
        Some(address)
    }

    fn forget_forward(&mut self, uuid: Uuid, address: IpAddr) {
        let Some(flows) = self.forwarding.get_mut(&address) else { return };
        flows.remove(&uuid);
        if flows.is_empty() {
            self.forwarding.remove(&address);
        }
    }

    /// Whether what was translated to this address goes to this port.
    pub fn is_forwarded(&self, address: IpAddr, port: &str) -> bool {
        self.forwarding.get(&address).is_some_and(|flows| flows.values().any(|found| found.as_str() == port))
    }

    /// What is not balanced at all.
    pub fn skips(&self) -> BTreeSet<IpNet> {
        self.skips.values().copied().collect()
    }

    /// What a row's flows say of one of its VIPs.
    pub fn seen(&self, row: Uuid, key: SocketAddr, backends: &BTreeSet<SocketAddr>) -> Seen {
        let flows = self.balancing.get(&hint_of(row)).into_iter().flat_map(BTreeMap::values);
        let flows: Vec<&Balancing> =
            flows.filter(|flow| (flow.address, flow.port) == (key.ip(), key.port())).collect();
        // Of Kube-OVN's flows one is for all nodes, and one for each with a backend. The first may bear the hint of another row that had
        // the same key: northd keeps a flow that two rows made, as the first of them left it. Then those of the nodes tell.
        let of_nodes = flows.iter().filter(|flow| flow.local).flat_map(|flow| flow.backends.iter().copied());
        let is_whole = !backends.is_empty() && of_nodes.collect::<BTreeSet<_>>() == *backends;
        let is_current = |flow: &&Balancing| {
            flow.backends == *backends || (flow.handed_on && flow.backends.is_subset(backends))
        };
        if !is_whole && !flows.iter().copied().any(|flow| is_current(&flow)) {
            return Seen::Nothing;
        }
        if flows.iter().any(|flow| flow.local) { Seen::Local } else { Seen::Anywhere }
    }
}

/// Whether a balancing flow goes to backends of this chassis alone.
pub(super) fn is_local(matches: &str, actions: &str) -> bool {
    matches.contains("is_chassis_resident(") || actions.contains("ct_lb_mark_local(")
}

impl Balancing {
    fn read(row: &Row) -> Option<Self> {
        let (matches, actions) = (text(row, "match"), text(row, "actions"));
        let clauses = || matches.split("&&").filter_map(|clause| clause.split_once("=="));
        let address = clauses().find_map(|(_, value)| value.trim().parse().ok())?;
        // Until 25.09 `tcp.dst == 80`, since then `reg1[0..15] == 80`; the number of the protocol is in other bits.
        let is_port = |field: &str| field.ends_with(".dst") || field.ends_with("[0..15]");
        let port = clauses()
            .find_map(|(field, value)| is_port(field.trim()).then(|| value.trim().parse().ok()).flatten())?;
        let local = is_local(matches, actions);
        let backends = actions.split_once("backends=").map(|(_, rest)| rest).unwrap_or_default();
        let backends = backends.split([',', ';', ')']).filter_map(|backend| {
            // 26.03 puts the name of the port before its address: "p11.default":10.0.0.1:80.
            backend.trim().rsplit("\":").next()?.parse().ok()
        });
        let handed_on = matches.contains("is_chassis_resident(\"node-");
        Some(Self { address, port, local, handed_on, backends: backends.collect() })
    }
}

/// `reg0[2] != 0 && ip4.dst == 10.0.0.1`, with `eth.dst = 0a:00:00:00:00:01; outport = "p11.default"; output;` (Kube-OVN's patch).
fn forwards(row: &Row) -> Option<(IpAddr, LspName)> {
    let mut clauses = text(row, "match").split("&&").filter_map(|clause| clause.split_once("=="));
    let address = clauses.find_map(|(field, value)| {
        let is_destination = matches!(field.trim(), "ip4.dst" | "ip6.dst");
        is_destination.then(|| value.trim().parse().ok()).flatten()
    })?;
    let (_, port) = text(row, "actions").split_once("outport = \"")?;
    Some((address, LspName::from(port.split_once('"')?.0)))
}

/// `ip4 && ip4.dst == 10.0.0.0/24`, with nothing done but to go on (Kube-OVN's patch).
fn skipped(row: &Row) -> Option<IpNet> {
    if text(row, "actions") != "next;" {
        return None;
    }
    let clauses = text(row, "match").split("&&").map(str::trim);
    let mut clauses = clauses.filter(|clause| !matches!(*clause, "ip" | "ip4" | "ip6"));
    let (clause, None) = (clauses.next()?, clauses.next()) else { return None };
    let (field, cidr) = clause.split_once("==")?;
    let cidr = cidr.trim();
    let network = || cidr.parse::<IpAddr>().ok().map(IpNet::from);
    matches!(field.trim(), "ip4.dst" | "ip6.dst").then(|| cidr.parse().ok().or_else(network)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn backends(texts: &[&str]) -> BTreeSet<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn flows(rows: &[(&str, &str, &str)]) -> Flows {
        let mut table = json!({});
        for (number, (stage, matches, actions)) in rows.iter().enumerate() {
            table[format!("00000000-0000-4000-8000-00000000000{number}")] = json!({ "match": matches,
                "actions": actions, "external_ids": ["map", [["stage-name", stage], ["stage-hint", "b1d1c045"]]] });
        }
        let replica = Replica::from_json(json!({ "Logical_Flow": table })).unwrap();
        let mut flows = Flows::default();
        for change in Replica::new().become_level_with(replica.clone()) {
            flows.put(&replica, &change);
        }
        flows
    }

    const V4: &str = "10.180.204.252:80";
    const ROW: Uuid = Uuid::from_u128(0xb1d1_c045_658e_4369_a2e4_ada5_5f22_3345);

    #[test]
    fn each_form_of_local_delivery_is_known_and_the_plain_one_too() {
        let all = backends(&["10.180.204.111:80", "10.180.204.121:80"]);
        let upstream = flows(&[(
            "ls_in_lb",
            "ct.new && ip4.dst == 10.180.204.252 && reg1[16..23] == 6 && reg1[0..15] == 80",
            "reg4 = 10.180.204.252; reg2[0..15] = 80; ct_lb_mark_local(backends=\"p11.default\":10.180.204.111:80,\"p21.default\":10.180.204.121:80);",
        )]);
        assert_eq!(upstream.seen(ROW, V4.parse().unwrap(), &all), Seen::Local);
        let plain = (
            "ls_in_lb",
            "ct.new && ip4.dst == 10.180.204.252 && tcp.dst == 80",
            "reg1 = 10.180.204.252; reg2[0..15] = 80; ct_lb_mark(backends=10.180.204.111:80,10.180.204.121:80);",
        );
        assert_eq!(flows(&[plain]).seen(ROW, V4.parse().unwrap(), &all), Seen::Anywhere);
        let here = (
            "ls_in_lb",
            "ct.new && ip4.dst == 10.180.204.252 && tcp.dst == 80 && is_chassis_resident(\"p11.default\")",
            "reg1 = 10.180.204.252; reg2[0..15] = 80; ct_lb_mark(backends=10.180.204.111:80);",
        );
        let patched = flows(&[plain, here]);
        assert_eq!(patched.seen(ROW, V4.parse().unwrap(), &all), Seen::Local);
        let there = (
            "ls_in_lb",
            "ct.new && ip4.dst == 10.180.204.252 && tcp.dst == 80 && is_chassis_resident(\"p21.default\")",
            "reg1 = 10.180.204.252; reg2[0..15] = 80; ct_lb_mark(backends=10.180.204.121:80);",
        );
        let key = V4.parse().unwrap();
        assert_eq!(
            flows(&[here, there]).seen(ROW, key, &all),
            Seen::Local,
            "the one for all bears another hint"
        );
        assert_eq!(flows(&[here]).seen(ROW, key, &all), Seen::Nothing, "a node's is missing");
        let another = backends(&["10.180.204.112:80"]);
        assert_eq!(patched.seen(ROW, V4.parse().unwrap(), &another), Seen::Nothing, "the row is newer");
        assert_eq!(patched.seen(Uuid::nil(), V4.parse().unwrap(), &all), Seen::Nothing, "another row's");
    }

    #[test]
    fn ipv6_is_read_as_ipv4_is() {
        let found = flows(&[(
            "ls_in_lb",
            "ct.new && ip6.dst == fd00::252 && reg1[16..23] == 6 && reg1[0..15] == 80",
            "xxreg1 = fd00::252; reg2[0..15] = 80; ct_lb_mark_local(backends=\"p11.default\":[fd00::111]:80; hash_fields=\"ipv6_src\");",
        )]);
        let key = "[fd00::252]:80".parse().unwrap();
        assert_eq!(found.seen(ROW, key, &backends(&["[fd00::111]:80"])), Seen::Local);
    }

    #[test]
    fn what_was_translated_is_seen_to_go_to_its_pod() {
        let action = "eth.dst = 0a:00:00:00:00:11; outport = \"p11.default\"; output;";
        let found = flows(&[
            ("ls_in_l2_lkup", "reg0[2] != 0 && ip4.dst == 10.180.204.111", action),
            ("ls_in_l2_lkup", "reg0[2] != 0 && ip6.dst == fd00:180:204::111", action),
            ("ls_in_l2_lkup", "eth.dst == 0a:00:00:00:00:12", "outport = \"p12.default\"; output;"),
        ]);
        let is_forwarded = |address: &str, port| found.is_forwarded(address.parse().unwrap(), port);
        assert!(is_forwarded("10.180.204.111", "p11.default"));
        assert!(is_forwarded("fd00:180:204::111", "p11.default"));
        assert!(!is_forwarded("10.180.204.111", "p12.default"), "another's port");
        assert!(!is_forwarded("10.180.204.112", "p12.default"), "by its MAC alone");
    }

    #[test]
    fn what_is_not_balanced_is_read_from_the_stage_before() {
        let found = flows(&[
            ("ls_in_pre_lb", "ip4 && ip4.dst == 10.180.204.0/24", "next;"),
            ("ls_in_pre_lb", "ip6 && ip6.dst == fd00:180:204::/64", "next;"),
            ("ls_in_pre_lb", "ip && inport == \"localnet.underlay-subnet\"", "next;"),
            ("ls_in_pre_lb", "ip", "reg0[2] = 1; next;"),
            ("ls_in_pre_lb", "eth.mcast", "next;"),
        ]);
        let networks = ["10.180.204.0/24", "fd00:180:204::/64"];
        assert_eq!(found.skips(), networks.map(|network| network.parse().unwrap()).into());
    }
}
