//! OpenFlow on the provider bridge, sans-I/O.
