//! A server that errs or lies: the connection may end, the session never does.

use ovn_vip::ovsdb::SessionConfig;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Peer, ZERO, config, id, rows, schema};

/// The messages of a server up to a first update, for a fresh session.
fn stream() -> Vec<Value> {
    let monitor = json!(["ovsdb-session", 5]);
    let database = json!({"name": "Db", "model": "clustered", "connected": true, "leader": true, "index": 1});
    vec![
        json!({"id": 2, "result": {}, "error": null}),
        json!({"id": 3, "result": {"Database": {id(9).to_string(): {"new": database}}}, "error": null}),
        json!({"id": 4, "result": schema(), "error": null}),
        json!({"id": 5, "result": [false, ZERO, rows("initial", [(1, json!({"name": "a"}))])], "error": null}),
        json!({"id": null, "method": "update3", "params":
            [monitor, ZERO, rows("modify", [(1, json!({"refs": ["set", [["uuid", id(4)]]]}))])]}),
        json!({"id": "echo", "method": "echo", "params": []}),
    ]
}

/// Any JSON of a few levels, with the words of the protocol in it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
        prop::sample::select(vec!["set", "map", "uuid", "new", "modify", "delete", "T", "name", ZERO])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let key = prop::sample::select(vec![
            "T", "name", "refs", "new", "modify", "initial", "columns", "type", "error", ZERO,
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4).prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

/// Replaces one value somewhere inside.
fn corrupt(value: &mut Value, path: &[usize], with: &Value) {
    let child = match (path.first(), &mut *value) {
        (Some(step), Value::Array(members)) if !members.is_empty() => {
            let index = step % members.len();
            members.get_mut(index)
        }
        (Some(step), Value::Object(entries)) if !entries.is_empty() => {
            let index = step % entries.len();
            entries.values_mut().nth(index)
        }
        _ => None,
    };
    match child {
        Some(child) => corrupt(child, &path[1..], with),
        None => *value = with.clone(),
    }
}

fn play(config: SessionConfig, bytes: &[u8]) {
    let mut peer = Peer::new(config);
    peer.reach();
    peer.session.received(peer.now, bytes);
    let told = peer.told();
    assert_eq!(
        peer.session.wants_transport(),
        !told.iter().any(|line| line.starts_with("disconnected")),
        "{told:?}"
    );
    if !peer.session.wants_transport() {
        peer.connect();
        peer.answer_handshake(json!({}));
        assert!(peer.session.is_synced(), "the next connection starts clean");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_message_with_anything_in_it_never_harms(
        which in 0..6_usize,
        path in prop::collection::vec(0..6_usize, 0..7),
        with in any_json(),
    ) {
        let mut messages = stream();
        corrupt(&mut messages[which], &path, &with);
        let bytes: String = messages.iter().map(Value::to_string).collect();
        play(config(1), bytes.as_bytes());
    }

    #[test]
    fn any_bytes_anywhere_never_harm(at in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 1..20)) {
        let mut bytes: Vec<u8> = stream().iter().map(Value::to_string).collect::<String>().into_bytes();
        let at = at.index(bytes.len());
        let end = (at + noise.len()).min(bytes.len());
        bytes.splice(at..end, noise);
        play(config(1), &bytes);
    }
}
