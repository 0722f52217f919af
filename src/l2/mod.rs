//! ARP and NDP, sans-I/O.
