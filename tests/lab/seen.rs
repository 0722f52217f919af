//! Believing only what is seen: northd stops, a flag that was taken back, and an OVN that knows the other option.

use crate::lab::Topology;
use crate::process::{eventually, holds};
use crate::stage::{Stage, VIP4};

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
