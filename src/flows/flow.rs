//! A rule of ours: what it matches, what it does, and its text as `ovs-ofctl` prints it.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::action::{Action, PORT_LOCAL};
use crate::model::{ETHERTYPE_BEAT, Family, MARK_BIT, Mac, Protocol, VlanId};

/// The cookie of every flow of ours: `ovn-vip` in ASCII and a byte that [`COOKIE_MASK`] leaves free.
/// kube-ovn-cni throws away whatever carries its own cookies, 0x1000 and 0x1001, and carries the rest over.
pub const COOKIE: u64 = 0x6f76_6e2d_7669_7000;

/// Which bits of a cookie say that a flow is ours.
pub const COOKIE_MASK: u64 = 0xffff_ffff_ffff_ff00;

/// Above kube-ovn-cni's own rule for the same VIP (10000), and not 10001: every flow of that priority is deleted when
/// kube-ovn-cni starts (`ClearU2OFlows`).
pub const PRIORITY: u16 = 10002;

/// The same where the rule matches a VLAN tag: one without takes the frames of every VLAN, and comes after.
pub const TAGGED_PRIORITY: u16 = PRIORITY + 2;

/// How much a rule for some clients comes before the one that drops the others.
pub const ADMITTED: u16 = 1;

/// The packet mark of what a rule of ours lets in for a VIP that is not open to everybody: from the wire OVN's switch
/// takes nothing else for it.
pub const MARK: u32 = 1 << MARK_BIT;

/// One rule, without the table (0), timeouts (none) and flags (none) that all of ours have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// `cookie` (OpenFlow 1.4 §7.3.4.1).
    pub cookie: u64,
    /// `priority`; the higher wins.
    pub priority: u16,
    /// What it applies to. Together with the priority it identifies a flow: a table has only one of the same.
    pub matches: Match,
    /// What it does, in order (`OFPIT_APPLY_ACTIONS`).
    pub actions: Vec<Action>,
}

/// Which frames; every field as plain as kube-ovn-cni's parser (go-openvswitch) needs it (ovs-fields(7)).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// Frames for a VIP.
    Vip(VipMatch),
    /// The speakers' own frames.
    Beat(BeatMatch),
}

/// The speakers' own frames, of the EtherType [`ETHERTYPE_BEAT`](crate::model::ETHERTYPE_BEAT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BeatMatch {
    /// `in_port`.
    pub in_port: u32,
    /// `dl_vlan`: this tag; `None` matches frames with any tag and without one.
    pub vlan: Option<VlanId>,
}

/// Frames for a VIP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VipMatch {
    /// `in_port`.
    pub in_port: u32,
    /// `dl_dst`: exactly this destination MAC.
    pub eth_dst: Mac,
    /// `dl_vlan`: this tag; `None` matches frames with any tag and without one.
    pub vlan: Option<VlanId>,
    /// `nw_dst` or `ipv6_dst`.
    pub destination: IpAddr,
    /// `nw_src` or `ipv6_src`, of the same family: these clients only.
    pub source: Option<IpNet>,
    /// Which of the packets for that address.
    pub traffic: Traffic,
}

/// Which of the packets for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Traffic {
    /// To a port: `tcp,tp_dst=80`.
    Port(Protocol, u16),
    /// Path MTU discovery: ICMP Destination Unreachable (RFC 792, type 3; code 4 of it is "fragmentation needed") or
    /// ICMPv6 Packet Too Big (RFC 4443 §3.2, type 2).
    PathMtu,
    /// An echo request, of code 0 (RFC 792, type 8; RFC 4443 §4.1, type 128): what `ping` sends.
    Echo,
}

impl Traffic {
    /// The type and code of an ICMP message (RFC 792, RFC 4443), where it is one; no code stands for every one.
    pub fn icmp(self, family: Family) -> Option<(u8, Option<u8>)> {
        match (self, family) {
            (Traffic::Port(..), _) => None,
            (Traffic::PathMtu, Family::V4) => Some((3, None)),
            (Traffic::PathMtu, Family::V6) => Some((2, None)),
            (Traffic::Echo, Family::V4) => Some((8, Some(0))),
            (Traffic::Echo, Family::V6) => Some((128, Some(0))),
        }
    }

    /// What of ICMP we match, by its type.
    pub fn of_icmp_type(family: Family, number: u8) -> Option<Traffic> {
        let is_it = |traffic: &Traffic| traffic.icmp(family).is_some_and(|(own, _)| own == number);
        [Traffic::PathMtu, Traffic::Echo].into_iter().find(is_it)
    }
}

/// The text of `ovs-ofctl --no-stats dump-flows`, without the cookie.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Flow { cookie: _, priority, matches, actions } = self;
        write!(f, "priority={priority},{matches} actions=")?;
        if actions.is_empty() {
            return f.write_str("drop");
        }
        for (index, action) in actions.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{action}")?;
        }
        Ok(())
    }
}

impl Match {
    /// Where it is about a VIP, the whole of it.
    pub fn vip(&self) -> Option<&VipMatch> {
        match self {
            Match::Vip(vip) => Some(vip),
            Match::Beat(_) => None,
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Vip(vip) => vip.fmt(f),
            Match::Beat(beat) => beat.fmt(f),
        }
    }
}

impl fmt::Display for BeatMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BeatMatch { in_port, vlan } = self;
        write!(f, "in_port={}", PortName(*in_port))?;
        if let Some(vlan) = vlan {
            write!(f, ",dl_vlan={vlan}")?;
        }
        write!(f, ",dl_type={ETHERTYPE_BEAT:#x}")
    }
}

impl fmt::Display for VipMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VipMatch { in_port, eth_dst, vlan, destination, source, traffic } = self;
        let (family, address) = if destination.is_ipv4() { ("", "nw") } else { ("6", "ipv6") };
        match traffic {
            Traffic::Port(protocol, _) => write!(f, "{protocol}{family}")?,
            Traffic::PathMtu | Traffic::Echo => write!(f, "icmp{family}")?,
        }
        write!(f, ",in_port={}", PortName(*in_port))?;
        if let Some(vlan) = vlan {
            write!(f, ",dl_vlan={vlan}")?;
        }
        write!(f, ",dl_dst={eth_dst}")?;
        match source {
            Some(source) if source.prefix_len() == source.max_prefix_len() => {
                write!(f, ",{address}_src={}", source.addr())?;
            }
            Some(source) => write!(f, ",{address}_src={source}")?,
            None => {}
        }
        write!(f, ",{address}_dst={destination}")?;
        if let Traffic::Port(_, port) = traffic {
            write!(f, ",tp_dst={port}")?;
        }
        let Some((number, code)) = traffic.icmp(Family::of(*destination)) else { return Ok(()) };
        write!(f, ",icmp_type={number}")?;
        code.map_or(Ok(()), |code| write!(f, ",icmp_code={code}"))
    }
}

struct PortName(u32);

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            PORT_LOCAL => f.write_str("LOCAL"),
            port => write!(f, "{port}"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::flows::Field;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    pub(in crate::flows) fn flow(destination: &str, traffic: Traffic) -> Flow {
        Flow {
            cookie: COOKIE,
            priority: PRIORITY,
            matches: Match::Vip(VipMatch {
                in_port: 1,
                eth_dst: Mac([0x0a, 0, 0, 0, 0, 1]),
                vlan: None,
                destination: destination.parse().unwrap(),
                source: None,
                traffic,
            }),
            actions: vec![Action::SetEthDst(Mac([0, 0, 0, 1, 0, 1])), Action::Output(2)],
        }
    }

    /// What a flow for a VIP matches.
    pub(in crate::flows) fn vip(flow: &mut Flow) -> &mut VipMatch {
        match &mut flow.matches {
            Match::Vip(vip) => vip,
            Match::Beat(_) => panic!("it is for no VIP"),
        }
    }

    fn net(from: impl Into<IpAddr>, length: u8) -> Option<IpNet> {
        IpNet::new(from.into(), length).ok().map(|network| network.trunc())
    }

    pub(in crate::flows) fn any_flow() -> impl Strategy<Value = Flow> {
        let traffic = prop_oneof![
            (0..3usize, any::<u16>()).prop_map(|(i, port)| Traffic::Port(Protocol::ALL[i], port)),
            Just(Traffic::PathMtu),
            Just(Traffic::Echo),
        ];
        let any_field = || (0..Field::ALL.len()).prop_map(|at| Field::ALL[at]);
        let moved =
            (any_field(), any_field()).prop_filter("of one length", |(from, to)| from.bits() == to.bits());
        let action = prop_oneof![
            any::<[u8; 6]>().prop_map(|b| Action::SetEthDst(Mac(b))),
            any::<[u8; 6]>().prop_map(|b| Action::SetEthSrc(Mac(b))),
            any::<u32>().prop_map(Action::SetMark),
            any::<u8>().prop_map(Action::SetTtl),
            any::<u8>().prop_map(|number| Action::SetIcmpType(Family::V4, number)),
            any::<u8>().prop_map(|number| Action::SetIcmpType(Family::V6, number)),
            moved.prop_map(|(from, to)| Action::Move(from, to)),
            any::<u32>().prop_map(Action::Output)
        ];
        let addresses = prop_oneof![
            (any::<Ipv4Addr>(), any::<Ipv4Addr>(), 1..=32u8)
                .prop_map(|(to, from, length)| (to.into(), net(from, length))),
            (any::<Ipv6Addr>(), any::<Ipv6Addr>(), 1..=128u8)
                .prop_map(|(to, from, length)| (to.into(), net(from, length))),
        ];
        let matches = (any::<u32>(), any::<[u8; 6]>(), 0..4095u16, addresses, any::<bool>(), traffic)
            .prop_map(|(in_port, mac, vlan, (destination, source), is_for_all, traffic)| {
                Match::Vip(VipMatch {
                    in_port,
                    eth_dst: Mac(mac),
                    vlan: VlanId::new(vlan),
                    destination,
                    source: source.filter(|_| !is_for_all),
                    traffic,
                })
            });
        let beats = (any::<u32>(), 0..4095u16)
            .prop_map(|(in_port, vlan)| Match::Beat(BeatMatch { in_port, vlan: VlanId::new(vlan) }));
        let matches = prop_oneof![4 => matches, 1 => beats];
        (any::<u8>(), any::<u16>(), matches, prop::collection::vec(action, 0..4)).prop_map(
            |(low, priority, matches, actions)| Flow {
                cookie: COOKIE | u64::from(low),
                priority,
                matches,
                actions,
            },
        )
    }

    #[test]
    fn a_flow_reads_as_ovs_ofctl_prints_it() {
        let tagged = {
            let mut flow = flow("10.180.204.252", Traffic::Port(Protocol::Tcp, 80));
            vip(&mut flow).vlan = VlanId::new(341);
            flow
        };
        let admitted = |destination: &str, source: &str| {
            let mut flow = flow(destination, Traffic::Port(Protocol::Tcp, 80));
            vip(&mut flow).source = source.parse().ok();
            flow.actions.insert(0, Action::SetMark(MARK));
            flow
        };
        for (flow, text) in [
            (
                admitted("10.180.204.252", "10.0.0.0/8"),
                "priority=10002,tcp,in_port=1,dl_dst=0a:00:00:00:00:01,nw_src=10.0.0.0/8,nw_dst=10.180.204.252,tp_dst=80 \
                 actions=load:0x4000000->NXM_NX_PKT_MARK[],mod_dl_dst:00:00:00:01:00:01,output:2",
            ),
            (
                admitted("fd00:180:204::252", "fd00:2::10/128"),
                "priority=10002,tcp6,in_port=1,dl_dst=0a:00:00:00:00:01,ipv6_src=fd00:2::10,ipv6_dst=fd00:180:204::252,tp_dst=80 \
                 actions=load:0x4000000->NXM_NX_PKT_MARK[],mod_dl_dst:00:00:00:01:00:01,output:2",
            ),
            (
                tagged,
                "priority=10002,tcp,in_port=1,dl_vlan=341,dl_dst=0a:00:00:00:00:01,nw_dst=10.180.204.252,tp_dst=80 \
                 actions=mod_dl_dst:00:00:00:01:00:01,output:2",
            ),
            (
                flow("fd00:180:204::252", Traffic::Port(Protocol::Sctp, 80)),
                "priority=10002,sctp6,in_port=1,dl_dst=0a:00:00:00:00:01,ipv6_dst=fd00:180:204::252,tp_dst=80 \
                 actions=mod_dl_dst:00:00:00:01:00:01,output:2",
            ),
            (
                flow("10.180.204.252", Traffic::PathMtu),
                "priority=10002,icmp,in_port=1,dl_dst=0a:00:00:00:00:01,nw_dst=10.180.204.252,icmp_type=3 \
                 actions=mod_dl_dst:00:00:00:01:00:01,output:2",
            ),
            (
                flow("fd00:180:204::252", Traffic::PathMtu),
                "priority=10002,icmp6,in_port=1,dl_dst=0a:00:00:00:00:01,ipv6_dst=fd00:180:204::252,icmp_type=2 \
                 actions=mod_dl_dst:00:00:00:01:00:01,output:2",
            ),
        ] {
            assert_eq!(flow.to_string(), text);
        }
    }

    #[test]
    fn the_local_port_and_no_action_have_names_of_their_own() {
        let mut flow = flow("10.0.0.9", Traffic::PathMtu);
        vip(&mut flow).in_port = PORT_LOCAL;
        flow.actions.clear();
        assert_eq!(
            flow.to_string(),
            "priority=10002,icmp,in_port=LOCAL,dl_dst=0a:00:00:00:00:01,nw_dst=10.0.0.9,icmp_type=3 actions=drop"
        );
        assert_eq!(Action::Output(PORT_LOCAL).to_string(), "LOCAL");
    }

    #[test]
    fn the_cookie_and_priority_keep_out_of_kube_ovns_way() {
        const { assert!(PRIORITY > 10001, "its own rule for the VIP has 10000, and 10001 is deleted") };
        for theirs in [0, 0x1000, 0x1001] {
            assert_ne!(theirs & COOKIE_MASK, COOKIE);
        }
        assert_eq!(COOKIE & COOKIE_MASK, COOKIE);
    }
}
