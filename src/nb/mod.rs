//! The OVN northbound as we use it.
