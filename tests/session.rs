//! The OVSDB session against a scripted server, in virtual time: no socket, no sleep. One file, `client.rs`, has both.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test may read the clock")]

#[path = "session/harness.rs"]
mod harness;

#[path = "session/client.rs"]
mod client;
#[path = "session/cluster.rs"]
mod cluster;
#[path = "session/fake_server.rs"]
mod fake_server;
#[path = "session/filters.rs"]
mod filters;
#[path = "session/garbage.rs"]
mod garbage;
#[path = "session/handshake.rs"]
mod handshake;
#[path = "session/histories.rs"]
mod histories;
#[path = "session/locks.rs"]
mod locks;
#[path = "session/reconnect.rs"]
mod reconnect;
#[path = "session/stages.rs"]
mod stages;
#[path = "session/transactions.rs"]
mod transactions;
