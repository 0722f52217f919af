//! A cluster of three nodes, with as many VIPs as wanted and a few faults. `PAGE_OUT=FOLDER` writes what the page would get, for
//! hack/page.sh.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::controller::{Reconciler, Rules};
use crate::kube::{Converted, Kind};
use crate::model::{Change, Object, ReportKey, SegmentReport, SpeakerReport, SubnetName};
use crate::nb::Owner;
use crate::ovsdb::Replica;
use crate::plan::Policy;
use crate::settings::OwnRouterPort;

const SUBNET: &str = "underlay-subnet";

fn vip(number: usize) -> IpAddr {
    let [high, low] = u16::try_from(number + 1).unwrap().to_be_bytes();
    [10, 180, 240 + high, low].into()
}

fn pod(node: usize, number: usize) -> IpAddr {
    [10, 180, u8::try_from(node).unwrap(), u8::try_from(1 + number % 200).unwrap()].into()
}

fn read(kind: Kind, object: &Value) -> Change {
    let Converted::Object(object) = kind.read(object, &mut Vec::new()) else { panic!("{object}") };
    Change::Apply(object)
}

fn topology() -> Vec<Change> {
    let mut all = vec![
        read(
            Kind::Subnet,
            &json!({ "metadata": { "name": SUBNET }, "spec": {
            "cidrBlock": "10.180.0.0/16", "gateway": "10.180.255.254", "vlan": "vlan341", "enableExternalLBAddress": true,
            "excludeIps": ["10.180.240.0..10.180.255.254"] } }),
        ),
        read(
            Kind::Vlan,
            &json!({ "metadata": { "name": "vlan341" }, "spec": { "id": 341, "provider": "provider" } }),
        ),
        read(
            Kind::ProviderNetwork,
            &json!({ "metadata": { "name": "provider" }, "spec": { "defaultInterface": "eth1" } }),
        ),
    ];
    all.extend((1..=3).map(|node| {
        let name = format!("node{node}");
        read(
            Kind::Node,
            &json!({ "metadata": { "name": name, "annotations": { "ovn.kubernetes.io/chassis": name } },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] } }),
        )
    }));
    all
}

/// A Service with one pod on each of two nodes; what ends in 7 of every 50 has none that is ready.
fn service(number: usize) -> [Change; 2] {
    let name = ["web", "dns", "git", "mail", "shop"][number % 5];
    let (name, namespace) = (format!("{name}-{number}"), ["default", "shop", "infra"][number % 3]);
    let ready = number % 50 != 7;
    let endpoint = |node: usize| json!({ "addresses": [pod(node, number).to_string()], "nodeName": format!("node{node}"), "conditions": { "ready": ready } });
    let first = 1 + number % 3;
    let address = if number % 200 == 150 { "192.0.2.9".to_owned() } else { vip(number).to_string() };
    [
        read(
            Kind::Service,
            &json!({ "metadata": { "name": name, "namespace": namespace, "uid": format!("u{number}") },
            "spec": { "type": "LoadBalancer", "ports": [{ "name": "p", "protocol": "TCP", "port": 80 }] },
            "status": { "loadBalancer": { "ingress": [{ "ip": address }] } } }),
        ),
        read(
            Kind::EndpointSlice,
            &json!({ "metadata": { "name": format!("{name}-a"), "namespace": namespace,
            "labels": { "kubernetes.io/service-name": name } }, "addressType": "IPv4",
            "ports": [{ "name": "p", "protocol": "TCP", "port": 8080 }],
            "endpoints": [endpoint(first), endpoint(1 + first % 3)] }),
        ),
    ]
}

/// Each node's speaker holds the VIPs whose first pod it has; of every 50 the 13th is held by nobody, the 21st cannot be delivered.
fn reports(vips: usize) -> impl Iterator<Item = Change> {
    (1..=3_usize).map(move |node| {
        let own = |number: &usize| 1 + number % 3 == node && number % 50 != 13 && number % 50 != 7;
        let segment = SegmentReport {
            beats: true,
            mac: format!("02:00:00:00:00:0{node}").parse().unwrap(),
            ready: true,
            held: (0..vips).filter(own).map(|number| (vip(number), 1)).collect(),
            left: BTreeMap::new(),
            strangers: BTreeMap::new(),
            undelivered: (0..vips).filter(own).filter(|number| number % 50 == 21).map(vip).collect(),
            missed: BTreeSet::new(),
        };
        let segments = BTreeMap::from([(SubnetName::from(SUBNET), segment)]);
        let key = ReportKey::new("ovn-vip", &format!("speaker.node{node}"));
        Change::Apply(Object::Report(SpeakerReport { key, node: format!("node{node}").into(), segments }))
    })
}

/// A switch with a port for each pod.
fn northbound() -> Replica {
    let id = |number: usize| format!("00000000-0000-4000-8000-{number:012}");
    let mut ports = serde_json::Map::new();
    for (number, (node, pod_number)) in
        (1..=3).flat_map(|node| (0..200).map(move |pod| (node, pod))).enumerate()
    {
        let port = json!({ "name": format!("p{node}-{pod_number}"), "type": "", "addresses": format!("0a:00:00:00:00:11 {}", pod(node, pod_number)) });
        ports.insert(id(100 + number), port);
    }
    let named: Vec<Value> = ports.keys().map(|id| json!(["uuid", id])).collect();
    let switch = json!({ "name": SUBNET, "ports": ["set", named], "load_balancer_group": ["set", []], "external_ids": ["map", []] });
    Replica::from_json(json!({
        "NB_Global": { id(1): { "options": ["map", [["northd_internal_version", "26.03.1-21.8.0-82.14"]]] } },
        "Logical_Switch": { id(2): switch },
        "Logical_Switch_Port": ports,
        "Load_Balancer": {},
    }))
    .unwrap()
}

fn planned(vips: usize) -> Reconciler {
    let rules = Rules {
        owner: Owner::new("test", 1),
        policy: Policy::default(),
        own_router_port: OwnRouterPort::Auto,
    };
    let mut reconciler = Reconciler::new(rules);
    let replica = northbound();
    let dump = Replica::new().become_level_with(replica.clone());
    reconciler.northbound_changed(&replica, &dump);
    reconciler.cluster_changed(topology());
    reconciler.cluster_changed((0..vips).flat_map(service));
    reconciler.cluster_changed(reports(vips));
    reconciler.reconcile(&replica);
    reconciler
}

fn picture(reconciler: &Reconciler, live: bool) -> Picture {
    let silent = Silent::new();
    let facts = Facts { reconciler, silent: &silent, live, unaddressed: &|_| None };
    Picture {
        form: FORM,
        version: env!("CARGO_PKG_VERSION"),
        leads: true,
        leader: None,
        waiting_for: None,
        problems: Vec::new(),
        nodes: facts.nodes(),
        vips: facts.vips(),
    }
}

fn of(picture: &Picture, number: usize) -> &VipView {
    picture.vips.iter().find(|view| view.vip == Some(vip(number))).unwrap()
}

#[test]
fn a_vip_that_a_speaker_holds_is_served_and_each_box_has_its_words() {
    let picture = picture(&planned(2), true);
    let view = of(&picture, 0);
    assert_eq!((view.state, &view.wrongs[..]), (State::Served, &[][..]));
    assert_eq!(view.announcer.as_deref().zip(view.mac.as_deref()), Some(("node1", "02:00:00:00:00:01")));
    assert_eq!((view.vlan, view.bridge.as_deref()), (Some(341), Some("br-provider")));
    assert_eq!(
        (view.services.join(" "), view.ports.join(" ")),
        ("default/web-0".to_owned(), "tcp/80".to_owned())
    );
    let says: Vec<_> = view.nodes.iter().map(|pods| (pods.node.as_deref().unwrap(), pods.says)).collect();
    assert_eq!(says, [("node1", "announces it"), ("node2", "stands by")]);
    assert_eq!(picture.nodes.iter().map(|node| node.announces).sum::<usize>(), 2);
}

#[test]
fn what_is_wrong_comes_first_where_it_belongs_and_with_its_cure() {
    let picture = picture(&planned(200), true);
    assert!(picture.vips.is_sorted_by_key(|view| view.state));
    for (number, place, reason) in [
        (7, Place::Pods, "NoReadyBackend"),
        (13, Place::Node, "NotAnnounced"),
        (21, Place::Node, "NotDelivered"),
    ] {
        let view = of(&picture, number);
        let wrong = &view.wrongs[0];
        assert_eq!((view.state, wrong.place, &*wrong.reason, wrong.dark), (State::Dark, place, reason, true));
        assert!(!wrong.cure.is_empty());
    }
    let outside = picture.vips.iter().find(|view| view.services == ["default/web-150"]).unwrap();
    assert_eq!((outside.state, &*outside.wrongs[0].reason), (State::Dark, "NoSubnet"));
    assert_eq!(picture.vips.iter().filter(|view| view.state == State::Served).count(), 200 - 12 - 1);
}

#[test]
fn without_speakers_reports_nobody_knows_and_a_folder_is_no_fault() {
    let view = picture(&planned(1), false).vips.remove(0);
    assert_eq!((view.state, view.wrongs.len(), view.nodes[0].says), (State::Unknown, 0, "can serve it"));
    let mut silent = planned(1);
    silent.cluster_changed((1..=3).map(|node| {
        Change::Remove(crate::model::ObjectKey::Report(ReportKey::new(
            "ovn-vip",
            &format!("speaker.node{node}"),
        )))
    }));
    let view = picture(&silent, true).vips.remove(0);
    assert_eq!((view.state, &*view.wrongs[0].reason), (State::Unknown, "NoSpeaker"));
}

/// What the page reads of an object, by the name that it has there.
fn read_of<'h>(html: &'h str, object: &str) -> BTreeSet<&'h str> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = |at: usize| at == 0 || !is_name(html.as_bytes()[at - 1]) && html.as_bytes()[at - 1] != b'.';
    let found =
        html.match_indices(object).filter(|(at, _)| begins(*at)).map(|(at, _)| &html[at + object.len()..]);
    found.map(|rest| &rest[..rest.bytes().position(|byte| !is_name(byte)).unwrap()]).collect()
}

#[test]
fn the_page_reads_what_it_is_given() {
    let html = crate::telemetry::page::HTML;
    let given = serde_json::to_value(picture(&planned(20), true)).unwrap();
    let view = given["vips"].as_array().unwrap().iter().find(|view| view["wrongs"][0].is_object()).unwrap();
    for (object, value, made) in [
        ("picture.", &given, &[][..]),
        ("v.", &of_json(&given), &["opened"][..]),
        ("w.", &view["wrongs"][0], &[]),
    ] {
        let read = read_of(html, object);
        assert!(read.len() > 3, "{object} {read:?}");
        for field in read.iter().filter(|field| !made.contains(field)) {
            assert!(value.get(field).is_some(), "the page reads {object}{field}");
        }
    }
    let fields: BTreeSet<&str> = ["name", "ready", "speaker", "announces", "node", "says", "pods"].into();
    assert!(read_of(html, "n.").is_subset(&fields), "{:?}", read_of(html, "n."));
    for state in [State::Dark, State::Unknown, State::Doubtful, State::Others, State::Served] {
        let name = serde_json::to_value(state).unwrap();
        assert!(html.contains(&format!("{}: [", name.as_str().unwrap())), "{name}");
    }
    for place in [Place::Client, Place::Node, Place::Rule, Place::LoadBalancer, Place::Pods] {
        let name = serde_json::to_value(place).unwrap();
        assert!(html.contains(&format!("[{name}, ")), "{name}");
    }
    assert!(html.contains(&format!("FORM = {FORM},")));
}

fn of_json(given: &Value) -> Value {
    given["vips"][0].clone()
}

#[test]
fn what_hack_page_shows() {
    let Some(folder) = std::env::var_os("PAGE_OUT") else { return };
    for vips in [2, 1000] {
        let text = serde_json::to_string(&picture(&planned(vips), true)).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{vips}.json")), text).unwrap();
    }
}
