//! Where on a VIP's way a refusal belongs.

use serde::Serialize;

use crate::plan::{Refusal, Stage};

/// A box of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The address that clients ask for, and who may.
    Client,
    /// Who answers for it.
    Node,
    /// What brings its frames from the wire into OVN.
    Rule,
    /// OVN's load balancer.
    LoadBalancer,
    /// What serves.
    Pods,
}

impl Place {
    /// The box that a refusal is shown in.
    pub fn of(refusal: &Refusal) -> Self {
        match (refusal, Stage::of(refusal)) {
            // The MAC to steer to is the Subnet's; a pod's own flow is northd's.
            (Refusal::NoSteeringMac { .. }, _) => Place::Rule,
            (Refusal::PodFlowMissing { .. }, _) => Place::Pods,
            (_, Stage::Service | Stage::Address | Stage::Subnet | Stage::ExcludeIps | Stage::Clients) => {
                Place::Client
            }
            (_, Stage::Nodes | Stage::Announced) => Place::Node,
            (_, Stage::Vlan | Stage::Localnet) => Place::Rule,
            (_, Stage::Ports | Stage::Controller | Stage::Northbound | Stage::Southbound) => {
                Place::LoadBalancer
            }
            (_, Stage::Backends) => Place::Pods,
        }
    }
}
