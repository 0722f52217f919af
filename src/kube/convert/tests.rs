//! Every kind as it comes from an API server, read through [`Kind::read`].

use serde_json::{Value, json};

use super::*;
use crate::model::{Endpoint, EndpointSlice, Family, Node, Protocol, ProviderNetwork, Service, Subnet, Vlan};

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
reader!(service_of, Service);
reader!(slice_of, EndpointSlice);
reader!(node_of, Node);
reader!(subnet_of, Subnet);
reader!(vlan_of, Vlan);
reader!(provider_of, ProviderNetwork);

fn merged(mut base: Value, more: Value) -> Value {
    match (&mut base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                let slot = base.entry(key).or_insert(Value::Null);
                *slot = merged(slot.take(), value);
            }
        }
        (base, more) => *base = more,
    }
    base
}

fn nginx(more: Value) -> Value {
    let base = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "nginx", "namespace": "web", "uid": "u-1"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    });
    merged(base, more)
}

#[test]
fn a_load_balancer_keeps_what_its_user_asked_for() {
    let (service, problems) = service_of(nginx(json!({
        "spec": {
            "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP", "publishNotReadyAddresses": true,
            "ports": [{"port": 80, "targetPort": "http"}, {"name": "dns", "port": 53, "protocol": "UDP"}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.9"}, {"ip": "fd00::9", "ipMode": "VIP"}]}},
    })));
    assert_eq!(problems, [""; 0]);
    assert_eq!((service.key.to_string(), service.uid), ("web/nginx".into(), "u-1".into()));
    assert!(service.vips.iter().map(ToString::to_string).eq(["10.0.0.9", "fd00::9"]));
    assert_eq!(service.traffic_policy, crate::model::TrafficPolicy::Local);
    assert!(service.client_ip_affinity && service.publish_not_ready);
    let ports: Vec<_> = service.ports.iter().map(|port| (&*port.name, port.protocol, port.port)).collect();
    assert_eq!(ports, [("", Protocol::Tcp, 80), ("dns", Protocol::Udp, 53)]);
}

#[test]
fn of_two_vips_the_bad_one_is_named_and_the_other_counts() {
    for bad in ["10.0.0.256", "fe80::1%eth0", "::ffff:10.0.0.9", "10.0.0.9/32"] {
        let ingress = json!([{"ip": bad}, {"ip": "10.0.0.9"}]);
        let (service, problems) =
            service_of(nginx(json!({"status": {"loadBalancer": {"ingress": ingress}}})));
        assert_eq!(service.vips.len(), 1, "{bad}");
        let start =
            format!("Service web/nginx: status.loadBalancer.ingress[0].ip \"{bad}\" cannot be used: ");
        assert!(problems.len() == 1 && problems[0].starts_with(&start), "{problems:?}");
    }
}

#[test]
fn a_load_balancer_without_an_address_or_with_a_host_name_has_no_vip_and_no_problem() {
    for status in [json!(null), json!({"loadBalancer": {"ingress": [{"hostname": "lb.example.org"}]}})] {
        let (service, problems) = service_of(nginx(json!({"status": status})));
        assert!(service.vips.is_empty() && problems.is_empty());
    }
}

#[test]
fn a_service_that_is_no_load_balancer_is_not_ours() {
    for kind in [json!("ClusterIP"), json!("NodePort"), json!("ExternalName"), json!(null)] {
        let (converted, problems) = read(Kind::Service, nginx(json!({"spec": {"type": kind}})));
        assert_eq!(converted, Converted::NotOurs(Kind::Service.key("web", "nginx")));
        assert!(problems.is_empty());
    }
}

#[test]
fn a_bad_port_costs_that_port() {
    let ports = json!([{"port": 0}, {"port": 70000}, {"port": 1, "protocol": "GRE"}, {"port": 443}]);
    let (service, problems) = service_of(nginx(json!({"spec": {"ports": ports}})));
    assert!(service.ports.iter().map(|port| port.port).eq([443]));
    assert_eq!(problems.len(), 3);
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_path() {
    let ports = json!([{"port": "eighty"}]);
    let (converted, problems) = read(Kind::Service, nginx(json!({"spec": {"ports": ports}})));
    assert_eq!(converted, Converted::Unusable);
    let start = "Service web/nginx: spec.ports[0].port \"eighty\" cannot be used: write a whole number";
    assert!(problems.len() == 1 && problems[0].starts_with(start), "{problems:?}");
}

#[test]
fn an_object_without_a_name_is_unusable() {
    let (converted, problems) = read(Kind::Node, json!({"kind": "Node", "apiVersion": "v1", "metadata": {}}));
    assert_eq!(converted, Converted::Unusable);
    assert_eq!(problems, ["Node: metadata.name is missing: give the object a name"]);
}

fn slice(more: Value) -> Value {
    let base = json!({
        "addressType": "IPv4",
        "metadata": {"name": "nginx-x", "labels": {"kubernetes.io/service-name": "nginx"}},
        "endpoints": [],
        "ports": [{"port": 8080}],
    });
    merged(base, more)
}

#[test]
fn the_conditions_of_an_endpoint_have_the_apis_defaults() {
    let (slice, problems) = slice_of(slice(json!({"endpoints": [
        {"addresses": ["10.0.0.1", "10.0.0.2"], "nodeName": "node1"},
        {"addresses": ["10.0.0.3"], "conditions": {"ready": false}},
        {"addresses": ["10.0.0.4"], "conditions": {"ready": false, "serving": true, "terminating": true}},
    ]})));
    assert_eq!(problems, [""; 0]);
    assert_eq!((slice.service.to_string(), slice.family), ("default/nginx".into(), Family::V4));
    let seen: Vec<_> = slice
        .endpoints
        .iter()
        .map(|Endpoint { address, node, ready, serving, terminating }| {
            (address.to_string(), node.is_some(), *ready, *serving, *terminating)
        })
        .collect();
    assert_eq!(seen[0], ("10.0.0.1".into(), true, true, true, false));
    assert_eq!(seen[1], ("10.0.0.3".into(), false, false, false, false));
    assert_eq!(seen[2], ("10.0.0.4".into(), false, false, true, true));
}

#[test]
fn a_bad_endpoint_or_port_costs_only_itself() {
    let endpoints = json!([{"addresses": []}, {"addresses": ["fd00::1"]}, {"addresses": ["x"]},
        {"addresses": ["10.0.0.1"]}]);
    let ports = json!([{"port": null}, {"name": "", "port": 80}]);
    let (slice, problems) = slice_of(slice(json!({"endpoints": endpoints, "ports": ports})));
    assert_eq!((slice.endpoints.len(), slice.ports.len(), problems.len()), (1, 1, 4), "{problems:?}");
}

#[test]
fn a_slice_of_host_names_or_of_no_service_is_not_ours() {
    for more in [json!({"addressType": "FQDN"}), json!({"metadata": {"labels": null}})] {
        let (converted, problems) = read(Kind::EndpointSlice, slice(more));
        assert_eq!(converted, Converted::NotOurs(Kind::EndpointSlice.key("default", "nginx-x")));
        assert!(problems.is_empty());
    }
}

#[test]
fn a_node_says_what_keeps_it_from_announcing() {
    let (node, problems) = node_of(json!({
        "metadata": {
            "name": "node1", "annotations": {"ovn.kubernetes.io/chassis": "c-1"},
            "labels": {
                "node.kubernetes.io/exclude-from-external-load-balancers": "",
                "good.provider-network.kubernetes.io/ready": "true",
                "bad.provider-network.kubernetes.io/ready": "false",
                "bad.provider-network.kubernetes.io/interface": "eth1",
            },
        },
        "spec": {"unschedulable": true},
        "status": {
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "Unknown"}],
            "addresses": [{"type": "InternalIP", "address": "172.30.0.11"}, {"type": "Hostname", "address": "n"},
                {"type": "ExternalIP", "address": "oops"}],
        },
    }));
    assert!(!node.ready && node.cordoned && node.excluded_from_load_balancers);
    assert_eq!(node.chassis.unwrap().as_str(), "c-1");
    assert!(node.providers_not_ready.iter().map(ToString::to_string).eq(["bad"]));
    assert!(node.addresses.iter().map(ToString::to_string).eq(["172.30.0.11"]));
    assert!(problems.len() == 1 && problems[0].contains("status.addresses[2].address \"oops\""));
}

#[test]
fn a_bare_node_is_ready() {
    let (node, problems) = node_of(json!({"metadata": {"name": "node1"}}));
    assert!(node.ready && !node.cordoned && node.chassis.is_none() && problems.is_empty());
}

fn underlay(spec: Value) -> Value {
    json!({"apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": "underlay"}, "spec": spec})
}

#[test]
fn a_dual_stack_subnet_is_read_with_both_families() {
    let (subnet, problems) = subnet_of(merged(
        underlay(json!({
            "cidrBlock": "10.180.204.7/24,fd00:180:204::/64", "gateway": "10.180.204.1,fd00:180:204::1",
            "excludeIps": ["10.180.204.1", "10.180.204.250..10.180.204.254"], "provider": "net1.ovn",
            "vlan": "v0", "enableExternalLBAddress": true, "logicalGateway": true, "acls": [{"priority": 1}],
        })),
        json!({
            "metadata": {"annotations": {"ovn-vip.io/steering-mac": "00:00:00:01:00:01"}},
            "status": {"u2oInterconnectionMAC": "0a:00:00:00:00:07", "v4availableIPs": "253", "v6usingIPs": 1.5},
        }),
    ));
    assert_eq!(problems, [""; 0]);
    assert!(subnet.cidrs.iter().map(ToString::to_string).eq(["10.180.204.0/24", "fd00:180:204::/64"]));
    assert!(subnet.gateways.iter().map(ToString::to_string).eq(["10.180.204.1", "fd00:180:204::1"]));
    let excluded: Vec<_> = subnet.exclude_ips.iter().map(ToString::to_string).collect();
    assert_eq!(excluded, ["10.180.204.1", "10.180.204.250..10.180.204.254"]);
    assert!(subnet.ovn_provided && subnet.external_lb && subnet.logical_gateway);
    assert_eq!(subnet.u2o_mac.unwrap().to_string(), "0a:00:00:00:00:07");
    assert_eq!(subnet.steering_mac.unwrap().to_string(), "00:00:00:01:00:01");
}

#[test]
fn a_subnet_without_a_good_cidr_is_unusable_and_an_absent_one_is_good() {
    for bad in ["10.0.0.0/33", "10.0.0.0/24,nonsense", "10.0.0.0/24,10.1.0.0/24", "::ffff:10.0.0.0/120"] {
        let (converted, problems) = read(Kind::Subnet, underlay(json!({"cidrBlock": bad})));
        assert_eq!(converted, Converted::Unusable);
        assert!(
            problems.len() == 1 && problems[0].contains("Subnet underlay: spec.cidrBlock"),
            "{problems:?}"
        );
    }
    let (subnet, problems) = subnet_of(underlay(json!({"excludeIps": null, "provider": null})));
    assert!(subnet.cidrs.is_empty() && subnet.ovn_provided && problems.is_empty());
}

#[test]
fn a_bad_entry_of_exclude_ips_or_a_bad_mac_or_gateway_costs_only_itself() {
    let list =
        json!(["10.0.0.9..10.0.0.1", "10.0.0.1-10.0.0.9", "10.0.0.0/28", "10.0.0.1..fd00::1", "10.0.0.5"]);
    let spec = json!({"cidrBlock": "10.0.0.0/24", "gateway": "10.0.0.1,x", "excludeIps": list});
    let object = merged(underlay(spec), json!({"status": {"u2oInterconnectionMAC": "ff:ff:ff:ff:ff:ff"}}));
    let (subnet, problems) = subnet_of(object);
    assert!(subnet.exclude_ips.iter().map(ToString::to_string).eq(["10.0.0.5"]));
    assert_eq!((subnet.gateways.len(), subnet.u2o_mac, problems.len()), (1, None, 6), "{problems:?}");
}

#[test]
fn only_subnets_of_ovn_are_ovn_provided() {
    for (provider, ours) in [("", true), ("ovn", true), ("a.b.ovn", true), ("macvlan.default", false)] {
        let (subnet, _) = subnet_of(underlay(json!({"provider": provider})));
        assert_eq!(subnet.ovn_provided, ours, "{provider}");
    }
}

#[test]
fn vlan_0_is_untagged_and_4095_is_refused() {
    let object = |id: i64| json!({"metadata": {"name": "v"}, "spec": {"id": id, "provider": "p"}});
    assert_eq!(vlan_of(object(0)).0.id, None);
    assert_eq!(vlan_of(object(341)).0.id.map(crate::model::VlanId::get), Some(341));
    for id in [-1, 4095, 65536 + 5] {
        assert_eq!(read(Kind::Vlan, object(id)).0, Converted::Unusable, "{id}");
    }
    let without_provider = json!({"metadata": {"name": "v"}, "spec": {"id": 1}});
    assert_eq!(read(Kind::Vlan, without_provider).0, Converted::Unusable);
}

#[test]
fn a_provider_network_tells_each_nodes_nic() {
    let (provider, problems) = provider_of(json!({
        "metadata": {"name": "p"},
        "spec": {
            "defaultInterface": "eth1", "excludeNodes": ["node3"], "exchangeLinkName": false,
            "customInterfaces": [{"interface": "bond0", "nodes": ["node2"]}],
        },
    }));
    assert!(problems.is_empty());
    let nic = |node: &str| provider.bridge_and_nic(&node.into()).map(|(_, nic)| nic.to_string());
    assert_eq!((nic("node1"), nic("node2"), nic("node3")), (Some("eth1".into()), Some("bond0".into()), None));
}

#[test]
fn a_provider_network_with_a_bad_interface_is_unusable() {
    let custom = json!({"defaultInterface": "eth1", "customInterfaces": [{"interface": "", "nodes": ["a"]}]});
    for spec in [json!({}), json!({"defaultInterface": "a-name-far-too-long"}), custom] {
        let object = json!({"metadata": {"name": "p"}, "spec": spec});
        let (converted, problems) = read(Kind::ProviderNetwork, object);
        assert!(converted == Converted::Unusable && problems.len() == 1, "{problems:?}");
    }
}

#[test]
fn another_groups_kind_of_the_same_name_is_none_of_ours() {
    assert_eq!(Kind::of("v1", "Service"), Some(Kind::Service));
    assert_eq!(Kind::of("serving.knative.dev/v1", "Service"), None);
    assert_eq!(Kind::of("v1", "EndpointSlice"), None);
}
