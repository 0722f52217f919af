//! MetalLB's kinds, Kube-OVN's IPs, and the annotations of Subnets.

use serde_json::{Value, json};

use super::*;
use crate::model::{AddressPool, Advertisement, Allocation, ExcludeIps, L2Status, Subnet};

fn read(kind: Kind, object: Value) -> (Converted, Vec<String>) {
    let mut problems = Vec::new();
    let converted = kind.read(&object, &mut problems);
    (converted, problems.iter().map(Problem::to_string).collect())
}

macro_rules! reader {
    ($function:ident, $kind:ident) => {
        fn $function(object: Value) -> ($kind, Vec<String>) {
            match read(Kind::$kind, object) {
                (Converted::Object(Object::$kind(object)), problems) => (object, problems),
                other => panic!("{other:?}"),
            }
        }
    };
}
reader!(allocation_of, Allocation);
reader!(pool_of, AddressPool);
reader!(advertisement_of, Advertisement);
reader!(status_of, L2Status);
reader!(subnet_of, Subnet);

fn named(name: &str, more: Value) -> Value {
    let mut object = json!({"metadata": {"name": name, "namespace": "metallb-system"}});
    for (key, value) in more.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

#[test]
fn every_kind_is_known_by_its_own_name() {
    for kind in Kind::ALL {
        let versions = [
            "v1",
            "discovery.k8s.io/v1",
            "coordination.k8s.io/v1",
            crate::kube::crd::API_VERSION,
            "metallb.io/v1beta1",
        ];
        let known: Vec<_> = versions.iter().filter_map(|version| Kind::of(version, kind.name())).collect();
        assert_eq!(known, [kind]);
    }
}

#[test]
fn a_pool_is_read_as_ranges_and_a_bad_entry_costs_only_itself() {
    let addresses =
        json!(["10.0.0.250-10.0.0.254", "10.0.1.0/30", " fd00::1 - fd00::9 ", "10.0.0.9-10.0.0.1", "x"]);
    let (pool, problems) =
        pool_of(named("p", json!({"spec": {"addresses": addresses, "avoidBuggyIPs": true}})));
    let ranges: Vec<_> = pool.ranges.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["10.0.0.250..10.0.0.254", "10.0.1.0..10.0.1.3", "fd00::1..fd00::9"]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("IPAddressPool metallb-system/p: spec.addresses[3]"));
    assert!(!pool.hands_out("10.0.1.0".parse().unwrap()) && pool.hands_out("10.0.1.1".parse().unwrap()));
}

#[test]
fn a_bare_pool_or_advertisement_is_empty() {
    let (pool, problems) = pool_of(named("p", json!({"spec": {"addresses": null}})));
    assert!(pool.ranges.is_empty() && problems.is_empty());
    let (advertisement, problems) = advertisement_of(named("a", json!({"spec": null})));
    assert!(advertisement.node_selectors.is_empty() && problems.is_empty());
}

#[test]
fn an_advertisement_with_a_selector_that_cannot_be_read_is_unusable() {
    let good =
        json!({"matchLabels": {"rack": "a"}, "matchExpressions": [{"key": "gpu", "operator": "Exists"}]});
    let (advertisement, problems) =
        advertisement_of(named("a", json!({"spec": {"nodeSelectors": [good], "interfaces": ["br-p"]}})));
    assert_eq!((advertisement.node_selectors[0].requirements.len(), problems.len()), (2, 0));
    let bad = json!({"matchExpressions": [{"key": "rack", "operator": "Near", "values": ["a"]}]});
    let (converted, problems) =
        read(Kind::Advertisement, named("a", json!({"spec": {"nodeSelectors": [bad]}})));
    assert_eq!(converted, Converted::Unusable);
    assert!(
        problems[0].contains("spec.nodeSelectors[0].matchExpressions[0].operator \"Near\""),
        "{problems:?}"
    );
}

#[test]
fn a_status_is_ours_by_its_label_and_none_of_ours_while_it_is_empty() {
    let status = json!({"node": "node1", "serviceName": "web", "serviceNamespace": "default"});
    let (found, _) = status_of(named("l2-x", json!({"status": status})));
    assert_eq!((found.service.to_string(), found.ours), ("default/web".into(), false));
    let mut object = named("l2-y", json!({"status": status}));
    object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "ovn-vip"});
    assert!(status_of(object).0.ours);
    let (converted, problems) = read(Kind::L2Status, named("l2-z", json!({"spec": {}})));
    assert!(matches!(converted, Converted::NotOurs(_)) && problems.is_empty());
}

#[test]
fn an_ip_is_read_from_the_fields_of_old_and_new_releases() {
    let spec = json!({"subnet": "underlay", "namespace": "shop", "podName": "web-0", "podType": "StatefulSet",
        "v4IpAddress": "10.0.0.7", "v6IpAddress": "fd00::7", "ipAddress": "10.0.0.7,fd00::7", "attachIps": null});
    let (found, problems) = allocation_of(named("web-0.shop", json!({"spec": spec})));
    assert_eq!((found.addresses.len(), &*found.holder, problems.len()), (2, "StatefulSet shop/web-0", 0));
    let old = json!({"spec": {"subnet": "join", "ipAddress": "100.64.0.2"}});
    let (found, _) = allocation_of(named("node-node1", old));
    assert_eq!((found.addresses.len(), &*found.holder), (1, "IP node-node1"));
    let (converted, _) = read(Kind::Allocation, named("x", json!({"spec": {"subnet": "s"}})));
    assert!(matches!(converted, Converted::NotOurs(_)));
}

fn annotated(annotations: Value) -> (Subnet, Vec<String>) {
    let metadata = json!({"name": "s", "annotations": annotations});
    subnet_of(json!({"metadata": metadata, "spec": {"cidrBlock": "10.0.0.0/24", "vpc": "ovn-cluster"}}))
}

#[test]
fn the_annotations_of_a_subnet_are_read() {
    let (subnet, problems) = annotated(json!({
        "ovn-vip.io/exclude-ips": "warn", "ovn-vip.io/announce": "false", "ovn-vip.io/takeover": "true",
        "ovn-vip.io/vips": "10.0.0.250=default/web,default/dns fd00::250=default/web",
    }));
    assert_eq!(problems, [""; 0]);
    assert_eq!(subnet.wishes.exclude_ips, Some(ExcludeIps::Warn));
    assert!(!subnet.wishes.announce && subnet.wishes.takeover && subnet.vpc.is_none());
    assert!(subnet.served.iter().map(ToString::to_string).eq(["10.0.0.250", "fd00::250"]));
}

#[test]
fn a_bad_annotation_is_named_and_counts_as_none() {
    let bad =
        json!({"ovn-vip.io/exclude-ips": "Warn", "ovn-vip.io/announce": "no", "ovn-vip.io/takeover": ""});
    let (subnet, problems) = annotated(bad);
    assert_eq!(subnet.wishes, crate::model::SubnetWishes::default());
    assert_eq!(problems.len(), 3);
    assert!(
        problems[0]
            .starts_with("Subnet s: metadata.annotations[ovn-vip.io/exclude-ips] \"Warn\" cannot be used")
    );
}

#[test]
fn a_subnet_s_list_has_room_for_all_of_its_vips() {
    let vip = |number: u32| std::net::IpAddr::from((0x0a64_0000 + 2 * number).to_be_bytes());
    let all: std::collections::BTreeMap<_, _> = (0..10_000)
        .map(|number| (vip(number), format!("a-namespace-of-a-customer/a-service-{number}")))
        .collect();
    let text = super::vips_text(&all);
    assert!(text.len() < 200 << 10, "{} bytes", text.len());
    let object = json!({ "metadata": { "name": "s", "annotations": { "ovn-vip.io/vips": text } },
        "spec": { "cidrBlock": "10.100.0.0/16" } });
    let (subnet, _) = subnet_of(object);
    assert!(subnet.served.iter().eq(all.keys()));
}
