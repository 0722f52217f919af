//! Following some rows of a table.

use ovn_vip::ovsdb::{Condition, RowFilter};
use serde_json::{Value, json};

use crate::harness::{Peer, ZERO, config, id, rows, schema};

fn named(names: &[&str]) -> RowFilter {
    RowFilter::AnyOf(names.iter().map(|name| Condition::equal("name", *name)).collect())
}

fn condition(request: &Value, parameter: usize) -> Value {
    request["params"][parameter]["T"][0]["where"].clone()
}

fn dump() -> Value {
    rows("initial", [(1, json!({"name": "a"}))])
}

#[test]
fn a_filter_is_part_of_the_first_monitor_and_can_be_changed() {
    let mut peer = Peer::new(config(1));
    peer.session.filter(peer.now, "T", named(&["a"]));
    peer.connect();
    peer.answer("get_schema", schema());
    let monitor = peer.answer("monitor_cond_since", json!([false, ZERO, dump()]));
    assert_eq!(condition(&monitor, 2), json!([["name", "==", "a"]]));
    peer.session.filter(peer.now, "T", named(&["a", "b"]));
    let change = peer.request("monitor_cond_change");
    assert_eq!(change["params"][0], monitor["params"][1]);
    assert_eq!(condition(&change, 2), json!([["name", "==", "a"], ["name", "==", "b"]]));
    peer.session.filter(peer.now, "T", RowFilter::AnyOf(vec![]));
    assert_eq!(condition(&peer.request("monitor_cond_change"), 2), json!([false]), "no row at all");
    peer.session.filter(peer.now, "T", RowFilter::All);
    assert_eq!(condition(&peer.request("monitor_cond_change"), 2), json!([true]));
}

#[test]
fn the_same_filter_and_a_table_that_is_not_followed_are_not_sent() {
    let mut peer = Peer::level(dump());
    peer.session.filter(peer.now, "T", RowFilter::All);
    peer.session.filter(peer.now, "Elsewhere", named(&["a"]));
    assert_eq!(peer.requests(), Vec::<Value>::new());
}

#[test]
fn a_filter_changed_during_the_first_dump_is_sent_after_it() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.answer("get_schema", schema());
    peer.session.filter(peer.now, "T", named(&["b"]));
    peer.answer("monitor_cond_since", json!([false, ZERO, dump()]));
    assert_eq!(condition(&peer.request("monitor_cond_change"), 2), json!([["name", "==", "b"]]));
}

#[test]
fn nothing_is_continued_from_under_another_filter() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.answer("get_schema", schema());
    let monitor = peer.answer("monitor_cond_since", json!([false, id(70), dump()]));
    peer.session.filter(peer.now, "T", named(&["b"]));
    peer.request("monitor_cond_change");
    let update = rows("delete", [(1, Value::Null)]);
    peer.say(&json!({"id": null, "method": "update3", "params": [monitor["params"][1], id(71), update]}));
    peer.session.disconnected(peer.now, "reset");
    peer.connect();
    peer.answer("get_schema", schema());
    let monitor = peer.answer("monitor_cond_since", json!([false, id(72), json!({})]));
    assert_eq!(monitor["params"][3], json!(ZERO), "which filter the copy is under is not known");

    peer.session.filter(peer.now, "T", named(&["c"]));
    peer.answer("monitor_cond_change", json!({}));
    let update = rows("insert", [(3, json!({"name": "c"}))]);
    peer.say(&json!({"id": null, "method": "update3", "params": [monitor["params"][1], id(73), update]}));
    peer.session.disconnected(peer.now, "reset");
    peer.connect();
    peer.answer("get_schema", schema());
    let monitor = peer.answer("monitor_cond_since", json!([true, id(73), json!({})]));
    assert_eq!(monitor["params"][3], json!(id(73)), "the server agreed, so it is");
    assert_eq!(peer.names(), ["c"]);
}

#[test]
fn the_oldest_server_knows_no_filter_and_is_asked_for_none() {
    let mut peer = Peer::new(config(1));
    peer.session.filter(peer.now, "T", named(&["a"]));
    peer.connect();
    peer.answer("get_schema", schema());
    peer.refuse("monitor_cond_since", "unknown method");
    peer.refuse("monitor_cond", "unknown method");
    let monitor = peer.answer("monitor", json!({}));
    assert_eq!(condition(&monitor, 2), Value::Null);
    peer.session.filter(peer.now, "T", named(&["b"]));
    assert_eq!(peer.requests(), Vec::<Value>::new());
}
