//! The edges: everything that can block, fail or vary. The clock is read here and in the shells.
#![allow(clippy::disallowed_methods, reason = "io/ is where the clock is read")]

pub mod clock;
pub mod cluster;
pub mod http;
pub mod kube;
pub mod manifests;
pub mod node_lock;
pub mod ovsdb_client;
pub mod packet_socket;
pub mod switch;
pub mod unix_socket;
