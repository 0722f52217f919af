//! Where on a VIP's way a refusal belongs.

use serde::Serialize;

use crate::plan::Refusal;

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
        match refusal {
            Refusal::NoVip
            | Refusal::HostnameOnly { .. }
            | Refusal::NoSubnet { .. }
            | Refusal::NotUnderlay { .. }
            | Refusal::ExternalLbDisabled { .. }
            | Refusal::NotExcluded { .. }
            | Refusal::ServedNotExcluded { .. }
            | Refusal::ReservedAddress { .. }
            | Refusal::VipIsPort { .. }
            | Refusal::BadSourceRange { .. }
            | Refusal::ClosedToAll { .. }
            | Refusal::Proxied { .. }
            | Refusal::ForeignAddress { .. } => Place::Client,
            Refusal::AnnouncedByOthers { .. }
            | Refusal::NotAdvertised { .. }
            | Refusal::NobodyMayAnnounce { .. }
            | Refusal::DarkPort { .. } => Place::Node,
            Refusal::NoVlan { .. }
            | Refusal::NoProvider { .. }
            | Refusal::NoSteeringMac { .. }
            | Refusal::VlanDiffers { .. }
            | Refusal::SteeringDiffers { .. } => Place::Rule,
            Refusal::NoSwitch { .. }
            | Refusal::SkipsSubnetAddresses { .. }
            | Refusal::KeepsDestinationMac { .. }
            | Refusal::SkippedCidr { .. }
            | Refusal::NativeOwner { .. }
            | Refusal::PortTaken { .. }
            | Refusal::SkippedByFlow { .. }
            | Refusal::NorthdSilent { .. }
            | Refusal::FlowMissing { .. } => Place::LoadBalancer,
            Refusal::NoReadyBackend { .. }
            | Refusal::BackendOutsideSubnet { .. }
            | Refusal::BackendWithoutNode { .. }
            | Refusal::BackendOnUnknownNode { .. }
            | Refusal::BackendWithoutChassis { .. }
            | Refusal::BackendNoPort { .. }
            | Refusal::BackendElsewhere { .. }
            | Refusal::PodFlowMissing { .. } => Place::Pods,
        }
    }
}
