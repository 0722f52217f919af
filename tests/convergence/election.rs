//! Properties of the election, and of planning by what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ovn_vip::model::{AnnouncePlan, Change, Dirty, NodeName, Object, ServiceKey, SubnetName, World};
use ovn_vip::plan::{Announcer, Policy, Replanned, announce_plan};
use proptest::prelude::*;

use super::history::{self, objects};

/// The VIPs of segments, and the Services, of which two plans say something else.
fn differences(
    before: &AnnouncePlan,
    after: &AnnouncePlan,
) -> (BTreeSet<(SubnetName, IpAddr)>, BTreeSet<ServiceKey>) {
    let of_vip = |plan: &AnnouncePlan, (subnet, vip): &(SubnetName, IpAddr)| {
        plan.segments.get(subnet).and_then(|segment| {
            let steered = segment.steered.get(vip)?.clone();
            let claim = segment.announced.get(vip).copied();
            let (handed_over, taken_over) =
                (segment.handed_over.contains(vip), segment.taken_over.contains(vip));
            Some((steered, claim, handed_over, taken_over, segment.successors.get(vip).copied()))
        })
    };
    let vips = |plan: &AnnouncePlan| -> Vec<(SubnetName, IpAddr)> {
        let segments = plan.segments.iter();
        segments
            .flat_map(|(subnet, segment)| segment.steered.keys().map(|vip| (subnet.clone(), *vip)))
            .collect()
    };
    let vips = vips(before).into_iter().chain(vips(after));
    let vips = vips.filter(|place| of_vip(before, place) != of_vip(after, place)).collect();
    let services = before.stated.keys().chain(after.stated.keys());
    let services =
        services.filter(|key| before.stated.get(*key) != after.stated.get(*key)).cloned().collect();
    (vips, services)
}

/// Every node claims what it is to announce, and lets go what another has; who has what then.
fn hold(world: &mut World) -> BTreeMap<(SubnetName, IpAddr), NodeName> {
    let mut held = BTreeMap::new();
    let mut reports = Vec::new();
    for name in history::NODES {
        let node = NodeName::from(name);
        let (plan, _) = announce_plan(world, &Policy::default(), None, &node);
        let mut terms = BTreeMap::new();
        for (subnet, segment) in &plan.segments {
            for (vip, claim) in &segment.announced {
                held.insert((subnet.clone(), *vip), node.clone());
                if subnet.as_str() == "underlay" {
                    terms.insert(*vip, claim.term);
                }
            }
        }
        // One that has no speaker yet stays without.
        if let Some(report) = world.report_of(&node) {
            let ready = report.segments.values().any(|segment| segment.ready);
            reports.push(history::neighbours::report_of(name, ready, terms, BTreeMap::new()));
        }
    }
    for report in reports {
        world.apply(Change::Apply(Object::Report(report)));
    }
    held
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_node_plans_by_what_changed_is_what_it_plans_anew(history in history::cluster_steps(), batch in 1..4usize) {
        for node in history::NODES {
            let mut world = World::default();
            let mut announcer = Announcer::new(NodeName::from(node), Policy::default());
            announcer.update(&world, None, &Dirty::everything());
            for changes in history.chunks(batch) {
                let mut dirty = Dirty::default();
                for change in changes {
                    dirty.merge(world.apply(change.clone()));
                }
                let before = announcer.plan().clone();
                let replanned = announcer.update(&world, None, &dirty);
                let (anew, refusals) = announce_plan(&world, &Policy::default(), None, &NodeName::from(node));
                prop_assert_eq!(announcer.plan(), &anew, "after {:?}", changes);
                prop_assert_eq!(announcer.refusals(), &refusals);
                if let Replanned::Only { vips, services } = replanned {
                    prop_assert_eq!((vips, services), differences(&before, &anew));
                }
            }
        }
    }

    #[test]
    fn whoever_held_what_one_node_has_all_vips_of_a_service_in_the_end(objects in objects()) {
        let mut world = World::default();
        for object in objects {
            world.apply(Change::Apply(object));
        }
        let mut held = BTreeMap::new();
        for round in 0.. {
            let now = hold(&mut world);
            if now == held {
                break;
            }
            prop_assert!(round < 4, "{:?} becomes {:?}", held, now);
            held = now;
        }
        let holders = |vip: IpAddr| held.iter().filter(move |((_, held), _)| *held == vip).map(|(_, node)| node);
        for vip in world.vips() {
            // In two subnets it is two VIPs.
            let is_one = holders(vip).count() <= 1 || world.subnets().count() > 1;
            prop_assert!(is_one, "{} is held by several: {:?}", vip, held);
        }
        for service in world.services().filter(|service| Policy::default().serves(service)) {
            let nodes: BTreeSet<_> = service.vips.iter().copied().flat_map(holders).collect();
            prop_assert!(nodes.len() <= 1 || world.subnets().count() > 1, "{} is announced by {:?}", service.key, nodes);
        }
    }

    #[test]
    fn every_node_sees_one_announcer_and_no_vip_is_spoken_that_is_not_steered(objects in objects()) {
        let mut world = World::default();
        for object in objects {
            world.apply(Change::Apply(object));
        }
        let mut announcers: BTreeMap<IpAddr, NodeName> = BTreeMap::new();
        for node in history::NODES {
            let node = NodeName::from(node);
            let (plan, _) = announce_plan(&world, &Policy::default(), None, &node);
            for segment in plan.segments.values() {
                for vip in segment.announced.keys() {
                    prop_assert!(segment.steered.contains_key(vip), "{vip} is announced and not steered");
                    let other = announcers.insert(*vip, node.clone());
                    prop_assert_eq!(other, None, "two nodes announce {}", vip);
                }
            }
        }
    }
}
