//! What is said where OVN is seen to be otherwise than it should be.

use super::Refusal;
use crate::model::VlanId;

/// What is so.
pub(super) fn fault(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NoSwitch { subnet } => format!("the northbound has no logical switch {subnet}"),
        Refusal::VipIsPort { vip, port } => format!("VIP {vip} is the address of logical switch port {port}"),
        Refusal::KeepsDestinationMac { vip, subnet } => format!(
            "OVN is told to leave the MAC of what it translates (ls_dnat_mod_dl_dst=false), so that frames for VIP {vip} find no pod in Subnet {subnet}, whose switch has no router port"
        ),
        Refusal::SkipsSubnetAddresses { vip } => {
            format!("OVN would not balance VIP {vip}: NB_Global.options:ls_ct_skip_dst_lport_ips is true")
        }
        Refusal::SkippedCidr { vip, cidr } => {
            format!("OVN would not balance VIP {vip}: NB_Global.options:skip_conntrack_dst_cidrs has {cidr}")
        }
        Refusal::VlanDiffers { vlan, id, port, tag } => format!(
            "Vlan {vlan} has {}, and localnet port {port} of the northbound has {}: frames for the VIP are dropped",
            number(*id),
            number(*tag)
        ),
        Refusal::SkippedByFlow { vip, cidr } => format!(
            "OVN does not balance VIP {vip}: the southbound has a flow that leaves {cidr} out, which NB_Global no longer asks for"
        ),
        Refusal::NorthdSilent { key, protocol } => format!(
            "northd has made no flows for {protocol} {key} as its row is now, seconds after it was written"
        ),
        Refusal::FlowMissing { key, protocol } => {
            format!("the southbound's flows for {protocol} {key} do not keep it on the announcing node")
        }
        Refusal::PodFlowMissing { key, protocol } => format!(
            "OVN translates {protocol} {key} and has no flow that brings it to a pod of it, though ls_dnat_mod_dl_dst is true: it is dropped"
        ),
        Refusal::SteeringDiffers { subnet, mac, router } => format!(
            "frames for VIPs of Subnet {subnet} are steered to {mac}, and the router port of its switch has {router}: they are dropped"
        ),
        _ => String::new(),
    }
}

/// What to do about it.
pub(super) fn cure(refusal: &Refusal) -> String {
    match refusal {
        Refusal::VlanDiffers { id, port, .. } => {
            let set = match id {
                Some(id) => format!("ovn-nbctl set Logical_Switch_Port {port} tag={}", id.get()),
                None => format!("ovn-nbctl clear Logical_Switch_Port {port} tag"),
            };
            format!("correct spec.id to what the physical network has, or the port: `{set}`")
        }
        Refusal::DarkPort { .. } => {
            "run a pod of each Service that shares the VIP on one node, or give them VIPs of their own".into()
        }
        Refusal::SkippedByFlow { .. } => {
            "have northd compute anew: `ovn-appctl -t ovn-northd inc-engine/recompute`, on the active one".into()
        }
        Refusal::NorthdSilent { .. } => {
            "does ovn-northd run, and is one active? `ovn-appctl -t ovn-northd status`; its log says what it refuses".into()
        }
        Refusal::FlowMissing { .. } => {
            "run Kube-OVN's own OVN, or OVN 26.03 or newer; else `ovn-appctl -t ovn-northd inc-engine/recompute`".into()
        }
        Refusal::PodFlowMissing { .. } => {
            "`ovn-appctl -t ovn-northd inc-engine/recompute`; else this build of OVN does not do it: run another, or give the switch a router port (spec.u2oInterconnection)"
                .into()
        }
        Refusal::SteeringDiffers { subnet, router, .. } => format!(
            "correct status.u2oInterconnectionMAC of the Subnet, where it has one (restart kube-ovn-controller), else \
             `kubectl annotate subnet {subnet} ovn-vip.io/steering-mac={router} --overwrite`"
        ),
        _ => String::new(),
    }
}

fn number(id: Option<VlanId>) -> String {
    id.map_or_else(|| "no number".to_owned(), |id| format!("number {}", id.get()))
}
