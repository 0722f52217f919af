//! Whether what OVN does with a VIP is what is wanted of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::super::wire::Translation;
use super::{Delivered, Delivery, LOSS_GRACE, PORT_GRACE};
use crate::model::SubnetName;

/// OVN's number for a logical switch.
type Metadata = Option<u64>;

/// What it takes for a VIP of a subnet to be delivered here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How many of its ports this node serves.
    pub ports: usize,
    /// The addresses of this node's backends.
    pub local: BTreeSet<IpAddr>,
    /// The addresses of other nodes' backends.
    pub elsewhere: BTreeSet<IpAddr>,
}

impl Wish {
    /// How many of these translations of frames for the VIP lead to this node's backends and to no other.
    fn count(&self, translations: &[BTreeSet<IpAddr>]) -> usize {
        let is_local = |targets: &&BTreeSet<IpAddr>| {
            !targets.is_disjoint(&self.local) && targets.is_disjoint(&self.elsewhere)
        };
        translations.iter().filter(is_local).count()
    }
}

impl Delivery {
    /// Compares what was found of a VIP with what is wanted of it. Whether that is news.
    pub(super) fn judge(
        &mut self,
        now: Duration,
        vip: IpAddr,
        translations: &[Translation],
        groups: &BTreeMap<u32, BTreeSet<IpAddr>>,
    ) -> bool {
        let Some(wishes) = self.wanted.get(&vip) else { return false };
        let delivered = self.delivered.entry(vip).or_default();
        let in_vain = self.in_vain.entry(vip).or_default();
        let needed = |subnet: &SubnetName, wish: &Wish| {
            let waited = in_vain.get(subnet).is_some_and(|since| now >= *since + PORT_GRACE);
            match delivered.get(subnet) {
                Some(found) => wish.ports.min(found.ports),
                None if waited => 1,
                None => wish.ports,
            }
        };
        let some = met(wishes, |_, _| 1, translations, groups);
        let met = met(wishes, needed, translations, groups);
        let mut news = false;
        for (subnet, wish) in wishes {
            if let Some(ports) = met.get(subnet).copied() {
                in_vain.remove(subnet);
                let found = Delivered { local: wish.local.clone(), ports, partly: false };
                news |= delivered.insert(subnet.clone(), found).is_none_or(|before| before.partly);
                continue;
            }
            let since = *in_vain.entry(subnet.clone()).or_insert(now);
            if now < since + LOSS_GRACE {
                continue;
            }
            match delivered.get_mut(subnet) {
                Some(found) if some.contains_key(subnet) => {
                    news |= !std::mem::replace(&mut found.partly, true)
                }
                Some(_) => {
                    delivered.remove(subnet);
                    in_vain.insert(subnet.clone(), now);
                    news = true;
                }
                None => {}
            }
        }
        self.delivered.retain(|_, delivered| !delivered.is_empty());
        self.in_vain.retain(|_, subnets| !subnets.is_empty());
        news
    }
}

/// The subnets of one VIP whose wishes these translations meet, each with how many ports do. `needed`: how many must.
pub(super) fn met<'w>(
    wishes: &'w BTreeMap<SubnetName, Wish>,
    needed: impl Fn(&SubnetName, &Wish) -> usize,
    translations: &[Translation],
    groups: &BTreeMap<u32, BTreeSet<IpAddr>>,
) -> BTreeMap<&'w SubnetName, usize> {
    let mut switches: BTreeMap<Metadata, Vec<BTreeSet<IpAddr>>> = BTreeMap::new();
    for translation in translations {
        switches.entry(translation.metadata).or_default().push(all_targets(translation, groups));
    }
    let meeting = |subnet: &SubnetName, wish: &Wish| -> BTreeMap<Metadata, usize> {
        let needed = needed(subnet, wish);
        let counts = switches.iter().map(|(metadata, targets)| (*metadata, wish.count(targets)));
        counts.filter(|(_, count)| *count >= needed).collect()
    };
    let candidates: Vec<_> = wishes.iter().map(|(subnet, wish)| (subnet, meeting(subnet, wish))).collect();
    let is_subset = |some: &BTreeMap<Metadata, usize>, of: &BTreeMap<Metadata, usize>| {
        !some.is_empty() && some.keys().all(|metadata| of.contains_key(metadata))
    };
    let is_met = |of: &BTreeMap<Metadata, usize>| {
        let rivals = candidates.iter().filter(|(_, other)| is_subset(other, of));
        !of.is_empty() && rivals.count() <= of.len()
    };
    let met = candidates.iter().filter(|(_, of)| is_met(of));
    met.map(|(subnet, of)| (*subnet, of.values().copied().max().unwrap_or_default())).collect()
}

fn all_targets(translation: &Translation, groups: &BTreeMap<u32, BTreeSet<IpAddr>>) -> BTreeSet<IpAddr> {
    let of_groups = translation.groups.iter().filter_map(|number| groups.get(number)).flatten();
    translation.targets.iter().chain(of_groups).copied().collect()
}
