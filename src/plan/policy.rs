//! The settings that change decisions.

use std::sync::Arc;

use crate::model::{CLASS, ExcludeIps, L2Status, Service, ServiceKey, Subnet, World};

/// What an operator can choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What to do with a VIP that Kube-OVN's address allocation could hand to a pod.
    pub exclude_ips: ExcludeIps,
    /// Which Services are ours, by `spec.loadBalancerClass`.
    pub load_balancer_class: ClassRule,
    /// MetalLB's namespace; without it each that has a pool: MetalLB reads them in its own alone.
    pub metallb_namespace: Option<Arc<str>>,
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

    /// Whether a ServiceL2Status can be MetalLB's word: it is in MetalLB's namespace, and of a node that there is. Whoever may write one
    /// elsewhere takes nobody's VIP away by it.
    pub fn believes(&self, world: &World, status: &L2Status) -> bool {
        let namespace = &status.key.namespace;
        let is_metallbs = match &self.metallb_namespace {
            Some(metallbs) => namespace == metallbs,
            None => {
                let mut pools = world.pools().peekable();
                pools.peek().is_none() || pools.any(|pool| pool.key.namespace == *namespace)
            }
        };
        is_metallbs && world.node(&status.node).is_some()
    }

    /// Who says that a Service's VIPs are announced by somebody other than us, and is believed.
    pub fn announced_by_others<'w>(&self, world: &'w World, service: &ServiceKey) -> Option<&'w L2Status> {
        world.statuses_of(service).find(|status| !status.ours && self.believes(world, status))
    }

    /// What to do with VIPs of this subnet that its `excludeIps` does not cover: its own word counts first.
    pub fn exclude_ips_in(&self, subnet: &Subnet) -> ExcludeIps {
        subnet.wishes.exclude_ips.unwrap_or(self.exclude_ips)
    }
}
