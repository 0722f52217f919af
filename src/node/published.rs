//! What the API server has of this node's own report, and when that is written again though it says nothing new: so that
//! whoever reads it knows that somebody is there to say so (ADR 0044). No I/O.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::kube::saying::report_key;
use crate::model::{Change, NodeName, Object, ObjectKey, SpeakerReport};

/// How often a report is renewed, as kubelets renew their Nodes' Leases.
const PERIOD: Duration = Duration::from_secs(10);
/// All speakers together renew no more than one report in so long: each is told to every other node.
const SHARE: Duration = Duration::from_millis(100);
/// After so many periods without a renewal nobody is there.
const PERIODS: u32 = 4;

/// The report as the API server has it.
#[derive(Debug, Default)]
pub struct Published {
    report: Option<SpeakerReport>,
    renew_at: Option<Instant>,
}

impl Published {
    /// The report as the API server has it.
    pub fn report(&self) -> Option<&SpeakerReport> {
        self.report.as_ref()
    }

    /// Takes note of a change; whether it is one of this node's own report.
    pub fn take(&mut self, node: &NodeName, change: &Change) -> bool {
        let own = report_key(node);
        self.report = match change {
            Change::Apply(Object::Report(report)) if report.key == own => Some(report.clone()),
            Change::Remove(ObjectKey::Report(key)) if *key == own => None,
            Change::Apply(_) | Change::Remove(_) | Change::Gaps(_) => return false,
        };
        true
    }

    /// Whether it is time to write it again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.renew_at.is_none_or(|at| at <= now)
    }

    /// It is written now, in a cluster of so many nodes. For how long it is to count.
    pub fn written(&mut self, node: &NodeName, nodes: usize, now: Instant) -> Duration {
        let period = period(nodes);
        // Up to a tenth less, other for each node: those that were started together drift apart.
        let [less, ..] = <[u8; 32]>::from(Sha256::digest(node.as_str()));
        self.renew_at = Some(now + period - period * u32::from(less) / 2560);
        period * PERIODS
    }
}

fn period(nodes: usize) -> Duration {
    PERIOD.max(SHARE * u32::try_from(nodes).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an Instant has no other beginning than now")]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_renewed_four_times_before_it_counts_no_more() {
        let (mut published, start) = (Published::default(), Instant::now());
        assert!(published.is_due(start));
        let lasts = published.written(&"node1".into(), 3, start);
        let mut renewals = 0;
        for second in 1..=lasts.as_secs() {
            let now = start + Duration::from_secs(second);
            if published.is_due(now) {
                renewals += 1;
                published.written(&"node1".into(), 3, now);
            }
        }
        assert_eq!((renewals, lasts), (4, Duration::from_secs(40)));
    }

    #[test]
    fn a_large_cluster_does_not_write_more_than_a_small_one_can_bear() {
        for (nodes, seconds) in [(1, 10), (100, 10), (500, 50), (5000, 500)] {
            assert_eq!(period(nodes), Duration::from_secs(seconds), "{nodes}");
            let first = Published::default().written(&"a".into(), nodes, Instant::now());
            assert_eq!(first, Duration::from_secs(4 * seconds));
        }
    }

    #[test]
    fn nodes_that_were_started_together_drift_apart() {
        let now = Instant::now();
        let at = |node: &str| {
            let mut published = Published::default();
            published.written(&node.into(), 3, now);
            published.renew_at.unwrap() - now
        };
        let times = ["node1", "node2", "node3"].map(at);
        assert!(times.iter().all(|time| (Duration::from_secs(9)..=PERIOD).contains(time)), "{times:?}");
        assert_eq!(std::collections::BTreeSet::from(times).len(), 3);
    }
}
