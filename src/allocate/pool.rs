//! One pool in force: which of its addresses may be given, which nobody has, and which Services may share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use super::free::{Free, Place};
use super::uses::{Key, PortKey};
use crate::model::{AddressPool, Family, Namespace, RangeSet, Service, number_of};

/// A pool in force.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub config: AddressPool,
    /// The namespaces that its selectors name; none where it has no word on namespaces.
    pub namespaces: Option<BTreeSet<Arc<str>>>,
    /// What of it may be given at all.
    pub usable: RangeSet,
    /// The entries by their first address: their last one, and which they are.
    entries: BTreeMap<(Family, u128), (u128, usize)>,
    free: BTreeMap<Family, Free>,
    groups: BTreeMap<(Family, Key), Group>,
    in_use: BTreeMap<Family, usize>,
}

/// The addresses of one sharing key.
#[derive(Clone, Debug, Default)]
struct Group {
    places: BTreeSet<Place>,
    /// Up to this place every address has one of these ports in use: nobody looks there again until one is given back.
    full_to: BTreeMap<Vec<PortKey>, Place>,
}

impl Pool {
    /// With all of `usable` free.
    pub fn new(config: AddressPool, namespaces: Option<BTreeSet<Arc<str>>>, usable: RangeSet) -> Self {
        let mut pool = Self {
            config,
            namespaces,
            usable,
            entries: BTreeMap::new(),
            free: BTreeMap::new(),
            groups: BTreeMap::new(),
            in_use: BTreeMap::new(),
        };
        for (entry, range) in pool.config.ranges.iter().enumerate() {
            let family = Family::of(range.first());
            pool.entries.insert((family, number_of(range.first())), (number_of(range.last()), entry));
            let part = RangeSet::from_iter([*range]).intersection(&pool.usable);
            let free = pool.free.entry(family).or_default();
            for gap in part.ranges() {
                free.add(entry, number_of(gap.first()), number_of(gap.last()));
            }
        }
        pool
    }

    pub fn name(&self) -> &Arc<str> {
        &self.config.key.name
    }

    /// Where an address stands in it.
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        let (family, number) = (Family::of(address), number_of(address));
        let ((of, _), (last, entry)) = self.entries.range(..=(family, number)).next_back()?;
        (*of == family && number <= *last).then_some(Place { entry: *entry, number })
    }

    /// Whether MetalLB would call the address one of this pool's: an address that confuses old firmware is none.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.place(address).is_some() && !(self.config.avoid_buggy_ips && is_buggy(address))
    }

    /// Whether the Service may have addresses of it.
    pub fn is_for(&self, service: &Service) -> bool {
        let Some(allocation) = &self.config.giving.allocation else { return true };
        let of_namespace = self.namespaces.as_ref().is_none_or(|all| all.contains(&service.key.namespace));
        let selectors = &allocation.service_selectors;
        let selected = selectors.iter().any(|selector| selector.matches(&service.labels));
        of_namespace && (selectors.is_empty() || selected)
    }

    /// The order among pools that are for some Services only: by priority, those without one last; then by name.
    pub fn rank(&self) -> (bool, i64, Arc<str>) {
        let priority = self.config.giving.allocation.as_ref().map_or(0, |allocation| allocation.priority);
        (priority <= 0, priority, self.name().clone())
    }

    /// Somebody has the address. Of Services that may share it: the key.
    pub fn hold(&mut self, address: IpAddr, key: Option<&Key>) {
        let Some(place) = self.place(address) else { return };
        let family = Family::of(address);
        *self.in_use.entry(family).or_default() += 1;
        self.take(address);
        if let Some(key) = key {
            let group = self.groups.entry((family, key.clone())).or_default();
            group.places.insert(place);
            group.full_to.retain(|_, full_to| *full_to < place);
        }
    }

    /// Nobody has it any more.
    pub fn release(&mut self, address: IpAddr, key: Option<&Key>, free: bool) {
        let Some(place) = self.place(address) else { return };
        let family = Family::of(address);
        if let Some(count) = self.in_use.get_mut(&family) {
            *count = count.saturating_sub(1);
        }
        if let Some(key) = key
            && let Some(group) = self.groups.get_mut(&(family, key.clone()))
        {
            group.places.remove(&place);
            if group.places.is_empty() {
                self.groups.remove(&(family, key.clone()));
            }
        }
        if free {
            self.put_back(address);
        }
    }

    /// A port of an address that is shared was given back.
    pub fn eased(&mut self, address: IpAddr, key: &Key) {
        if let Some(group) = self.groups.get_mut(&(Family::of(address), key.clone())) {
            group.full_to.clear();
        }
    }

    /// An address that nobody may have for now.
    pub fn take(&mut self, address: IpAddr) {
        let Some(place) = self.place(address) else { return };
        if let Some(free) = self.free.get_mut(&Family::of(address)) {
            free.take(place);
        }
    }

    /// An address that may be given again.
    pub fn put_back(&mut self, address: IpAddr) {
        let Some(place) = self.place(address).filter(|_| self.usable.contains(address)) else { return };
        self.free.entry(Family::of(address)).or_default().put(place);
    }

    /// The first address that nobody has. What confuses old firmware is passed over for good, where that is asked for.
    pub fn first_free(&mut self, family: Family) -> Option<(Place, IpAddr)> {
        let free = self.free.get_mut(&family)?;
        loop {
            let place = free.first()?;
            let address = family.address(place.number)?;
            if !(self.config.avoid_buggy_ips && is_buggy(address)) {
                return Some((place, address));
            }
            free.take(place);
        }
    }

    /// The first address of a sharing key, before `limit`, whose ports are free (`fits`) and that may be given (`is_open`);
    /// O(1) for a Service with the ports of one that was here before.
    pub fn first_shared(
        &mut self,
        family: Family,
        (key, ports): (&Key, &[PortKey]),
        limit: Option<Place>,
        (fits, is_open): (impl Fn(IpAddr) -> bool, impl Fn(IpAddr) -> bool),
    ) -> Option<IpAddr> {
        let group = self.groups.get_mut(&(family, key.clone()))?;
        let from = group.full_to.get(ports).copied();
        let after = from.map_or(Bound::Unbounded, Bound::Excluded);
        let mut full_to = from;
        let (mut found, mut is_full_so_far) = (None, true);
        for place in group.places.range((after, Bound::Unbounded)) {
            if limit.is_some_and(|limit| *place > limit) {
                break;
            }
            match family.address(place.number).filter(|address| fits(*address)) {
                Some(address) if is_open(address) => {
                    found = Some(address);
                    break;
                }
                // It may be open another time.
                Some(_) => is_full_so_far = false,
                None if is_full_so_far => full_to = Some(*place),
                None => {}
            }
        }
        if let Some(full_to) = full_to {
            group.full_to.insert(ports.to_vec(), full_to);
        }
        found
    }

    /// Whether nobody can get another one of its own.
    pub fn is_full(&self, family: Family) -> bool {
        self.free.get(&family).is_none_or(|free| free.first().is_none())
    }

    /// How many of its addresses Services have.
    pub fn in_use(&self, family: Family) -> u64 {
        self.in_use.get(&family).copied().unwrap_or(0) as u64
    }

    /// How many addresses of a family may be given, those in use among them; as MetalLB does, 2^63 - 1 where there are more
    /// than 2^62.
    pub fn capacity(&self, family: Family) -> u64 {
        let ranges = || self.usable.ranges().filter(|range| Family::of(range.first()) == family);
        let all: RangeSet = ranges().collect();
        let count = all.count();
        if count >= 1 << 62 {
            return i64::MAX as u64;
        }
        let buggy = if self.config.avoid_buggy_ips && family == Family::V4 {
            ranges().map(|range| buggy_in(number_of(range.first()), number_of(range.last()))).sum()
        } else {
            0
        };
        (count - buggy) as u64
    }
}

/// The namespaces that a pool is for, where it names any.
pub(super) fn namespaces_of<'w>(
    config: &AddressPool,
    all: impl Iterator<Item = &'w Namespace>,
) -> Option<BTreeSet<Arc<str>>> {
    let allocation = config.giving.allocation.as_ref().filter(|found| found.is_of_namespaces())?;
    let selectors = &allocation.namespace_selectors;
    let selected = all.filter(|found| selectors.iter().any(|selector| selector.matches(&found.labels)));
    let mut namespaces = allocation.namespaces.clone();
    namespaces.extend(selected.map(|found| found.name.clone()));
    Some(namespaces)
}

/// An IPv4 address that ends in 0 or 255.
pub(super) fn is_buggy(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if matches!(address.octets()[3], 0 | 255))
}

/// How many numbers from `first` to `last` end in 0 or 255.
fn buggy_in(first: u128, last: u128) -> u128 {
    let up_to = |number: u128| number / 256 * 2 + 1 + u128::from(number % 256 == 255);
    up_to(last) - first.checked_sub(1).map_or(0, up_to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_confuse_old_firmware_are_counted_without_looking_at_each() {
        for (first, last) in [(0, 0), (0, 255), (1, 254), (255, 256), (0, 1024), (300, 300), (3, 2000)] {
            let counted = (first..=last).filter(|number| matches!(number % 256, 0 | 255)).count();
            assert_eq!(buggy_in(first, last), counted as u128, "{first} {last}");
        }
    }
}
