//! What happened, in words for the log.

use tracing::{debug, error, info, trace, warn};

use crate::io::ovsdb_client::Event;
use crate::io::switch::{DeliveryEvent, SwitchEvent};
use crate::l2::Verdict;
use crate::model::{InterfaceName, SubnetName};
use crate::node::{News, Told};

pub(super) fn say_news(told: &Told) {
    let Told { subnet, place, news, events: _ } = told;
    match news {
        News::Asking(vip) => debug!(%vip, %subnet, "asking whether somebody has it"),
        News::Announced(vip) => info!(%vip, %subnet, place, "announcing"),
        News::HandedOver(vip, mac) => info!(%vip, %subnet, to = %mac, "handed over"),
        News::Withdrawn(vip, why) => info!(%vip, %subnet, why, "withdrawn"),
        News::Conflict(vip, mac, outcome) => {
            warn!(%vip, foreign_mac = %mac, ?outcome, %subnet, "another host claims a VIP of ours")
        }
        News::Silent(nodes) => {
            let nodes: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
            info!(%subnet, silent = nodes.join(", "), "whose beats are missed on the segment");
        }
        News::Carrier(nic, carrier) => info!(%subnet, %nic, carrier, "the NIC's link changed"),
    }
}

pub(super) fn say_verdict(subnet: &SubnetName, verdict: &Verdict) {
    match verdict {
        Verdict::Answered { .. } => debug!(%subnet, ?verdict, "answered"),
        Verdict::Conflict { .. } => debug!(%subnet, ?verdict, "claimed by another host"),
        Verdict::Beat | Verdict::Ignored(_) => trace!(%subnet, ?verdict, "ignored"),
    }
}

pub(super) fn say_vswitch_event(event: Event) {
    match event {
        Event::Connected { endpoint, missing: _ } => {
            info!(%endpoint, "connected to Open vSwitch's database")
        }
        Event::Disconnected { endpoint, reason, said_before: false, .. } => {
            warn!(endpoint, reason, "no connection to Open vSwitch's database; retrying");
        }
        Event::Disconnected { endpoint, reason, .. } => debug!(endpoint, reason, "no connection"),
        Event::SchemaRefused(missing) => error!(%missing, "this Open vSwitch cannot be used"),
        Event::Synced
        | Event::Changed(_)
        | Event::Committed { .. }
        | Event::Locked { .. }
        | Event::Unlocked { .. } => {}
    }
}

pub(super) fn say_delivery_event(event: DeliveryEvent) {
    match event {
        DeliveryEvent::Changed => debug!("OVN delivers other VIPs here than before"),
        DeliveryEvent::Disconnected { reason, first: true, excused: true } => {
            warn!("{reason}; it waits for its database, and the kernel forwards on: nothing is let go")
        }
        DeliveryEvent::Disconnected { reason, first: true, excused: false } => {
            warn!("{reason}; nothing is announced until OVN's bridge answers")
        }
        DeliveryEvent::Disconnected { reason, first: false, .. } => debug!("{reason}"),
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
        SwitchEvent::Replaces { flow, cookie } => {
            let cookie = format!("{cookie:#x}");
            warn!(%bridge, flow, cookie, "a rule of ours takes the place of somebody else's, of the same match and priority: whose cookie is it?")
        }
        SwitchEvent::Refused { flow, error, cure } => {
            error!(%bridge, flow, error, cure, "the bridge refuses a rule")
        }
    }
}
