//! What a refusal says: which field of which object is wrong, how, and what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Obstacle, Refusal, native, seen};
use crate::model::{Family, NodeName, ObjectKey, ServiceKey, whole};

/// How many nodes are named for one obstacle before the rest is counted.
const NAMED: usize = 5;

impl Refusal {
    /// What is wrong.
    pub fn fault(&self) -> String {
        match self {
            Self::NoVip => "the Service has no VIP: its status names no IP that can be read".into(),
            Self::HostnameOnly { hostname } => format!(
                "the Service has no VIP: status.loadBalancer.ingress names the host {hostname} and no IP"
            ),
            Self::NoSubnet { vip } => format!("no Subnet's cidrBlock holds VIP {vip}"),
            Self::NotUnderlay { vip, subnet } => {
                format!("VIP {vip} lies in Subnet {subnet}, which is no underlay subnet of OVN")
            }
            Self::ExternalLbDisabled { vip, subnet } => {
                format!("VIP {vip} lies in Subnet {subnet}, which takes no VIPs")
            }
            Self::NotExcluded { vip, .. } => format!("Kube-OVN may hand VIP {vip} to a pod"),
            Self::ServedNotExcluded { vip, .. } => {
                format!("VIP {vip} is served, but Kube-OVN may hand it to a pod")
            }
            Self::ReservedAddress { vip, subnet, reserved } => {
                format!("VIP {vip} is {reserved} of Subnet {subnet}")
            }
            Self::NativeOwner { key, protocol, row, holder, subnet: _ } => {
                native::fault(*holder, row, &format!("{protocol} {key}"))
            }
            Self::PortTaken { key, protocol, by } => {
                format!("{protocol} {key} is Service {by}'s already")
            }
            Self::NoReadyBackend { key, protocol } => {
                format!("no endpoint for {protocol} {key} is ready and usable")
            }
            Self::BadSourceRange { .. } | Self::ClosedToAll { .. } => self.fault_of_ranges(),
            Self::NoVlan { .. } | Self::NoProvider { .. } | Self::NoSteeringMac { .. } => {
                self.fault_of_wires()
            }
            Self::BackendOutsideSubnet { .. }
            | Self::BackendWithoutNode { .. }
            | Self::BackendOnUnknownNode { .. }
            | Self::BackendWithoutChassis { .. }
            | Self::BackendNoPort { .. }
            | Self::BackendElsewhere { .. } => self.fault_of_backend(),
            Self::AnnouncedByOthers { .. }
            | Self::Proxied { .. }
            | Self::ForeignAddress { .. }
            | Self::NotAdvertised { .. }
            | Self::NobodyMayAnnounce { .. }
            | Self::DarkPort { .. } => self.fault_of_announcing(),
            Self::NoSwitch { .. }
            | Self::VipIsPort { .. }
            | Self::SkipsSubnetAddresses { .. }
            | Self::KeepsDestinationMac { .. }
            | Self::SkippedCidr { .. }
            | Self::VlanDiffers { .. }
            | Self::SkippedByFlow { .. }
            | Self::NorthdSilent { .. }
            | Self::FlowMissing { .. }
            | Self::PodFlowMissing { .. }
            | Self::SteeringDiffers { .. } => seen::fault(self),
        }
    }

    fn fault_of_wires(&self) -> String {
        match self {
            Self::NoVlan { subnet, vlan } => {
                format!("Subnet {subnet} names Vlan {vlan}, which does not exist")
            }
            Self::NoProvider { vlan, provider } => {
                format!("Vlan {vlan} names ProviderNetwork {provider}, which does not exist")
            }
            Self::NoSteeringMac { subnet } => {
                format!("Subnet {subnet} has logicalGateway, whose MAC is in the northbound only")
            }
            _ => String::new(),
        }
    }

    fn fault_of_announcing(&self) -> String {
        match self {
            Self::AnnouncedByOthers { vip, node, status } => format!(
                "somebody else announces VIP {vip} on Node {node}, by ServiceL2Status {status}, and it is left to them"
            ),
            Self::Proxied { vip } => {
                format!("{vip} has ipMode: Proxy: it is the address of another load balancer")
            }
            Self::ForeignAddress { address, .. } => {
                format!("{address} is somebody else's: the VIPs beside it are served, and it is not")
            }
            Self::NotAdvertised { vip } => format!(
                "no L2Advertisement of the IPAddressPool of VIP {vip} selects the Service, so it is not announced"
            ),
            Self::NobodyMayAnnounce { vip, hindered, others } => {
                let nodes = in_the_way(hindered, *others);
                format!("no node that has a ready endpoint may announce VIP {vip}: {nodes}")
            }
            Self::DarkPort { key, protocol, node } => format!(
                "Node {node} is elected for the VIP of {protocol} {key}, and has no ready endpoint for it"
            ),
            _ => String::new(),
        }
    }

    fn fault_of_backend(&self) -> String {
        match self {
            Self::BackendOutsideSubnet { address, subnet } => {
                format!("endpoint {address} lies outside Subnet {subnet}")
            }
            Self::BackendWithoutNode { address } => {
                format!("endpoint {address} has no nodeName, so no node can answer for it")
            }
            Self::BackendOnUnknownNode { address, node } => {
                format!("endpoint {address} is on Node {node}, which does not exist")
            }
            Self::BackendWithoutChassis { address, node } => format!(
                "endpoint {address} is on Node {node}, which has no annotation ovn.kubernetes.io/chassis"
            ),
            Self::BackendNoPort { address, subnet } => {
                format!("endpoint {address} is no port of logical switch {subnet}")
            }
            Self::BackendElsewhere { address, node, subnet: _ } => {
                format!("endpoint {address} is on Node {node} by its EndpointSlice, and elsewhere by OVN")
            }
            _ => String::new(),
        }
    }

    fn fault_of_ranges(&self) -> String {
        match self {
            Self::BadSourceRange { range, field: _ } => {
                format!("source range {range:?} is no network, so it lets nobody in")
            }
            Self::ClosedToAll { vip } => {
                format!(
                    "VIP {vip} is closed to everybody: no source range that can be read is {}",
                    Family::of(*vip)
                )
            }
            _ => String::new(),
        }
    }

    fn cure_of_ranges(&self) -> String {
        match self {
            Self::BadSourceRange { range, field: _ } if range.split_whitespace().count() > 1 => {
                "write each network as an entry of its own, with commas between".into()
            }
            Self::BadSourceRange { range, field: _ } => match nearest_networks(range) {
                Some((network, host)) if network == host => format!("write {host}"),
                Some((network, host)) => {
                    format!("write {network} for the network, or {host} for the one address")
                }
                None => "write an address and a prefix length, such as 10.0.0.0/8 or fd00::/8".into(),
            },
            Self::ClosedToAll { vip } => {
                let nobody = match Family::of(*vip) {
                    Family::V4 => "127.0.0.1/32",
                    Family::V6 => "::1/128",
                };
                format!(
                    "add a range of that family, {} to open it, or {nobody} to leave it closed on purpose",
                    whole(Family::of(*vip))
                )
            }
            _ => String::new(),
        }
    }

    /// What to do.
    pub fn cure(&self) -> String {
        match self {
            Self::NoVip => "correct the address, if one stands there; else: is MetalLB's controller running, and has a pool that the Service may use a free address of each family that it asks for?"
                    .into(),
            Self::HostnameOnly { .. } => {
                "a host name cannot be answered for on a VLAN: let MetalLB give the Service an address".into()
            }
            Self::NoSubnet { .. } => "give MetalLB a pool inside an underlay Subnet".into(),
            Self::NotUnderlay { .. } => {
                "spec.vlan must name a Vlan and spec.provider be empty, ovn or end in .ovn".into()
            }
            Self::ExternalLbDisabled { .. } => "set spec.enableExternalLBAddress: true there".into(),
            Self::NotExcluded { vip, subnet } | Self::ServedNotExcluded { vip, subnet } => {
                format!("add {vip} to spec.excludeIps of Subnet {subnet}")
            }
            Self::ReservedAddress { .. } => "take it out of MetalLB's pool".into(),
            Self::NoSwitch { .. } => "is the Subnet ready, and is this its northbound?".into(),
            Self::KeepsDestinationMac { .. } => flag("--ls-dnat-mod-dl-dst=true"),
            Self::SkipsSubnetAddresses { .. } => flag("--ls-ct-skip-dst-lport-ips=false"),
            Self::SkippedCidr { .. } => {
                "take it out of kube-ovn-controller's --skip-conntrack-dst-cidrs".into()
            }
            Self::NativeOwner { holder, subnet, .. } => native::cure(*holder, subnet),
            Self::PortTaken { .. } => "give one of the two another port or VIP".into(),
            Self::NoReadyBackend { .. } => {
                "nobody serves it until one is: look at its pods, and at its EndpointSlices (kubectl get endpointslices -l kubernetes.io/service-name=NAME)".into()
            }
            Self::BackendOutsideSubnet { .. } => "only pods of the VIP's own subnet can serve it".into(),
            Self::BackendWithoutNode { .. } => "set nodeName in its EndpointSlice".into(),
            Self::BackendOnUnknownNode { .. } => "correct nodeName in its EndpointSlice".into(),
            Self::BackendWithoutChassis { .. } => "is kube-ovn-cni running there?".into(),
            Self::BackendNoPort { .. } => "OVN would drop its traffic".into(),
            Self::BadSourceRange { .. } | Self::ClosedToAll { .. } => self.cure_of_ranges(),
            Self::BackendElsewhere { .. } => "correct nodeName in its EndpointSlice".into(),
            Self::NoVlan { .. } => "correct spec.vlan, or make the Vlan; a folder must hold the Vlans, too".into(),
            Self::NoProvider { .. } => {
                "correct spec.provider, or make the ProviderNetwork; a folder must hold those, too".into()
            },
            Self::NoSteeringMac { .. } => "annotate the Subnet with ovn-vip.io/steering-mac".into(),
            Self::VipIsPort { .. } => "take it out of MetalLB's pool, or release the port's address".into(),
            Self::AnnouncedByOthers { .. } => {
                "run MetalLB without its speaker, or delete the L2Advertisements of the VIP's pool".into()
            }
            Self::Proxied { .. } => {
                "only addresses of MetalLB's, with ipMode: VIP or none, are served".into()
            }
            Self::ForeignAddress { .. } => {
                "where OpenShift gives it, empty spec.externalIP.autoAssignCIDRs of networks.config.openshift.io cluster (3.x: externalIPNetworkCIDRs); then take it out of the Service, or leave it to its owner".into()
            }
            Self::NotAdvertised { .. } => {
                "correct spec.serviceSelectors of one, or the labels of the Service".into()
            }
            Self::NobodyMayAnnounce { .. } => "mend that on one of them, or run a pod on another node".into(),
            Self::DarkPort { .. }
            | Self::VlanDiffers { .. }
            | Self::SkippedByFlow { .. }
            | Self::NorthdSilent { .. }
            | Self::FlowMissing { .. }
            | Self::PodFlowMissing { .. }
            | Self::SteeringDiffers { .. } => seen::cure(self),
        }
    }

    /// The object at fault and its field. `service` is the Service that was declined.
    pub fn subject(&self, service: &ServiceKey) -> (String, &'static str) {
        let service = || ObjectKey::Service(service.clone()).to_string();
        let subnet = |subnet| ObjectKey::Subnet(subnet).to_string();
        match self {
            Self::NoVip
            | Self::HostnameOnly { .. }
            | Self::NoSubnet { .. }
            | Self::ReservedAddress { .. }
            | Self::VipIsPort { .. }
            | Self::AnnouncedByOthers { .. }
            | Self::Proxied { .. }
            | Self::NotAdvertised { .. }
            | Self::NobodyMayAnnounce { .. } => (service(), "status.loadBalancer.ingress"),
            Self::BadSourceRange { field, .. } | Self::ForeignAddress { field, .. } => (service(), field),
            Self::ClosedToAll { .. } => (service(), "spec.loadBalancerSourceRanges"),
            Self::NotUnderlay { subnet: name, .. } => (subnet(name.clone()), "spec.vlan"),
            Self::ExternalLbDisabled { subnet: name, .. } => {
                (subnet(name.clone()), "spec.enableExternalLBAddress")
            }
            Self::NotExcluded { subnet: name, .. } | Self::ServedNotExcluded { subnet: name, .. } => {
                (subnet(name.clone()), "spec.excludeIps")
            }
            Self::NoSwitch { subnet: name } => (subnet(name.clone()), "metadata.name"),
            Self::SkipsSubnetAddresses { .. } => ("NB_Global".into(), "options:ls_ct_skip_dst_lport_ips"),
            Self::KeepsDestinationMac { .. } => ("NB_Global".into(), "options:ls_dnat_mod_dl_dst"),
            Self::SkippedCidr { .. } => ("NB_Global".into(), "options:skip_conntrack_dst_cidrs"),
            Self::SkippedByFlow { .. } => ("Logical_Flow ls_in_pre_lb".into(), "match"),
            Self::NorthdSilent { .. } => ("northd".into(), "Logical_Flow"),
            Self::FlowMissing { .. } => ("Logical_Flow ls_in_lb".into(), "match"),
            Self::PodFlowMissing { .. } => ("Logical_Flow ls_in_l2_lkup".into(), "match"),
            Self::NativeOwner { row, .. } => (format!("Load_Balancer {row}"), "vips"),
            Self::PortTaken { .. } | Self::DarkPort { .. } => (service(), "spec.ports"),
            Self::NoReadyBackend { .. } | Self::BackendOutsideSubnet { .. } | Self::BackendNoPort { .. } => {
                (service(), "endpoints")
            }
            Self::BackendWithoutNode { .. }
            | Self::BackendOnUnknownNode { .. }
            | Self::BackendElsewhere { .. } => (service(), "endpoints[].nodeName"),
            Self::BackendWithoutChassis { node, .. } => {
                (ObjectKey::Node(node.clone()).to_string(), "metadata.annotations[ovn.kubernetes.io/chassis]")
            }
            Self::NoVlan { subnet: name, .. } => (subnet(name.clone()), "spec.vlan"),
            Self::VlanDiffers { vlan, .. } => (ObjectKey::Vlan(vlan.clone()).to_string(), "spec.id"),
            Self::NoProvider { vlan, .. } => (ObjectKey::Vlan(vlan.clone()).to_string(), "spec.provider"),
            Self::NoSteeringMac { subnet: name } | Self::SteeringDiffers { subnet: name, .. } => {
                (subnet(name.clone()), "metadata.annotations[ovn-vip.io/steering-mac]")
            }
        }
    }
}

/// Which nodes cannot announce, by what is in the way; and how many have nothing to announce it for.
fn in_the_way(hindered: &BTreeMap<Obstacle, BTreeSet<NodeName>>, others: usize) -> String {
    let groups = hindered.iter().map(|(obstacle, nodes)| {
        let named: Vec<&str> = nodes.iter().take(NAMED).map(NodeName::as_str).collect();
        let more = match nodes.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}{more} ({obstacle})", named.join(", "))
    });
    let without = match others {
        0 => None,
        1 => Some("1 other node has no ready endpoint".to_owned()),
        others => Some(format!("{others} other nodes have no ready endpoint")),
    };
    groups.chain(without).collect::<Vec<_>>().join("; ")
}

/// What Kube-OVN is to be told.
fn flag(flag: &str) -> String {
    format!("start kube-ovn-controller with {flag}")
}

/// What may have been meant: the network that holds it, and the one address.
fn nearest_networks(range: &str) -> Option<(IpNet, IpNet)> {
    let (address, length) =
        range.split_once('/').map_or((range, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let host = IpNet::from(address);
    let Some(length) = length else { return Some((host, host)) };
    let length = match length.parse::<IpAddr>() {
        Ok(mask) => ipnet::ip_mask_to_prefix(mask).ok()?,
        Err(_) => length.parse().ok()?,
    };
    Some((IpNet::new(address, length).ok()?.trunc(), host))
}
