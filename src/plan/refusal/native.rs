//! What is said where a row that is not ours has a VIP and port.

use crate::model::{Holder, SubnetName};

/// What is so; `what`: the protocol, VIP and port.
pub(super) fn fault(holder: Holder, row: &str, what: &str) -> String {
    match holder {
        Holder::Stranger => {
            format!("Load_Balancer {row}, which is not ours, has {what} already, and it is left to it")
        }
        Holder::Template => format!(
            "Kube-OVN serves {what} itself, by a template variable of Load_Balancer {row}, and it is left to it"
        ),
        Holder::KubeOvn => {
            format!("Kube-OVN serves {what} itself, in Load_Balancer {row}, and it is left to it")
        }
        Holder::Idle => format!(
            "Kube-OVN's Load_Balancer {row} has {what} and does not serve it on the announcing node, and nothing there says that it is left over"
        ),
        Holder::Awaited { seconds, undone } => format!(
            "Kube-OVN had {what} in Load_Balancer {row} a moment ago, and may write it again: it is held back until {seconds} s after it went{}",
            match undone {
                0 => String::new(),
                1 => ", because Kube-OVN wrote it again after it was taken last time".to_owned(),
                _ => format!(", because Kube-OVN wrote it again after it was taken the last {undone} times"),
            }
        ),
        Holder::Leftover => {
            format!("Kube-OVN had {what} in Load_Balancer {row} a moment ago, and may write it again")
        }
    }
}

/// What to do about it.
pub(super) fn cure(holder: Holder, subnet: &SubnetName) -> String {
    let takeover = format!("annotate Subnet {subnet} with ovn-vip.io/takeover=true to have it taken");
    match holder {
        Holder::Stranger => {
            "ask its owner to take the VIP out of the row, or give the Service another VIP".into()
        }
        Holder::Template => {
            "start kube-ovn-controller with --enable-ovn-lb-prefer-local=false to hand it over".into()
        }
        Holder::KubeOvn => format!(
            "start kube-ovn-controller with --enable-ovn-lb-prefer-local=false to hand it over, or {takeover}"
        ),
        Holder::Idle => takeover,
        Holder::Awaited { .. } | Holder::Leftover => {
            "it is served here if it stays away: nothing to do".into()
        }
    }
}
