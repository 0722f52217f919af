//! What several tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "each test uses its part")]

pub mod northbound;
