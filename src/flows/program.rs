//! Which rules a segment needs, and why.
//!
//! A frame for a VIP that comes in from the NIC, addressed to the MAC that this node answers with, gets the MAC that OVN
//! expects and goes to the patch port of the subnet; without a rule it would end in the node's own stack.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    ADMITTED, Action, BeatMatch, COOKIE, Field, Flow, MARK, Match, PORT_IN, PRIORITY, TAGGED_PRIORITY,
    Traffic, VipMatch,
};
use crate::model::{Family, Mac, SegmentPlan, Sources, Steered};

/// Of an echo reply: it starts anew, however far the request has come.
const TTL: u8 = 64;

/// What a rule needs to know of the bridge. Port numbers change when a port is made anew: look them up each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgePorts {
    /// `ofport` of the NIC.
    pub nic: u32,
    /// `ofport` of the patch port.
    pub patch: u32,
    /// Of the port that the speaker sits on: the bridge's own, or an access port.
    pub own: u32,
    /// The MAC that the speaker answers with.
    pub mac: Mac,
}

/// The rules of one segment; a bridge with several segments needs all of theirs together.
///
/// `dl_dst` is our own MAC, so that a node that only receives a flooded frame leaves it alone: two nodes that both
/// translate one connection reset it. The tag is matched where the segment has one, so that the same address on another
/// VLAN of the trunk is not ours. One rule per VIP lets "packet too big" through: without it path MTU discovery dies.
///
/// A port that is not open to everybody has a rule for each network that is let in, and below them one that drops the
/// rest: it would else fall to a rule of Kube-OVN's, or to the node's stack.
pub fn flows_for(segment: &SegmentPlan, ports: &BridgePorts) -> BTreeSet<Flow> {
    let flows = segment.steered.iter().flat_map(|(&vip, steered)| {
        let program = Program { segment, ports, vip, steered };
        let steer = program.steer();
        let path_mtu =
            (!steered.ports.is_empty()).then(|| program.flow(Traffic::PathMtu, None, steer.clone()));
        let of_ports = steered.ports.iter().flat_map(move |(&(protocol, port), sources)| {
            program.for_clients(Traffic::Port(protocol, port), sources, &steer)
        });
        of_ports.chain(path_mtu)
    });
    flows.collect()
}

/// The rules that answer echo requests to these VIPs, for those that are steered: what this node speaks for.
///
/// The request itself becomes the reply, and leaves by the port that it came from, with the tag that it came with. Only
/// clients that a Service with this VIP lets in are answered. Fragments are not: Open vSwitch shows none of them its type.
pub fn answer_flows(
    segment: &SegmentPlan,
    ports: &BridgePorts,
    spoken: impl IntoIterator<Item = IpAddr>,
) -> BTreeSet<Flow> {
    let flows = spoken.into_iter().flat_map(|vip| {
        let steered = segment.steered.get(&vip).filter(|steered| !steered.ports.is_empty());
        steered.into_iter().flat_map(move |steered| {
            let program = Program { segment, ports, vip, steered };
            let sources = Sources::union(steered.ports.values(), Family::of(vip));
            program.for_clients(Traffic::Echo, &sources, &program.answer())
        })
    });
    flows.collect()
}

/// The rules that keep the speakers' own frames on the wire: between the NIC and the port that the speaker sits on, and away
/// from every pod, which neither hears nor sends any.
pub fn beat_flows(segment: &SegmentPlan, ports: &BridgePorts) -> [Flow; 3] {
    let BridgePorts { nic, patch, own, mac: _ } = *ports;
    let flow = |in_port, vlan, actions| Flow {
        cookie: COOKIE,
        priority: if segment.vlan.is_some() { TAGGED_PRIORITY } else { PRIORITY },
        matches: Match::Beat(BeatMatch { in_port, vlan }),
        actions,
    };
    [
        flow(own, segment.vlan, vec![Action::Output(nic)]),
        flow(nic, segment.vlan, vec![Action::Output(own)]),
        flow(patch, None, Vec::new()),
    ]
}

/// One VIP's part.
#[derive(Clone, Copy)]
struct Program<'p> {
    segment: &'p SegmentPlan,
    ports: &'p BridgePorts,
    vip: IpAddr,
    steered: &'p Steered,
}

impl Program<'_> {
    /// For those who are let in, and nothing for the others.
    fn for_clients(self, traffic: Traffic, sources: &Sources, actions: &[Action]) -> Vec<Flow> {
        let Sources::Only(networks) = sources else {
            return vec![self.flow(traffic, None, actions.to_vec())];
        };
        let admitted = networks.iter().map(|network| self.flow(traffic, Some(*network), actions.to_vec()));
        admitted.chain([self.flow(traffic, None, Vec::new())]).collect()
    }

    /// Into OVN, marked where OVN takes nothing else.
    fn steer(self) -> Vec<Action> {
        let mark = self.steered.gated.then_some(Action::SetMark(MARK));
        let steer = [Action::SetEthDst(self.segment.steering_mac), Action::Output(self.ports.patch)];
        mark.into_iter().chain(steer).collect()
    }

    /// Back, as the echo reply to itself (RFC 792, type 0; RFC 4443 §4.2, type 129). The addresses are moved, not
    /// written: kube-ovn-cni writes a value of more than 64 bits anew in two halves.
    fn answer(self) -> Vec<Action> {
        let family = Family::of(self.vip);
        let (source, destination, scratch) =
            (Field::IpSrc(family), Field::IpDst(family), Field::Scratch(family));
        let reply = if family == Family::V4 { 0 } else { 129 };
        vec![
            Action::Move(Field::EthSrc, Field::EthDst),
            Action::SetEthSrc(self.ports.mac),
            Action::Move(source, scratch),
            Action::Move(destination, source),
            Action::Move(scratch, destination),
            Action::SetIcmpType(family, reply),
            Action::SetTtl(TTL),
            Action::Output(PORT_IN),
        ]
    }

    fn flow(self, traffic: Traffic, source: Option<IpNet>, actions: Vec<Action>) -> Flow {
        let Self { segment, ports: BridgePorts { nic, patch: _, own: _, mac }, vip, steered: _ } = self;
        let lowest = if segment.vlan.is_some() { TAGGED_PRIORITY } else { PRIORITY };
        Flow {
            cookie: COOKIE,
            priority: if source.is_some() { lowest + ADMITTED } else { lowest },
            matches: Match::Vip(VipMatch {
                in_port: *nic,
                eth_dst: *mac,
                vlan: segment.vlan,
                destination: vip,
                source,
                traffic,
            }),
            actions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::PORT_LOCAL;
    use crate::model::{Protocol, VlanId};
    use std::collections::BTreeMap;

    fn segment(vlan: Option<u16>) -> SegmentPlan {
        let steered = |ports: &[(Protocol, u16)]| Steered {
            ports: ports.iter().map(|port| (*port, Sources::Everybody)).collect(),
            ..Steered::default()
        };
        SegmentPlan {
            bridge: "br-provider".into(),
            nic: "eth1".into(),
            vlan: vlan.and_then(VlanId::new),
            patch_port: "patch-localnet.underlay-to-br-int".into(),
            steering_mac: Mac([0, 0, 0, 1, 0, 1]),
            steered: [
                ("10.180.204.252", steered(&[(Protocol::Tcp, 80), (Protocol::Udp, 53)])),
                ("fd00:180:204::252", steered(&[(Protocol::Sctp, 3868)])),
                ("10.180.204.253", steered(&[])),
            ]
            .map(|(vip, steered)| (vip.parse().unwrap(), steered))
            .into(),
            peers: None,
            beating: [].into(),
            announced: [].into(),
            handed_over: BTreeSet::new(),
            successors: [].into(),
            taken_over: BTreeSet::new(),
        }
    }

    fn texts(vlan: Option<u16>) -> Vec<String> {
        let ports = BridgePorts { nic: 1, patch: 2, own: PORT_LOCAL, mac: Mac([0x0a, 0, 0, 0, 0, 1]) };
        flows_for(&segment(vlan), &ports).iter().map(Flow::to_string).collect()
    }

    #[test]
    fn every_steered_port_has_a_rule_and_every_vip_one_for_path_mtu() {
        let actions = "actions=mod_dl_dst:00:00:00:01:00:01,output:2";
        let wanted = [
            "tcp,in_port=1,dl_dst=0a:00:00:00:00:01,nw_dst=10.180.204.252,tp_dst=80",
            "udp,in_port=1,dl_dst=0a:00:00:00:00:01,nw_dst=10.180.204.252,tp_dst=53",
            "icmp,in_port=1,dl_dst=0a:00:00:00:00:01,nw_dst=10.180.204.252,icmp_type=3",
            "sctp6,in_port=1,dl_dst=0a:00:00:00:00:01,ipv6_dst=fd00:180:204::252,tp_dst=3868",
            "icmp6,in_port=1,dl_dst=0a:00:00:00:00:01,ipv6_dst=fd00:180:204::252,icmp_type=2",
        ];
        assert_eq!(texts(None), wanted.map(|matches| format!("priority=10002,{matches} {actions}")));
    }

    #[test]
    fn a_tagged_segment_takes_its_own_tag_only() {
        let tagged = texts(Some(341));
        assert_eq!(tagged.len(), 5);
        assert!(tagged.iter().all(|text| text.contains(",dl_vlan=341,")));
        // And before the same VIP's rule of an untagged segment, which would take its frames as well.
        assert!(tagged.iter().all(|text| text.starts_with("priority=10004,")), "{tagged:?}");
    }

    #[test]
    fn a_port_that_is_not_open_admits_its_networks_and_drops_the_rest_and_all_that_ovn_is_to_take_bears_the_mark()
     {
        let sources = |texts: &[&str]| Sources::only(texts.iter().map(|text| text.parse().unwrap()));
        let mut segment = segment(Some(341));
        segment.steered = BTreeMap::from([(
            "10.180.204.252".parse().unwrap(),
            Steered {
                ports: [
                    ((Protocol::Tcp, 80), sources(&["192.0.2.0/24", "10.180.204.100/32"])),
                    ((Protocol::Tcp, 81), sources(&[])),
                    ((Protocol::Udp, 53), Sources::Everybody),
                ]
                .into(),
                gated: true,
                ..Steered::default()
            },
        )]);
        let ports = BridgePorts { nic: 1, patch: 2, own: PORT_LOCAL, mac: Mac([0x0a, 0, 0, 0, 0, 1]) };
        let found: Vec<String> = flows_for(&segment, &ports).iter().map(Flow::to_string).collect();
        let to = "in_port=1,dl_vlan=341,dl_dst=0a:00:00:00:00:01";
        let steer = "actions=load:0x4000000->NXM_NX_PKT_MARK[],mod_dl_dst:00:00:00:01:00:01,output:2";
        let wanted = [
            format!("priority=10004,tcp,{to},nw_dst=10.180.204.252,tp_dst=80 actions=drop"),
            format!("priority=10004,tcp,{to},nw_dst=10.180.204.252,tp_dst=81 actions=drop"),
            format!("priority=10004,udp,{to},nw_dst=10.180.204.252,tp_dst=53 {steer}"),
            format!("priority=10004,icmp,{to},nw_dst=10.180.204.252,icmp_type=3 {steer}"),
            format!("priority=10005,tcp,{to},nw_src=10.180.204.100,nw_dst=10.180.204.252,tp_dst=80 {steer}"),
            format!("priority=10005,tcp,{to},nw_src=192.0.2.0/24,nw_dst=10.180.204.252,tp_dst=80 {steer}"),
        ];
        assert_eq!(found, wanted);
    }

    fn answers(segment: &SegmentPlan, vips: &[&str]) -> Vec<String> {
        let ports = BridgePorts { nic: 1, patch: 2, own: PORT_LOCAL, mac: Mac([0x0a, 0, 0, 0, 0, 1]) };
        let vips = vips.iter().map(|vip| vip.parse().unwrap());
        answer_flows(segment, &ports, vips).iter().map(Flow::to_string).collect()
    }

    #[test]
    fn an_echo_request_to_what_is_spoken_for_goes_back_as_the_reply() {
        let found = answers(
            &segment(None),
            &["10.180.204.252", "fd00:180:204::252", "10.180.204.253", "10.180.204.9"],
        );
        let to = "in_port=1,dl_dst=0a:00:00:00:00:01";
        let mac = "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],mod_dl_src:0a:00:00:00:00:01";
        let wanted = [
            format!(
                "priority=10002,icmp,{to},nw_dst=10.180.204.252,icmp_type=8,icmp_code=0 actions={mac},\
                 move:NXM_OF_IP_SRC[]->NXM_NX_REG0[],move:NXM_OF_IP_DST[]->NXM_OF_IP_SRC[],\
                 move:NXM_NX_REG0[]->NXM_OF_IP_DST[],load:0->NXM_OF_ICMP_TYPE[],load:0x40->NXM_NX_IP_TTL[],IN_PORT"
            ),
            format!(
                "priority=10002,icmp6,{to},ipv6_dst=fd00:180:204::252,icmp_type=128,icmp_code=0 actions={mac},\
                 move:NXM_NX_IPV6_SRC[]->NXM_NX_XXREG0[],move:NXM_NX_IPV6_DST[]->NXM_NX_IPV6_SRC[],\
                 move:NXM_NX_XXREG0[]->NXM_NX_IPV6_DST[],load:0x81->NXM_NX_ICMPV6_TYPE[],\
                 load:0x40->NXM_NX_IP_TTL[],IN_PORT"
            ),
        ];
        assert_eq!(found, wanted, "and nothing for a VIP without ports, or one that is not steered");
        let tagged = answers(&segment(Some(341)), &["10.180.204.252"]);
        assert!(tagged[0].starts_with("priority=10004,icmp,in_port=1,dl_vlan=341,dl_dst="), "{tagged:?}");
    }

    #[test]
    fn whoever_a_service_of_the_vip_lets_in_is_answered_and_nobody_else() {
        let sources = |texts: &[&str]| Sources::only(texts.iter().map(|text| text.parse().unwrap()));
        let found = |all: &[Sources]| {
            let mut segment = segment(None);
            let ports = (80..).zip(all).map(|(port, sources)| ((Protocol::Tcp, port), sources.clone()));
            let steered = Steered { ports: ports.collect(), gated: true, ..Steered::default() };
            segment.steered = BTreeMap::from([("10.0.0.9".parse().unwrap(), steered)]);
            let found = answers(&segment, &["10.0.0.9"]);
            let short = |text: String| {
                let (matches, actions) = text.split_once(" actions=").unwrap();
                let source = matches.split(',').find(|field| field.starts_with("nw_src=")).unwrap_or("all");
                format!("{} {source} {}", &matches[9..14], actions.rsplit(',').next().unwrap())
            };
            found.into_iter().map(short).collect::<Vec<_>>()
        };
        let (some, other) = (sources(&["192.0.2.0/24"]), sources(&["10.0.0.100/32"]));
        let closed = "10002 all drop";
        assert_eq!(found(std::slice::from_ref(&some)), [closed, "10003 nw_src=192.0.2.0/24 IN_PORT"]);
        assert_eq!(
            found(&[some.clone(), other]),
            [closed, "10003 nw_src=10.0.0.100 IN_PORT", "10003 nw_src=192.0.2.0/24 IN_PORT"]
        );
        assert_eq!(found(&[some, Sources::Everybody]), ["10002 all IN_PORT"]);
        assert_eq!(found(&[sources(&[])]), [closed]);
    }

    #[test]
    fn a_vip_without_ports_gets_no_rule() {
        assert!(!texts(None).iter().any(|text| text.contains("10.180.204.253")));
    }

    #[test]
    fn beats_go_between_the_nic_and_the_speaker_and_never_to_a_pod() {
        let ports = BridgePorts { nic: 1, patch: 2, own: PORT_LOCAL, mac: Mac([0x0a, 0, 0, 0, 0, 1]) };
        let texts = |vlan| beat_flows(&segment(vlan), &ports).map(|flow| flow.to_string());
        let untagged = [
            "priority=10002,in_port=LOCAL,dl_type=0x88b5 actions=output:1",
            "priority=10002,in_port=1,dl_type=0x88b5 actions=LOCAL",
            "priority=10002,in_port=2,dl_type=0x88b5 actions=drop",
        ];
        assert_eq!(texts(None), untagged);
        let tagged = [
            "priority=10004,in_port=LOCAL,dl_vlan=341,dl_type=0x88b5 actions=output:1",
            "priority=10004,in_port=1,dl_vlan=341,dl_type=0x88b5 actions=LOCAL",
            "priority=10004,in_port=2,dl_type=0x88b5 actions=drop",
        ];
        assert_eq!(texts(Some(341)), tagged);
    }
}
