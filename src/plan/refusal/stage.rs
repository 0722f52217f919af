//! The stages of a VIP's way, in order, and where on it each refusal belongs.

use super::Refusal;

/// One stage, named as it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The Service, its type and class.
    Service,
    /// `status.loadBalancer`.
    Address,
    /// The Subnet that holds the VIP.
    Subnet,
    /// Its Vlan and ProviderNetwork.
    Vlan,
    /// Whose the address may be besides.
    ExcludeIps,
    /// `spec.loadBalancerSourceRanges`.
    Clients,
    /// Who serves the VIP's ports.
    Ports,
    /// The endpoints.
    Backends,
    /// The controller's word.
    Controller,
    /// The rows.
    Northbound,
    /// Tag and MAC between the bridge and the switch.
    Localnet,
    /// northd's flows.
    Southbound,
    /// Who may announce it.
    Nodes,
    /// Who does.
    Announced,
}

impl Stage {
    /// For people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Service => "Service",
            Stage::Address => "address",
            Stage::Subnet => "Subnet",
            Stage::Vlan => "Vlan",
            Stage::ExcludeIps => "excludeIps",
            Stage::Clients => "clients",
            Stage::Ports => "ports",
            Stage::Backends => "backends",
            Stage::Controller => "controller",
            Stage::Northbound => "northbound",
            Stage::Localnet => "localnet",
            Stage::Southbound => "southbound",
            Stage::Nodes => "nodes",
            Stage::Announced => "announced",
        }
    }

    /// Where a refusal belongs.
    pub fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::NoVip
            | Refusal::HostnameOnly { .. }
            | Refusal::Proxied { .. }
            | Refusal::ForeignAddress { .. } => Stage::Address,
            Refusal::NoSubnet { .. }
            | Refusal::NotUnderlay { .. }
            | Refusal::ExternalLbDisabled { .. }
            | Refusal::NoSteeringMac { .. } => Stage::Subnet,
            Refusal::NoVlan { .. } | Refusal::NoProvider { .. } => Stage::Vlan,
            Refusal::NotExcluded { .. }
            | Refusal::ServedNotExcluded { .. }
            | Refusal::ReservedAddress { .. }
            | Refusal::VipIsPort { .. } => Stage::ExcludeIps,
            Refusal::BadSourceRange { .. } | Refusal::ClosedToAll { .. } => Stage::Clients,
            Refusal::NativeOwner { .. } | Refusal::PortTaken { .. } => Stage::Ports,
            Refusal::NoReadyBackend { .. }
            | Refusal::BackendOutsideSubnet { .. }
            | Refusal::BackendWithoutNode { .. }
            | Refusal::BackendOnUnknownNode { .. }
            | Refusal::BackendWithoutChassis { .. }
            | Refusal::BackendNoPort { .. }
            | Refusal::BackendElsewhere { .. } => Stage::Backends,
            Refusal::NoSwitch { .. }
            | Refusal::SkipsSubnetAddresses { .. }
            | Refusal::KeepsDestinationMac { .. }
            | Refusal::SkippedCidr { .. } => Stage::Northbound,
            Refusal::VlanDiffers { .. } | Refusal::SteeringDiffers { .. } => Stage::Localnet,
            Refusal::SkippedByFlow { .. }
            | Refusal::NorthdSilent { .. }
            | Refusal::FlowMissing { .. }
            | Refusal::PodFlowMissing { .. } => Stage::Southbound,
            Refusal::NotAdvertised { .. }
            | Refusal::NobodyMayAnnounce { .. }
            | Refusal::AnnouncedByOthers { .. }
            | Refusal::DarkPort { .. } => Stage::Nodes,
        }
    }
}
