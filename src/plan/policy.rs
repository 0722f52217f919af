//! The settings that change decisions.

use std::sync::Arc;

use crate::model::{CLASS, ExcludeIps, Service, Subnet};

/// What an operator can choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What to do with a VIP that Kube-OVN's address allocation could hand to a pod.
    pub exclude_ips: ExcludeIps,
    /// Which Services are ours, by `spec.loadBalancerClass`.
    pub load_balancer_class: ClassRule,
}

/// Which Services are ours, by `spec.loadBalancerClass`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClassRule {
    /// Those without a class, as MetalLB does without `--lb-class`, and those of our own.
    #[default]
    Classless,
    /// Those of this class only, as MetalLB does with `--lb-class`.
    Only(Arc<str>),
    /// All of them.
    Any,
}

impl Policy {
    /// Whether a Service is ours to serve. Of one that is not nothing is said either: it is somebody else's.
    pub fn serves(&self, service: &Service) -> bool {
        match &self.load_balancer_class {
            ClassRule::Classless => service.class.as_deref().is_none_or(|class| class == CLASS),
            ClassRule::Only(class) => service.class.as_ref() == Some(class),
            ClassRule::Any => true,
        }
    }

    /// What to do with VIPs of this subnet that its `excludeIps` does not cover: its own word counts first.
    pub fn exclude_ips_in(&self, subnet: &Subnet) -> ExcludeIps {
        subnet.wishes.exclude_ips.unwrap_or(self.exclude_ips)
    }
}
