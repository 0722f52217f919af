//! The steps in the northbound: rows, and what ties the switch to the wire.

use std::collections::BTreeSet;

use super::ovn::Difference;
use super::steps::{Mark, Step, Way, Wrong, wrong};
use crate::plan::Stage;

impl Way<'_> {
    pub(super) fn northbound_step(&self) -> Step {
        if let Some(Wrong { is, cure }) = self.facts.fault {
            return wrong(Stage::Northbound, is.clone(), cure.clone());
        }
        let Some(differences) = self.facts.differences else {
            let words = "not looked at: --ovn-nb says where the northbound is".to_owned();
            return self.step(Stage::Northbound, Mark::Unknown, vec![words]);
        };
        let ours = differences.get(&self.service.key).into_iter().flatten();
        let is_its = |difference: &&Difference| {
            difference.vips.is_empty() || self.vip.is_some_and(|vip| difference.vips.contains(&vip))
        };
        let ours: Vec<&Difference> = ours.filter(is_its).collect();
        if ours.is_empty() {
            return self.step(Stage::Northbound, Mark::Right, vec![self.row_words()]);
        }
        let cure = "look again in 10 s, for what Kube-OVN let go of is held back that long at the most; does ovn-vip-controller run, lead, and reach the northbound? Its log and `ovn-vip plan` tell more";
        let mut step = wrong(Stage::Northbound, "it is not as it should be".to_owned(), cure.to_owned());
        step.says.extend(ours.iter().map(|difference| difference.words.clone()));
        if !ours.iter().any(|difference| difference.darkens) {
            step.mark = Mark::Doubtful;
        }
        step
    }

    pub(super) fn localnet_step(&self) -> Step {
        let network = self.facts.reconciler.network();
        let switch = self.subnet.and_then(|subnet| network.switches.get(&subnet.name));
        match switch.filter(|_| self.facts.differences.is_some()) {
            None => {
                let words = "not looked at: --ovn-nb says where the northbound is";
                self.step(Stage::Localnet, Mark::Unknown, vec![words.to_owned()])
            }
            Some(switch) if switch.wires.is_empty() => {
                let cure = "kube-ovn-controller makes one for an underlay Subnet: does it run, and what does its log say?";
                wrong(Stage::Localnet, "the Subnet's switch has no localnet port".to_owned(), cure.to_owned())
            }
            Some(_) => {
                let words = "the localnet port has the Vlan's tag, and frames are steered to the switch's router port";
                self.step(Stage::Localnet, Mark::Right, vec![words.to_owned()])
            }
        }
    }

    fn row_words(&self) -> String {
        let desired = self.facts.reconciler.desired();
        let rows = self.backends.keys().map(|(protocol, _)| *protocol).collect::<BTreeSet<_>>();
        let names = rows.into_iter().filter_map(|protocol| {
            let row = self.facts.reconciler.owner().load_balancer(&self.service.key, protocol);
            desired.load_balancers.get(&row).map(|row| row.name.clone())
        });
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            return "no row of ours is to be there for this VIP, and none is".to_owned();
        }
        format!("Load_Balancer {}, in the group of the Subnet's switch", names.join(" and "))
    }
}
