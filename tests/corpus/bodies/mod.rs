//! What each fuzz target does with its bytes: `hack/fuzz/targets/` and the replay in `tests/corpus.rs` both come here.
//!
//! A body panics when something that must hold does not. The form of its bytes is told at each one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod flows;
mod l2;
mod ovsdb;
mod responder;
mod update;

use flows::openflow;
use l2::{arp, beat, dot1q, ndp};
use ovsdb::{ovsdb_framing, ovsdb_value};
use responder::responder;
use update::ovsdb_update;

type Body = fn(&[u8]);

/// Every target, by the name of its folder.
pub const TARGETS: [(&str, Body); 9] = [
    ("arp", arp),
    ("beat", beat),
    ("dot1q", dot1q),
    ("ndp", ndp),
    ("openflow", openflow),
    ("ovsdb_framing", ovsdb_framing),
    ("ovsdb_update", ovsdb_update),
    ("ovsdb_value", ovsdb_value),
    ("responder", responder),
];

/// Does what the target of that name does.
pub fn run(target: &str, bytes: &[u8]) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target of this list");
    body(bytes);
}

/// Cuts a stream into pieces of two lengths in turn, 1 to 256 bytes each.
fn pieces(first: u8, second: u8, mut stream: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    for length in [first, second].into_iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(stream.len().min(usize::from(length) + 1));
        found.push(piece);
        stream = rest;
    }
    found
}
