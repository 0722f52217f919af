//! Who answers for a VIP, as far as speakers have said so. No I/O.

use std::net::IpAddr;

use super::heard::Silent;
use crate::model::{Node, NodeName, SpeakerReport, SubnetName, World};

/// Who answers for a VIP, by the speakers' own reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcer<'w> {
    /// This node's speaker.
    Node(&'w NodeName),
    /// This node's speaker holds it, and says that it cannot deliver.
    Undelivered(&'w NodeName),
    /// This node's speaker said so, and its Node is not ready: nobody hears of it any more.
    Lost(&'w NodeName),
    /// This node's speaker said so, and has not renewed its word since then: it may be there no more.
    NotHeard(&'w NodeName, &'w str),
    /// Speakers report, and none of them holds it.
    Nobody,
    /// No speaker reports: nobody knows.
    Unreported,
}

/// Who answers for a VIP: of several that say so the one that claimed it last. `silent`: whose reports are too old.
pub fn announcer<'w>(
    world: &'w World,
    silent: &'w Silent,
    subnet: &SubnetName,
    vip: IpAddr,
) -> Announcer<'w> {
    let holders = world.holders_of(vip).filter_map(|report| {
        let term = report.term(subnet, vip)?;
        let delivers = !report.cannot_deliver(subnet, vip);
        Some((world.node(&report.node)?, silent.get(&report.node), delivers, term))
    });
    let rank = |(node, silent, delivers, term): &(&Node, Option<&String>, bool, u64)| {
        (node.ready, silent.is_none(), *delivers, *term)
    };
    let is_heard = |report: &SpeakerReport| !silent.contains_key(&report.node);
    match holders.max_by_key(rank) {
        Some((node, ..)) if !node.ready => Announcer::Lost(&node.name),
        Some((node, Some(since), ..)) => Announcer::NotHeard(&node.name, since),
        Some((node, None, true, _)) => Announcer::Node(&node.name),
        Some((node, None, false, _)) => Announcer::Undelivered(&node.name),
        None if world.reports().any(is_heard) => Announcer::Nobody,
        None => Announcer::Unreported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use serde_json::json;

    use crate::kube::{Converted, Kind};
    use crate::model::{Change, Object, ReportKey, SegmentReport};

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    /// Nodes that are ready, with the terms in which they hold the VIP.
    fn world(nodes: &[(&str, Option<u64>)]) -> World {
        let mut world = World::default();
        for (name, term) in nodes {
            let node = json!({ "metadata": { "name": name },
                "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
            let Converted::Object(node) = Kind::Node.read(&node, &mut Vec::new()) else { panic!("{name}") };
            world.apply(Change::Apply(node));
            let segment = SegmentReport {
                beats: true,
                mac: "02:00:00:00:00:01".parse().unwrap(),
                ready: true,
                held: term.iter().map(|term| (VIP, *term)).collect(),
                left: BTreeMap::new(),
                strangers: BTreeMap::new(),
                undelivered: Default::default(),
                missed: Default::default(),
            };
            let key = ReportKey::new("ovn-vip", &format!("speaker.{name}"));
            let segments = BTreeMap::from([("s".into(), segment)]);
            let report = SpeakerReport { key, node: (*name).into(), segments };
            world.apply(Change::Apply(Object::Report(report)));
        }
        world
    }

    #[test]
    fn one_that_is_heard_counts_before_one_that_is_not() {
        let (a, b) = (NodeName::from("a"), NodeName::from("b"));
        for (holders, silent, expected) in [
            (&[("a", Some(1)), ("b", None)][..], &[][..], Announcer::Node(&a)),
            (&[("a", Some(1)), ("b", None)], &["b"], Announcer::Node(&a)),
            (&[("a", Some(1)), ("b", None)], &["a"], Announcer::NotHeard(&a, "t")),
            (&[("a", Some(2)), ("b", Some(1))], &["a"], Announcer::Node(&b)),
            (&[("a", Some(2)), ("b", Some(1))], &["a", "b"], Announcer::NotHeard(&a, "t")),
            (&[("a", None), ("b", None)], &["a"], Announcer::Nobody),
            (&[("a", None), ("b", None)], &["a", "b"], Announcer::Unreported),
        ] {
            let silent: Silent = silent.iter().map(|node| ((*node).into(), "t".into())).collect();
            assert_eq!(
                announcer(&world(holders), &silent, &"s".into(), VIP),
                expected,
                "{holders:?} {silent:?}"
            );
        }
    }
}
