//! Transactions: every one is answered once, and no failure looks like success.

use std::collections::BTreeMap;
use std::time::Duration;

use ovn_vip::ovsdb::{Condition, Datum, Event, Operation, OperationResult, Retry, TransactionError};
use serde_json::{Value, json};

use crate::harness::{Peer, config, id, rows};

fn level() -> Peer {
    Peer::level(rows("initial", [(1, json!({"name": "a"}))]))
}

fn rename(row: u128, name: &str) -> Vec<Operation> {
    let row_named = vec![Condition::uuid(id(row))];
    let columns = BTreeMap::from([("name".to_owned(), Datum::from(name))]);
    vec![Operation::Update { table: "T".into(), condition: row_named, row: columns }]
}

fn only_result(peer: &mut Peer) -> Result<Vec<OperationResult>, TransactionError> {
    let events = peer.events();
    match &events[..] {
        [Event::Committed { result, .. }] => result.clone(),
        _ => panic!("{events:?}"),
    }
}

#[test]
fn transactions_are_pipelined_and_each_gets_its_own_answer() {
    let mut peer = level();
    let ids: Vec<_> = (0..3).map(|n| peer.session.transact(peer.now, rename(1, &n.to_string()))).collect();
    let requests = peer.requests();
    assert_eq!(requests.len(), 3, "nobody waits for a reply");
    assert_eq!(requests[0]["params"][0], "Db");
    assert_eq!(requests[0]["params"][1]["op"], "update");
    for request in requests.iter().rev() {
        peer.say(&json!({"id": request["id"], "result": [{"count": 1}], "error": null}));
    }
    let events = peer.events();
    let answered: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Committed { id, result } => (*id, result.is_ok()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answered, [(ids[2], true), (ids[1], true), (ids[0], true)]);
}

#[test]
fn the_change_is_told_before_the_commit_that_made_it() {
    let mut peer = level();
    let monitor_id = json!(["ovsdb-session", 5]);
    peer.session.transact(peer.now, rename(1, "new"));
    let request = peer.request("transact");
    let update = rows("modify", [(1, json!({"name": "new"}))]);
    peer.say(&json!({"id": null, "method": "update3", "params": [monitor_id, id(5), update]}));
    peer.say(&json!({"id": request["id"], "result": [{"count": 1}], "error": null}));
    assert_eq!(peer.names(), ["new"]);
    assert_eq!(peer.told(), ["changed 1", "committed 1"]);
}

#[test]
fn a_lost_reply_is_unknown_and_what_was_not_sent_says_so() {
    let mut slow = config(1);
    slow.outbound_limit = 1;
    let mut peer = Peer::new(slow);
    peer.connect();
    peer.answer_handshake(json!({}));
    peer.events();
    peer.session.transact(peer.now, rename(1, "sent"));
    peer.session.transact(peer.now, rename(1, "queued"));
    peer.session.disconnected(peer.now, "reset");
    let told = peer.told();
    assert_eq!(told.len(), 3);
    assert!(told[1].starts_with("failed: outcome unknown"), "{told:?}");
    assert!(told[2].starts_with("failed: not sent"), "{told:?}");
    peer.connect();
    peer.answer_handshake(json!({}));
    assert_eq!(peer.requests(), Vec::<Value>::new(), "nothing is sent a second time");
}

#[test]
fn without_a_level_replica_nothing_is_sent() {
    let mut peer = Peer::new(config(1));
    peer.session.transact(peer.now, rename(1, "x"));
    assert_eq!(only_result(&mut peer), Err(TransactionError::NotConnected));
    peer.connect();
    peer.session.transact(peer.now, rename(1, "x"));
    assert_eq!(only_result(&mut peer), Err(TransactionError::NotConnected));
    peer.request("get_schema");
}

#[test]
fn a_queue_behind_a_blocked_connection_moves_when_it_is_written() {
    let mut slow = config(1);
    slow.outbound_limit = 1000;
    let mut peer = Peer::new(slow);
    peer.connect();
    peer.answer_handshake(json!({}));
    for n in 0..100 {
        peer.session.transact(peer.now, rename(1, &n.to_string()));
    }
    assert!(peer.session.outbound().len() < 1300, "bounded by the limit and one transaction");
    assert_eq!(peer.session.open_transactions(), 100);
    let mut written = 0;
    loop {
        match peer.requests().len() {
            0 => break,
            count => written += count,
        }
    }
    assert_eq!(written, 100);
}

#[test]
fn every_kind_of_failure_is_an_error() {
    let cases = [
        (
            json!({"result": [{"count": 0}], "error": null}),
            Retry::Compare,
            "touched 0 rows where 1 had to be",
        ),
        (
            json!({"result": [{"error": "constraint violation", "details": "d"}]}),
            Retry::Hopeless,
            "update of T",
        ),
        (
            json!({"result": [{"count": 1}, {"error": "x"}], "error": null}),
            Retry::Compare,
            "commit failed: x",
        ),
        (json!({"error": {"error": "syntax error"}}), Retry::Hopeless, "refused the request: syntax error"),
        (json!({"error": "canceled", "result": null}), Retry::Compare, "canceled"),
        (json!({"result": [], "error": null}), Retry::Compare, "cannot be read"),
    ];
    for (mut reply, retry, expected) in cases {
        let mut peer = level();
        peer.session.transact(peer.now, rename(1, "x"));
        reply["id"] = peer.request("transact")["id"].clone();
        peer.say(&reply);
        let error = only_result(&mut peer).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.retry(), retry, "{error}");
    }
}

#[test]
fn a_transaction_without_an_answer_ends_the_connection() {
    let mut peer = level();
    peer.session.transact(peer.now, rename(1, "x"));
    for _ in 0..8 {
        peer.pass(Duration::from_secs(4));
        peer.session.received(peer.now, b" ");
    }
    let told = peer.told();
    assert_eq!(told[0], "disconnected: the server took too long to answer a transaction");
    assert!(told[1].starts_with("failed: outcome unknown"), "{told:?}");
}

#[test]
fn an_answer_that_nobody_waits_for_does_no_harm() {
    let mut peer = level();
    for id in [json!(999), json!("text"), Value::Null] {
        peer.say(&json!({"id": id, "result": [], "error": null}));
    }
    assert!(peer.session.is_synced());
    assert_eq!(peer.told(), Vec::<String>::new());
}

#[test]
fn errors_in_any_order_go_to_the_transactions_they_are_of() {
    let mut peer = level();
    let ids: Vec<_> = (0..4).map(|n| peer.session.transact(peer.now, rename(1, &n.to_string()))).collect();
    let requests = peer.requests();
    let answer = |peer: &mut Peer, request: usize, reply: Value| {
        let mut reply = reply;
        reply["id"] = requests[request]["id"].clone();
        peer.say(&reply);
    };
    answer(&mut peer, 3, json!({"error": {"error": "syntax error"}}));
    answer(&mut peer, 1, json!({"result": [{"error": "constraint violation"}], "error": null}));
    // The same answer again, and one to the schema long told.
    answer(&mut peer, 1, json!({"result": [{"count": 1}], "error": null}));
    peer.say(&json!({"id": 4, "error": "canceled"}));
    answer(&mut peer, 2, json!({"result": [{"count": 1}, {"error": "not durable"}], "error": null}));
    answer(&mut peer, 0, json!({"result": [{"count": 1}], "error": null}));
    let events = peer.events();
    let short = |event: &Event| match event {
        Event::Committed { id, result } => {
            (*id, result.as_ref().map_or_else(ToString::to_string, |_| "ok".into()))
        }
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = events.iter().map(short).collect();
    let expected = [
        (ids[3], "the server refused the request: syntax error"),
        (ids[1], "update of T (operation 0) failed: constraint violation"),
        (ids[2], "commit failed: not durable"),
        (ids[0], "ok"),
    ];
    assert_eq!(told, expected.map(|(id, text)| (id, text.to_owned())));
    assert!(peer.session.is_synced());
}
