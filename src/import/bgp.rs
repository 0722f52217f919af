//! What MetalLB 0.12 refuses of BGP (`parsePeer`, `parseBGPAdvertisements` in its `internal/config/config.go`): a
//! configuration that it refused was not in force, and what it would come to is nobody's wish.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::model::AddressRange;

/// What MetalLB takes where `hold-time` is not written, in milliseconds.
const HOLD_TIME: u64 = 90_000;
/// The shortest hold time but 0 (RFC 4271 §4.2), in milliseconds.
const LEAST_HOLD_TIME: u64 = 3_000;

/// A peer's addresses, times and what it refers to. `profiles`: the names of the BFD profiles.
pub(super) fn review_peer(peer: &Fields<'_>, profiles: &BTreeSet<String>) {
    for name in ["peer-address", "source-address", "router-id"] {
        let text = peer.text(name).filter(|text| !text.is_empty());
        if let Some(text) = text.filter(|text| text.parse::<IpAddr>().is_err()) {
            peer.wrong(name, &format!("is {text}"), "write an address");
        }
    }
    let hold = time(peer, "hold-time").unwrap_or(HOLD_TIME);
    if hold != 0 && hold < LEAST_HOLD_TIME {
        peer.wrong("hold-time", "is shorter than 3 s", "write 0, or 3s or more");
    }
    if time(peer, "keepalive-time").is_some_and(|keepalive| keepalive > hold) {
        peer.wrong("keepalive-time", "is longer than hold-time", "write a third of it, or nothing");
    }
    let number = |name| peer.value(name).and_then(Value::as_u64);
    if number("my-asn") == number("peer-asn") && peer.value("ebgp-multihop") == Some(&Value::Bool(true)) {
        peer.wrong(
            "ebgp-multihop",
            "is for a peer of another AS, and this one is of the same",
            "take it out",
        );
    }
    let profile = peer.text("bfd-profile").filter(|profile| !profile.is_empty());
    if let Some(profile) = profile.filter(|profile| !profiles.contains(profile)) {
        let what = format!("is {profile}, which bfd-profiles does not have");
        peer.wrong("bfd-profile", &what, "add the profile, or take this out");
    }
}

/// One peer twice is a mistake there.
pub(super) fn is_twice(made: &[Value], peer: &Fields<'_>, spec: &Map<String, Value>) -> bool {
    let twice = made.iter().any(|other| other.as_object() == Some(spec));
    if twice {
        peer.wrong("", "is there twice", "take one of them out");
    }
    twice
}

/// An advertisement's lengths and communities. `named`: the names that `bgp-communities` gives.
pub(super) fn review_advertisement(
    advertisement: &Fields<'_>,
    ranges: &[AddressRange],
    named: &BTreeSet<String>,
) {
    let lengths = [("aggregation-length", true), ("aggregation-length-v6", false)];
    for (name, is_ipv4) in lengths {
        let length = advertisement.value(name).and_then(Value::as_u64);
        let narrow = ranges.iter().filter(|range| range.first().is_ipv4() == is_ipv4);
        let narrow = narrow.filter_map(|range| Some((range, widest(range)?)));
        let narrow = narrow.into_iter().find(|(_, widest)| length.is_some_and(|length| length < *widest));
        if let Some((range, widest)) = narrow {
            let what = format!("is shorter than {widest}, the widest prefix of {range}");
            advertisement.wrong(name, &what, "write that or more");
        }
    }
    let mut seen = BTreeSet::new();
    for (index, community) in advertisement.texts("communities").into_iter().enumerate() {
        let field = format!("communities[{index}]");
        if !named.contains(&community) && !is_community(&community) {
            let what = format!("is {community}: neither NUMBER:NUMBER nor a name of bgp-communities");
            advertisement.wrong(&field, &what, "write two numbers up to 65535, or add the name");
        }
        if !seen.insert(community.clone()) {
            advertisement.wrong(&field, &format!("{community} is there twice"), "take one of them out");
        }
    }
}

/// A community as those releases have it: two numbers of 16 bits (RFC 1997).
pub(super) fn is_community(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 2 && parts.iter().all(|part| part.parse::<u16>().is_ok())
}

/// The length of the widest prefix that a range is made of.
fn widest(range: &AddressRange) -> Option<u64> {
    let lengths = match (range.first(), range.last()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            ipnet::Ipv4Subnets::new(first, last, 0).map(|net| net.prefix_len()).min()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            ipnet::Ipv6Subnets::new(first, last, 0).map(|net| net.prefix_len()).min()
        }
        _ => None,
    };
    lengths.map(u64::from)
}

/// A duration as Go writes it, such as `1m30s`, in milliseconds.
fn time(peer: &Fields<'_>, name: &'static str) -> Option<u64> {
    let text = peer.text(name).filter(|text| !text.is_empty())?;
    let parsed = duration(&text);
    if parsed.is_none() {
        peer.wrong(name, &format!("is {text}"), "write a number with its unit, as 90s");
    }
    parsed
}

fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() && rest != "0" {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let unit = rest.get(digits..)?;
        let (unit, left) = unit.split_at(unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len()));
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = left;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(duration("90s"), Some(90_000));
        assert_eq!(duration("1m30s"), Some(90_000));
        assert_eq!(duration("0"), Some(0));
        assert_eq!(duration("500ms"), Some(500));
        assert_eq!(duration("90"), None);
        assert_eq!(duration("s"), None);
    }

    #[test]
    fn a_community_is_two_numbers_of_16_bits() {
        assert!(is_community("64512:100"));
        assert!(!is_community("65536:1") && !is_community("1:2:3") && !is_community("no-export"));
    }

    #[test]
    fn a_range_is_as_wide_as_its_widest_prefix() {
        let range = |first: &str, last: &str| {
            AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
        };
        assert_eq!(widest(&range("10.0.0.0", "10.0.0.255")), Some(24));
        assert_eq!(widest(&range("10.0.0.5", "10.0.0.16")), Some(29));
        assert_eq!(widest(&range("fd00::1", "fd00::1")), Some(128));
    }
}
