//! Bad input: an OVN that will not do, a northbound that is not there, manifests that make no sense.

use std::path::PathBuf;
use std::process::Command;

use crate::lab::Topology;
use crate::process::{Process, eventually, holds, run, try_run};
use crate::stage::{Stage, VIP4, VIP6};
use crate::traffic::Transport;

/// `ovn-vip controller` of a lab whose northbound is at this address.
fn controller_at(stage: &Stage, northbound: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
    command.args(["controller", "--cluster-dir"]).arg(stage.cluster.path());
    command.args(["--ovn-nb", northbound, "--ovn-sb", stage.lab.variable("LAB_SB")]);
    command
}

#[test]
fn an_ovn_that_is_too_old_is_refused_by_name_and_nothing_is_written() {
    let stage = Stage::silent_on(&Topology { old: true, ..Topology::default() });
    let before = stage.lab.northbound();
    let output = stage.controller_command().arg("--once").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("OVN 26.03 or newer") && said.contains("OVN 23.03"), "{said}");
    assert_eq!(stage.lab.northbound(), before, "nothing is written");
}

#[test]
fn a_northbound_that_is_not_there_is_told_once_waited_for_and_then_served() {
    let mut stage = Stage::silent_on(&Topology::default());
    let socket: PathBuf = stage.folder.path().join("nb.sock");
    let address = format!("unix:{}", socket.display());
    let (ok, said) = try_run(controller_at(&stage, &address).args(["--once", "--timeout=1"]));
    assert!(!ok && said.contains("not done after 1 s: the northbound does not answer"), "{said}");

    let mut command = controller_at(&stage, &address);
    command.arg("--log=debug");
    let mut controller = Process::start("controller", &mut command, stage.folder.path());
    controller.says("no connection; retrying");
    eventually("it has tried a few times more", || {
        let tries = controller.log().matches("retry_in_ms=").count();
        holds(tries >= 3, tries)
    });
    assert_eq!(controller.log().matches(" WARN ").count(), 1, "told once: {}", controller.log());
    let real = stage.lab.variable("LAB_NB").strip_prefix("unix:").unwrap();
    std::os::unix::fs::symlink(real, &socket).unwrap();
    controller.says("the northbound has it");
    stage.controller = Some(controller);
    stage.start_speakers();
    stage.becomes_served("client", VIP4, &["p11", "p12"]);
}

#[test]
fn an_empty_folder_takes_nothing_out_and_remove_does() {
    let stage = Stage::silent_on(&Topology::default());
    run(stage.controller_command().arg("--once"));
    let before = stage.lab.northbound();
    let empty = tempfile::tempdir().unwrap();
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
        command.args(["controller", "--cluster-dir"]).arg(empty.path());
        command.args(["--ovn-nb", stage.lab.variable("LAB_NB"), "--ovn-sb", stage.lab.variable("LAB_SB")]);
        command
    };
    let mut following = Process::start("empty", &mut command(), stage.folder.path());
    following.says("the cluster's folder has no object");
    following.says("connected to the southbound");
    assert!(following.terminate().success());
    assert_eq!(stage.lab.northbound(), before, "nothing is written");
    let (ok, _) = crate::process::try_run(command().arg("--once"));
    assert!(!ok, "an empty folder is no decision");
    assert_eq!(stage.lab.northbound(), before, "nothing is written");
    let mut remove = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
    run(remove.args(["remove", "--yes", "--ovn-nb", stage.lab.variable("LAB_NB")]));
    assert_eq!(stage.row("default/nginx/tcp", "name"), "");
}

#[test]
fn manifests_that_make_no_sense_are_told_with_file_and_line_and_the_others_are_served() {
    let mut stage = Stage::serving();
    let broken = "apiVersion: v1\nkind: Service\nmetadata:\n  name: broken\n  namespace: [default\n";
    stage.cluster.put_file("06-broken.yaml", broken);
    let nonsense = "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata:\n  name: nonsense\nspec:\n  \
                    cidrBlock: 10.180.204.0/99,fd00::/200\n  vlan: no-such-vlan\n  enableExternalLBAddress: true\n";
    stage.cluster.put_file("07-nonsense.yaml", nonsense);
    stage.cluster.put_file("08-no-manifest.yaml", "\u{0}\u{1}\u{2} this is no YAML at all: [");
    let names =
        ["06-broken.yaml:5:", "07-nonsense.yaml:1: Subnet nonsense: spec.cidrBlock", "08-no-manifest.yaml"];
    for name in names {
        stage.controller().says(name);
        stage.speaker("node1").says(name);
    }
    stage.cluster.remove_backend("p11");
    stage.becomes_served("client", VIP4, &["p12"]);
    stage.is_served(Transport::Tcp, "far", VIP6, &["p12"]);
    let mark = stage.controller().mark();
    stage.cluster.remove_file("06-broken.yaml");
    stage.controller().says_after(mark, "no longer so:");
}

#[test]
fn while_a_file_is_broken_what_it_last_said_stays_in_force() {
    let mut stage = Stage::serving();
    let before = stage.lab.northbound();
    stage.cluster.put_file("03-nginx.yaml", "kind: Service\n  metadata: [");
    stage.controller().says("03-nginx.yaml:");
    stage.speaker("node1").says("03-nginx.yaml:");
    stage.is_served(Transport::Tcp, "client", VIP4, &["p11", "p12"]);
    assert_eq!(stage.lab.northbound(), before, "nothing was written");
    stage.cluster.write("03-nginx.yaml");
    stage.is_served(Transport::Tcp, "client", VIP4, &["p11", "p12"]);
}

#[test]
fn a_vip_that_kube_ovn_could_hand_to_a_pod_is_refused_with_its_cure() {
    let mut stage = Stage::silent_on(&Topology::default());
    stage.cluster.edit("Subnet", "underlay-subnet", |subnet| {
        subnet["spec"]["excludeIps"] = serde_json::json!(["10.180.204.1", "fd00:180:204::1"]);
    });
    let mut once = stage.controller_command();
    let output = once.arg("--once").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("add {VIP4} to spec.excludeIps of Subnet underlay-subnet")), "{said}");
    assert_eq!(stage.row("default/nginx/tcp", "name"), "", "no row");
    run(stage.controller_command().args(["--once", "--exclude-ips=warn"]));
    assert_eq!(stage.row("default/nginx/tcp", "name"), "default/nginx/tcp");
}

#[test]
fn a_speaker_without_net_raw_says_so_steers_and_is_silent_and_the_others_go_on() {
    let mut stage = Stage::silent_on(&Topology::default());
    stage.start_controller();
    stage.start_speaker_without("node1", "net_raw");
    stage.start_speaker("node2");
    let cure = "not allowed to open a packet socket; give the container the capability NET_RAW";
    stage.speaker("node1").says(cure);
    for node in ["node1", "node2"] {
        stage.speaker(node).says("rules installed bridge=br-provider added=6");
    }
    eventually("its status says where to look, and its log says it once", || {
        let status = stage.status("node1");
        let told = stage.speaker("node1").log().matches(cure).count();
        holds(status.contains("cannot be spoken on") && told == 1, (status, told))
    });
    assert_eq!(stage.says_announcing(VIP4), None);
    stage.speaker("node1").kill();
    stage.start_speaker("node1");
    stage.becomes_served("client", VIP4, &["p11", "p12"]);
}
