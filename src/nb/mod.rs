//! The OVN northbound as we use it: rows in, rows out.
//!
//! [`rows`] says which tables and columns; [`owner`] which rows are ours, [`foreign`] whose the others are; [`network`] what the northbound tells
//! decisions; [`render`] and [`gate`] turn a plan into rows; [`diff`] compares them with what is there; [`transaction`]
//! writes the difference. Nothing here remembers what was written: the replica is the only memory.

mod attached;
pub mod diff;
pub mod flows;
pub mod foreign;
pub mod gate;
mod gate_diff;
mod globals;
pub mod kept;
pub mod namesake;
pub mod network;
pub mod owner;
pub mod removal;
pub mod render;
pub mod revision;
pub mod router;
pub mod rows;
pub mod seen;
mod subnet_diff;
pub mod transaction;
pub mod translated;
mod wires;

pub use diff::{Changes, Touched};
pub use network::{NetworkDirty, NetworkIndex};
pub use owner::Owner;
pub use render::Desired;
