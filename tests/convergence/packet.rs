//! A packet, and who lets it through: an evaluator of ACL matches (ovn-sb(5), "expressions") and of the bridge's rules,
//! which knows nothing of how ours come about.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use ovn_vip::flows::{Action, Flow, MARK, Traffic};
use ovn_vip::model::{Mac, Protocol};

use super::super::support::northbound::Northbound;

#[derive(Clone, Debug)]
pub struct Packet {
    pub from: IpAddr,
    pub to: IpAddr,
    pub protocol: Protocol,
    pub port: u16,
    pub mark: u32,
    pub is_fragment: bool,
    pub eth_src: Mac,
}

/// What a bridge makes of a packet from the NIC for its own MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridged {
    /// To OVN, with this mark.
    Steered(u32),
    Dropped,
    /// No rule of ours: it goes on as it is.
    Normal,
}

pub fn bridged(flows: &BTreeSet<Flow>, packet: &Packet) -> Bridged {
    let matching = flows.iter().filter(|flow| {
        let Some(matches) = flow.matches.vip() else { return false };
        let source = matches.source.is_none_or(|source| source.contains(&packet.from));
        let port = matches.traffic == Traffic::Port(packet.protocol, packet.port);
        matches.destination == packet.to && source && port && !packet.is_fragment
    });
    let Some(best) = matching.max_by_key(|flow| flow.priority) else { return Bridged::Normal };
    let mark = best.actions.iter().find_map(|action| match action {
        Action::SetMark(mark) => Some(*mark),
        _ => None,
    });
    if best.actions.is_empty() { Bridged::Dropped } else { Bridged::Steered(mark.unwrap_or(0)) }
}

/// Whether the switch keeps a packet from its load balancers, and drops it.
pub fn is_refused(northbound: &Northbound, packet: &Packet) -> bool {
    let attached: BTreeSet<_> = northbound
        .rows("Logical_Switch")
        .flat_map(|(_, row)| row.get("acls").into_iter().flat_map(|acls| acls.uuid_members()))
        .collect();
    let matching = northbound.rows("ACL").filter(|(uuid, row)| {
        attached.contains(uuid) && Expression::of(row["match"].as_str().unwrap()).holds(packet)
    });
    // What comes before them is about router ports, and no packet here does.
    let matching = matching.filter(|(_, row)| row["action"].as_str() != Some("pass"));
    let actions: BTreeSet<&str> = matching.map(|(_, row)| row["action"].as_str().unwrap()).collect();
    let both = ["allow-stateless", "drop"];
    assert!(actions.is_empty() || actions == both.into(), "a gate is both: {actions:?}");
    !actions.is_empty()
}

struct Expression<'t>(Vec<&'t str>);

impl<'t> Expression<'t> {
    fn of(text: &'t str) -> Self {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "._:/[]\"-".contains(c);
        let mut words = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '&' | '|' | '=' | '!' => 2,
                c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                _ => 1,
            };
            words.push(&rest[..length]);
            rest = rest[length..].trim_start();
        }
        words.reverse();
        Self(words)
    }

    fn holds(mut self, packet: &Packet) -> bool {
        let holds = self.chain(packet);
        assert!(self.0.is_empty(), "not understood: {:?}", self.0);
        holds
    }

    /// Terms of one operator; OVN wants parentheses where both kinds meet.
    fn chain(&mut self, packet: &Packet) -> bool {
        let mut holds = self.term(packet);
        let mut operator = None;
        while let Some(word @ ("&&" | "||")) = self.0.last().copied() {
            assert_eq!(*operator.get_or_insert(word), word, "&& and || must be parenthesized");
            self.0.pop();
            let term = self.term(packet);
            holds = if word == "&&" { holds && term } else { holds || term };
        }
        holds
    }

    fn term(&mut self, packet: &Packet) -> bool {
        let word = self.0.pop().unwrap();
        match word {
            "(" => {
                let holds = self.chain(packet);
                assert_eq!(self.0.pop(), Some(")"));
                holds
            }
            "ip.is_frag" => packet.is_fragment,
            field => {
                let operator = self.0.pop().unwrap();
                let values = self.values();
                let equal = values.iter().any(|value| is(field, value, packet));
                match operator {
                    "==" => equal,
                    "!=" => !equal,
                    other => panic!("{other}"),
                }
            }
        }
    }

    fn values(&mut self) -> Vec<&'t str> {
        let first = self.0.pop().unwrap();
        if first != "{" {
            return vec![first];
        }
        let mut values = Vec::new();
        loop {
            values.push(self.0.pop().unwrap());
            match self.0.pop().unwrap() {
                "," => {}
                "}" => return values,
                other => panic!("{other}"),
            }
        }
    }
}

fn is(field: &str, value: &str, packet: &Packet) -> bool {
    let network = || value.parse::<IpNet>().unwrap_or_else(|_| value.parse::<IpAddr>().unwrap().into());
    let port =
        |protocol| packet.protocol == protocol && !packet.is_fragment && value.parse() == Ok(packet.port);
    match field {
        "ip4.dst" => packet.to.is_ipv4() && network().contains(&packet.to),
        "ip6.dst" => packet.to.is_ipv6() && network().contains(&packet.to),
        "ip4.src" => packet.from.is_ipv4() && network().contains(&packet.from),
        "ip6.src" => packet.from.is_ipv6() && network().contains(&packet.from),
        "tcp.dst" => port(Protocol::Tcp),
        "udp.dst" => port(Protocol::Udp),
        "sctp.dst" => port(Protocol::Sctp),
        "eth.src" => value.parse() == Ok(packet.eth_src),
        // A pod's port, or the wire's.
        "inport" => false,
        "pkt.mark[26]" => value == if packet.mark & MARK == 0 { "0" } else { "1" },
        other => panic!("{other} is no field that we know"),
    }
}
