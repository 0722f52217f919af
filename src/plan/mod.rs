//! World in, what should exist out: every decision, and nothing else.
//!
//! Given a [`World`](crate::model::World) and what the northbound tells ([`Network`](crate::model::Network)). Never reads a clock, a socket or a row, and
//! never remembers: the same input gives the same answer. A "no" is a [`Refusal`], which carries its cure; everything
//! that is wrong at once is what [`check`] finds.

mod announce;
mod announcer;
mod announcing;
mod backends;
mod candidate;
mod check;
mod elect;
mod exclude_ips;
mod finding;
mod gate;
mod handed_on;
mod policy;
mod refusal;
mod service;
mod subnet;
mod unit;
mod view;
mod wires;

pub use crate::model::ExcludeIps;
pub use announcer::{Announcer, Replanned, announce_plan};
pub use backends::lack;
pub use check::{check, strangers};
pub use elect::rank;
pub use exclude_ips::{fixed_exclude_ips, missing_exclude_ips};
pub use finding::{Finding, Severity};
pub use policy::{ClassRule, Policy};
pub use refusal::{Obstacle, Refusal, Reserved, Stage};
pub use service::{ServicePlan, plan_as_known, plan_service, plan_services};
pub use subnet::{derived_steering_mac, is_eligible, steering_mac};
pub use view::Absent;
