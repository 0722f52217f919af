//! The pools in force. A pool that is edited to what cannot be used stays in force as it last was, and it is said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::ground::Ground;
use super::pool::{Pool, namespaces_of};
use super::uses::Uses;
use crate::model::{AddressPool, Family, RangeSet, World, number_of};

/// All pools.
#[derive(Debug, Default)]
pub(super) struct Pools {
    by_name: BTreeMap<Arc<str>, Pool>,
    /// The pool of each range, by its first address.
    at: BTreeMap<(Family, u128), Arc<str>>,
    faults: BTreeMap<Arc<str>, Arc<str>>,
    /// Something cannot be read of which nobody knows what it is: any pool may be there.
    is_blind: bool,
}

impl Pools {
    pub fn get(&self, name: &str) -> Option<&Pool> {
        self.by_name.get(name)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Pool> {
        self.by_name.get_mut(name)
    }

    /// In order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Pool> {
        self.by_name.values()
    }

    /// What is wrong with pools as they stand, by name. One that was good before is in force as it was then.
    pub fn faults(&self) -> &BTreeMap<Arc<str>, Arc<str>> {
        &self.faults
    }

    /// There is a pool of that name, and it never could be used since we look.
    pub fn broken(&self, name: &str) -> Option<&Arc<str>> {
        self.faults.get(name).filter(|_| !self.by_name.contains_key(name))
    }

    /// Whether a pool of that name may be there, and cannot be used: what is of it is not taken back.
    pub fn may_be_broken(&self, name: &str) -> bool {
        !self.by_name.contains_key(name) && (self.is_blind || self.faults.contains_key(name))
    }

    /// The pool that has an address in its ranges.
    pub fn holding(&self, address: IpAddr) -> Option<&Pool> {
        let (_, name) = self.at.range(..=(Family::of(address), number_of(address))).next_back()?;
        self.get(name).filter(|pool| pool.place(address).is_some())
    }

    /// The same, to alter it.
    pub fn holding_mut(&mut self, address: IpAddr) -> Option<&mut Pool> {
        let name = self.holding(address)?.name().clone();
        self.get_mut(&name)
    }

    /// Brings it level with the world; whether anything is different. `uses` are held again, and so is what `is_aside`.
    pub fn settle(&mut self, world: &World, ground: &Ground, uses: &Uses, aside: &BTreeSet<IpAddr>) -> bool {
        let faults_before = self.faults.clone();
        let good = self.accept(world);
        let is_blind = world.gaps().anything;
        let mut altered = faults_before != self.faults || good.len() != self.by_name.len();
        altered |= std::mem::replace(&mut self.is_blind, is_blind) != is_blind;
        let mut rebuilt = BTreeMap::new();
        for (name, config) in good {
            let namespaces = namespaces_of(&config, world.namespaces());
            let usable = ground.usable(&config.ranges.iter().copied().collect());
            let before = self.by_name.remove(&name);
            let stands = before.filter(|before| before.config == config && before.usable == usable);
            let pool = match stands {
                Some(mut pool) => {
                    altered |= pool.namespaces != namespaces;
                    pool.namespaces = namespaces;
                    pool
                }
                None => {
                    altered = true;
                    hold_all(Pool::new(config, namespaces, usable), uses, aside)
                }
            };
            rebuilt.insert(name, pool);
        }
        self.by_name = rebuilt;
        let ranges = self.by_name.values().flat_map(|pool| {
            let firsts = pool.config.ranges.iter().map(|range| range.first());
            firsts.map(|first| ((Family::of(first), number_of(first)), pool.name().clone()))
        });
        self.at = ranges.collect();
        altered
    }

    /// The configurations that are to be in force, and, in `faults`, what is wrong with the others. What is in force and
    /// was not edited comes first, then by name: so a new pool never costs one that is in use.
    fn accept(&mut self, world: &World) -> BTreeMap<Arc<str>, AddressPool> {
        self.faults.clear();
        let mut wanted: BTreeMap<Arc<str>, &AddressPool> = BTreeMap::new();
        for pool in world.pools() {
            if let Some(other) = wanted.get(&pool.key.name) {
                let words = format!("{} has the same name: rename one of them", other.key);
                self.faults.insert(format!("{}", pool.key).into(), words.into());
            } else {
                wanted.insert(pool.key.name.clone(), pool);
            }
        }
        // What cannot be read is not gone.
        for name in world.gaps().pools.iter().filter(|name| !wanted.contains_key(*name)) {
            let words = "nothing of it can be read: correct it; nothing is given from it until then, and what was is kept";
            self.faults.insert(name.clone(), words.into());
        }
        let mut force: BTreeMap<Arc<str>, AddressPool> = BTreeMap::new();
        let known = self.by_name.iter().filter(|(name, _)| wanted.contains_key(*name));
        force.extend(known.map(|(name, pool)| (name.clone(), pool.config.clone())));
        // An edit may need the room that another one gives up.
        let mut open: Vec<&AddressPool> = wanted.into_values().collect();
        open.retain(|pool| force.get(&pool.key.name) != Some(*pool));
        loop {
            let before = open.len();
            open.retain(|pool| {
                let taken = fault(pool).or_else(|| overlap(pool, &force)).is_none();
                if taken {
                    force.insert(pool.key.name.clone(), (*pool).clone());
                }
                !taken
            });
            if open.len() == before {
                break;
            }
        }
        for pool in open {
            let Some(mut words) = fault(pool).or_else(|| overlap(pool, &force)) else { continue };
            if force.contains_key(&pool.key.name) {
                words.push_str("; it stays in force as it was before");
            }
            self.faults.insert(pool.key.name.clone(), words.into());
        }
        force
    }
}

/// What makes a pool useless by itself.
fn fault(pool: &AddressPool) -> Option<String> {
    if !pool.giving.faults.is_empty() {
        return Some(pool.giving.faults.iter().map(|fault| &**fault).collect::<Vec<_>>().join("; "));
    }
    let is_all = |range: &&crate::model::AddressRange| {
        let family = Family::of(range.first());
        let last = if family == Family::V4 { u128::from(u32::MAX) } else { u128::MAX };
        number_of(range.first()) == 0 && number_of(range.last()) == last
    };
    if pool.ranges.iter().any(|range| is_all(&range)) {
        return Some("it has every address that there is: write the CIDR that the VIPs are in".to_owned());
    }
    let mut seen = RangeSet::default();
    for range in &pool.ranges {
        let one = RangeSet::from_iter([*range]);
        if !one.intersection(&seen).is_empty() {
            return Some(format!("{range} of spec.addresses is in it twice: take it out once"));
        }
        seen = seen.union(&one);
    }
    None
}

/// What it has in common with another pool.
fn overlap(pool: &AddressPool, force: &BTreeMap<Arc<str>, AddressPool>) -> Option<String> {
    let set = |pool: &AddressPool| -> RangeSet { pool.ranges.iter().copied().collect() };
    let own = set(pool);
    let others = force.values().filter(|other| other.key.name != pool.key.name);
    for other in others {
        if let Some(range) = own.intersection(&set(other)).ranges().next() {
            return Some(format!("{range} is in IPAddressPool {}, too: take it out of one", other.key));
        }
    }
    None
}

/// A new pool, with what Services have of it and what is set aside taken out.
fn hold_all(mut pool: Pool, uses: &Uses, aside: &BTreeSet<IpAddr>) -> Pool {
    for (address, key) in uses.all() {
        pool.hold(address, key.shared());
    }
    for address in aside {
        pool.take(*address);
    }
    pool
}
