//! Who gets which address: MetalLB's rules and ours, told as objects that change and what each Service has after it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "allocate/room.rs"]
mod room;

#[path = "allocate/bad_input.rs"]
mod bad_input;
#[path = "allocate/histories.rs"]
mod histories;
#[path = "allocate/kube_ovn.rs"]
mod kube_ovn;
#[path = "allocate/many.rs"]
mod many;
#[path = "allocate/pools.rs"]
mod pools;
#[path = "allocate/services.rs"]
mod services;
#[path = "allocate/sharing.rs"]
mod sharing;
