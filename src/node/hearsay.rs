//! What another speaker holds, by its report and by its own beats: the later word counts, wherever it was read.
//!
//! Of two words on a VIP of one node the one with the higher term is later, and of one term that it has let go: whoever takes a
//! VIP again takes it with a higher one. So no clock is compared, and an API server that is late, away, or back at an older
//! state changes nothing for those who hear each other. Without one beats are all there is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use super::agent::Agent;
use super::segment::Segment;
use crate::kube::saying::report_key;
use crate::model::{Change, NodeName, Object, ObjectKey, SegmentReport, SpeakerReport, SubnetName, Term};

/// What is known of the other speakers, by where it is from.
#[derive(Debug, Default)]
pub(super) struct Hearsay {
    /// What the API server has.
    written: BTreeMap<NodeName, SpeakerReport>,
    /// What their beats tell.
    heard: BTreeMap<NodeName, BTreeMap<SubnetName, SegmentReport>>,
}

impl Hearsay {
    /// A node's report, as it counts.
    fn of(&self, node: &NodeName) -> Option<SpeakerReport> {
        let (written, heard) = (self.written.get(node), self.heard.get(node));
        let key = written.map_or_else(|| report_key(node), |report| report.key.clone());
        let mut segments = written.map(|report| report.segments.clone()).unwrap_or_default();
        for (subnet, heard) in heard.into_iter().flatten() {
            let merged = segments.get(subnet).map_or_else(|| heard.clone(), |written| merged(written, heard));
            segments.insert(subnet.clone(), merged);
        }
        let is_known = written.is_some() || heard.is_some_and(|heard| !heard.is_empty());
        is_known.then(|| SpeakerReport { key, node: node.clone(), segments })
    }
}

/// Both words on each VIP; whether a node can deliver is what it told last, which is by its beats.
fn merged(written: &SegmentReport, heard: &SegmentReport) -> SegmentReport {
    let (mut held, mut left) = (BTreeMap::new(), BTreeMap::new());
    let all = [&written.held, &written.left, &heard.held, &heard.left];
    let vips: BTreeSet<IpAddr> = all.into_iter().flat_map(BTreeMap::keys).copied().collect();
    for vip in vips {
        match (last(&written.held, &heard.held, vip), last(&written.left, &heard.left, vip)) {
            (Some(term), ended) if ended.is_none_or(|ended| ended < term) => drop(held.insert(vip, term)),
            (_, Some(term)) => drop(left.insert(vip, term)),
            (_, None) => {}
        }
    }
    let undelivered = heard.undelivered.clone();
    SegmentReport { mac: heard.mac, held, left, undelivered, ..written.clone() }
}

fn last(written: &BTreeMap<IpAddr, Term>, heard: &BTreeMap<IpAddr, Term>, vip: IpAddr) -> Option<Term> {
    written.get(&vip).max(heard.get(&vip)).copied()
}

impl Agent {
    /// A change of the cluster, as it counts beside what is heard.
    pub(super) fn with_heard(&mut self, change: Change) -> Change {
        let node = match &change {
            Change::Apply(Object::Report(report)) => report.node.clone(),
            Change::Remove(ObjectKey::Report(key)) => {
                let written = self.hearsay.written.values().find(|report| report.key == *key);
                let Some(written) = written else { return change };
                written.node.clone()
            }
            Change::Apply(_) | Change::Remove(_) | Change::Gaps(_) => return change,
        };
        if node == self.settings.node {
            return change;
        }
        if let Change::Apply(Object::Report(report)) = &change {
            self.hearsay.written.insert(node.clone(), report.clone());
        } else {
            self.hearsay.written.remove(&node);
        }
        self.hearsay.of(&node).map_or(change, |report| Change::Apply(Object::Report(report)))
    }

    /// Takes in what beats on a segment have told, of others and of this node itself.
    pub(super) fn take_in_beats(&mut self, subnet: &SubnetName) {
        let Some(segment) = self.segments.get_mut(subnet) else { return };
        let heard = segment.take_heard();
        if segment.take_remembered() {
            let report = self.own_report();
            self.believe(report);
        }
        for (node, report) in heard {
            self.hearsay.heard.entry(node.clone()).or_default().insert(subnet.clone(), report);
            self.hearsay.of(&node).into_iter().for_each(|report| self.believe(report));
        }
    }

    /// Time passed: others are dead, perhaps, than before.
    pub(super) fn tick_segments(&mut self, now: Instant) {
        let segments = self.segments.iter_mut().filter_map(|(subnet, segment)| {
            let is_news = segment.tick(now);
            is_news.then(|| (subnet.clone(), segment.dead()))
        });
        for (subnet, dead) in segments.collect::<Vec<_>>() {
            self.absent.insert(subnet.clone(), dead);
            // Where this node may speak at last, it is to look whether it can.
            (self.stale, self.sight_changed) = (true, true);
            self.forget_the_dead(&subnet);
        }
    }

    /// Others are dead on a segment than before: where there is an API server it is the one that tells of the dead.
    fn forget_the_dead(&mut self, subnet: &SubnetName) {
        let dead = self.absent.get(subnet).filter(|_| self.settings.reports).cloned().unwrap_or_default();
        for node in dead {
            let was_heard = self.hearsay.heard.get_mut(&node).and_then(|heard| heard.remove(subnet));
            if let Some(report) = was_heard.and_then(|_| self.hearsay.of(&node)) {
                self.believe(report);
            }
        }
    }

    /// Where there is no API server every node of the folder is to be heard.
    pub(super) fn expect_all_on(&self, segment: &mut Segment) {
        if !self.settings.reports {
            let others =
                self.world.nodes().map(|node| &node.name).filter(|name| **name != self.settings.node);
            segment.expect_all(others.cloned().collect());
        }
    }

    fn believe(&mut self, report: SpeakerReport) {
        let dirty = self.world.apply(Change::Apply(Object::Report(report)));
        self.stale |= !dirty.is_empty();
        self.dirty.merge(dirty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mac;

    fn said(mac: u8, held: &[(u8, Term)], left: &[(u8, Term)]) -> SegmentReport {
        let of =
            |said: &[(u8, Term)]| said.iter().map(|(vip, term)| ([10, 0, 0, *vip].into(), *term)).collect();
        let (held, left, mac) = (of(held), of(left), Mac([mac; 6]));
        SegmentReport {
            mac,
            beats: true,
            ready: true,
            held,
            left,
            undelivered: BTreeSet::new(),
            strangers: BTreeMap::new(),
            missed: BTreeSet::new(),
        }
    }

    #[test]
    fn of_two_words_on_a_vip_the_later_counts_wherever_it_was_read() {
        let old = said(1, &[(1, 1), (2, 5), (3, 1)], &[(4, 1)]);
        let new = said(2, &[(1, 3), (5, 1)], &[(2, 5), (3, 4), (4, 1)]);
        let both = said(2, &[(1, 3), (5, 1)], &[(2, 5), (3, 4), (4, 1)]);
        assert_eq!(merged(&old, &new), both);
        assert_eq!(merged(&new, &SegmentReport { mac: new.mac, ..old.clone() }), both);
    }
}
