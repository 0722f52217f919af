//! Which rules a segment needs, and why.
//!
//! A frame for a VIP that comes in from the NIC, addressed to the MAC that this node answers with, gets the MAC that OVN
//! expects and goes to the patch port of the subnet; without a rule it would end in the node's own stack.

use std::collections::BTreeSet;

use super::{Action, COOKIE, Flow, Match, PRIORITY, TAGGED_PRIORITY, Traffic};
use crate::model::{Mac, SegmentPlan};

/// What a rule needs to know of the bridge. Port numbers change when a port is made anew: look them up each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgePorts {
    /// `ofport` of the NIC.
    pub nic: u32,
    /// `ofport` of the patch port.
    pub patch: u32,
    /// The MAC that the speaker answers with.
    pub mac: Mac,
}

/// The rules of one segment; a bridge with several segments needs all of theirs together.
///
/// `dl_dst` is our own MAC, so that a node that only receives a flooded frame leaves it alone: two nodes that both
/// translate one connection reset it. The tag is matched where the segment has one, so that the same address on another
/// VLAN of the trunk is not ours. One rule per VIP lets "packet too big" through: without it path MTU discovery dies.
pub fn flows_for(segment: &SegmentPlan, ports: &BridgePorts) -> BTreeSet<Flow> {
    let BridgePorts { nic, patch, mac } = *ports;
    let actions = [Action::SetEthDst(segment.steering_mac), Action::Output(patch)];
    let flows = segment.steered.iter().flat_map(|(&vip, steered)| {
        let ports = steered.ports.iter().map(|&(protocol, port)| Traffic::Port(protocol, port));
        let path_mtu = (!steered.ports.is_empty()).then_some(Traffic::PathMtu);
        ports.chain(path_mtu).map(move |traffic| Flow {
            cookie: COOKIE,
            priority: if segment.vlan.is_some() { TAGGED_PRIORITY } else { PRIORITY },
            matches: Match { in_port: nic, eth_dst: mac, vlan: segment.vlan, destination: vip, traffic },
            actions: actions.to_vec(),
        })
    });
    flows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Protocol, Steered, VlanId};

    fn segment(vlan: Option<u16>) -> SegmentPlan {
        let steered = |ports: &[(Protocol, u16)]| Steered {
            ports: ports.iter().copied().collect(),
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
            announced: [].into(),
            handed_over: BTreeSet::new(),
            successors: [].into(),
            taken_over: BTreeSet::new(),
        }
    }

    fn texts(vlan: Option<u16>) -> Vec<String> {
        let ports = BridgePorts { nic: 1, patch: 2, mac: Mac([0x0a, 0, 0, 0, 0, 1]) };
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
        assert!(tagged.iter().all(|text| text.starts_with("priority=10003,")), "{tagged:?}");
    }

    #[test]
    fn a_vip_without_ports_gets_no_rule() {
        assert!(!texts(None).iter().any(|text| text.contains("10.180.204.253")));
    }
}
