//! Speakers that read folders know each other by their beats alone, as those of a cluster do by an API server as well.

use crate::lab::Topology;
use crate::process::{eventually, holds, try_run};
use crate::stage::{Stage, VIP4, VIP6, other};
use crate::traffic::pods_on;

const CLIENT_MAC: &str = "02:00:00:00:02:64";

#[test]
fn speakers_of_folders_ask_before_they_claim_replace_each_other_and_keep_what_they_hold() {
    let mut stage = Stage::silent_on(&Topology::default());
    stage.beats = true;
    // A host has the first VIP before anybody of ours wants it.
    stage.lab.run_in("client", &format!("ip addr add {VIP4}/32 dev eth0"));
    stage.start_controller();
    stage.start_speakers();
    stage.becomes_announced(VIP6);
    let elected = stage.elected_for(VIP4);
    stage.speaker(elected).says("rules installed");
    eventually("the status says who has it", || {
        let (_, status) = try_run(stage.lab.command_in(elected, env!("CARGO_BIN_EXE_ovn-vip")).arg("status"));
        holds(status.contains(&format!("the host with MAC {CLIENT_MAC} has this address")), status)
    });
    assert_eq!(stage.says_announcing(VIP4), None, "nobody of ours claims it");
    stage.lab.run_in("client", &format!("ip addr del {VIP4}/32 dev eth0"));
    let first = stage.becomes_announced(VIP4);
    stage.becomes_served("client", VIP4, pods_on(first));

    // Nobody tells that it is dead but its silence.
    let second = other(first);
    stage.speaker(first).kill();
    stage.learns("client", VIP4, second);
    stage.becomes_served("client", VIP4, pods_on(second));
    // Back again it asks, and leaves it to whom it is told of.
    stage.start_speaker(first);
    stage.speaker(first).says("rules installed");
    eventually("it stands by", || {
        let (_, status) = try_run(stage.lab.command_in(first, env!("CARGO_BIN_EXE_ovn-vip")).arg("status"));
        let line = status.lines().find(|line| line.starts_with(&format!("{VIP4} ")));
        holds(line.is_some_and(|line| line.contains("standby")), status)
    });
    stage.forget("client", VIP4);
    stage.becomes_served("client", VIP4, pods_on(second));
    // And whoever holds it and begins anew is told so by the others: nothing moves.
    stage.speaker(second).terminate();
    stage.start_speaker(second);
    let mark = stage.speaker(second).mark();
    stage.speaker(second).says_after(mark, &format!("announcing vip={VIP4} "));
    stage.forget("client", VIP4);
    stage.becomes_served("client", VIP4, pods_on(second));
}
