//! Ping: answered by the announcing node's bridge while it delivers, with both families, tagged and not; else by nobody.

use serde_json::{Value, json};

use crate::lab::Topology;
use crate::process::{Process, eventually, holds, run};
use crate::stage::{Stage, VIPS};
use crate::traffic::CLIENTS;

impl Stage {
    /// What came of echo requests: `answered`, `sent`, `wrong`, `ttls`.
    fn ping(&self, client: &str, vip: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&run(self.probe(client, "pingprobe.py").arg(vip).args(arguments))).unwrap()
    }

    /// Each of twenty is answered, whole, with a TTL that is new: the gateway is a hop.
    #[track_caller]
    fn is_answered(&self, client: &str, vip: &str) {
        let ttl = if client == "far" { 63 } else { 64 };
        let found = self.ping(client, vip, &["20"]);
        let right = (&found["answered"], &found["wrong"], &found["ttls"]);
        assert_eq!(right, (&json!(20), &json!(0), &json!([ttl])), "from {client} to {vip}: {found}");
    }

    /// Waits until some are answered, all of them.
    pub fn becomes_answered(&self, client: &str, vip: &str) {
        eventually(&format!("{vip} answers {client}"), || {
            let found = self.ping(client, vip, &["3"]);
            holds(found["answered"] == 3, found)
        });
    }

    fn becomes_silent(&self, client: &str, vip: &str) {
        eventually(&format!("{vip} is silent to {client}"), || {
            let found = self.ping(client, vip, &["3"]);
            holds(found["answered"] == 0, found)
        });
    }

    /// Makes a client know a VIP's MAC for good, so that silence is not that of ARP.
    fn remember(&self, vip: &str) {
        let number = self.becomes_announced(vip).trim_start_matches("node");
        for host in ["client", "gw"] {
            let entry = format!("{vip} lladdr 02:00:00:00:00:0{number} dev eth0 nud permanent");
            self.lab.run_in(host, &format!("ip neigh replace {entry}"));
        }
    }
}

fn ping_tells_whether_a_vip_is_delivered(topology: &Topology) {
    let mut stage = Stage::serving_on(topology);
    let every = || VIPS.into_iter().flat_map(|vip| CLIENTS.map(|client| (client, vip)));
    every().for_each(|(client, vip)| stage.becomes_answered(client, vip));
    every().for_each(|(client, vip)| stage.is_answered(client, vip));
    // No Open vSwitch sees the type of a fragment; another code than 0 is no echo request of the RFCs.
    for (client, vip) in every() {
        for arguments in [["2", "--size=4000"], ["2", "--code=1"]] {
            let found = stage.ping(client, vip, &arguments);
            assert_eq!(found["answered"], 0, "from {client} to {vip}: {found}");
        }
    }
    VIPS.into_iter().for_each(|vip| stage.remember(vip));
    stage.controller().terminate();
    stage.lab.nb("--all destroy Load_Balancer");
    every().for_each(|(client, vip)| stage.becomes_silent(client, vip));
    stage.start_controller();
    every().for_each(|(client, vip)| stage.becomes_answered(client, vip));
    every().for_each(|(client, vip)| stage.is_answered(client, vip));
}

#[test]
fn ping_is_answered_while_a_vip_is_delivered_and_not_when_it_is_not() {
    ping_tells_whether_a_vip_is_delivered(&Topology::default());
}

#[test]
fn ping_is_answered_in_a_vlan_too() {
    ping_tells_whether_a_vip_is_delivered(&Topology { vlan: 341, ..Topology::default() });
}

/// The Services share the VIP: whom one of them lets in is answered.
#[test]
fn ping_is_answered_to_whom_a_service_lets_in() {
    let mut stage = Stage::serving();
    VIPS.into_iter().for_each(|vip| stage.becomes_answered("client", vip));
    stage.set_ranges("nginx", &["192.0.2.0/24", "fd00:2::/64"]);
    VIPS.into_iter().for_each(|vip| stage.is_answered("client", vip));
    stage.set_ranges("dns", &["192.0.2.10/32", "fd00:2::10/128"]);
    VIPS.into_iter().for_each(|vip| stage.becomes_silent("client", vip));
    VIPS.into_iter().for_each(|vip| stage.is_answered("far", vip));
    stage.set_ranges("dns", &[]);
    VIPS.into_iter().for_each(|vip| stage.becomes_answered("client", vip));
}

#[test]
fn a_speaker_that_starts_anew_leaves_no_ping_unanswered() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    stage.start_speakers();
    let node = stage.becomes_announced(VIPS[0]);
    stage.becomes_answered("client", VIPS[0]);
    let mut probe = stage.probe("client", "pingprobe.py");
    probe.args([VIPS[0], "400", "--interval=0.01"]);
    let mut pings = Process::start("ping", &mut probe, stage.folder.path());
    for _ in 0..2 {
        let mark = stage.speaker(node).mark();
        stage.speaker(node).terminate();
        stage.start_speaker(node);
        stage.speaker(node).says_after(mark, &format!("announcing vip={} ", VIPS[0]));
    }
    let report = eventually("the pings are at an end", || {
        serde_json::from_str::<Value>(&pings.log()).map_err(|error| error.to_string())
    });
    assert_eq!((&report["answered"], &report["wrong"]), (&json!(400), &json!(0)), "{report}");
    pings.terminate();
}
