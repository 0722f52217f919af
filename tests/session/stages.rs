//! What may happen in every stage of a connection: leadership moves, the server asks, the server keeps us waiting.

use std::time::Duration;

use ovn_vip::ovsdb::{Condition, Datum, Operation, RowFilter, SessionConfig};
use serde_json::{Value, json};

use crate::harness::{Peer, ZERO, config, id, rows, schema};

/// How far a connection is when something happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Schema,
    Dump,
    HalfADump,
    Level,
    Writing,
    Locking,
    Filtering,
    Converted,
}

const STAGES: [Stage; 8] = [
    Stage::Schema,
    Stage::Dump,
    Stage::HalfADump,
    Stage::Level,
    Stage::Writing,
    Stage::Locking,
    Stage::Filtering,
    Stage::Converted,
];

fn member(leader: bool) -> Value {
    json!({"name": "Db", "model": "clustered", "connected": true, "leader": leader, "index": 1,
           "cid": ["uuid", id(900)]})
}

fn dump() -> Value {
    rows("initial", [(1, json!({"name": "a"}))])
}

fn write() -> Vec<Operation> {
    let row = [("name".to_owned(), Datum::from("b"))].into();
    vec![Operation::Update { table: "T".into(), condition: vec![Condition::uuid(id(1))], row }]
}

/// A session on a leader, at this stage, and a way to say what the leader is now.
fn peer_at(stage: Stage) -> (Peer, Box<dyn Fn(bool) -> Value>) {
    let mut peer = Peer::new(SessionConfig { leader_only: true, outbound_limit: 200, ..config(2) });
    let server = peer.connect_to(member(true));
    let tell = Box::new(move |leader| server.update(member(leader)));
    if stage == Stage::Schema {
        peer.request("get_schema");
        return (peer, tell);
    }
    peer.answer("get_schema", schema());
    let request = peer.request("monitor_cond_since");
    let reply = json!({"id": request["id"], "result": [false, ZERO, dump()], "error": null}).to_string();
    match stage {
        Stage::Schema | Stage::Dump => return (peer, tell),
        Stage::HalfADump => {
            let (half, _) = reply.as_bytes().split_at(reply.len() / 2);
            peer.session.received(peer.now, half);
            return (peer, tell);
        }
        _ => peer.session.received(peer.now, reply.as_bytes()),
    }
    match stage {
        // One that is sent and one that is not.
        Stage::Writing => {
            for _ in 0..2 {
                peer.session.transact(peer.now, write());
            }
            peer.session.transact(peer.now, vec![Operation::Comment("x".repeat(300))]);
            peer.session.transact(peer.now, write());
        }
        Stage::Locking => peer.session.lock(peer.now, "l"),
        Stage::Filtering => {
            peer.session.filter(peer.now, "T", RowFilter::AnyOf(vec![Condition::equal("name", "a")]));
        }
        Stage::Converted => {
            let subject = request["params"][1].clone();
            peer.say(&json!({"id": null, "method": "monitor_canceled", "params": [subject]}));
        }
        _ => {}
    }
    (peer, tell)
}

#[test]
fn a_leader_that_steps_down_is_left_in_every_stage_and_each_transaction_is_answered() {
    for stage in STAGES {
        let (mut peer, tell) = peer_at(stage);
        if stage == Stage::HalfADump {
            // Nothing can come between the halves of a message, so that the rest of the dump comes first.
            continue;
        }
        peer.events();
        peer.say(&tell(false));
        let told = peer.told();
        assert_eq!(told[0], "disconnected: the server does not lead its cluster", "{stage:?}");
        let failed = told.iter().filter(|line| line.starts_with("failed: ")).count();
        assert_eq!(failed, if stage == Stage::Writing { 4 } else { 0 }, "{stage:?}: {told:?}");
        assert_eq!(peer.session.open_transactions(), 0);
        let before = peer.now;
        peer.connect_to(member(true));
        assert_eq!(peer.now, before, "{stage:?}: the next member at once");
        peer.answer_handshake(dump());
        assert!(peer.session.is_synced(), "{stage:?}");
        assert_eq!(peer.names(), ["a"]);
    }
}

#[test]
fn a_server_that_asks_is_answered_in_every_stage() {
    for stage in STAGES.into_iter().filter(|stage| *stage != Stage::HalfADump) {
        let (mut peer, _) = peer_at(stage);
        while !peer.requests().is_empty() {}
        peer.say(&json!({"id": "echo", "method": "echo", "params": ["x"]}));
        let answers = peer.requests();
        assert_eq!(answers, [json!({"id": "echo", "result": ["x"], "error": null})], "{stage:?}");
    }
}

#[test]
fn an_answer_waits_for_no_more_than_what_was_on_its_way_before_it() {
    let mut peer = Peer::new(SessionConfig { outbound_limit: 1000, ..config(1) });
    peer.connect();
    peer.answer_handshake(dump());
    for _ in 0..1000 {
        peer.session.transact(peer.now, write());
    }
    peer.say(&json!({"id": "echo", "method": "echo", "params": []}));
    let before = peer.session.outbound().len();
    assert!(before < 1500, "of 1000 transactions only a few are before it");
    let sent = peer.requests();
    assert_eq!(sent.last().unwrap()["id"], "echo");
    assert_eq!(peer.session.open_transactions(), 1000);
}

#[test]
fn a_server_that_asks_without_reading_the_answers_does_not_fill_the_memory() {
    let mut peer = Peer::level(dump());
    let question = json!({"id": "echo", "method": "echo", "params": ["x".repeat(10_000)]});
    let mut asked = 0;
    while peer.session.wants_transport() {
        peer.say(&question);
        asked += 1;
        assert!(asked < 1000, "it has an end");
        assert!(peer.session.outbound().len() < 5 << 20);
    }
    assert_eq!(peer.told(), ["disconnected: the server asks and asks, and does not read our answers"]);
}

#[test]
fn a_server_that_reads_may_ask_for_ever() {
    let mut peer = Peer::level(dump());
    let question = json!({"id": "echo", "method": "echo", "params": ["x".repeat(10_000)]});
    for _ in 0..1000 {
        peer.say(&question);
        assert_eq!(peer.requests().len(), 1);
    }
    assert!(peer.session.is_synced());
}

#[test]
fn no_request_is_waited_for_without_end_by_a_server_that_lives() {
    for stage in STAGES.into_iter().filter(|stage| *stage != Stage::Level) {
        let (mut peer, tell) = peer_at(stage);
        peer.events();
        let mut told = Vec::new();
        // It says everything but what was asked for.
        for _ in 0..100 {
            peer.pass(Duration::from_secs(1));
            if peer.session.wants_transport() && stage != Stage::HalfADump {
                peer.say(&json!({"id": "echo", "method": "echo", "params": []}));
                peer.say(&tell(true));
                while !peer.requests().is_empty() {}
            }
            told.extend(peer.told());
        }
        let reason = told.first().expect("the wait has an end");
        assert!(reason.starts_with("disconnected: the server took too long"), "{stage:?}: {told:?}");
    }
}

#[test]
fn a_server_that_never_tells_of_itself_is_given_up() {
    let mut peer = Peer::new(config(1));
    peer.reach();
    for _ in 0..11 {
        peer.pass(Duration::from_secs(1));
        peer.session.received(peer.now, b" ");
    }
    assert_eq!(peer.told(), ["disconnected: the server took too long to answer"]);
}
