//! ARP and NDP, sans-I/O.

pub mod arp;
pub mod ethernet;
pub mod ndp;
