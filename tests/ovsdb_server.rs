//! The OVSDB client against a real `ovsdb-server`.
//!
//! The binaries come from the folder `$OVN_VIP_BIN`, else from `$PATH`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may panic")]

#[path = "ovsdb_server/harness.rs"]
mod harness;

#[path = "ovsdb_server/cluster.rs"]
mod cluster;
#[path = "ovsdb_server/faults.rs"]
mod faults;
#[path = "ovsdb_server/following.rs"]
mod following;
#[path = "ovsdb_server/locks_and_filters.rs"]
mod locks_and_filters;
#[path = "ovsdb_server/outcomes.rs"]
mod outcomes;
#[path = "ovsdb_server/partition.rs"]
mod partition;
#[path = "ovsdb_server/raft.rs"]
mod raft;
#[path = "ovsdb_server/soak.rs"]
mod soak;
#[path = "ovsdb_server/tls.rs"]
mod tls;
