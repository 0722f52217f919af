//! World in, what should exist out: every decision, and nothing else.
//!
//! Given a [`World`] and what the northbound tells ([`Network`]). Never reads a clock, a socket or a row, and
//! never remembers: the same input gives the same answer. A "no" is a [`Refusal`], which carries its cure.

mod announce;
mod backends;
mod elect;
mod exclude_ips;
mod policy;
mod refusal;
mod service;
mod subnet;

pub use announce::announce_plan;
pub use elect::{announcer, rank};
pub use policy::{ExcludeIps, Policy};
pub use refusal::{Refusal, Reserved};
pub use service::{ServicePlan, plan_service};
pub use subnet::{derived_steering_mac, is_eligible, steering_mac};

#[allow(unused_imports, reason = "named in this module's documentation")]
use crate::model::{Network, World};
