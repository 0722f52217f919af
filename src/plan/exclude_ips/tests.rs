//! What `fix` would write.

use super::*;
use crate::model::{
    AddressPool, AddressRange, Change, Labels, Object, PoolKey, SubnetName, SubnetWishes, VlanName,
};
use crate::plan::Policy;

fn range(text: &str) -> AddressRange {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
}

fn subnet(exclude_ips: &[&str]) -> Subnet {
    Subnet {
        name: SubnetName::from("underlay"),
        cidrs: vec!["10.180.204.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()],
        gateways: vec!["10.180.204.1".parse().unwrap()],
        exclude_ips: exclude_ips.iter().map(|text| range(text)).collect(),
        ovn_provided: true,
        vpc: None,
        vlan: Some(VlanName::from("vlan")),
        external_lb: true,
        logical_gateway: false,
        u2o_mac: None,
        steering_mac: None,
        wishes: SubnetWishes { exclude_ips: Some(ExcludeIps::Fix), ..SubnetWishes::default() },
        served: Default::default(),
        undeliverable: Default::default(),
    }
}

fn fixed(exclude_ips: &[&str], pools: &[&str]) -> Option<Vec<String>> {
    let mut world = World::default();
    let key = PoolKey::new("metallb-system", "pool");
    let ranges = pools.iter().map(|text| range(text)).collect();
    let pool = AddressPool {
        key,
        labels: Labels::new(),
        ranges,
        avoid_buggy_ips: false,
        giving: Default::default(),
    };
    world.apply(Change::Apply(Object::AddressPool(pool)));
    let list = fixed_exclude_ips(&world, &Policy::default(), &subnet(exclude_ips));
    list.map(|list| list.iter().map(ToString::to_string).collect())
}

const SEED: [&str; 4] = ["10.180.204.1", "10.180.204.250", "10.180.204.251", "10.180.204.252"];

#[test]
fn what_a_pool_lacks_is_added_and_the_list_is_merged_and_sorted_as_kube_ovn_does() {
    let list = fixed(&SEED, &["10.180.204.250..10.180.204.254"]);
    assert_eq!(list.unwrap(), ["10.180.204.1", "10.180.204.250..10.180.204.254"]);
    let list = fixed(&["10.180.204.1"], &["10.180.204.9", "fd00::9..fd00::a", "10.180.204.100"]);
    assert_eq!(list.unwrap(), ["10.180.204.1", "10.180.204.100", "10.180.204.9", "fd00::9..fd00::a"]);
}

#[test]
fn a_list_that_covers_the_pool_in_any_form_is_left_alone() {
    for list in [
        &["10.180.204.250..10.180.204.254"][..],
        &["10.180.204.254", "10.180.204.252..10.180.204.253", "10.180.204.250..10.180.204.251"],
        &["10.180.204.2..10.180.204.254"],
    ] {
        assert_eq!(fixed(list, &["10.180.204.250..10.180.204.254"]), None);
    }
}

#[test]
fn network_and_broadcast_and_what_lies_outside_are_not_added() {
    let list = fixed(&["10.180.204.1"], &["10.180.203.0..10.180.204.3", "10.180.204.255..10.180.205.9"]);
    assert_eq!(list.unwrap(), ["10.180.204.1..10.180.204.3"]);
}

#[test]
fn a_pool_that_would_leave_no_address_for_pods_is_not_added() {
    assert_eq!(fixed(&[], &["10.180.204.0..10.180.204.255", "fd00::..fd00::ffff:ffff:ffff:ffff"]), None);
}

#[test]
fn without_consent_nothing_is_fixed() {
    let mut found = subnet(&[]);
    found.wishes.exclude_ips = None;
    assert_eq!(fixed_exclude_ips(&World::default(), &Policy::default(), &found), None);
}
