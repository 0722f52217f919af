//! What an update costs is what it changes, not what the row holds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ovn_vip::ovsdb::{Replica, Schema};
use serde_json::{Value, json};

use crate::harness::{id, schema};

const ADDITIONS: u128 = 500;

/// A row with so many references gains some more, one by one.
fn grow(references: u128) -> Duration {
    let schema = Schema::from_json(&schema()).unwrap();
    let columns = BTreeMap::from([("T".to_owned(), vec!["refs".to_owned(), "name".to_owned()])]);
    let mut replica = Replica::with_schema(&schema, &columns);
    let reference = |number| json!(["uuid", id(number)]);
    let all: Vec<Value> = (0..references).map(reference).collect();
    replica.apply(&json!({"T": {id(1).to_string(): {"insert": {"refs": ["set", all]}}}})).unwrap();
    let updates: Vec<Value> = (references..references + ADDITIONS)
        .map(|number| json!({"T": {id(1).to_string(): {"modify": {"refs": reference(number)}}}}))
        .collect();
    let started = Instant::now();
    for update in &updates {
        assert_eq!(replica.apply(update).unwrap().len(), 1);
    }
    let taken = started.elapsed();
    assert_eq!(replica.row("T", &id(1)).unwrap().get("refs").unwrap().len() as u128, references + ADDITIONS);
    taken
}

#[test]
fn a_member_more_costs_the_same_in_a_large_set() {
    let best = |references| (0..5).map(|_| grow(references)).min().unwrap();
    let (small, large) = (best(20), best(20_000));
    assert!(
        large < small * 20,
        "20: {small:?}, 20,000: {large:?}; a copy of the set would be a thousand times more"
    );
}
