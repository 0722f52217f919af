//! Which pool, and which of its addresses, a Service without any gets: MetalLB's order, with what may not be given passed
//! over.

use std::net::IpAddr;
use std::sync::Arc;

use super::allocator::{Allocator, Around};
use super::ground::holder;
use super::want::{Want, same};
use super::why::{Blocked, Passed, Tried, Why};
use crate::model::{Family, RangeSet};

/// Addresses, and the pool that they are of.
pub(super) type Choice = (Vec<IpAddr>, Arc<str>);

/// One address of each family, as far as a pool has them.
type Pair = [Option<IpAddr>; 2];

impl Allocator {
    /// What a Service that has nothing is to get.
    pub(super) fn choose(&mut self, around: Around<'_>, want: &Want<'_>) -> Result<Choice, Why> {
        if let Some(why) = want.fault() {
            return Err(why);
        }
        let wanted = want.service.request.pool.clone();
        if let Some(asked) = want.asked()? {
            return self.choose_asked(around, want, asked, wanted);
        }
        if let Some(name) = wanted {
            return self.choose_from(around, want, name);
        }
        let (pinned, open) = self.candidates(want);
        for pools in [pinned, open] {
            if let Some(choice) = self.first_that_fits(around, want, &pools) {
                return Ok(choice);
            }
        }
        Err(Why::NothingFits(self.tried(want)))
    }

    fn choose_asked(
        &self,
        around: Around<'_>,
        want: &Want<'_>,
        asked: &[IpAddr],
        wanted: Option<Arc<str>>,
    ) -> Result<Choice, Why> {
        let families = want.service.request.families.clone();
        // Who asks by number asks for all of it: one family of two is not what was asked.
        if !want.takes_families_of(asked) || asked.len() != families.len() {
            return Err(Why::OtherFamilies { asked: asked.to_vec(), families });
        }
        let pool = self.permits(want, asked)?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != pool) {
            return Err(Why::OtherPool { pool, asked: wanted });
        }
        for address in asked {
            if let Some(blocked) = self.blocked(around, *address) {
                return Err(Why::Blocked(*address, blocked));
            }
        }
        Ok((asked.to_vec(), pool))
    }

    fn choose_from(&mut self, around: Around<'_>, want: &Want<'_>, name: Arc<str>) -> Result<Choice, Why> {
        let Some(pool) = self.pools.get(&name) else {
            return Err(match self.pools.broken(&name) {
                Some(fault) => Why::BrokenPool { pool: name, fault: fault.clone() },
                None => Why::NoSuchPool(name),
            });
        };
        if !pool.is_for(want.service) {
            return Err(Why::PoolNotForIt(name));
        }
        let pair = self.pair(around, want, &name);
        match select(want, pair) {
            Some(addresses) => Ok((addresses, name)),
            None => {
                let tried = self.full(&name, want).map(|passed| Tried { pool: name, passed });
                Err(Why::NothingFits(tried.into_iter().collect()))
            }
        }
    }

    /// The pools that are for this Service above others, in order; and those that are for all.
    fn candidates(&self, want: &Want<'_>) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let auto = || self.pools.all().filter(|pool| pool.config.giving.auto_assign);
        let is_pinned = |pool: &&super::pool::Pool| pool.config.giving.allocation.is_some();
        let mut pinned: Vec<_> = auto().filter(is_pinned).filter(|pool| pool.is_for(want.service)).collect();
        pinned.sort_by_key(|pool| pool.rank());
        let open = auto().filter(|pool| !is_pinned(pool)).map(|pool| pool.name().clone());
        (pinned.into_iter().map(|pool| pool.name().clone()).collect(), open.collect())
    }

    /// The first pool that has all that is wanted; where one family will do, else the first that has the first one.
    fn first_that_fits(&mut self, around: Around<'_>, want: &Want<'_>, pools: &[Arc<str>]) -> Option<Choice> {
        let (mut first, mut second) = (None, None);
        let order = if want.service.request.prefers_v6 { [1, 0] } else { [0, 1] };
        for name in pools {
            let pair = self.pair(around, want, name);
            let Some(addresses) = select(want, pair) else { continue };
            if !want.is_dual() || addresses.len() == 2 {
                return Some((addresses, name.clone()));
            }
            let kept = if pair[order[0]].is_some() { &mut first } else { &mut second };
            kept.get_or_insert((addresses, name.clone()));
        }
        first.or(second)
    }

    /// Another address beside the one that it has, of the family that it lacks and of the same pool.
    pub(super) fn choose_other(
        &mut self,
        around: Around<'_>,
        want: &Want<'_>,
        has: IpAddr,
    ) -> Option<IpAddr> {
        let name = self.pools.holding(has)?.name().clone();
        let other = if Family::of(has) == Family::V4 { Family::V6 } else { Family::V4 };
        self.candidate(around, want, &name, other)
    }

    fn pair(&mut self, around: Around<'_>, want: &Want<'_>, name: &Arc<str>) -> Pair {
        [Family::V4, Family::V6].map(|family| {
            let wanted = want.service.request.families.contains(&family);
            wanted.then(|| self.candidate(around, want, name, family)).flatten()
        })
    }

    /// The first address of a pool that the Service may have: one that nobody has, or one that it may share. What turns
    /// out to be somebody's is set aside.
    fn candidate(
        &mut self,
        around: Around<'_>,
        want: &Want<'_>,
        name: &Arc<str>,
        family: Family,
    ) -> Option<IpAddr> {
        let free = loop {
            let found = self.pools.get_mut(name)?.first_free(family);
            let Some((place, address)) = found else { break None };
            match self.holder_of(around, address) {
                Some(blocked) => self.set_aside(address, blocked),
                None => break Some((place, address)),
            }
        };
        if let Some(key) = want.key.shared() {
            let (uses, scope, strangers) = (&self.uses, &self.scope, &self.strangers);
            let ground = &self.ground;
            let fits = |address| uses.fits(address, &want.ports);
            let is_open = |address| {
                let holder = || holder(around.world, around.network, address, |service| scope.takes(service));
                !strangers.contains_key(&address) && ground.why(address).is_none() && holder().is_none()
            };
            let limit = free.map(|(place, _)| place);
            let pool = self.pools.get_mut(name)?;
            if let Some(shared) = pool.first_shared(family, (key, &want.ports), limit, (fits, is_open)) {
                return Some(shared);
            }
        }
        free.map(|(_, address)| address)
    }

    /// Why nothing was given: pool by pool.
    fn tried(&self, want: &Want<'_>) -> Vec<Tried> {
        let mut tried = Vec::new();
        for pool in self.pools.all() {
            let passed = if !pool.is_for(want.service) {
                Some(Passed::NotForIt)
            } else if !pool.config.giving.auto_assign {
                Some(Passed::NotAuto)
            } else {
                self.full(pool.name(), want)
            };
            tried.extend(passed.map(|passed| Tried { pool: pool.name().clone(), passed }));
        }
        let broken = self.pools.faults().iter().filter(|(name, _)| self.pools.get(name).is_none());
        tried.extend(
            broken.map(|(name, fault)| Tried { pool: name.clone(), passed: Passed::Broken(fault.clone()) }),
        );
        tried
    }

    /// What is in the way in a pool that gave nothing: of the first family that it lacks.
    fn full(&self, name: &str, want: &Want<'_>) -> Option<Passed> {
        let pool = self.pools.get(name)?;
        let of = |set: RangeSet, family| -> RangeSet {
            set.ranges().filter(|range| Family::of(range.first()) == family).collect()
        };
        let ranges: RangeSet = pool.config.ranges.iter().copied().collect();
        let mut lacks = want.service.request.families.iter().map(|family| {
            let ranges = of(ranges.clone(), *family);
            if ranges.is_empty() {
                return (true, Passed::NoFamily(*family));
            }
            let mut blocked: Vec<(RangeSet, Blocked)> = self.ground.closed(&ranges).collect();
            let aside = self.aside.iter().filter(|(address, _)| ranges.contains(**address));
            blocked
                .extend(aside.map(|(address, why)| (RangeSet::from_iter([*address]), why.clone())).take(3));
            let is_full = pool.is_full(*family);
            (is_full, Passed::Full { family: *family, in_use: pool.in_use(*family), blocked })
        });
        let all: Vec<_> = lacks.by_ref().collect();
        let full = all.iter().find(|(is_full, _)| *is_full).or(all.first());
        full.map(|(_, passed)| passed.clone())
    }
}

/// What of a pool's addresses a Service takes; none where that is not enough.
fn select(want: &Want<'_>, [v4, v6]: Pair) -> Option<Vec<IpAddr>> {
    let found: Vec<IpAddr> = [v4, v6].into_iter().flatten().collect();
    let enough = found.len() == want.service.request.families.len() || want.prefers_dual();
    (!found.is_empty() && enough).then_some(found)
}

/// Whether it has what it asks for by number, if it asks.
pub(super) fn is_as_asked(asked: Option<&[IpAddr]>, addresses: &[IpAddr]) -> bool {
    asked.is_none_or(|asked| same(asked, addresses))
}
