//! Whether a frame for a VIP finds its way into the switch: the tag and the MAC that speakers go by, against the northbound's.

use std::collections::BTreeSet;

use std::net::{IpAddr, SocketAddr};

use crate::model::{LspName, Protocol, Subnet, Unseen};

use super::view::View;
use super::{Refusal, steering_mac};

/// What of a subnet is otherwise in the northbound than the cluster's objects have it. Both are silent black holes: the
/// switch drops a frame with another tag, and one with another MAC.
pub(super) fn review(view: View<'_>, refusals: &mut BTreeSet<Refusal>, subnet: &Subnet, vip: IpAddr) {
    let Some(network) = view.network else { return };
    if let Some(cidr) = network.skipped_by_flow.iter().find(|cidr| cidr.contains(&vip)) {
        refusals.insert(Refusal::SkippedByFlow { vip, cidr: *cidr });
    }
    let Some(switch) = network.switches.get(&subnet.name) else { return };
    let port = LspName::from(&*format!("localnet.{}", subnet.name));
    let vlan = subnet.vlan.as_ref().and_then(|name| view.world.vlan(name));
    if let (Some(vlan), Some(tag)) = (vlan, switch.wires.get(&port))
        && vlan.id != *tag
    {
        let (vlan, id, tag) = (vlan.name.clone(), vlan.id, *tag);
        refusals.insert(Refusal::VlanDiffers { vlan, id, port, tag });
    }
    if let (Some(router), Ok(mac)) = (switch.router_mac, steering_mac(subnet))
        && router != mac
    {
        refusals.insert(Refusal::SteeringDiffers { subnet: subnet.name.clone(), mac, router });
    }
}

/// What of a port that is programmed was not seen in the southbound for a while.
pub(super) fn unseen(view: View<'_>, protocol: Protocol, key: SocketAddr) -> Option<Refusal> {
    let unseen = view.network?.unseen.get(&(protocol, key))?;
    Some(match unseen {
        Unseen::Flows => Refusal::NorthdSilent { key, protocol },
        Unseen::Locality => Refusal::FlowMissing { key, protocol },
        Unseen::Pod => Refusal::PodFlowMissing { key, protocol },
    })
}
