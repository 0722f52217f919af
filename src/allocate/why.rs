//! Why a Service has no address, or not the one that it had, in words that say what was tried and what to do.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Family, Mac, Protocol, RangeSet, ServiceKey, SubnetName};

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are what their types and the words say")]
pub enum Why {
    /// It has no cluster IP, or some that make no sense: nobody knows which families it wants.
    NoClusterIp,
    /// It requires both families, and has cluster IPs of one.
    NeedsBothFamilies,
    /// Its cluster IPs are of other families than its addresses.
    FamiliesChanged,
    /// What it asks for cannot be read.
    Unreadable(Arc<str>),
    /// It asks for addresses of other families than its own.
    OtherFamilies { asked: Vec<IpAddr>, families: Vec<Family> },
    /// No pool in force has these addresses.
    NoPoolHas(Vec<IpAddr>),
    /// It has other addresses than it asks for.
    AsksForOthers(Vec<IpAddr>),
    /// The pool is not for this Service.
    PoolNotForIt(Arc<str>),
    /// Its addresses are of one pool, and it asks for another.
    OtherPool { pool: Arc<str>, asked: Arc<str> },
    /// It asks for a pool that is not there.
    NoSuchPool(Arc<str>),
    /// It asks for a pool that cannot be used.
    BrokenPool { pool: Arc<str>, fault: Arc<str> },
    /// Another Service has the address, on other terms.
    Clash(Clash),
    /// Nobody may have the address.
    Blocked(IpAddr, Blocked),
    /// A host on the wire answered for the address before the Service was ever served.
    Stranger(IpAddr, Mac),
    /// The addresses were not given from a pool: they are somebody else's to mind.
    Foreign(Vec<IpAddr>),
    /// Somebody writes other addresses each time.
    Overwritten { by: Option<Arc<str>>, addresses: Vec<IpAddr> },
    /// Nothing fits.
    NothingFits(Vec<Tried>),
}

/// Why two Services do not share an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The address.
    pub address: IpAddr,
    /// Who has it.
    pub with: ServiceKey,
    /// What does not go together.
    pub what: ClashOf,
}

/// What does not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClashOf {
    /// They have not the same key in `metallb.io/allow-shared-ip`.
    Key,
    /// One is for local backends only, and they are others.
    Backends,
    /// Both want this port.
    Port(Protocol, u16),
}

/// Why nobody may have an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Kube-OVN could hand it to a pod.
    Allocatable(SubnetName),
    /// It is the gateway's, a node's, the network's or the broadcast's, or no host's at all.
    Reserved(&'static str),
    /// Kube-OVN's books say who has it.
    Allocated(Arc<str>),
    /// A port of the logical switch has it.
    Port(Arc<str>),
    /// A Service has it that gets its addresses from somebody else.
    Service(ServiceKey),
    /// A host on the wire has it.
    Stranger(Mac),
}

/// A pool that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its name.
    pub pool: Arc<str>,
    /// Why it gave nothing.
    pub passed: Passed,
}

/// Why a pool gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// `autoAssign: false`, and the Service does not ask for it.
    NotAuto,
    /// Its `serviceAllocation` does not have the Service.
    NotForIt,
    /// It cannot be used.
    Broken(Arc<str>),
    /// It has no address of the family.
    NoFamily(Family),
    /// None of its addresses of the family can be given.
    Full {
        /// The family.
        family: Family,
        /// How many Services have.
        in_use: u64,
        /// What nobody may have, by why; only the first few of it.
        blocked: Vec<(RangeSet, Blocked)>,
    },
}

impl Why {
    /// A short, stable name.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoClusterIp => "NoClusterIp",
            Self::NeedsBothFamilies | Self::FamiliesChanged | Self::OtherFamilies { .. } => "Families",
            Self::Unreadable(_) => "Unreadable",
            Self::NoPoolHas(_) | Self::AsksForOthers(_) => "NoPoolHasIt",
            Self::PoolNotForIt(_) | Self::OtherPool { .. } | Self::NoSuchPool(_) => "OtherPool",
            Self::BrokenPool { .. } => "BrokenPool",
            Self::Clash(_) => "Shared",
            Self::Blocked(..) => "Blocked",
            Self::Stranger(..) => "Stranger",
            Self::Foreign(_) | Self::Overwritten { .. } => "LeftAlone",
            Self::NothingFits(_) => "NothingFits",
        }
    }

    /// What is so, and what to do.
    pub fn halves(&self) -> (String, String) {
        let whole = self.to_string();
        let cure = match self {
            Self::NothingFits(tried) if !tried.is_empty() => {
                "mend what is said of one of them, add addresses to it inside an underlay Subnet's excludeIps, or free some"
            }
            Self::FamiliesChanged | Self::AsksForOthers(_) | Self::OtherPool { .. } => {
                "it gets others; where it does not, the reason that follows says what to do"
            }
            _ => return whole.rsplit_once(": ").map_or((whole.clone(), String::new()), own),
        };
        (whole, cure.to_owned())
    }
}

fn own((is, cure): (&str, &str)) -> (String, String) {
    (is.to_owned(), cure.to_owned())
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClusterIp => {
                f.write_str("it has no cluster IP that says which families it wants: give it one")
            }
            Self::NeedsBothFamilies => f.write_str(
                "ipFamilyPolicy is RequireDualStack, and it has cluster IPs of one family: ask for PreferDualStack",
            ),
            Self::FamiliesChanged => f.write_str("its cluster IPs are of other families than its addresses"),
            Self::Unreadable(words) => f.write_str(words),
            Self::OtherFamilies { asked, families } => write!(
                f,
                "it asks for {}, and its cluster IPs are {}: ask for one address of each of its families",
                all(asked),
                all(families)
            ),
            Self::NoPoolHas(addresses) => write!(
                f,
                "no IPAddressPool hands out {}: correct the address, or spec.addresses of a pool",
                all(addresses)
            ),
            Self::AsksForOthers(asked) => write!(f, "it asks for {}", all(asked)),
            Self::PoolNotForIt(pool) => write!(
                f,
                "spec.serviceAllocation of IPAddressPool {pool} has neither its namespace nor its labels: correct one of them"
            ),
            Self::OtherPool { pool, asked } => {
                write!(f, "its addresses are of IPAddressPool {pool}, and it asks for IPAddressPool {asked}")
            }
            Self::NoSuchPool(pool) => {
                write!(f, "there is no IPAddressPool {pool}: correct the annotation metallb.io/address-pool")
            }
            Self::BrokenPool { pool, fault } => write!(f, "IPAddressPool {pool} cannot be used: {fault}"),
            Self::Clash(clash) => clash.fmt(f),
            Self::Blocked(address, blocked) => {
                write!(f, "{address} can be nobody's: {blocked}: ask for another address")
            }
            Self::Stranger(address, mac) => write!(
                f,
                "the host with MAC {mac} has {address}: it is set aside; find that host, or take the address out of the pool"
            ),
            Self::Foreign(addresses) => write!(
                f,
                "{} was not given from an IPAddressPool, and is left alone: clear status.loadBalancer, or give the Service another loadBalancerClass",
                all(addresses)
            ),
            Self::Overwritten { by, addresses } => write!(
                f,
                "{} writes {} into status.loadBalancer again and again: stop that, then change the Service",
                by.as_deref().map_or("somebody".to_owned(), |by| format!("field manager {by:?}")),
                if addresses.is_empty() { "no address".to_owned() } else { all(addresses) }
            ),
            Self::NothingFits(tried) if tried.is_empty() => {
                f.write_str("there is no IPAddressPool: make one, inside an underlay Subnet's excludeIps")
            }
            Self::NothingFits(tried) => {
                f.write_str("no IPAddressPool has an address for it: ")?;
                joined(f, tried, "; ")
            }
        }
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, with, what } = self;
        match what {
            ClashOf::Key => write!(
                f,
                "{address} is Service {with}'s: to share it both need the same text in metallb.io/allow-shared-ip"
            ),
            ClashOf::Backends => write!(
                f,
                "{address} is Service {with}'s: with externalTrafficPolicy Local both need the same selector to share it"
            ),
            ClashOf::Port(protocol, port) => {
                write!(f, "{address} is Service {with}'s, which has port {protocol}/{port}, too")
            }
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocatable(subnet) => {
                write!(f, "Kube-OVN could hand it to a pod (add it to spec.excludeIps of Subnet {subnet})")
            }
            Self::Reserved(whose) => f.write_str(whose),
            Self::Allocated(holder) => write!(f, "{holder} has it, by Kube-OVN's books"),
            Self::Port(port) => write!(f, "the switch's port {port} has it"),
            Self::Service(service) => {
                write!(f, "Service {service} has it, which gets its addresses from somebody else")
            }
            Self::Stranger(mac) => write!(f, "the host with MAC {mac} has it"),
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.pool)?;
        match &self.passed {
            Passed::NotAuto => {
                f.write_str("has autoAssign: false, and is not asked for by metallb.io/address-pool")
            }
            Passed::NotForIt => f.write_str("is for other namespaces or Services"),
            Passed::Broken(fault) => write!(f, "cannot be used: {fault}"),
            Passed::NoFamily(family) => write!(f, "has no {family} address"),
            Passed::Full { family, in_use, blocked } => {
                write!(f, "({family}): {in_use} in use by Services")?;
                for (set, why) in blocked {
                    write!(f, ", {} passed over: {why}", ranges(set))?;
                }
                Ok(())
            }
        }
    }
}

/// How many ranges are named.
const NAMED: usize = 3;

fn ranges(set: &RangeSet) -> String {
    let named: Vec<String> = set.ranges().take(NAMED).map(|range| range.to_string()).collect();
    match set.ranges().count() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more ranges", named.join(", ")),
    }
}

fn all<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], between: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}
