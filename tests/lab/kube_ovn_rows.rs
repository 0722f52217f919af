//! Beside Kube-OVN 1.17's rows, played on a real northbound, northd and ovn-controller, with traffic in both families: a row for one
//! Service, and one whose VIPs are template variables. Who has the VIP, what is said, consent, and its end.

use serde_json::json;

use crate::kube_ovn::played::{KubeOvn, Release, Service};
use crate::kube_ovn::{are_announced, execute, is_in, is_served, played, rows, service};
use crate::lab::{Lab, Topology};
use crate::process::{eventually, holds};
use crate::stage::{Stage, VIP4, VIPS};

const OURS: &str = "default/nginx/tcp";
const ITS: &str = "service:default/nginx:tcp:external";

/// The example's Service in 1.17's way, and everything of ours beside it.
fn beside(template: bool) -> (Stage, KubeOvn) {
    let mut stage = Stage::silent_on(&Topology::default());
    let nginx = service("nginx", 80, "10.96.0.10");
    let chassis = [("p11", "node1"), ("p12", "node1"), ("p21", "node2")];
    let chassis = chassis.map(|(pod, node)| (format!("{pod}.default"), node.to_owned())).into();
    let kube_ovn = played(Release::V1_17, vec![Service { template, chassis, ..nginx }]);
    execute(&stage.lab, kube_ovn.start(&rows(&stage.lab)));
    stage.start_controller();
    stage.start_speakers();
    (stage, kube_ovn)
}

/// The VIPs that rows of ours have.
fn ours(lab: &Lab) -> Vec<String> {
    rows(lab).remove(OURS).map(|vips| vips.into_keys().collect()).unwrap_or_default()
}

fn consent(stage: &mut Stage) {
    stage.cluster.edit("Subnet", "underlay-subnet", |subnet| {
        subnet["metadata"]["annotations"]["ovn-vip.io/takeover"] = "true".into();
    });
}

/// Each VIP is said to be Kube-OVN's, by the row that has it.
fn says_whose_it_is(stage: &mut Stage, row: &str) {
    for words in ["NativeOwner", row] {
        stage.controller().says(words);
    }
    assert_eq!(ours(&stage.lab), Vec::<String>::new());
}

/// Kube-OVN's native path is switched off: what it had is ours, and served.
fn ends(stage: &Stage, kube_ovn: &mut KubeOvn) {
    kube_ovn.native = false;
    execute(&stage.lab, kube_ovn.start(&rows(&stage.lab)));
    is_in(stage, OURS, 80);
    are_announced(stage);
    is_served(stage);
    let loads = VIPS.map(|vip| stage.load(vip));
    is_served(stage);
    for load in loads {
        let sample = load.end();
        assert!(sample.failures.is_empty() && sample.ok > 10, "{sample:?}");
    }
}

#[test]
fn vips_in_template_variables_are_kube_ovns_whatever_was_consented_to_until_its_rows_go() {
    let (mut stage, mut kube_ovn) = beside(true);
    says_whose_it_is(&mut stage, ITS);
    are_announced(&stage);
    is_served(&stage);
    let before = rows(&stage.lab);
    let mark = stage.controller().mark();
    consent(&mut stage);
    stage.controller().says_after(mark, "changes=1");
    // A change behind it, so that the first one is over.
    let mark = stage.controller().mark();
    stage
        .cluster
        .edit("Service", "nginx", |service| service["metadata"]["annotations"] = json!({ "x": "y" }));
    stage.controller().says_after(mark, "changes=1");
    stage.lab.sync();
    assert_eq!(rows(&stage.lab), before, "the keys are variables, behind which others' addresses may be");
    is_served(&stage);
    ends(&stage, &mut kube_ovn);
    kube_ovn.native = true;
    execute(&stage.lab, kube_ovn.start(&rows(&stage.lab)));
    eventually("it is Kube-OVN's again", || holds(ours(&stage.lab).is_empty(), rows(&stage.lab)));
    stage.lab.sync();
    is_served(&stage);
}

#[test]
fn a_row_for_one_service_is_kube_ovns_and_taken_by_consent_each_time_that_it_writes() {
    let (mut stage, mut kube_ovn) = beside(false);
    says_whose_it_is(&mut stage, ITS);
    is_in(&stage, ITS, 80);
    // Kube-OVN 1.17 comes with an OVN that knows `distributed`.
    let version = stage.lab.nb("--bare get NB_Global . options:northd_internal_version");
    if version.trim_matches('"') >= "26" {
        are_announced(&stage);
        is_served(&stage);
    }
    consent(&mut stage);
    is_in(&stage, OURS, 80);
    are_announced(&stage);
    is_served(&stage);
    // Between its write and ours two rows have a key, which is undefined in OVN: what is lost then is not counted.
    for _ in 0..3 {
        execute(&stage.lab, kube_ovn.endpoints_updated("nginx", &rows(&stage.lab)));
        is_in(&stage, OURS, 80);
        is_served(&stage);
    }
    ends(&stage, &mut kube_ovn);
}

/// Another network's row, or one that is attached nowhere (`enableLb: false`), takes no VIP, whatever it is called.
#[test]
fn a_row_that_no_switch_on_the_wire_has_takes_nothing() {
    let mut stage = Stage::serving();
    let load = stage.load(VIP4);
    stage.lab.nb("ls-add other");
    let key = format!("vips:\"{VIP4}:80\"=\"10.180.204.111:80\"");
    for (name, switch) in [("cluster-tcp-loadbalancer", None), ("vpc-other-tcp-load", Some("other"))] {
        let create = ["nb", "--id=@row", "create", "Load_Balancer", &format!("name={name}"), "protocol=tcp"];
        let rest = ["options:prefer_local_backend=true", &key];
        let attach = switch.map(|switch| ["--", "add", "Logical_Switch", switch, "load_balancer", "@row"]);
        let words: Vec<&str> = create.into_iter().chain(rest).chain(attach.into_iter().flatten()).collect();
        stage.lab.run(&words);
    }
    stage.lab.sync();
    // Whatever is written after it is planned with it.
    stage.cluster.remove_backend("p12");
    stage.becomes_served("client", VIP4, &["p11"]);
    let sample = load.end();
    assert!(sample.failures.is_empty() && sample.ok > 10, "{sample:?}");
    assert!(!stage.controller().log().contains("NativeOwner"));
}
