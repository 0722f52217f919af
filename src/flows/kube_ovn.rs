//! Kube-OVN's own rules on the bridge: which of ours they make needless.
//!
//! kube-ovn-cni (1.14 and newer) steers each port of a VIP by a rule of its own, below ours in priority. Where that rule
//! does exactly what is wanted, ours is left to it. A rule of Kube-OVN's is never changed and never deleted.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::Wanted;
use super::wire::{AnyMac, Found};
use super::{Action, Flow, Traffic, VipMatch};

/// The cookies of its rules, 0x1000 for IPv4 and 0x1001 for IPv6 (`UnderlaySvcLocalOpenFlowCookieV4` and `V6` in its
/// `pkg/util/const.go`), under [`COOKIE_MASK`].
pub(super) const COOKIE: u64 = 0x1000;

/// All but the bit in which its two cookies differ.
pub(super) const COOKIE_MASK: u64 = !1;

/// `UnderlaySvcLocalOpenFlowPriority`.
pub(super) const PRIORITY: u16 = 10000;

/// Those of its rules on a bridge that have the form of a rule for a service port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules(BTreeMap<AnyMac, Vec<Action>>);

impl Rules {
    /// Those of the wanted flows that these rules make needless.
    ///
    /// A rule without a tag catches the frames of every VLAN. So it counts only where it is right for every wanted flow
    /// that it catches: kube-ovn-cni writes the same rule, in turns, for two subnets with the same VIP and port.
    pub(super) fn cover<'a>(&self, wanted: &'a Wanted) -> BTreeSet<&'a Flow> {
        if self.0.is_empty() {
            return BTreeSet::new();
        }
        let mut wrong = BTreeSet::new();
        for flow in wanted.flows() {
            wrong.extend(
                self.catching(flow).filter(|(_, actions)| **actions != flow.actions).map(|(key, _)| key),
            );
        }
        let is_covered = |flow: &&Flow| {
            let mut rules = self.catching(flow).peekable();
            rules.peek().is_some() && rules.all(|(key, _)| !wrong.contains(&key))
        };
        wanted.flows().filter(is_for_everybody).filter(is_covered).collect()
    }

    /// The rules that catch every frame of a wanted flow. Path MTU discovery has none.
    fn catching(&self, flow: &Flow) -> impl Iterator<Item = (AnyMac, &Vec<Action>)> {
        let of_port = flow.matches.vip().filter(|vip| matches!(vip.traffic, Traffic::Port(..)));
        let keys = of_port.into_iter().flat_map(|vip| {
            let VipMatch { in_port, eth_dst: _, vlan, destination, source: _, traffic } = *vip;
            let tags = [None].into_iter().chain(vlan.map(Some));
            tags.map(move |vlan| AnyMac { in_port, vlan, destination, traffic })
        });
        keys.filter_map(|key| self.0.get(&key).map(|actions| (key, actions)))
    }
}

/// A rule of Kube-OVN's lets everybody in and marks nothing: what ours refuses, it never makes needless.
fn is_for_everybody(flow: &&Flow) -> bool {
    flow.matches.vip().is_some_and(|vip| vip.source.is_none()) && !flow.actions.is_empty()
}

impl FromIterator<Found> for Rules {
    /// From what was found under its cookies.
    fn from_iter<T: IntoIterator<Item = Found>>(found: T) -> Self {
        let rule = |found: Found| {
            let Found { table, priority, cookie: _, matches, actions } = found;
            let is_one = table == 0 && priority == PRIORITY;
            // A rule that does something else stands for "wrong", by no action at all.
            is_one.then(|| Some((matches.any_mac()?, actions.unwrap_or_default()))).flatten()
        };
        Self(found.into_iter().filter_map(rule).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::diff::difference;
    use crate::flows::flow::tests::vip;
    use crate::flows::wire::{FlowMod, FoundMatch};
    use crate::flows::{COOKIE as OURS, Match, PRIORITY as OUR_PRIORITY};
    use crate::model::{Mac, Protocol, VlanId};
    use proptest::prelude::*;

    fn actions(number: u8) -> Vec<Action> {
        vec![Action::SetEthDst(Mac([number; 6])), Action::Output(2)]
    }

    /// Of so few that rules and flows meet; `tags` of 1 is a bridge without VLANs.
    fn any_flow(tags: u16) -> impl Strategy<Value = Flow> {
        let traffic = prop_oneof![Just(Traffic::Port(Protocol::Tcp, 80)), Just(Traffic::PathMtu)];
        (1..3u32, 1..3u8, 1..=tags, 1..3u8, traffic, 1..3u8).prop_map(
            move |(in_port, mac, vlan, host, traffic, number)| {
                let vlan = VlanId::new(vlan).filter(|_| tags > 1);
                let matches = Match::Vip(VipMatch {
                    in_port,
                    eth_dst: Mac([mac; 6]),
                    vlan,
                    destination: [10, 0, 0, host].into(),
                    source: None,
                    traffic,
                });
                Flow { cookie: OURS, priority: OUR_PRIORITY, matches, actions: actions(number) }
            },
        )
    }

    fn any_case() -> impl Strategy<Value = (BTreeSet<Flow>, Vec<Flow>, Vec<Flow>)> {
        prop_oneof![Just(1u16), Just(2)].prop_flat_map(|tags| {
            let some = |most| prop::collection::vec(any_flow(tags), 0..most);
            (prop::collection::btree_set(any_flow(tags), 0..8), some(8), some(12))
        })
    }

    fn found(flow: &Flow) -> Found {
        let Flow { cookie, priority, matches, actions } = flow.clone();
        Found { table: 0, priority, cookie, matches: FoundMatch::Known(matches), actions: Some(actions) }
    }

    fn wide(flow: &Flow) -> AnyMac {
        let VipMatch { in_port, eth_dst: _, vlan: _, destination, source: _, traffic } =
            *flow.matches.vip().unwrap();
        AnyMac { in_port, vlan: None, destination, traffic }
    }

    #[test]
    fn what_is_closed_is_left_to_no_rule_of_kube_ovns_whatever_that_does() {
        let open = crate::flows::flow::tests::flow("10.0.0.9", Traffic::Port(Protocol::Tcp, 80));
        let closed = Flow { actions: Vec::new(), ..open.clone() };
        let mut admitted = Flow { priority: OUR_PRIORITY + 1, ..open.clone() };
        vip(&mut admitted).source = "10.0.0.0/8".parse().ok();
        for actions in [Vec::new(), open.actions.clone()] {
            let rules = Rules([(wide(&open), actions)].into());
            let wanted = Wanted::from(BTreeSet::from([closed.clone(), admitted.clone()]));
            assert_eq!(rules.cover(&wanted), BTreeSet::new());
        }
    }

    proptest! {
        #[test]
        fn with_the_difference_to_what_is_not_covered_every_wanted_frame_gets_its_actions(
            (wanted, on_bridge, rules) in any_case(),
        ) {
            let rules = Rules(rules.iter().map(|flow| (wide(flow), flow.actions.clone())).collect());
            let (wanted, on_bridge) = (Wanted::from(wanted), Wanted::from(BTreeSet::from_iter(on_bridge)));
            let covered = rules.cover(&wanted);
            let ours = wanted.flows().filter(|flow| !covered.contains(flow));
            let found: Vec<Found> = on_bridge.flows().map(found).collect();
            let table = on_bridge.flows().map(|flow| (flow.matches.clone(), flow.actions.clone()));
            let mut table: BTreeMap<Match, Vec<Action>> = table.collect();
            for change in difference(ours, &found) {
                match change {
                    FlowMod::Add(flow) => drop(table.insert(flow.matches, flow.actions)),
                    FlowMod::Delete { matches: FoundMatch::Known(matches), .. } => drop(table.remove(&matches)),
                    FlowMod::Delete { .. } => prop_assert!(false, "every match is known"),
                    FlowMod::DeleteAll => table.clear(),
                }
            }
            for flow in wanted.flows() {
                let done = table.get(&flow.matches).or_else(|| rules.0.get(&wide(flow)));
                prop_assert_eq!(done, Some(&flow.actions));
                let needless = rules.0.get(&wide(flow)) == Some(&flow.actions);
                prop_assert!(!(covered.contains(flow) && flow.matches.vip().unwrap().traffic == Traffic::PathMtu));
                prop_assert!(needless || table.contains_key(&flow.matches));
            }
            prop_assert_eq!(table.len() + covered.len(), wanted.flows().count());
        }
    }
}
