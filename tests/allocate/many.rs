//! Many Services at once, and the order in which they are told.

use std::collections::BTreeSet;

use ovn_vip::allocate::Scope;
use proptest::prelude::*;
use serde_json::json;

use crate::room::{Room, annotated, pool, service, subnet, with};

#[test]
fn ten_thousand_at_once_all_get_one_of_their_own_and_a_restart_moves_none() {
    let mut room = Room::empty();
    let wide =
        with(subnet("underlay", &["10.128.0.0..10.128.255.255"]), "spec.cidrBlock", json!("10.128.0.0/12"));
    room.apply(wide);
    room.apply(pool("a", &["10.128.1.0/24", "10.128.16.0/20", "10.128.64.0/18"]));
    let names: Vec<String> = (0..10_000).map(|number| format!("s{number:05}")).collect();
    for (number, name) in names.iter().enumerate() {
        let found = service(name);
        // A third share nothing, a third one key with one port, a third one key with ports of their own.
        room.apply(match number % 3 {
            0 => found,
            1 => annotated(found, "allow-shared-ip", "same-port"),
            _ => with(
                annotated(found, "allow-shared-ip", "own-port"),
                "spec.ports",
                json!([{ "port": number }]),
            ),
        });
    }
    room.settle();
    let has: Vec<String> = names.iter().map(|name| room.has(name).concat()).collect();
    assert!(has.iter().all(|address| !address.is_empty()));
    let own: BTreeSet<&String> =
        (0..10_000).filter(|number| number % 3 != 2).map(|number| &has[number]).collect();
    assert_eq!(own.len(), 6667);
    assert_eq!(has.iter().collect::<BTreeSet<_>>().len(), 6668);
    room.restart(Scope::Everybody);
    assert!(names.iter().zip(&has).all(|(name, before)| room.has(name) == [before.clone()]));
}

proptest! {
    #[test]
    fn the_order_in_which_objects_are_told_decides_nothing(order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle()) {
        let objects = || {
            let mut objects = vec![
                subnet("underlay", &["10.0.0.200..10.0.0.254"]),
                pool("a", &["10.0.0.200/31"]),
                pool("b", &["10.0.0.210/30"]),
                with(pool("c", &["10.0.0.220/31"]), "spec.serviceAllocation", json!({ "namespaces": ["x"] })),
            ];
            objects.extend(["x/1", "2", "3"].map(service));
            objects.extend(["x/4", "5", "6"].map(|name| annotated(service(name), "allow-shared-ip", "k")));
            objects.push(annotated(service("7"), "address-pool", "b"));
            objects.push(annotated(service("8"), "loadBalancerIPs", "10.0.0.211"));
            objects
        };
        let has = |order: &[usize]| {
            let (mut room, objects) = (Room::empty(), objects());
            order.iter().for_each(|at| room.apply(objects[*at].clone()));
            room.settle();
            ["x/1", "2", "3", "x/4", "5", "6", "7", "8"].map(|name| room.has(name))
        };
        prop_assert_eq!(has(&order), has(&(0..12).collect::<Vec<_>>()));
    }
}
