//! Which rules a segment needs, and why.
//!
//! A frame for a VIP that comes in from the NIC, addressed to the MAC that this node answers with, gets the MAC that OVN
//! expects and goes to the patch port of the subnet; without a rule it would end in the node's own stack.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    ADMITTED, Action, BeatMatch, COOKIE, Flow, MARK, Match, PRIORITY, TAGGED_PRIORITY, Traffic, VipMatch,
};
use crate::model::{Mac, SegmentPlan, Sources, Steered};

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
        let path_mtu = (!steered.ports.is_empty()).then(|| program.admit(Traffic::PathMtu, None));
        let of_ports = steered.ports.iter().flat_map(move |(&(protocol, port), sources)| {
            program.of_port(Traffic::Port(protocol, port), sources)
        });
        of_ports.chain(path_mtu)
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
    fn of_port(self, traffic: Traffic, sources: &Sources) -> Vec<Flow> {
        let Sources::Only(networks) = sources else { return vec![self.admit(traffic, None)] };
        let admitted = networks.iter().map(|network| self.admit(traffic, Some(*network)));
        admitted.chain([self.flow(traffic, None, Vec::new())]).collect()
    }

    /// Steers into OVN, marked where OVN takes nothing else.
    fn admit(self, traffic: Traffic, source: Option<IpNet>) -> Flow {
        let mark = self.steered.gated.then_some(Action::SetMark(MARK));
        let steer = [Action::SetEthDst(self.segment.steering_mac), Action::Output(self.ports.patch)];
        self.flow(traffic, source, mark.into_iter().chain(steer).collect())
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
