//! The pure half of ovn-vip under its own name: the same files, without what the shells depend on. All that reads a stranger's
//! bytes is in it, it builds in seconds where the whole takes minutes, and its coverage is of nothing else. `tests/layers.rs`
//! holds that these modules import nothing but each other.

#[path = "../../src/flows/mod.rs"]
pub mod flows;
#[path = "../../src/l2/mod.rs"]
pub mod l2;
#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/ovsdb/mod.rs"]
pub mod ovsdb;
