//! What happened to bridges, in words for the log.

use tracing::{debug, error, info, warn};

use crate::io::switch::{DeliveryEvent, SwitchEvent};
use crate::model::InterfaceName;

pub(super) fn say_delivery_event(event: DeliveryEvent) {
    match event {
        DeliveryEvent::Delivered => debug!("OVN delivers more of the VIPs here"),
        DeliveryEvent::Disconnected { reason, first: true } => {
            warn!("{reason}; nothing is announced until OVN's bridge answers")
        }
        DeliveryEvent::Disconnected { reason, first: false } => debug!("{reason}"),
    }
}

pub(super) fn say_switch_event(bridge: &InterfaceName, event: SwitchEvent) {
    match event {
        SwitchEvent::Connected { version, .. } => debug!(%bridge, ?version, "the bridge answers"),
        SwitchEvent::Disconnected { reason, first: true } => warn!(%bridge, "{reason}"),
        SwitchEvent::Disconnected { reason, first: false } => debug!(%bridge, "{reason}"),
        SwitchEvent::Installed { added, removed } => info!(%bridge, added, removed, "rules installed"),
        SwitchEvent::Repaired { added, removed } => {
            warn!(%bridge, added, removed, "somebody changed our rules; repaired")
        }
        SwitchEvent::LeftToKubeOvn { left, taken_back } => {
            info!(%bridge, left, taken_back, "rules left to Kube-OVN, whose own do the same")
        }
        SwitchEvent::Refused { flow, error, cure } => {
            error!(%bridge, flow, error, cure, "the bridge refuses a rule")
        }
    }
}
