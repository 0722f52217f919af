//! When a node lets go of a VIP that another one is to announce: once the other was heard, and not before, so that
//! somebody answers all the while.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a claim that was heard counts. The successor may have known first, and spoken before we were told that it
/// is to: it says its claim three times within 2.2 s (`l2::claim`).
const HEARD_FOR: Duration = Duration::from_secs(3);

/// Who was heard.
#[derive(Debug, Default)]
pub struct Handover {
    heard: BTreeMap<IpAddr, Instant>,
}

impl Handover {
    /// Somebody else says that it has this VIP.
    pub fn hear(&mut self, vip: IpAddr, now: Instant) {
        self.heard.retain(|_, at| now < *at + HEARD_FOR);
        self.heard.insert(vip, now);
    }

    /// Whether nobody was heard yet that has this VIP now.
    pub fn is_awaited(&self, vip: IpAddr, now: Instant) -> bool {
        self.heard.get(&vip).is_none_or(|at| now >= *at + HEARD_FOR)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
mod tests {
    use super::*;

    #[test]
    fn a_vip_is_kept_until_the_other_is_heard_also_where_it_spoke_a_moment_before() {
        let (mut handover, start) = (Handover::default(), Instant::now());
        let (vip, other) = (IpAddr::from([10, 0, 0, 9]), IpAddr::from([10, 0, 0, 8]));
        assert!(handover.is_awaited(vip, start));
        handover.hear(vip, start);
        assert!(!handover.is_awaited(vip, start + Duration::from_secs(2)));
        assert!(handover.is_awaited(other, start));
        assert!(handover.is_awaited(vip, start + HEARD_FOR), "that was another time");
    }
}
