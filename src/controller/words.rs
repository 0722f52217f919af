//! What the controller says of its databases and of Services.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::RefusalChange;
use crate::plan::Refusal;

/// Why nothing can be programmed on this OVN, and what to do.
pub fn too_old(northd_version: Option<&str>) -> String {
    let needed = "OVN 26.03 or newer, or the OVN that Kube-OVN ships, is needed";
    match northd_version {
        Some(version) => format!(
            "OVN {version} can keep DNAT on the announcing node in no way: {needed}; nothing is programmed"
        ),
        None => format!("ovn-northd has not told its version in NB_Global; is it running? {needed}"),
    }
}

/// A connection is gone: once as a warning, then for the curious.
pub fn say_disconnected(database: &str, endpoint: &str, reason: &str, said_before: bool, retry_in: Duration) {
    let retry_in_ms = retry_in.as_millis();
    if said_before {
        debug!(database, endpoint, reason, retry_in_ms, "no connection");
    } else {
        warn!(database, endpoint, reason, "no connection; retrying");
    }
}

/// What is declined, and what no longer is. Who waits for an address of ours is told so by who gives it (`is_given`).
pub fn say_refusals(change: &RefusalChange, is_given: bool) {
    let is_told = |refusal: &&Refusal| !(is_given && **refusal == Refusal::NoVip);
    for refusal in change.new.iter().filter(is_told) {
        warn!(service = %change.service, reason = refusal.reason(), "{refusal}");
    }
    for refusal in change.gone.iter().filter(is_told) {
        info!(service = %change.service, reason = refusal.reason(), "no longer so: {refusal}");
    }
}
