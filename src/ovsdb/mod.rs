//! RFC 7047 and the `monitor_cond_since` extension, sans-I/O; knows neither OVN nor Kubernetes.
