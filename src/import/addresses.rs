//! Addresses of pools: CIDRs and ranges `a-b`, that may not overlap.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::{AddressRange, RangeSet};

/// All addresses of the pools that were read so far.
#[derive(Debug, Default)]
pub(super) struct Taken(Vec<(String, RangeSet)>);

impl Taken {
    /// Takes a pool's range; or the pool that has an address of it already.
    pub fn take(&mut self, pool: &str, range: AddressRange) -> Result<(), String> {
        let set = RangeSet::from_iter([range]);
        let other = self.0.iter().find(|(_, taken)| !taken.intersection(&set).is_empty());
        if let Some((other, _)) = other {
            return Err(other.clone());
        }
        self.0.push((pool.to_owned(), set));
        Ok(())
    }

    /// The pool that has an address.
    pub fn holder(&self, address: IpAddr) -> Option<&str> {
        self.0.iter().find(|(_, taken)| taken.contains(address)).map(|(pool, _)| pool.as_str())
    }
}

/// A pool's entry: a CIDR (of bits after its prefix nothing is made, as by MetalLB), or a range `a-b` with both ends in
/// it. The error says what is wrong.
pub(super) fn parse(text: &str) -> Result<AddressRange, String> {
    let whole = |first, last| AddressRange::new(first, last);
    if let Some((first, last)) = text.split_once('-') {
        let address =
            |text: &str| text.trim().parse::<IpAddr>().map_err(|_| format!("'{text}' is no address"));
        let (first, last) = (address(first)?, address(last)?);
        if first.is_ipv4() != last.is_ipv4() {
            return Err("its ends are of two families".into());
        }
        return whole(first, last).ok_or_else(|| format!("{first} comes after {last}"));
    }
    let cidr: IpNet = text.trim().parse().map_err(|_| {
        let lone = text.trim().parse::<IpAddr>();
        lone.map_or("it is no CIDR and no range".to_owned(), |lone| {
            format!("a lone address is written {lone}-{lone}")
        })
    })?;
    whole(cidr.network(), cidr.broadcast()).ok_or_else(|| "it is empty".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_cidrs_are_read_and_others_are_told_what_is_wrong() {
        assert_eq!(parse("10.0.0.0/30").unwrap().to_string(), "10.0.0.0..10.0.0.3");
        assert_eq!(parse("10.0.0.1 - 10.0.0.9").unwrap().to_string(), "10.0.0.1..10.0.0.9");
        assert_eq!(parse("10.0.0.5/24").unwrap().to_string(), "10.0.0.0..10.0.0.255");
        assert_eq!(parse("fd00::1-fd00::1").unwrap().to_string(), "fd00::1");
        for (text, why) in [
            ("10.0.0.9-10.0.0.1", "comes after"),
            ("10.0.0.1-fd00::1", "two families"),
            ("10.0.0.1", "10.0.0.1-10.0.0.1"),
            ("10.0.0.300-10.0.0.301", "is no address"),
            ("ten", "no CIDR"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_belongs_to_one_pool() {
        let mut taken = Taken::default();
        taken.take("a", parse("10.0.0.0/24").unwrap()).unwrap();
        assert_eq!(taken.take("b", parse("10.0.0.255-10.0.1.5").unwrap()), Err("a".into()));
        assert_eq!(taken.holder([10, 0, 0, 7].into()), Some("a"));
        assert_eq!(taken.holder([10, 0, 1, 7].into()), None);
    }
}
