//! What several tests share.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "each test uses its part")]

pub mod northbound;
