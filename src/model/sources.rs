//! Who may reach a Service's VIPs.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Family;

/// The clients that a Service lets in: `spec.loadBalancerSourceRanges` (Kubernetes API, ServiceSpec v1).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sources {
    /// The list is empty.
    #[default]
    Everybody,
    /// Those in one of these networks. A family without one lets nobody in.
    Only(BTreeSet<IpNet>),
}

/// An entry of the list that cannot be read. It lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BadRange {
    /// The field that has it.
    pub field: &'static str,
    /// The entry as it is written.
    pub text: Arc<str>,
}

impl Sources {
    /// These networks, those that touch or overlap as one.
    pub fn only(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let networks: Vec<IpNet> = networks.into_iter().collect();
        Self::Only(IpNet::aggregate(&networks).into_iter().collect())
    }

    /// Whoever of a family is in one of these.
    pub fn union<'a>(all: impl IntoIterator<Item = &'a Sources>, family: Family) -> Self {
        let mut networks = BTreeSet::new();
        for sources in all {
            let Self::Only(more) = sources else { return Self::Everybody };
            networks.extend(more.iter().copied());
        }
        Self::only(networks).of(family)
    }

    /// The part of one family; `0.0.0.0/0` and `::/0` are everybody.
    pub fn of(&self, family: Family) -> Self {
        let Self::Only(networks) = self else { return Self::Everybody };
        let of_family = networks.iter().filter(|network| Family::of(network.addr()) == family);
        let of_family: BTreeSet<IpNet> = of_family.copied().collect();
        if of_family.iter().any(|network| network.prefix_len() == 0) {
            Self::Everybody
        } else {
            Self::Only(of_family)
        }
    }

    /// Whether a client with this address is let in.
    pub fn admits(&self, source: IpAddr) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(networks) => networks.iter().any(|network| network.contains(&source)),
        }
    }

    /// What of a network is not let in, in as few networks as it takes.
    pub fn refused_of(&self, network: IpNet) -> BTreeSet<IpNet> {
        let mut refused = BTreeSet::new();
        if let Self::Only(admitted) = self {
            subtract(network, admitted, &mut refused);
        }
        refused
    }
}

/// `network` without what is in `taken`; halves that are neither in nor out are looked at again, to the last bit.
fn subtract(network: IpNet, taken: &BTreeSet<IpNet>, rest: &mut BTreeSet<IpNet>) {
    if taken.iter().any(|taken| taken.contains(&network)) {
        return;
    }
    let touched: BTreeSet<IpNet> = taken.iter().filter(|taken| network.contains(*taken)).copied().collect();
    match network.subnets(network.prefix_len().saturating_add(1)) {
        Ok(halves) if !touched.is_empty() => halves.for_each(|half| subtract(half, &touched, rest)),
        Ok(_) | Err(_) => drop(rest.insert(network)),
    }
}

/// Every address of a family.
pub fn whole(family: Family) -> IpNet {
    match family {
        Family::V4 => Ipv4Net::default().into(),
        Family::V6 => Ipv6Net::default().into(),
    }
}

/// The networks, for people.
impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody"),
            Self::Only(networks) if networks.is_empty() => f.write_str("nobody"),
            Self::Only(networks) => {
                for (index, network) in networks.iter().enumerate() {
                    write!(f, "{}{network}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn sources(texts: &[&str]) -> Sources {
        Sources::only(texts.iter().map(|text| text.parse().unwrap()))
    }

    #[test]
    fn a_family_without_a_range_lets_nobody_in_and_a_default_route_lets_everybody() {
        let some = sources(&["10.0.0.0/8"]);
        assert_eq!(some.of(Family::V4), some);
        assert_eq!(some.of(Family::V6), sources(&[]));
        assert!(!some.of(Family::V6).admits("::1".parse().unwrap()));
        assert_eq!(sources(&["0.0.0.0/0"]).of(Family::V4), Sources::Everybody);
        assert_eq!(sources(&["0.0.0.0/0"]).of(Family::V6), sources(&[]));
        assert_eq!(sources(&["0.0.0.0/0", "10.0.0.0/8", "::/0"]).of(Family::V6), Sources::Everybody);
        assert_eq!(Sources::Everybody.of(Family::V4), Sources::Everybody);
    }

    #[test]
    fn together_they_let_in_whom_one_of_them_lets_in() {
        let union = |all: &[&Sources]| Sources::union(all.iter().copied(), Family::V4);
        let (ten, host) = (sources(&["10.0.0.0/8"]), sources(&["192.0.2.1/32", "::1/128"]));
        assert_eq!(union(&[&ten, &host]), sources(&["10.0.0.0/8", "192.0.2.1/32"]));
        assert_eq!(union(&[&ten, &Sources::Everybody]), Sources::Everybody);
        assert_eq!(union(&[&sources(&["0.0.0.0/1"]), &sources(&["128.0.0.0/1"])]), Sources::Everybody);
        assert_eq!(union(&[&sources(&[])]), sources(&[]));
    }

    #[test]
    fn what_is_refused_of_a_network_is_few_networks() {
        let texts = |sources: &Sources, network: &str| {
            let refused = sources.refused_of(network.parse().unwrap());
            refused.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let some = sources(&["10.0.0.64/26", "10.0.0.128/32", "192.168.0.0/16"]);
        assert_eq!(texts(&some, "10.0.1.0/24"), ["10.0.1.0/24"]);
        assert_eq!(texts(&some, "192.168.7.0/24"), [""; 0]);
        let rest = texts(&some, "10.0.0.0/24");
        assert_eq!(rest.first().map(String::as_str), Some("10.0.0.0/26"));
        assert_eq!(rest.len(), 8, "{rest:?}");
        assert_eq!(texts(&sources(&[]), "fd00::/64"), ["fd00::/64"]);
        assert_eq!(texts(&Sources::Everybody, "fd00::/64"), [""; 0]);
    }

    proptest! {
        #[test]
        fn an_address_is_either_admitted_or_refused(
            networks in prop::collection::vec((any::<u32>(), 0..=32u8), 0..6),
            within in (any::<u32>(), 0..=8u8),
            address in any::<u32>(),
            near in any::<prop::sample::Index>(),
        ) {
            let network = |(address, length): (u32, u8)| {
                IpNet::from(Ipv4Net::new_assert(Ipv4Addr::from(address), length)).trunc()
            };
            let (sources, within) = (Sources::only(networks.iter().copied().map(network)), network(within));
            let edge = (!networks.is_empty()).then(|| networks[near.index(networks.len())].0);
            for address in [Some(address), edge].into_iter().flatten().map(Ipv4Addr::from).map(IpAddr::from) {
                let refused = sources.refused_of(within).iter().any(|refused| refused.contains(&address));
                prop_assert_eq!(refused, within.contains(&address) && !sources.admits(address));
            }
        }
    }
}
