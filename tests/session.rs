//! The OVSDB session against a scripted server, in virtual time: no socket, no sleep.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "session/harness.rs"]
mod harness;

#[path = "session/cluster.rs"]
mod cluster;
#[path = "session/fake_server.rs"]
mod fake_server;
#[path = "session/filters.rs"]
mod filters;
#[path = "session/handshake.rs"]
mod handshake;
#[path = "session/histories.rs"]
mod histories;
#[path = "session/locks.rs"]
mod locks;
#[path = "session/reconnect.rs"]
mod reconnect;
#[path = "session/transactions.rs"]
mod transactions;
