//! Locks: asked for on every connection, lost with each.

use serde_json::{Value, json};

use crate::harness::{Peer, config};

fn notify(method: &str) -> Value {
    json!({"id": null, "method": method, "params": ["l"]})
}

#[test]
fn a_lock_is_asked_for_once_level_and_again_after_a_reconnect() {
    let mut peer = Peer::new(config(1));
    peer.session.lock(peer.now, "l");
    for _ in 0..2 {
        peer.connect();
        peer.answer_handshake(json!({}));
        peer.events();
        assert_eq!(peer.answer("lock", json!({"locked": true}))["params"], json!(["l"]));
        assert_eq!(peer.told(), ["locked l"]);
        assert!(peer.session.holds("l"));
        peer.session.disconnected(peer.now, "reset");
        assert_eq!(peer.told().last().unwrap(), "unlocked l");
        assert!(!peer.session.holds("l"));
    }
}

#[test]
fn a_queued_lock_comes_later_and_may_be_stolen() {
    let mut peer = Peer::level(json!({}));
    peer.session.lock(peer.now, "l");
    peer.session.lock(peer.now, "l");
    peer.answer("lock", json!({"locked": false}));
    assert_eq!(peer.told(), Vec::<String>::new());
    peer.say(&notify("locked"));
    peer.say(&notify("stolen"));
    peer.say(&notify("locked"));
    assert_eq!(peer.told(), ["locked l", "unlocked l", "locked l"]);
}

#[test]
fn to_steal_from_the_queue_is_to_leave_the_queue_first() {
    let mut peer = Peer::level(json!({}));
    peer.session.lock(peer.now, "l");
    let queued = peer.request("lock");
    peer.session.steal(peer.now, "l");
    let requests = peer.requests();
    let methods: Vec<_> = requests.iter().map(|request| request["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["unlock", "steal"]);
    peer.say(&json!({"id": queued["id"], "result": {"locked": true}, "error": null}));
    assert!(!peer.session.holds("l"), "that answer was to a request before the unlock");
    peer.say(&json!({"id": requests[0]["id"], "result": {}, "error": null}));
    peer.say(&json!({"id": requests[1]["id"], "result": {"locked": true}, "error": null}));
    assert_eq!(peer.told(), ["locked l"]);
}

#[test]
fn a_lock_given_back_stays_so() {
    let mut peer = Peer::level(json!({}));
    peer.session.lock(peer.now, "l");
    peer.answer("lock", json!({"locked": true}));
    peer.session.unlock(peer.now, "l");
    peer.answer("unlock", json!({}));
    assert!(!peer.session.holds("l"));
    peer.say(&notify("locked"));
    assert!(!peer.session.holds("l"));
    peer.session.disconnected(peer.now, "reset");
    peer.connect();
    peer.answer_handshake(json!({}));
    assert_eq!(peer.requests(), Vec::<Value>::new(), "nobody asks for it");
}
