//! From a fresh connection to a level replica.

use std::time::Duration;

use ovn_vip::ovsdb::{Datum, Session, TablesWanted};
use serde_json::{Value, json};

use crate::harness::{Peer, ZERO, config, id, rows, schema};

fn dump() -> Value {
    rows("initial", [(1, json!({"name": "a"})), (2, json!({"name": "b", "n": 2}))])
}

#[test]
fn the_schema_is_checked_and_the_newest_monitor_used() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    assert_eq!(peer.answer("get_schema", schema())["params"], json!(["Db"]));
    let monitor = peer.answer("monitor_cond_since", json!([false, ZERO, dump()]));
    let columns = json!([{"columns": ["ids", "n", "name", "refs"]}]);
    assert_eq!(monitor["params"], json!(["Db", monitor["params"][1], {"T": columns}, ZERO]));
    assert_eq!(peer.told(), ["connected without T.newer", "changed 2", "synced"]);
    assert!(peer.session.is_synced());
    assert_eq!(peer.names(), ["a", "b"]);
    assert_eq!(peer.session.replica().row("T", &id(1)).unwrap().get("n"), Some(&Datum::from(0)));
}

#[test]
fn an_older_server_is_asked_with_an_older_method() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.answer("get_schema", schema());
    peer.refuse("monitor_cond_since", "unknown method");
    let monitor = peer.answer("monitor_cond", dump());
    peer.say(&json!({"method": "update2", "id": null, "params":
        [monitor["params"][1], rows("modify", [(1, json!({"name": "c"}))])]}));
    assert_eq!(peer.names(), ["c", "b"]);
    assert_eq!(peer.told(), ["connected without T.newer", "changed 2", "synced", "changed 1"]);
}

#[test]
fn the_oldest_server_tells_whole_rows() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.answer("get_schema", schema());
    peer.refuse("monitor_cond_since", "unknown method");
    peer.refuse("monitor_cond", "unknown method");
    let monitor = peer.answer("monitor", rows("new", [(1, json!({"name": "a", "n": 1}))]));
    let update = json!({"T": {id(1).to_string(): {"old": {"name": "a"}, "new": {"name": "z", "n": 1}}}});
    peer.say(&json!({"method": "update", "id": null, "params": [monitor["params"][1], update]}));
    assert_eq!(peer.names(), ["z"]);
}

#[test]
fn a_missing_required_column_is_refused_once_and_tried_again() {
    let mut lacking = config(1);
    lacking.monitors = TablesWanted::new().require("T", &["options"]);
    let mut peer = Peer::new(lacking);
    for round in 0..3 {
        peer.connect();
        peer.answer("get_schema", schema());
        let told = peer.told();
        match round {
            0 => assert!(
                told[0].starts_with("refused: database Db (schema 1.0.0) lacks T.options"),
                "{told:?}"
            ),
            _ => assert_eq!(told, ["disconnected again"]),
        }
    }
}

#[test]
fn a_database_that_is_not_there_is_named_by_the_server() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.refuse("get_schema", "unknown database");
    assert_eq!(peer.told(), ["disconnected: the server refused get_schema: unknown database"]);
}

#[test]
fn a_server_is_answered_whatever_it_asks() {
    let mut peer = Peer::level(dump());
    peer.say(&json!({"id": "echo", "method": "echo", "params": [1]}));
    peer.say(&json!({"id": 5, "method": "what", "params": []}));
    let replies = peer.requests();
    assert_eq!(replies[0], json!({"id": "echo", "result": [1], "error": null}));
    assert_eq!(replies[1], json!({"id": 5, "result": null, "error": "unknown method"}));
}

#[test]
fn the_handshake_may_be_split_at_any_byte() {
    let replies = |session: &mut Session, now, cut: usize| {
        // The ids are those of a fresh session: 4 for the schema, 5 for the monitor.
        let monitor_id = json!(["ovsdb-session", 5]);
        let update = rows("modify", [(1, json!({"name": "c"}))]);
        let stream = [
            json!({"id": 4, "result": schema(), "error": null}),
            json!({"id": 5, "result": [false, ZERO, dump()], "error": null}),
            json!({"id": null, "method": "update3", "params": [monitor_id, ZERO, update]}),
        ];
        let bytes: String = stream.iter().map(Value::to_string).collect();
        let (first, second) = bytes.as_bytes().split_at(cut.min(bytes.len()));
        session.received(now, first);
        session.received(now, second);
        bytes.len()
    };
    let mut length = 1;
    let mut cut = 0;
    while cut <= length {
        let mut peer = Peer::new(config(1));
        peer.connect();
        length = replies(&mut peer.session, peer.now, cut);
        assert_eq!(
            peer.told(),
            ["connected without T.newer", "changed 2", "synced", "changed 1"],
            "cut at {cut}"
        );
        assert_eq!(peer.names(), ["c", "b"]);
        cut += 1;
    }
    assert!(cut > 500, "every position was tried");
}

#[test]
fn a_server_that_never_tells_its_schema_is_given_up() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.pass(Duration::from_secs(9));
    assert!(peer.session.wants_transport());
    peer.pass(Duration::from_secs(2));
    assert_eq!(peer.told().len(), 1);
    assert!(!peer.session.wants_transport());
}

#[test]
fn a_dump_may_take_any_time_while_it_keeps_coming_but_not_stop() {
    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.answer("get_schema", schema());
    let request = peer.request("monitor_cond_since");
    let reply = json!({"id": request["id"], "result": [false, ZERO, dump()], "error": null}).to_string();
    for byte in reply.as_bytes() {
        peer.pass(Duration::from_secs(50));
        peer.session.received(peer.now, &[*byte]);
    }
    assert!(peer.session.is_synced());

    let mut peer = Peer::new(config(1));
    peer.connect();
    peer.answer("get_schema", schema());
    peer.request("monitor_cond_since");
    peer.events();
    peer.pass(Duration::from_secs(61));
    assert_eq!(peer.told(), ["disconnected: the server took too long to dump the database"]);
}

#[test]
fn an_oversized_message_ends_the_connection_not_the_memory() {
    let mut small = config(1);
    small.message_limit = 10_000;
    let mut peer = Peer::new(small);
    peer.connect();
    let request = peer.request("get_schema");
    peer.session.received(peer.now, format!("{{\"id\":{},\"result\":\"", request["id"]).as_bytes());
    for _ in 0..11 {
        peer.session.received(peer.now, &[b'x'; 1000]);
    }
    let told = peer.told();
    assert!(told[0].contains("exceeds 10000 bytes"), "{told:?}");
}
