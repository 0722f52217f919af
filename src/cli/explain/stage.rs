//! What a refusal does to its VIP, by the stage of the VIP's way that it belongs to.

use crate::plan::{Refusal, Severity, Stage};

/// Whether the VIP is dark for it: it says that nothing is served, or it is why the VIP, or all of its ports, is left out.
pub fn darkens(refusal: &Refusal, is_placed: bool, has_backends: bool) -> bool {
    match Stage::of(refusal) {
        // One bad entry of several ranges takes nothing from the good ones.
        Stage::Clients => matches!(refusal, Refusal::ClosedToAll { .. }),
        stage @ (Stage::Ports | Stage::Backends) => {
            let by_kube_ovn = matches!(refusal, Refusal::NativeOwner { holder, .. } if holder.serves());
            stage == Stage::Ports && !has_backends && !by_kube_ovn
                || stage == Stage::Backends && !has_backends
        }
        Stage::Nodes => {
            matches!(refusal, Refusal::NobodyMayAnnounce { .. } | Refusal::NotAdvertised { .. })
        }
        _ => refusal.severity() == Severity::Error || !is_placed,
    }
}
