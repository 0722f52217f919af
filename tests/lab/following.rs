//! The cluster changes and the northbound follows: what is to be there, and nothing else is ever written.

use serde_json::json;

use crate::process::{eventually, holds, run};
use crate::stage::{NODES, Stage, VIP4, VIP6, VIPS};
use crate::traffic::{CLIENTS, Transport};

const NEW_VIP: &str = "10.180.204.251";

#[test]
fn a_second_run_over_an_unchanged_world_writes_nothing() {
    let mut stage = Stage::serving();
    stage.controller().terminate();
    let before = stage.lab.northbound();
    let said = run(stage.controller_command().arg("--once"));
    assert!(said.contains("nothing to write"), "{said}");
    let after = stage.lab.northbound();
    assert_eq!(after, before, "no row has another _version");
    stage.start_controller_over_what_is_there();
    stage.cluster.set_ready(&["p11"], false);
    stage.becomes_served("client", VIP4, &["p12"]);
}

#[test]
fn a_new_port_of_a_service_is_served() {
    let mut stage = Stage::serving();
    let add = |ports: &mut serde_json::Value| {
        let port = json!({ "name": "alt", "protocol": "TCP", "port": 8080, "targetPort": 8080 });
        ports.as_array_mut().unwrap().push(port);
    };
    stage.cluster.edit("EndpointSlice", "nginx-v4", |slice| add(&mut slice["ports"]));
    stage.cluster.edit("EndpointSlice", "nginx-v6", |slice| add(&mut slice["ports"]));
    stage.cluster.edit("Service", "nginx", |service| add(&mut service["spec"]["ports"]));
    for vip in [format!("{VIP4}:8080"), format!("[{VIP6}]:8080")] {
        eventually(&format!("{vip} is served"), || {
            let mut curl = stage.lab.command_in("far", "curl");
            let curl = curl.args(["-sS", "--max-time", "1", &format!("http://{vip}/")]);
            let (ok, said) = crate::process::try_run(curl);
            holds(ok && said.starts_with("p1"), said)
        });
    }
}

#[test]
fn a_service_that_gets_another_vip_is_served_there_and_no_longer_at_the_old_one() {
    let mut stage = Stage::serving();
    for name in ["nginx", "dns"] {
        stage.cluster.edit("Service", name, |service| {
            service["status"]["loadBalancer"]["ingress"][0]["ip"] = NEW_VIP.into();
        });
    }
    eventually("the new VIP is announced", || stage.says_announcing(NEW_VIP).ok_or("not yet".into()));
    let node = stage.says_announcing(NEW_VIP).unwrap();
    for client in CLIENTS {
        stage.becomes_served(client, NEW_VIP, crate::traffic::pods_on(node));
    }
    eventually("the old VIP is withdrawn", || holds(stage.says_announcing(VIP4).is_none(), "not yet"));
    let vips = stage.row("default/nginx/tcp", "vips");
    assert!(vips.contains(NEW_VIP) && !vips.contains(VIP4), "{vips}");
    stage.forget("client", VIP4);
    let failures = stage.one_request("client", VIP4).failures;
    assert!(failures.contains_key("EHOSTUNREACH"), "nobody answers for the old VIP: {failures:?}");
}

#[test]
fn a_service_that_is_deleted_takes_its_row_with_it_and_no_other() {
    let stage = Stage::serving();
    stage.cluster.remove_file("04-dns.yaml");
    eventually("its row is gone", || {
        let row = stage.row("default/dns/udp", "name");
        holds(row.is_empty(), row)
    });
    stage.lab.sync();
    stage.is_served(Transport::Tcp, "client", VIP4, &["p11", "p12"]);
    assert_eq!(stage.one_datagram("client", VIP4).ok, 0, "nobody serves its port any more");
    stage.cluster.write("04-dns.yaml");
    eventually("its row is back", || {
        let row = stage.row("default/dns/udp", "name");
        holds(!row.is_empty(), row)
    });
    eventually("it is served again", || {
        let sample = stage.sample(Transport::Udp, "client", VIP4);
        sample.is_served_by(&["p11", "p12"], "10.180.204.100")
    });
}

#[test]
fn a_subnet_that_takes_no_more_vips_loses_everything_of_ours() {
    let mut stage = Stage::silent_on(&crate::lab::Topology::default());
    let clean: Vec<String> = stage.lab.northbound().into_keys().collect();
    stage.start_controller();
    stage.start_speakers();
    stage.becomes_served("client", VIP4, &["p11", "p12"]);
    stage.becomes_served("client", VIP6, &["p11", "p12"]);
    let allow = |stage: &mut Stage, allowed: bool| {
        let set = |subnet: &mut serde_json::Value| subnet["spec"]["enableExternalLBAddress"] = allowed.into();
        stage.cluster.edit("Subnet", "underlay-subnet", set);
    };
    allow(&mut stage, false);
    eventually("the northbound is as it was before us", || {
        let left: Vec<String> = stage.lab.northbound().into_keys().collect();
        holds(left == clean, left)
    });
    for node in NODES {
        eventually(&format!("{node} has no rule of ours"), || {
            let rules = stage.lab.rules(node);
            holds(rules.is_empty(), rules)
        });
    }
    for vip in VIPS {
        assert_eq!(stage.says_announcing(vip), None, "{vip} is withdrawn");
    }
    stage.forget("client", VIP4);
    let failures = stage.one_request("client", VIP4).failures;
    assert!(failures.contains_key("EHOSTUNREACH"), "nobody answers: {failures:?}");
    allow(&mut stage, true);
    stage.becomes_served("client", VIP4, &["p11", "p12"]);
    stage.becomes_served("client", VIP6, &["p11", "p12"]);
}

#[test]
fn a_start_beside_what_cannot_be_read_takes_no_row_and_no_rule_away() {
    let mut stage = Stage::serving();
    let (rows, rules) = (stage.lab.northbound(), stage.lab.rules("node1"));
    stage.controller().terminate();
    for node in NODES {
        stage.speaker(node).terminate();
    }
    let start = |stage: &mut Stage| {
        let (ok, said) = crate::process::try_run(stage.controller_command().arg("--once"));
        assert!(!ok && said.contains("cannot be read: nothing that may be theirs is deleted"), "{said}");
        assert_eq!(stage.lab.northbound(), rows);
        let mark = stage.speaker("node1").mark();
        stage.start_speaker("node1");
        stage.speaker("node1").says_after(mark, "rules installed");
        assert_eq!(stage.lab.rules("node1"), rules);
        stage.speaker("node1").terminate();
    };
    let set_cidr = |stage: &mut Stage, cidr: &str| {
        stage.cluster.edit("Subnet", "underlay-subnet", |subnet| subnet["spec"]["cidrBlock"] = cidr.into());
    };
    set_cidr(&mut stage, "10.180.204.0/240");
    start(&mut stage);
    set_cidr(&mut stage, "10.180.204.0/24,fd00:180:204::/64");
    for (file, text) in [("03-nginx.yaml", ""), ("04-dns.yaml", "Unable to connect to the server: EOF\n")] {
        stage.cluster.put_file(file, text);
        start(&mut stage);
        stage.cluster.write(file);
    }
    stage.start_speaker("node1");
    stage.becomes_served("client", VIP4, &["p11", "p12"]);
    assert_eq!(stage.lab.rules("node1"), rules);
}
