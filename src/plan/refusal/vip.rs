//! Which VIP a refusal is about.

use std::net::IpAddr;

use super::Refusal;

impl Refusal {
    /// The VIP that it is about; none where it is about the Service, or about all of its VIPs.
    pub fn vip(&self) -> Option<IpAddr> {
        match self {
            Self::NoSubnet { vip }
            | Self::NotUnderlay { vip, .. }
            | Self::ExternalLbDisabled { vip, .. }
            | Self::NotExcluded { vip, .. }
            | Self::ServedNotExcluded { vip, .. }
            | Self::ReservedAddress { vip, .. }
            | Self::SkipsSubnetAddresses { vip }
            | Self::KeepsDestinationMac { vip, .. }
            | Self::SkippedCidr { vip, .. }
            | Self::ClosedToAll { vip }
            | Self::VipIsPort { vip, .. }
            | Self::AnnouncedByOthers { vip, .. }
            | Self::Proxied { vip }
            | Self::ForeignAddress { address: vip, .. }
            | Self::NotAdvertised { vip }
            | Self::NobodyMayAnnounce { vip, .. }
            | Self::SkippedByFlow { vip, .. } => Some(*vip),
            Self::NativeOwner { key, .. }
            | Self::PortTaken { key, .. }
            | Self::NoReadyBackend { key, .. }
            | Self::DarkPort { key, .. }
            | Self::NorthdSilent { key, .. }
            | Self::FlowMissing { key, .. }
            | Self::PodFlowMissing { key, .. } => Some(key.ip()),
            Self::NoVip
            | Self::HostnameOnly { .. }
            | Self::NoSwitch { .. }
            | Self::BackendOutsideSubnet { .. }
            | Self::BackendWithoutNode { .. }
            | Self::BackendOnUnknownNode { .. }
            | Self::BackendWithoutChassis { .. }
            | Self::BackendNoPort { .. }
            | Self::BadSourceRange { .. }
            | Self::BackendElsewhere { .. }
            | Self::NoVlan { .. }
            | Self::NoProvider { .. }
            | Self::NoSteeringMac { .. }
            | Self::VlanDiffers { .. }
            | Self::SteeringDiffers { .. } => None,
        }
    }
}
