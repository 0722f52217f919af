//! The addresses of a pool that nobody has: gaps in order, so that the first is found, and any taken or put back, in
//! O(log n).

use std::collections::BTreeMap;

/// Where an address stands in its pool: in which entry of `spec.addresses`, and its number. The order of places is the
/// order in which addresses are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub entry: usize,
    pub number: u128,
}

/// Gaps that neither overlap nor touch: the first place of each, and the number that is its last.
#[derive(Clone, Debug, Default)]
pub(super) struct Free(BTreeMap<Place, u128>);

impl Free {
    /// A gap that no other one overlaps or touches.
    pub fn add(&mut self, entry: usize, first: u128, last: u128) {
        self.0.insert(Place { entry, number: first }, last);
    }

    /// The place that is given first.
    pub fn first(&self) -> Option<Place> {
        self.0.keys().next().copied()
    }

    /// Takes a place out; whether it was in.
    pub fn take(&mut self, place: Place) -> bool {
        let Some((first, last)) = self.0.range(..=place).next_back().map(|(first, last)| (*first, *last))
        else {
            return false;
        };
        if first.entry != place.entry || last < place.number {
            return false;
        }
        self.0.remove(&first);
        if first.number < place.number {
            self.0.insert(first, place.number - 1);
        }
        if place.number < last {
            self.0.insert(Place { number: place.number + 1, ..place }, last);
        }
        true
    }

    /// Puts a place back, and joins the gaps that it touches.
    pub fn put(&mut self, place: Place) {
        let (mut first, mut last) = (place, place.number);
        if let Some((before, end)) = self.0.range(..=place).next_back().map(|(before, end)| (*before, *end))
            && before.entry == place.entry
        {
            if end >= place.number {
                return;
            }
            if end + 1 == place.number {
                first = before;
            }
        }
        if let Some(after) = place.number.checked_add(1).map(|number| Place { number, ..place })
            && let Some(end) = self.0.remove(&after)
        {
            last = end;
        }
        self.0.insert(first, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn gaps_do_what_a_set_does(steps in prop::collection::vec((any::<bool>(), 0..2usize, 0..16u128), 0..60)) {
            let (mut free, mut set) = (Free::default(), BTreeSet::new());
            for entry in 0..2 {
                free.add(entry, 0, 15);
                set.extend((0..16).map(|number| Place { entry, number }));
            }
            for (takes, entry, number) in steps {
                let place = Place { entry, number };
                if takes {
                    prop_assert_eq!(free.take(place), set.remove(&place));
                } else {
                    free.put(place);
                    set.insert(place);
                }
                prop_assert_eq!(free.first(), set.first().copied());
                let spread = free.0.iter().flat_map(|(first, last)| {
                    (first.number..=*last).map(|number| Place { number, ..*first })
                });
                prop_assert!(spread.eq(set.iter().copied()));
            }
        }
    }

    #[test]
    fn the_last_address_of_all_is_no_edge_case() {
        let mut free = Free::default();
        free.add(0, u128::MAX - 1, u128::MAX);
        let last = Place { entry: 0, number: u128::MAX };
        assert!(free.take(last) && !free.take(last));
        free.put(last);
        assert_eq!(free.0.len(), 1);
    }
}
