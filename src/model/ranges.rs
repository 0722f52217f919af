//! Sets of addresses as intervals: no range is ever counted through.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{AddressRange, Family, number_of};

/// A set of addresses: intervals in order, that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet(Vec<Span>);

/// An interval, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    family: Family,
    first: u128,
    last: u128,
}

impl RangeSet {
    /// The addresses of these CIDRs that a machine can have: without the network address (IPv6: the routers', RFC
    /// 4291 §2.6.1) and, in IPv4, the broadcast address; of a point-to-point CIDR all (RFC 3021, RFC 6164).
    pub fn usable(cidrs: &[IpNet]) -> Self {
        let spans = cidrs.iter().filter_map(|cidr| {
            let mut span = Span::of(AddressRange::new(cidr.network(), cidr.broadcast())?);
            if cidr.max_prefix_len() - cidr.prefix_len() > 1 {
                span.first += 1;
                span.last -= u128::from(span.family == Family::V4);
            }
            Some(span)
        });
        spans.collect()
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (family, number) = (Family::of(address), number_of(address));
        let after = self.0.partition_point(|span| (span.family, span.first) <= (family, number));
        let span = after.checked_sub(1).and_then(|before| self.0.get(before));
        span.is_some_and(|span| span.family == family && number <= span.last)
    }

    /// Its intervals, in order.
    pub fn ranges(&self) -> impl Iterator<Item = AddressRange> {
        self.0.iter().filter_map(|span| span.range())
    }

    /// How many addresses; as many as can be counted, where there are more.
    pub fn count(&self) -> u128 {
        let counts = self.0.iter().map(|span| (span.last - span.first).saturating_add(1));
        counts.fold(0, u128::saturating_add)
    }

    /// What is in both.
    pub fn intersection(&self, other: &Self) -> Self {
        let both = self.0.iter().flat_map(|a| other.0.iter().filter_map(|b| a.intersection(*b)));
        both.collect()
    }

    /// What is in this one only.
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for span in &self.0 {
            let mut rest = Some(*span);
            for hole in other.0.iter().filter_map(|hole| span.intersection(*hole)) {
                let Some(open) = rest else { break };
                if open.first < hole.first {
                    left.push(Span { last: hole.first - 1, ..open });
                }
                rest = (hole.last < open.last).then(|| Span { first: hole.last + 1, ..open });
            }
            left.extend(rest);
        }
        Self(left)
    }

    /// What is in one or the other.
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }
}

impl FromIterator<Span> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut spans: Vec<Span> = spans.into_iter().collect();
        spans.sort_unstable();
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if last.meets(span) => last.last = last.last.max(span.last),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }
}

impl FromIterator<AddressRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = AddressRange>>(ranges: I) -> Self {
        ranges.into_iter().map(Span::of).collect()
    }
}

impl FromIterator<IpAddr> for RangeSet {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        addresses.into_iter().filter_map(|address| AddressRange::new(address, address)).collect()
    }
}

impl Span {
    fn of(range: AddressRange) -> Self {
        let (first, last) = (range.first(), range.last());
        Self { family: Family::of(first), first: number_of(first), last: number_of(last) }
    }

    fn range(self) -> Option<AddressRange> {
        AddressRange::new(self.family.address(self.first)?, self.family.address(self.last)?)
    }

    fn intersection(self, other: Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (self.family == other.family && first <= last).then_some(Self { family: self.family, first, last })
    }

    /// Whether `next`, which begins no earlier, overlaps with this one or follows at once.
    fn meets(self, next: Self) -> bool {
        self.family == next.family && next.first <= self.last.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(text: &str) -> RangeSet {
        let range = |text: &str| {
            let (first, last) = text.split_once("..").unwrap_or((text, text));
            AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
        };
        text.split_whitespace().map(range).collect()
    }

    fn text(set: &RangeSet) -> String {
        set.ranges().map(|range| range.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ranges_that_overlap_or_touch_become_one_and_families_stay_apart() {
        assert_eq!(
            text(&set("10.0.0.3 10.0.0.1..10.0.0.2 ::a ::9 10.0.0.9")),
            "10.0.0.1..10.0.0.3 10.0.0.9 ::9..::a"
        );
        assert_eq!(text(&set("255.255.255.255 ::")), "255.255.255.255 ::");
    }

    #[test]
    fn the_ends_of_both_families_are_no_edge_cases() {
        let all = set("0.0.0.0..255.255.255.255 ::..ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(
            text(&all.difference(&set("255.255.255.255 ::"))),
            "0.0.0.0..255.255.255.254 ::1..ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        );
        assert_eq!(all.count(), u128::MAX);
        assert!(all.difference(&all).is_empty());
    }

    #[test]
    fn network_and_broadcast_are_not_usable_but_in_a_point_to_point_subnet() {
        let usable = |cidr: &str| text(&RangeSet::usable(&[cidr.parse().unwrap()]));
        assert_eq!(usable("10.0.0.0/30"), "10.0.0.1..10.0.0.2");
        assert_eq!(usable("10.0.0.0/31"), "10.0.0.0..10.0.0.1");
        assert_eq!(usable("10.0.0.7/32"), "10.0.0.7");
        assert_eq!(usable("fd00::/126"), "fd00::1..fd00::3");
    }

    fn small() -> impl Strategy<Value = RangeSet> {
        prop::collection::vec((0..40u8, 0..8u8), 0..8).prop_map(|ranges| {
            let v4 = |last: u8| IpAddr::from([10, 0, 0, last]);
            ranges
                .into_iter()
                .filter_map(|(first, more)| AddressRange::new(v4(first), v4(first + more)))
                .collect()
        })
    }

    fn members(set: &RangeSet) -> BTreeSet<u8> {
        (0..=255).filter(|last| set.contains(IpAddr::from([10, 0, 0, *last]))).collect()
    }

    proptest! {
        #[test]
        fn intervals_do_what_sets_do(a in small(), b in small()) {
            let (x, y) = (members(&a), members(&b));
            prop_assert_eq!(members(&a.union(&b)), x.union(&y).copied().collect());
            prop_assert_eq!(members(&a.intersection(&b)), x.intersection(&y).copied().collect());
            prop_assert_eq!(members(&a.difference(&b)), x.difference(&y).copied().collect());
            prop_assert_eq!(a.count(), x.len() as u128);
            prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a);
        }
    }
}
