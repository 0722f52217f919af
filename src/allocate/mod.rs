//! Which Service gets which address of which pool: MetalLB's rules, where they are written down and where they are only in
//! its code, and what no allocator beside Kube-OVN may forget.
//!
//! [`Allocator`] is a machine without I/O: changes of the world in, a [`Verdict`] for each Service out, with what happened
//! on the way. A Service's own `status` is the truth of what it has: a restart, or another leader, reads it and
//! gives nobody another address. The same world gives the same answer: pools are asked by priority and name, addresses in the
//! order of `spec.addresses`, Services by age. An address is found and taken in O(log n).
//!
//! What it never does: write anything, read a clock, or take an address back that Kube-OVN gave away later (the
//! planner says that; to move a Service is for people).

mod allocator;
mod books;
mod choose;
mod free;
mod ground;
mod hold;
mod keep;
mod pool;
mod pools;
mod rival;
mod uses;
mod want;
mod why;

use std::net::IpAddr;
use std::sync::Arc;

pub use crate::model::CLASS;
pub use allocator::Allocator;
pub use rival::Rival;
pub use why::{Blocked, Clash, ClashOf, Passed, Tried, Why};

use crate::model::{Service, ServiceKey};

/// Whose addresses are given here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Nobody's.
    #[default]
    Off,
    /// Those of Services of this `spec.loadBalancerClass`.
    Only(Arc<str>),
    /// Those of Services without a class, and of this class.
    ClasslessAnd(Arc<str>),
    /// Everybody's.
    Everybody,
}

impl Scope {
    /// Whether a Service gets its addresses here.
    pub fn takes(&self, service: &Service) -> bool {
        match self {
            Scope::Off => false,
            Scope::Only(class) => service.class.as_ref() == Some(class),
            Scope::ClasslessAnd(class) => service.class.as_ref().is_none_or(|found| found == class),
            Scope::Everybody => true,
        }
    }
}

/// How it stands with a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has these addresses, in this order, of this pool.
    Has {
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// The pool's name.
        pool: Arc<str>,
    },
    /// It has none, and none is to stand in its status.
    Waits,
    /// What stands in its status is nobody's to touch here.
    LeftAlone,
}

/// What happened to a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It got these.
    Given {
        /// Whom.
        service: ServiceKey,
        /// What.
        addresses: Vec<IpAddr>,
        /// Of which pool.
        pool: Arc<str>,
    },
    /// It lost these.
    TakenBack {
        /// Who.
        service: ServiceKey,
        /// What.
        addresses: Vec<IpAddr>,
        /// Why.
        why: Why,
    },
    /// It gets nothing, or not what it asks for.
    Refused {
        /// Who.
        service: ServiceKey,
        /// Why.
        why: Why,
    },
}

/// How many addresses of a pool Services have, and how many more can be given, as MetalLB counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `assignedIPv4`.
    pub assigned_v4: u64,
    /// `assignedIPv6`.
    pub assigned_v6: u64,
    /// `availableIPv4`.
    pub available_v4: u64,
    /// `availableIPv6`.
    pub available_v6: u64,
}
