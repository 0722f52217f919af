//! Our flows on a real `ovs-vswitchd`.
//!
//! The programs come from the folder `$OVN_VIP_BIN`, else from `$PATH`; neither root nor a kernel module is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may panic")]

#[path = "openflow/harness.rs"]
mod harness;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::{OpenVSwitch, PATIENCE, PORTS, flows, segment};
use ovn_vip::flows::{Action, Flow, Version, Wanted, answer_flows};
use ovn_vip::io::switch::{Switch, SwitchEvent};
use ovn_vip::model::Sources;
use tokio::time::timeout;

const OURS: &str = "0x6f766e2d76697000/0xffffffffffffff00";
const ALL_VERSIONS: &str = "OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15";
const FOREIGN: &str = "cookie=0x1000,priority=10000,tcp,in_port=1,nw_dst=10.180.9.9,tp_dst=80 actions=mod_dl_dst:00:00:00:01:00:01,output:2";

/// The flows with this cookie, each as `ovs-ofctl` prints it without the cookie.
fn dump(ovs: &OpenVSwitch, cookie: &str) -> BTreeSet<String> {
    let flows = ovs.ofctl(&["--no-stats", "dump-flows", "br-x", &format!("cookie={cookie}")]);
    let flow = |line: &str| Some(line.split_once(", ")?.1.to_owned());
    flows.lines().filter(|line| line.contains("actions=")).filter_map(flow).collect()
}

/// The next event, whatever it is.
async fn next(switch: &mut Switch) -> SwitchEvent {
    let event = timeout(PATIENCE, switch.next_event()).await.expect("no event in time");
    eprintln!("{event:?}");
    event
}

/// Waits for this event, and returns how long it took.
async fn until(switch: &mut Switch, is_it: impl Fn(&SwitchEvent) -> bool) -> (SwitchEvent, Duration) {
    let start = Instant::now();
    loop {
        let event = next(switch).await;
        if is_it(&event) {
            return (event, start.elapsed());
        }
        assert!(start.elapsed() < PATIENCE, "not in time; last came {event:?}");
    }
}

async fn installed(switch: &mut Switch) -> (usize, usize) {
    match until(switch, |event| matches!(event, SwitchEvent::Installed { .. })).await.0 {
        SwitchEvent::Installed { added, removed } => (added, removed),
        _ => unreachable!(),
    }
}

async fn repaired(switch: &mut Switch) -> (usize, usize, Duration) {
    match until(switch, |event| matches!(event, SwitchEvent::Repaired { .. })).await {
        (SwitchEvent::Repaired { added, removed }, waited) => (added, removed, waited),
        _ => unreachable!(),
    }
}

fn texts(flows: &BTreeSet<Flow>) -> BTreeSet<String> {
    flows.iter().map(Flow::to_string).collect()
}

/// A bridge with the rules of ten VIPs on it, and one foreign flow.
async fn with_flows() -> (OpenVSwitch, Switch, BTreeSet<Flow>) {
    let ovs = OpenVSwitch::start(ALL_VERSIONS);
    ovs.ofctl(&["add-flow", "br-x", FOREIGN]);
    let mut switch = Switch::new(ovs.socket());
    let wanted = flows(10, Some(341));
    switch.set_wanted(wanted.clone());
    assert_eq!(installed(&mut switch).await, (40, 0));
    (ovs, switch, wanted)
}

#[tokio::test]
async fn flows_on_the_bridge_read_as_ours_do_and_foreign_ones_stay() {
    let (ovs, mut switch, wanted) = with_flows().await;
    assert_eq!(dump(&ovs, OURS), texts(&wanted));
    let untagged = flows(20, None);
    switch.set_wanted(untagged.clone());
    assert_eq!(installed(&mut switch).await, (80, 40));
    assert!(switch.is_installed());
    assert_eq!(dump(&ovs, OURS), texts(&untagged));
    switch.set_wanted(BTreeSet::new());
    assert_eq!(installed(&mut switch).await, (0, 80));
    assert_eq!(dump(&ovs, OURS), BTreeSet::new());
    assert_eq!(dump(&ovs, "0x1000/-1").len(), 1);
}

#[tokio::test]
async fn a_flow_that_somebody_removes_or_changes_is_put_right_at_once() {
    let (ovs, mut switch, wanted) = with_flows().await;
    let match_of = |flow: &Flow| format!("priority={},{}", flow.priority, flow.matches);
    let first = match_of(wanted.first().unwrap());
    let damages: [(&[&str], (usize, usize)); 4] = [
        (&["--strict", "del-flows", "br-x", &first], (1, 0)),
        (&["del-flows", "br-x", &format!("cookie={OURS}")], (40, 0)),
        (&["add-flow", "br-x", &format!("cookie=0x6f766e2d76697000,{first} actions=drop")], (1, 0)),
        (&["add-flow", "br-x", &format!("cookie=0x1000,{first} actions=NORMAL")], (1, 0)),
    ];
    for (damage, (added, removed)) in damages {
        ovs.ofctl(damage);
        let (found, surplus, waited) = repaired(&mut switch).await;
        assert_eq!((found, surplus), (added, removed), "{damage:?}");
        assert!(waited < Duration::from_secs(1), "{waited:?}: not noticed by the monitor");
        assert_eq!(dump(&ovs, OURS), texts(&wanted));
    }
    let unreadable = "cookie=0x6f766e2d76697001,table=3,reg1=7,arp actions=learn(table=4)";
    ovs.ofctl(&["add-flow", "br-x", unreadable]);
    let (found, surplus, _) = repaired(&mut switch).await;
    assert_eq!((found, surplus), (0, 1), "a flow with our cookie that we cannot read is none of ours");
    assert_eq!(dump(&ovs, "0x1000/-1").len(), 1);
}

#[tokio::test]
async fn a_restart_of_vswitchd_is_noticed_and_the_flows_are_back() {
    let (mut ovs, mut switch, wanted) = with_flows().await;
    for _ in 0..2 {
        ovs.kill_vswitchd();
        let (gone, waited) =
            until(&mut switch, |event| matches!(event, SwitchEvent::Disconnected { .. })).await;
        assert!(matches!(gone, SwitchEvent::Disconnected { first: true, .. }), "{gone:?}");
        assert!(waited < Duration::from_millis(500) && !switch.is_installed());
        ovs.start_vswitchd();
        assert_eq!(installed(&mut switch).await, (40, 0));
        assert_eq!(dump(&ovs, OURS), texts(&wanted));
    }
}

#[tokio::test]
async fn what_is_on_the_bridge_already_is_taken_over_by_the_next_speaker() {
    let (ovs, switch, wanted) = with_flows().await;
    drop(switch);
    assert_eq!(dump(&ovs, OURS), texts(&wanted), "they outlive us");
    let mut next = Switch::new(ovs.socket());
    next.set_wanted(wanted);
    assert_eq!(installed(&mut next).await, (0, 0));
}

#[tokio::test]
async fn a_bridge_with_1_3_only_is_served_too() {
    let ovs = OpenVSwitch::start("OpenFlow13");
    let mut switch = Switch::new(ovs.socket());
    switch.set_wanted(flows(10, None));
    let connected = next(&mut switch).await;
    assert!(matches!(connected, SwitchEvent::Connected { version: Version::V13, .. }), "{connected:?}");
    assert_eq!(installed(&mut switch).await, (40, 0));
    ovs.ofctl(&["-OOpenFlow13", "del-flows", "br-x"]);
    let (added, removed, waited) = repaired(&mut switch).await;
    assert_eq!((added, removed), (40, 0));
    assert!(waited < Duration::from_secs(4), "{waited:?}");
}

#[tokio::test]
async fn a_bridge_with_1_0_only_is_named_with_the_cure_and_served_when_cured() {
    let ovs = OpenVSwitch::start("OpenFlow10");
    let mut switch = Switch::new(ovs.socket());
    switch.set_wanted(flows(1, None));
    let SwitchEvent::Disconnected { reason, first: true } = next(&mut switch).await else { panic!() };
    assert_eq!(
        reason.to_string(),
        "bridge br-x cannot be served: it speaks only OpenFlow10, and this needs OpenFlow14 or OpenFlow13; \
         allow it: ovs-vsctl set bridge br-x protocols=OpenFlow10,OpenFlow13,OpenFlow14"
    );
    ovs.vsctl(&["set", "bridge", "br-x", "protocols=OpenFlow10,OpenFlow13,OpenFlow14"]);
    assert_eq!(installed(&mut switch).await, (4, 0));
}

#[tokio::test]
async fn a_flow_that_the_bridge_refuses_keeps_no_other_out() {
    for protocols in [ALL_VERSIONS, "OpenFlow13"] {
        let ovs = OpenVSwitch::start(protocols);
        let mut switch = Switch::new(ovs.socket());
        let mut wanted = flows(10, None);
        let mut bad = wanted.pop_first().unwrap();
        bad.actions.push(Action::Output(0x10000));
        wanted.insert(bad.clone());
        switch.set_wanted(wanted);
        let is_refused = |event: &SwitchEvent| matches!(event, SwitchEvent::Refused { .. });
        let SwitchEvent::Refused { flow, error, cure } = until(&mut switch, is_refused).await.0 else {
            panic!()
        };
        assert_eq!((flow, error.as_str()), (bad.to_string(), "OFPBAC_BAD_OUT_PORT"));
        assert!(cure.ends_with("what the rule names is in: ovs-ofctl show br-x"), "{cure}");
        assert_eq!(installed(&mut switch).await, (39, 0), "{protocols}");
        assert!(!switch.is_installed() && !switch.confirms(&bad));
    }
}

#[tokio::test]
async fn a_bridge_that_is_changed_to_other_versions_under_way_is_served_again_or_named() {
    let (ovs, mut switch, wanted) = with_flows().await;
    let is_connected = |event: &SwitchEvent| matches!(event, SwitchEvent::Connected { .. });
    for (protocols, wanted_version) in [("OpenFlow13", Version::V13), (ALL_VERSIONS, Version::V14)] {
        ovs.vsctl(&["set", "bridge", "br-x", &format!("protocols={protocols}")]);
        let connected = until(&mut switch, is_connected).await.0;
        assert!(matches!(connected, SwitchEvent::Connected { version, .. } if version == wanted_version));
        assert_eq!(installed(&mut switch).await, (0, 0), "all of it is still there");
        assert!(switch.is_installed());
    }
    ovs.vsctl(&["set", "bridge", "br-x", "protocols=OpenFlow10"]);
    let is_named = |event: &SwitchEvent| {
        let SwitchEvent::Disconnected { reason, .. } = event else { return false };
        reason.to_string().contains("allow it: ovs-vsctl set bridge br-x protocols=")
    };
    until(&mut switch, is_named).await;
    assert!(!switch.is_installed());
    assert_eq!(dump(&ovs, OURS), texts(&wanted), "its rules stay");
}

#[tokio::test]
async fn a_bridge_that_cannot_be_served_keeps_no_other_from_it() {
    let ovs = OpenVSwitch::start("OpenFlow10");
    ovs.vsctl(&["add-br", "br-y", "--", "set", "bridge", "br-y", "datapath_type=dummy"]);
    let mut switches = ["br-x", "br-y"].map(|bridge| Switch::new(ovs.socket_of(bridge)));
    switches.iter_mut().for_each(|switch| switch.set_wanted(flows(1, None)));
    let [bad, good] = &mut switches;
    let (refused, (added, removed)) = tokio::join!(next(bad), installed(good));
    assert!(matches!(refused, SwitchEvent::Disconnected { .. }), "{refused:?}");
    assert_eq!((added, removed), (4, 0));
}

#[tokio::test]
async fn a_full_table_takes_as_many_as_fit_and_the_cure_is_named_and_works() {
    let ovs = OpenVSwitch::start(ALL_VERSIONS);
    let limit = ["--", "--id=@t", "create", "Flow_Table", "flow_limit=3", "overflow_policy=refuse"];
    ovs.vsctl(&[&limit[..], &["--", "set", "bridge", "br-x", "flow_tables:0=@t"]].concat());
    let mut switch = Switch::new(ovs.socket());
    let wanted = flows(1, None);
    switch.set_wanted(wanted.clone());
    let is_refused = |event: &SwitchEvent| matches!(event, SwitchEvent::Refused { .. });
    let SwitchEvent::Refused { flow, error, cure } = until(&mut switch, is_refused).await.0 else { panic!() };
    assert_eq!((flow, error.as_str()), (wanted.last().unwrap().to_string(), "OFPFMFC_TABLE_FULL"));
    assert_eq!(
        cure,
        "its table 0 is full: raise flow_limit of the Flow_Table that its flow_tables names, \
         or lift the limit: ovs-vsctl clear bridge br-x flow_tables"
    );
    assert_eq!(installed(&mut switch).await, (3, 0));
    let confirmed = wanted.iter().filter(|flow| switch.confirms(flow)).count();
    assert!(!switch.is_installed() && confirmed == 3);

    ovs.vsctl(&["clear", "bridge", "br-x", "flow_tables"]);
    let mut next = Switch::new(ovs.socket());
    next.set_wanted(wanted);
    assert_eq!(installed(&mut next).await, (1, 0));
}

#[tokio::test]
async fn kube_ovns_own_rule_is_left_what_it_does_in_either_version() {
    for (protocols, ofctl) in [(ALL_VERSIONS, "-OOpenFlow14"), ("OpenFlow13", "-OOpenFlow13")] {
        let ovs = OpenVSwitch::start(protocols);
        for (cookie, kind, vip) in
            [("0x1000", "tcp,nw_dst", "10.180.0.0"), ("0x1001", "udp6,ipv6_dst", "fd00:180:204::1")]
        {
            let actions = "actions=mod_dl_dst:00:00:00:01:00:01,output:2";
            let rule = format!("cookie={cookie},priority=10000,in_port=1,{kind}={vip},tp_dst=80 {actions}");
            ovs.ofctl(&[ofctl, "add-flow", "br-x", &rule]);
        }
        let mut switch = Switch::new(ovs.socket());
        let wanted = flows(2, None);
        switch.set_wanted(wanted.clone());
        let is_left = |event: &SwitchEvent| matches!(event, SwitchEvent::LeftToKubeOvn { .. });
        let left = until(&mut switch, is_left).await.0;
        assert!(matches!(left, SwitchEvent::LeftToKubeOvn { left: 2, taken_back: 0 }), "{left:?}");
        assert_eq!(installed(&mut switch).await, (6, 0));
        assert!(switch.is_installed() && wanted.iter().all(|flow| switch.confirms(flow)));
        if protocols == ALL_VERSIONS {
            let all = ovs.ofctl(&["--no-stats", "dump-flows", "br-x"]);
            (0..3).for_each(|_| ovs.ofctl_file("replace-flows", &all));
            switch.set_wanted(flows(3, None));
            let more = next(&mut switch).await;
            assert!(matches!(more, SwitchEvent::Installed { added: 4, removed: 0 }), "{more:?}");
        }
        ovs.ofctl(&[ofctl, "del-flows", "br-x", "cookie=0x1000/-1"]);
        let left = next(&mut switch).await;
        assert!(matches!(left, SwitchEvent::LeftToKubeOvn { left: 1, taken_back: 1 }), "{left:?}");
    }
}

/// kube-ovn-cni: dumps everything, drops what has its own cookies, adds its own, replaces the table.
#[tokio::test]
async fn the_rewriting_of_the_whole_table_leaves_our_flows_alone() {
    let (ovs, mut switch, wanted) = with_flows().await;
    let kept: Vec<String> =
        dump(&ovs, OURS).iter().map(|flow| format!("cookie=0x6f766e2d76697000,{flow}")).collect();
    for _ in 0..3 {
        ovs.ofctl_file("replace-flows", &[&kept[..], &[FOREIGN.to_owned()]].concat().join("\n"));
    }
    let quiet = timeout(Duration::from_secs(6), switch.next_event()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert_eq!(dump(&ovs, OURS), texts(&wanted));

    // A flow that came between its dump and its replace is lost, and put back at once.
    ovs.ofctl_file("replace-flows", &kept[1..].join("\n"));
    let (added, removed, waited) = repaired(&mut switch).await;
    assert_eq!((added, removed), (1, 0));
    assert!(waited < Duration::from_secs(1));
}

/// The rules that answer echo requests to as many VIPs, for `client` alone where there is one.
fn answers(vips: u16, vlan: Option<u16>, client: Option<&str>) -> BTreeSet<Flow> {
    let mut segment = segment(vips, vlan);
    if let Some(client) = client {
        let sources = Sources::only([client.parse().unwrap()]);
        segment.steered.values_mut().for_each(|steered| {
            steered.ports.values_mut().for_each(|of_port| *of_port = sources.clone());
        });
    }
    let spoken: Vec<_> = segment.steered.keys().copied().collect();
    answer_flows(&segment, &PORTS, spoken)
}

#[tokio::test]
async fn the_answers_to_ping_are_taken_as_they_are_read_and_survive_the_rewriting_too() {
    for protocols in [ALL_VERSIONS, "OpenFlow10,OpenFlow13"] {
        let ovs = OpenVSwitch::start(protocols);
        let mut switch = Switch::new(ovs.socket());
        for wanted in [answers(4, Some(341), None), answers(4, None, Some("192.0.2.0/24"))] {
            switch.set_wanted(wanted.clone());
            installed(&mut switch).await;
            assert!(switch.is_installed() && wanted.iter().all(|flow| switch.confirms(flow)));
            assert_eq!(dump(&ovs, OURS), texts(&wanted));
            if protocols == ALL_VERSIONS {
                let all = ovs.ofctl(&["--no-stats", "dump-flows", "br-x"]);
                (0..3).for_each(|_| ovs.ofctl_file("replace-flows", &all));
            }
            let quiet = timeout(Duration::from_secs(6), switch.next_event()).await;
            assert!(quiet.is_err(), "{quiet:?}");
            assert_eq!(dump(&ovs, OURS), texts(&wanted));
        }
    }
}

/// What an earlier run has left is not made, and goes only once nobody keeps it.
#[tokio::test]
async fn a_flow_that_is_kept_stays_where_it_is() {
    let (ovs, mut switch, wanted) = with_flows().await;
    let answers = answers(10, Some(341), None);
    let kept = |flows: &BTreeSet<Flow>| Wanted::from(flows.clone()).keeping(answers.clone());
    switch.set_wanted(kept(&wanted));
    assert_eq!(installed(&mut switch).await, (0, 0), "none of them is made");
    let both: BTreeSet<Flow> = wanted.union(&answers).cloned().collect();
    switch.set_wanted(both.clone());
    assert_eq!(installed(&mut switch).await, (answers.len(), 0));
    switch.set_wanted(kept(&wanted));
    assert_eq!(installed(&mut switch).await, (0, 0));
    assert_eq!(dump(&ovs, OURS), texts(&both));
    switch.set_wanted(wanted.clone());
    assert_eq!(installed(&mut switch).await, (0, answers.len()));
}

#[tokio::test]
async fn ten_thousand_flows_come_go_and_come_back() {
    let ovs = OpenVSwitch::start(ALL_VERSIONS);
    let mut switch = Switch::new(ovs.socket());
    let wanted = flows(2500, None);
    switch.set_wanted(wanted.clone());
    assert_eq!(installed(&mut switch).await, (10_000, 0));
    assert_eq!(dump(&ovs, OURS), texts(&wanted));
    ovs.ofctl(&["del-flows", "br-x"]);
    let (added, removed, _) = repaired(&mut switch).await;
    assert_eq!((added, removed), (10_000, 0));
    switch.set_wanted(flows(2499, None));
    assert_eq!(installed(&mut switch).await, (0, 4));
    assert_eq!(dump(&ovs, OURS), texts(&flows(2499, None)));
}
