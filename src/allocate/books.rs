//! What of the world closes addresses, or opens them again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::allocator::{Allocator, Around};
use super::ground::{Ground, holder};
use super::want::Want;
use super::why::{Blocked, Why};
use crate::model::{Mac, ServiceKey, World};

/// How long an address is left alone that a stranger answered for.
pub(super) const SET_ASIDE: Duration = Duration::from_secs(600);

impl Allocator {
    pub(super) fn look_at_the_ground(
        &mut self,
        world: &World,
        is_dirty: bool,
        services: &mut BTreeSet<ServiceKey>,
    ) -> bool {
        if self.started && !is_dirty {
            return false;
        }
        self.ground = Ground::of(world);
        let aside = self.aside.keys().copied().collect();
        if !self.pools.settle(world, &self.ground, &self.uses, &aside) && self.started {
            return false;
        }
        self.started = true;
        services.extend(world.services().map(|service| service.key.clone()));
        true
    }

    /// What was set aside and is nobody's any more.
    pub(super) fn look_at_the_books(&mut self, around: Around<'_>, is_dirty: bool) -> bool {
        let before = self.strangers.len();
        self.strangers.retain(|_, (_, until)| *until > around.now);
        if !is_dirty && before == self.strangers.len() {
            return false;
        }
        // Who asks for an address by number is told of it, and nothing is set aside.
        let mut freed = self.refused.values().any(|why| matches!(why, Why::Blocked(..)));
        for (address, why) in std::mem::take(&mut self.aside) {
            match self.holder_of(around, address) {
                Some(holder) => drop(self.aside.insert(address, holder)),
                None => {
                    freed = true;
                    if self.uses.of(address).next().is_none()
                        && let Some(pool) = self.pools.holding_mut(address)
                    {
                        pool.put_back(address);
                    }
                    drop(why);
                }
            }
        }
        freed
    }

    /// Strangers that were found by who was about to answer for an address for the first time.
    pub(super) fn look_at_the_wire(&mut self, world: &World, now: Duration) -> bool {
        let mut freed = false;
        let found = world.reports().flat_map(|report| report.segments.values());
        let found: BTreeMap<IpAddr, Mac> = found.flat_map(|segment| segment.strangers.clone()).collect();
        let is_over = |why: &Why| matches!(why, Why::Stranger(address, _) if !found.contains_key(address));
        let over = self.refused.iter().filter(|(_, why)| is_over(why)).map(|(key, _)| key.clone());
        for key in over.collect::<Vec<_>>() {
            self.refused.remove(&key);
            self.changed.insert(key);
        }
        for (address, mac) in found {
            let was_served = world.holders_of(address).any(|report| {
                let mut segments = report.segments.values();
                segments.any(|it| it.held.contains_key(&address) || it.left.contains_key(&address))
            });
            if was_served {
                continue;
            }
            let holders: Vec<ServiceKey> = self.uses.of(address).cloned().collect();
            for service in holders {
                let asks = world.service(&service).is_some_and(|found| Want::of(found).asked() != Ok(None));
                let why = Why::Stranger(address, mac);
                if asks {
                    // Another address is not what was asked for.
                    self.refuse(&service, why);
                    continue;
                }
                self.strangers.insert(address, (mac, now + SET_ASIDE));
                self.set_aside(address, Blocked::Stranger(mac));
                self.take_back(&service, why);
                freed = true;
            }
        }
        freed
    }

    /// Who has a free address, by what is looked up for each.
    pub(super) fn holder_of(&self, around: Around<'_>, address: IpAddr) -> Option<Blocked> {
        let stranger = self.strangers.get(&address).map(|(mac, _)| Blocked::Stranger(*mac));
        let is_ours = |service: &crate::model::Service| self.scope.takes(service);
        stranger.or_else(|| holder(around.world, around.network, address, is_ours))
    }

    /// Why nobody may have an address.
    pub(super) fn blocked(&self, around: Around<'_>, address: IpAddr) -> Option<Blocked> {
        self.ground.why(address).cloned().or_else(|| self.holder_of(around, address))
    }

    /// A free address that turned out to be somebody's.
    pub(super) fn set_aside(&mut self, address: IpAddr, why: Blocked) {
        if let Some(pool) = self.pools.holding_mut(address) {
            pool.take(address);
        }
        self.aside.insert(address, why);
    }
}
