//! Believing only what is seen: northd stops, a flag that was taken back, and an OVN that knows the other option.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::lab::{Lab, Topology};
use crate::process::{eventually, holds};
use crate::stage::{NODES, Stage, VIP4, VIPS};
use crate::traffic::pods_on;

const SILENT: &str = "northd has made no flows";

#[test]
fn a_northd_that_stops_is_told_and_one_that_goes_on_too() {
    let mut stage = Stage::serving();
    let log = stage.controller().log();
    let doubts = [SILENT, "do not keep it on the announcing node", "OVN does not balance"];
    assert!(!doubts.iter().any(|words| log.contains(words)), "nothing is doubted of what is served: {log}");
    stage.lab.run(&["pause", "central", "northd"]);
    stage.cluster.remove_backend("p11");
    stage.controller().says(SILENT);
    let mark = stage.controller().mark();
    stage.lab.run(&["resume", "central", "northd"]);
    stage.becomes_served("client", VIP4, &["p12"]);
    stage.controller().says_after(mark, "NorthdSilent");
}

#[test]
fn what_is_served_is_never_doubted_though_time_goes_by() {
    let mut stage = Stage::serving_on(&Topology::default());
    let mark = stage.controller().mark();
    // The controller looks again with each change; its own patience is 3 s.
    stage.cluster.remove_backend("p12");
    stage.becomes_served("client", VIP4, &["p11"]);
    let began = std::time::Instant::now();
    eventually("more than the patience is over", || {
        let over = began.elapsed() > std::time::Duration::from_secs(4);
        holds(over, over)
    });
    let log = stage.controller().log();
    let said = &log[mark.min(log.len())..];
    assert!(!said.contains("NorthdSilent") && !said.contains("FlowMissing"), "{said}");
}

/// Kube-OVN's OVN brings what it translated to a pod by a flow of its own; upstream's needs none.
#[test]
fn a_pod_that_no_flow_brings_anything_to_is_told_and_its_return_too() {
    let mut stage = Stage::serving();
    if !stage.lab.is_kube_ovn() {
        return;
    }
    let forwards =
        "--bare --columns=_uuid find Logical_Flow priority=55 external_ids:stage-name=ls_in_l2_lkup";
    let sb = |words: &str| {
        let words: Vec<&str> = ["sb"].into_iter().chain(words.split_whitespace()).collect();
        stage.lab.run(&words)
    };
    let flows = sb(forwards);
    assert!(flows.lines().filter(|line| !line.is_empty()).count() > 1, "{flows}");
    stage.lab.run(&["pause", "central", "northd"]);
    sb(&format!("destroy Logical_Flow {}", flows.split_whitespace().collect::<Vec<_>>().join(" ")));
    stage.controller().says("PodFlowMissing");
    let mark = stage.controller().mark();
    stage.lab.run(&["resume", "central", "northd"]);
    stage.lab.run(&["app", "central", "northd", "inc-engine/recompute"]);
    stage.controller().says_after(mark, "PodFlowMissing");
    stage.becomes_served("client", VIP4, pods_on(stage.says_announcing(VIP4).unwrap()));
}

/// This lab's northd under another release's name: what it calls itself is all that is known of it before its flows are seen.
fn disguise_northd(lab: &Lab, folder: &Path, from: &str, to: &str) {
    let tool = Path::new(lab.variable("LAB_TOOLS")).join("ovn-northd");
    let script = fs::read_to_string(&tool).unwrap();
    let program = script.split('\'').find(|word| word.ends_with("/ovn-northd")).unwrap();
    let mut bytes = fs::read(program).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty() && from.len() == to.len());
    places.iter().for_each(|at| bytes[*at..*at + to.len()].copy_from_slice(to.as_bytes()));
    let copy = folder.join("ovn-northd");
    fs::write(&copy, bytes).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&tool, script.replace(program, copy.to_str().unwrap())).unwrap();
    for node in NODES {
        // Else they would wait for a northd of their own release.
        let setting = "external_ids:ovn-match-northd-version=false";
        lab.run(&["vs", node, "set", "Open_vSwitch", ".", setting]);
    }
    lab.run(&["kill", "central", "northd"]);
    lab.run(&["start", "central", "northd"]);
    eventually("northd says so", || {
        let version = lab.nb("--bare get NB_Global . options:northd_internal_version");
        holds(version.contains(to), version)
    });
}

#[test]
fn a_northd_that_ignores_the_option_which_its_release_speaks_for_gets_the_other_and_serves() {
    let mut stage = Stage::silent_on(&Topology::default());
    let version = stage.lab.nb("--bare get NB_Global . options:northd_internal_version");
    let release = version.trim_matches('"').get(..5).unwrap().to_owned();
    let (wrong, to) = if release.as_str() >= "26.03" {
        ("prefer_local_backend", "25.03")
    } else {
        ("distributed", "26.03")
    };
    let right = if wrong == "distributed" { "prefer_local_backend" } else { "distributed" };
    disguise_northd(&stage.lab, stage.folder.path(), &format!("{release}."), &format!("{to}."));
    // By this an OVN of that release would be Kube-OVN's.
    stage.lab.nb("set NB_Global . options:ls_dnat_mod_dl_dst=true");
    stage.start_controller();
    let option = |stage: &Stage, option: &str| stage.row("default/nginx/tcp", "options").contains(option);
    assert!(option(&stage, wrong), "{}", stage.row("default/nginx/tcp", "options"));
    stage.start_speakers();
    eventually("the other option is taken", || {
        let options = stage.row("default/nginx/tcp", "options");
        holds(options.contains(right) && !options.contains(wrong), options)
    });
    stage.lab.sync();
    for vip in VIPS {
        let node = stage.becomes_announced(vip);
        for client in ["client", "far"] {
            stage.becomes_served(client, vip, pods_on(node));
        }
    }
    let loads = VIPS.map(|vip| stage.load(vip));
    let began = std::time::Instant::now();
    eventually("more than the patience is over", || {
        let over = began.elapsed() > std::time::Duration::from_secs(5);
        holds(over, over)
    });
    assert!(option(&stage, right), "it stays");
    for load in loads {
        let sample = load.end();
        assert!(sample.failures.is_empty() && sample.ok > 10, "{sample:?}");
    }
}
