//! Everything of ours is taken out by a word of its own, and a wrong name of the cluster is recognised.

use ovn_vip::controller::{Reconciler, Rules};
use ovn_vip::model::{Change, Object, Sources};
use ovn_vip::nb::{Owner, removal, transaction};

use super::history::{self, Step};
use super::{Beside, content, rules};

fn objects() -> Vec<Object> {
    let service = history::bare("a", [history::v4(250), history::v6(250)].into());
    let sources = Sources::only(["192.0.2.0/24".parse().unwrap()]);
    let service = Object::Service(ovn_vip::model::Service { sources, ..service });
    history::base().into_iter().chain([service]).collect()
}

fn settled() -> Beside {
    let mut beside = Beside::start(history::northbound());
    for object in objects() {
        beside.take(&Step::Cluster(Box::new(Change::Apply(object))));
    }
    beside.converge();
    beside
}

#[test]
fn what_is_removed_leaves_the_northbound_as_it_was_before_us() {
    let mut beside = settled();
    assert_ne!(content(&beside.northbound), content(&history::northbound()));
    let mut owner = Owner::new("test", 7);
    for round in 0.. {
        let (changes, _) = removal::everything(&mut owner, beside.northbound.replica()).next_step();
        if changes.is_empty() {
            break;
        }
        assert!(round < 4, "removes again and again: {changes}");
        for operations in transaction::encode(&changes) {
            beside.northbound.commit(&operations);
        }
    }
    assert_eq!(content(&beside.northbound), content(&history::northbound()));
}

#[test]
fn what_bears_another_name_is_not_removed() {
    let beside = settled();
    let changes = removal::everything(&mut Owner::new("another", 7), beside.northbound.replica());
    assert!(changes.is_empty(), "{changes}");
    let names: Vec<String> = removal::names(beside.northbound.replica()).into_iter().collect();
    assert_eq!(names, ["test"]);
}

#[test]
fn under_another_name_nothing_is_written_and_the_right_one_is_told() {
    let mut beside = settled();
    beside.reconciler = Reconciler::new(Rules { owner: Owner::new("another", 0), ..rules() });
    beside.reconciler.northbound_changed(beside.northbound.replica(), &beside.northbound.first_dump());
    beside.reconciler.cluster_changed(objects().into_iter().map(Change::Apply));
    let (changes, _) = beside.reconciler.step(beside.northbound.replica());
    assert!(changes.is_empty(), "{changes}");
    let why = beside.reconciler.misnamed().unwrap();
    assert!(why.contains("under the name test, not another: is --cluster-name right?"), "{why}");
    assert!(!beside.reconciler.is_settled());
}
