//! Lost connections: what is kept, what is told, when is tried again.

use std::time::Duration;

use ovn_vip::ovsdb::{ChangeKind, Datum, Event};
use serde_json::{Value, json};

use crate::harness::{Peer, ZERO, config, id, rows, schema};

fn dump() -> Value {
    rows("initial", [(1, json!({"name": "a"})), (2, json!({"name": "b"}))])
}

#[test]
fn the_replica_is_kept_and_only_real_differences_are_told() {
    let mut peer = Peer::level(dump());
    peer.session.disconnected(peer.now, "reset");
    assert_eq!(peer.told(), ["disconnected: reset"]);
    assert_eq!(peer.names(), ["a", "b"], "kept while there is no server");
    assert!(!peer.session.is_synced());
    peer.connect();
    peer.answer_handshake(rows("initial", [(2, json!({"name": "x"})), (3, json!({"name": "new"}))]));
    let events = peer.events();
    let Event::Changed(changes) = &events[1] else { panic!("{events:?}") };
    let kinds: Vec<_> = changes.iter().map(|change| (change.uuid, change.kind.clone())).collect();
    let modified = ChangeKind::Modified { columns: vec!["name".into()] };
    assert_eq!(kinds, [(id(1), ChangeKind::Deleted), (id(2), modified), (id(3), ChangeKind::Inserted)]);
    assert_eq!(peer.names(), ["x", "new"]);
}

#[test]
fn a_reconnect_to_the_same_content_tells_no_change() {
    let mut peer = Peer::level(dump());
    peer.session.disconnected(peer.now, "reset");
    peer.connect();
    peer.answer_handshake(dump());
    assert_eq!(peer.told(), ["disconnected: reset", "connected without T.newer", "synced"]);
}

#[test]
fn the_same_trouble_is_marked_as_told_until_the_replica_was_level() {
    let mut peer = Peer::level(dump());
    for expected in ["disconnected: reset", "disconnected again", "disconnected again"] {
        peer.session.disconnected(peer.now, "reset");
        assert_eq!(peer.told(), [expected]);
        peer.connect();
    }
    peer.answer_handshake(dump());
    peer.events();
    peer.session.disconnected(peer.now, "reset");
    assert_eq!(peer.told(), ["disconnected: reset"]);
}

#[test]
fn attempts_that_fail_or_hang_back_off_and_rotate_over_the_servers() {
    let mut peer = Peer::new(config(2));
    let mut servers = Vec::new();
    let mut pauses = Vec::new();
    for attempt in 0..6 {
        let endpoint = loop {
            match peer.session.poll_connect(peer.now) {
                Some(endpoint) => break endpoint,
                None => peer.now = peer.session.deadline().unwrap(),
            }
        };
        servers.push(endpoint.to_string());
        if attempt == 3 {
            peer.pass(Duration::from_secs(5));
        } else {
            peer.session.disconnected(peer.now, "refused");
        }
        let events = peer.events();
        let [Event::Disconnected { retry_in, .. }] = &events[..] else { panic!("{events:?}") };
        pauses.push(retry_in.as_millis());
    }
    assert_eq!(servers[..2], servers[2..4]);
    assert_ne!(servers[0], servers[1]);
    let quick = |pause: u128| pause < 200;
    assert!(quick(pauses[0]) && quick(pauses[1]) && !quick(pauses[2]) && quick(pauses[3]), "{pauses:?}");
}

#[test]
fn a_silent_server_is_probed_and_then_given_up() {
    let mut peer = Peer::level(dump());
    peer.pass(Duration::from_secs(5));
    peer.request("echo");
    peer.pass(Duration::from_secs(4));
    assert!(peer.session.is_synced());
    peer.pass(Duration::from_secs(1));
    assert_eq!(peer.told(), ["disconnected: the server is silent"]);
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut peer = Peer::level(dump());
    for _ in 0..20 {
        peer.pass(Duration::from_secs(4));
        peer.session.received(peer.now, b" ");
    }
    assert!(peer.session.is_synced());
    assert_eq!(peer.requests(), Vec::<Value>::new());
}

#[test]
fn garbage_ends_the_connection_and_says_what_came() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.session.received(peer.now, b"HTTP/1.1 400 Bad Request\r\n");
    let told = peer.told();
    assert!(told[0].contains("does not speak OVSDB") && told[0].contains("HTTP/1.1"), "{told:?}");
}

#[test]
fn an_update_that_does_not_fit_is_healed_by_a_full_dump() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.answer("get_schema", schema());
    let last = id(77).to_string();
    let monitor = peer.answer("monitor_cond_since", json!([false, last, dump()]));
    peer.events();
    let mut update = rows("modify", [(1, json!({"name": "c"}))]);
    update["X"] = json!({});
    peer.say(&json!({"id": null, "method": "update3", "params": [monitor["params"][1], ZERO, update]}));
    let told = peer.told();
    assert_eq!(told[0], "changed 1", "what was applied is told");
    assert!(told[1].contains("table X is not monitored"), "{told:?}");
    peer.connect();
    peer.answer("get_schema", schema());
    let monitor = peer.answer("monitor_cond_since", json!([false, ZERO, dump()]));
    assert_eq!(monitor["params"][3], ZERO, "it does not go on from a copy it does not trust");
    assert_eq!(peer.names(), ["a", "b"]);
    assert_eq!(peer.told(), ["connected without T.newer", "changed 1", "synced"]);
}

#[test]
fn a_server_that_remembers_tells_only_what_was_missed() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.answer("get_schema", schema());
    let monitor = peer.answer("monitor_cond_since", json!([false, id(77), dump()]));
    let update = rows("modify", [(1, json!({"name": "c"}))]);
    peer.say(&json!({"id": null, "method": "update3", "params": [monitor["params"][1], id(78), update]}));
    peer.session.disconnected(peer.now, "reset");
    peer.events();
    peer.connect();
    peer.answer("get_schema", schema());
    let missed = rows("delete", [(2, Value::Null)]);
    let monitor = peer.answer("monitor_cond_since", json!([true, id(79), missed]));
    assert_eq!(monitor["params"][3], json!(id(78)));
    assert_eq!(peer.told(), ["connected without T.newer", "changed 1", "synced"]);
    assert_eq!(peer.names(), ["c"]);
}

#[test]
fn nothing_is_continued_under_another_schema() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.answer("get_schema", schema());
    peer.answer("monitor_cond_since", json!([false, id(77), dump()]));
    peer.session.disconnected(peer.now, "reset");
    peer.connect();
    let mut converted = schema();
    converted["tables"]["T"]["columns"]["n"] =
        json!({"type": {"key": "integer", "min": 0, "max": "unlimited"}});
    peer.answer("get_schema", converted);
    let monitor = peer.answer("monitor_cond_since", json!([false, id(78), dump()]));
    assert_eq!(monitor["params"][3], ZERO);
    let update = rows("modify", [(1, json!({"n": 7}))]);
    peer.say(&json!({"id": null, "method": "update3", "params": [monitor["params"][1], id(79), update]}));
    let n = |peer: &Peer| peer.session.replica().row("T", &id(1)).unwrap().get("n").cloned();
    assert_eq!(n(&peer), Some(Datum::from(7)));
    let update = rows("modify", [(1, json!({"n": 8}))]);
    peer.say(&json!({"id": null, "method": "update3", "params": [monitor["params"][1], id(80), update]}));
    assert_eq!(n(&peer).unwrap().len(), 2, "n is a set now, and the update a difference");
}
