//! Many addresses in a short text: all annotations of an object may have 256 KiB together (Kubernetes API), and a node may hold
//! more VIPs than fit one by one (ADR 0061).
//!
//! Words in ascending order. Each stands for as many addresses in a row, of one term:
//! `10.0.0.9x3=7` for 10.0.0.9, .10 and .11 with the term 7. Where the address is close behind the one before, `+2` is by how many
//! (hexadecimal); a term that is the one of the word before is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::Term;

/// The term of the first word, unless it says another: no claim has it.
const FIRST_TERM: Term = 0;

/// So many addresses at most: a text that says more is nobody's.
const MOST: usize = 200_000;

/// The text.
pub fn pack(terms: &BTreeMap<IpAddr, Term>) -> String {
    let mut words: Vec<String> = Vec::new();
    let (mut last, mut last_term) = (None, &FIRST_TERM);
    let mut all = terms.iter().peekable();
    while let Some((first, term)) = all.next() {
        let mut end = *first;
        let mut count = 1_usize;
        while let Some((next, _)) =
            all.next_if(|(next, other)| *other == term && distance(end, **next) == Some(1))
        {
            (end, count) = (*next, count + 1);
        }
        let near = last.and_then(|last| distance(last, *first)).filter(|far| *far < 1 << 32);
        let mut word = near.map_or_else(|| first.to_string(), |far| format!("+{far:x}"));
        if count > 1 {
            word.push_str(&format!("x{count}"));
        }
        if last_term != term {
            word.push_str(&format!("={term}"));
        }
        words.push(word);
        (last, last_term) = (Some(end), term);
    }
    words.join(" ")
}

/// Reads it; nothing, where it is not what [`pack`] writes.
pub fn unpack(text: &str) -> Option<BTreeMap<IpAddr, Term>> {
    let mut terms = BTreeMap::new();
    let (mut last, mut last_term): (Option<IpAddr>, Term) = (None, FIRST_TERM);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (word, term) = match word.split_once('=') {
            Some((word, term)) => (word, term.parse().ok()?),
            None => (word, last_term),
        };
        let (word, count) = match word.split_once('x') {
            Some((word, count)) => (word, count.parse::<usize>().ok()?),
            None => (word, 1),
        };
        let mut address = match word.strip_prefix('+') {
            Some(far) => behind(last?, u128::from_str_radix(far, 16).ok()?)?,
            None => word.parse().ok()?,
        };
        if count == 0 || terms.len().saturating_add(count) > MOST {
            return None;
        }
        terms.insert(address, term);
        for _ in 1..count {
            address = behind(address, 1)?;
            terms.insert(address, term);
        }
        (last, last_term) = (Some(address), term);
    }
    Some(terms)
}

/// The same for addresses that have no term.
pub fn pack_addresses(addresses: &BTreeSet<IpAddr>) -> String {
    pack(&addresses.iter().map(|address| (*address, FIRST_TERM)).collect())
}

/// By how much an address is behind another of its family.
fn distance(before: IpAddr, address: IpAddr) -> Option<u128> {
    let number = crate::model::number_of;
    (before.is_ipv4() == address.is_ipv4()).then(|| number(address).checked_sub(number(before))).flatten()
}

fn behind(address: IpAddr, far: u128) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from(u32::from(address).checked_add(u32::try_from(far).ok()?)?).into()
        }
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).checked_add(far)?).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0..400_u32).prop_map(|low| Ipv4Addr::from(0x0a00_0000 + low).into()),
            any::<[u8; 4]>().prop_map(IpAddr::from),
            (0..400_u128).prop_map(|low| Ipv6Addr::from(0xfd00_u128 << 112 | low).into()),
            any::<[u8; 16]>().prop_map(IpAddr::from),
        ]
    }

    proptest! {
        #[test]
        fn what_was_packed_is_read_as_it_was(terms in prop::collection::btree_map(any_address(), 0..4_u64, 0..200)) {
            prop_assert_eq!(unpack(&pack(&terms)), Some(terms));
        }

        #[test]
        fn no_text_is_too_bad(text in "[0-9a-fx+=. :]{0,60}") {
            let _ = unpack(&text);
        }
    }

    #[test]
    fn a_word_stands_for_many_in_a_row() {
        let of = |last: u8, term| (IpAddr::from([10, 0, 0, last]), term);
        let terms = BTreeMap::from([of(9, 7), of(10, 7), of(11, 7), of(13, 7), of(14, 8)]);
        assert_eq!(pack(&terms), "10.0.0.9x3=7 +2 +1=8");
        for bad in ["+1=7", "10.0.0.9x0=7", "10.0.0.9x999999999=7", "255.255.255.255x2=7", "a=b"] {
            assert_eq!(unpack(bad), None, "{bad}");
        }
    }
}
