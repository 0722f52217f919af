//! The `ovn-vip` binary.
fn main() {}
