//! The settings that change decisions.

/// What an operator can choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What to do with a VIP that Kube-OVN's address allocation could hand to a pod.
    pub exclude_ips: ExcludeIps,
}

/// What to do with a VIP that its subnet's `excludeIps` does not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExcludeIps {
    /// Refuse it.
    #[default]
    Enforce,
    /// Serve it, and say so.
    Warn,
}
