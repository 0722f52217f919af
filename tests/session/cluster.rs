//! Servers that tell of themselves: leadership, staleness, another schema.

use std::time::Duration;

use ovn_vip::ovsdb::{Operation, SessionConfig, TablesWanted};
use serde_json::{Value, json};

use crate::harness::{Peer, ZERO, config, id, rows, schema, wanted};

fn member(leader: bool, index: i64) -> Value {
    json!({"name": "Db", "model": "clustered", "connected": true, "leader": leader, "index": index,
           "cid": ["uuid", id(900)]})
}

fn following_the_leader(servers: usize) -> Peer {
    let mut config = config(servers);
    config.leader_only = true;
    Peer::new(config)
}

fn dump() -> Value {
    rows("initial", [(1, json!({"name": "a"}))])
}

#[test]
fn a_follower_is_left_at_once_for_the_next_member() {
    let mut peer = following_the_leader(3);
    let before = peer.now;
    peer.connect_to(member(false, 1));
    peer.connect_to(member(false, 1));
    peer.connect_to(member(true, 1));
    assert_eq!(peer.now, before, "without a pause");
    peer.answer_handshake(dump());
    let told = peer.told();
    assert_eq!(told[0], "disconnected: the server does not lead its cluster");
    assert_eq!(told.last().unwrap(), "synced");
}

#[test]
fn a_leader_that_steps_down_is_left_at_once() {
    let mut peer = following_the_leader(3);
    let server = peer.connect_to(member(true, 1));
    peer.answer_handshake(dump());
    peer.pass(Duration::from_secs(1));
    peer.events();
    peer.say(&server.update(member(true, 2)));
    assert!(peer.session.is_synced());
    peer.say(&server.update(member(false, 3)));
    assert_eq!(peer.told(), ["disconnected: the server does not lead its cluster"]);
    let before = peer.now;
    peer.reach();
    assert_eq!(peer.now, before);
}

#[test]
fn a_leader_that_hangs_is_left_within_five_seconds_where_there_are_others() {
    let endpoints = config(3).endpoints;
    let defaults = SessionConfig::new(endpoints, "Db", wanted());
    let mut peer = Peer::new(SessionConfig { leader_only: true, ..defaults });
    peer.connect_to(member(true, 1));
    peer.answer_handshake(dump());
    peer.events();
    let hangs = peer.now;
    while peer.session.is_synced() {
        peer.now = peer.session.deadline().unwrap();
        peer.session.tick(peer.now);
    }
    assert_eq!(peer.told(), ["disconnected: the server is silent"]);
    assert!(peer.now - hangs <= Duration::from_secs(5), "{:?}", peer.now - hangs);
}

#[test]
fn any_member_will_do_unless_the_leader_is_asked_for() {
    let mut peer = Peer::new(config(1));
    peer.connect_to(member(false, 1));
    peer.answer_handshake(dump());
    assert!(peer.session.is_synced());
}

#[test]
fn a_member_cut_off_from_its_cluster_is_left() {
    let mut peer = Peer::new(config(1));
    let server = peer.connect_to(member(false, 1));
    peer.answer_handshake(dump());
    peer.events();
    let mut cut_off = member(false, 1);
    cut_off["connected"] = json!(false);
    peer.say(&server.update(cut_off));
    assert_eq!(peer.told(), ["disconnected: the server is cut off from its cluster"]);
}

#[test]
fn a_member_that_is_behind_what_was_seen_is_not_followed() {
    let mut peer = Peer::new(config(2));
    let server = peer.connect_to(member(true, 10));
    peer.answer_handshake(dump());
    peer.say(&server.update(member(true, 25)));
    peer.session.disconnected(peer.now, "reset");
    peer.events();
    peer.connect_to(member(true, 24));
    assert_eq!(peer.told(), ["disconnected: the server is behind: its index is 24, and we have seen 25"]);
    peer.connect_to(member(true, 25));
    peer.answer_handshake(dump());
    assert!(peer.session.is_synced());
}

#[test]
fn a_cluster_made_anew_counts_from_the_start() {
    let mut peer = Peer::new(config(1));
    peer.connect_to(member(true, 1000));
    peer.answer_handshake(dump());
    peer.session.disconnected(peer.now, "reset");
    let mut restored = member(true, 3);
    restored["cid"] = json!(["uuid", id(901)]);
    peer.connect_to(restored);
    peer.answer_handshake(dump());
    assert!(peer.session.is_synced());
}

#[test]
fn a_relay_may_be_read_from_but_not_led_by() {
    let relay =
        || json!({"name": "Db", "model": "relay", "connected": true, "leader": false, "index": ["set", []]});
    let mut peer = Peer::new(config(1));
    peer.connect_to(relay());
    peer.answer_handshake(dump());
    assert!(peer.session.is_synced());
    let mut peer = following_the_leader(1);
    peer.connect_to(relay());
    assert!(!peer.session.wants_transport());
}

#[test]
fn a_standalone_server_is_its_own_leader() {
    let mut peer = following_the_leader(1);
    peer.connect_to(
        json!({"name": "Db", "model": "standalone", "connected": true, "leader": true, "index": ["set", []]}),
    );
    peer.answer_handshake(dump());
    assert!(peer.session.is_synced());
}

#[test]
fn a_server_without_the_database_is_told_apart_from_one_that_refuses() {
    let mut peer = Peer::new(config(1));
    peer.connect_to(json!({"name": "Other", "model": "standalone", "connected": true, "leader": true}));
    assert_eq!(peer.told(), ["disconnected: the server has no database Db"]);
}

#[test]
fn a_converted_database_is_read_again_and_compared() {
    let mut slow = config(1);
    slow.outbound_limit = 1;
    let mut peer = Peer::new(slow);
    peer.connect_to(member(true, 1));
    peer.answer("get_schema", schema());
    let monitor = peer.answer("monitor_cond_since", json!([false, id(70), dump()]));
    peer.events();
    peer.session.transact(peer.now, vec![Operation::Comment("sent".into())]);
    peer.session.transact(peer.now, vec![Operation::Comment("queued".into())]);
    peer.say(&json!({"id": null, "method": "monitor_canceled", "params": [monitor["params"][1]]}));
    assert!(!peer.session.is_synced());
    assert!(peer.session.wants_transport(), "over the same connection");
    let told = peer.told();
    assert!(told.len() == 1 && told[0].contains("not sent"), "{told:?}");
    let requests = peer.requests();
    let mut newer = schema();
    newer["tables"]["T"]["columns"]["newer"] = json!({"type": "string"});
    peer.say(&json!({"id": requests[0]["id"], "result": [{}], "error": null}));
    peer.say(&json!({"id": requests[1]["id"], "result": newer.clone(), "error": null}));
    let monitor = peer.answer("monitor_cond_since", json!([false, id(71), dump()]));
    assert!(monitor["params"][2]["T"][0]["columns"].to_string().contains("newer"));
    assert_eq!(monitor["params"][3], ZERO, "not continued under another schema");
    let expected = ["committed 1", "connected without ", "changed 1", "synced"];
    assert_eq!(peer.told(), expected, "the new column is the only change");
    peer.say(&json!({"id": null, "method": "monitor_canceled", "params": [monitor["params"][1]]}));
    peer.answer("get_schema", newer);
    let monitor = peer.answer("monitor_cond_since", json!([false, id(72), dump()]));
    assert_eq!(monitor["params"][3], ZERO, "nor under a schema with the same columns");
}

#[test]
fn a_conversion_that_takes_a_required_column_is_refused() {
    let mut strict = config(1);
    strict.monitors = TablesWanted::new().require("T", &["name", "refs"]);
    let mut peer = Peer::new(strict);
    peer.connect_to(member(true, 1));
    peer.answer("get_schema", schema());
    let monitor = peer.answer("monitor_cond_since", json!([false, ZERO, dump()]));
    peer.events();
    peer.say(&json!({"id": null, "method": "monitor_canceled", "params": [monitor["params"][1]]}));
    let mut older = schema();
    older["tables"]["T"]["columns"].as_object_mut().unwrap().remove("refs");
    peer.answer("get_schema", older);
    let told = peer.told();
    assert!(told[0].starts_with("refused: database Db (schema 1.0.0) lacks T.refs"), "{told:?}");
    assert_eq!(peer.names(), ["a"], "the copy stays");
}
