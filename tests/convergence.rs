//! Properties of decisions and writes, over random histories of a small cluster and of a northbound that others
//! write to as well.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "convergence/closed.rs"]
mod closed;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "convergence/election.rs"]
mod election;
#[path = "convergence/gaps.rs"]
mod gaps;
#[path = "convergence/history.rs"]
mod history;
#[path = "support/kube_ovn.rs"]
mod kube_ovn;
#[path = "convergence/owners.rs"]
mod owners;
#[path = "convergence/removal.rs"]
mod removal;
mod support;

use std::collections::BTreeMap;

use ovn_vip::controller::{Reconciler, Rules};
use ovn_vip::model::{Change, Object, ServiceKey, World};
use ovn_vip::nb::{NetworkIndex, Owner, transaction};
use ovn_vip::ovsdb::{Datum, Operation, Replica};
use ovn_vip::plan::{Policy, Refusal, plan_service};
use proptest::prelude::*;
use uuid::Uuid;

use history::{Step, interference, northbound, objects, steps};
use support::northbound::Northbound;

/// A controller beside its northbound.
struct Beside {
    reconciler: Reconciler,
    northbound: Northbound,
}

impl Beside {
    fn start(northbound: Northbound) -> Self {
        let mut reconciler = Reconciler::new(rules());
        reconciler.northbound_changed(northbound.replica(), &northbound.first_dump());
        Self { reconciler, northbound }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Cluster(change) => self.reconciler.cluster_changed([(**change).clone()]),
            Step::Interfere(operations) => self.write(operations),
            Step::Bind(port, chassis) => {
                let southbound = history::southbound(port, *chassis);
                let changes = Replica::new().become_level_with(southbound.clone());
                self.reconciler.southbound_changed(&southbound, &changes);
            }
        }
    }

    fn write(&mut self, operations: &[Operation]) {
        let names = interference::names(self.reconciler.owner());
        let operations: Vec<Operation> = operations
            .iter()
            .map(|operation| interference::renamed(operation, &names))
            .filter(|operation| interference::applies(operation, &self.northbound))
            .collect();
        let changes = self.northbound.commit(&operations);
        self.reconciler.northbound_changed(self.northbound.replica(), &changes);
    }

    /// Writes until there is nothing to write; what it wrote.
    fn converge(&mut self) -> Vec<Vec<Operation>> {
        let mut written = Vec::new();
        for _ in 0..8 {
            let (changes, _) = self.reconciler.step(self.northbound.replica());
            if changes.is_empty() {
                return written;
            }
            for operations in transaction::encode(&changes) {
                let changes = self.northbound.commit(&operations);
                self.reconciler.northbound_changed(self.northbound.replica(), &changes);
                written.push(operations);
            }
        }
        panic!("writes again and again: {written:?}");
    }

    /// The northbound with our rows under their first names: which generation a row is of is not what it says.
    fn content(&self) -> Content {
        let names = interference::names(self.reconciler.owner());
        let names: BTreeMap<Uuid, Uuid> = names.into_iter().map(|(first, now)| (now, first)).collect();
        let name = |uuid: Uuid| names.get(&uuid).copied().unwrap_or(uuid);
        let row = |row: BTreeMap<String, Datum>| -> BTreeMap<String, Datum> {
            let datum = |datum: Datum| {
                let is_reference = datum.uuid_members().next().is_some();
                if is_reference { Datum::uuids(datum.uuid_members().map(name)) } else { datum }
            };
            row.into_iter().map(|(column, held)| (column, datum(held))).collect()
        };
        let table = |rows: BTreeMap<Uuid, BTreeMap<String, Datum>>| {
            rows.into_iter().map(|(uuid, held)| (name(uuid), row(held))).collect()
        };
        content(&self.northbound).into_iter().map(|(name, rows)| (name, table(rows))).collect()
    }
}

type Content = BTreeMap<String, BTreeMap<Uuid, BTreeMap<String, Datum>>>;

/// What a northbound holds; an empty column is as good as one that is not there.
fn content(northbound: &Northbound) -> Content {
    let mut tables = northbound.tables.clone();
    for row in tables.values_mut().flat_map(BTreeMap::values_mut) {
        row.retain(|_, datum| !datum.is_empty());
    }
    tables.retain(|_, rows| !rows.is_empty());
    tables
}

fn rules() -> Rules {
    Rules { owner: Owner::new("test", 0), policy: Policy::default(), own_router_port: Default::default() }
}

/// The Services' VIPs that the northbound has.
fn balanced(beside: &Beside) -> Vec<String> {
    let rows = beside.northbound.rows("Load_Balancer").filter(|(uuid, _)| uuid.get_version_num() == 5);
    let keys = rows.flat_map(|(_, row)| row["vips"].string_map().map(|(key, _)| key.to_owned()));
    keys.collect()
}

/// A northbound that serves `10.0.0.250:80`, which its subnet then leaves to Kube-OVN.
fn served_and_no_longer_excluded() -> Beside {
    let mut beside = Beside::start(northbound());
    let service = Object::Service(history::bare("a", [history::v4(250)].into()));
    for object in history::base().into_iter().chain([service]) {
        beside.take(&Step::Cluster(Box::new(Change::Apply(object))));
    }
    beside.converge();
    beside.take(&Step::Cluster(Box::new(Change::Apply(history::subnet("underlay", true, false)))));
    beside.converge();
    assert_eq!(balanced(&beside), ["10.0.0.250:80"]);
    beside
}

#[test]
fn what_is_served_comes_back_after_kube_ovn_deleted_it_though_it_is_no_longer_excluded() {
    let mut beside = served_and_no_longer_excluded();
    let rows = beside.northbound.rows("Load_Balancer").map(|(uuid, _)| *uuid).collect::<Vec<_>>();
    for uuid in rows.into_iter().filter(|uuid| uuid.get_version_num() == 5) {
        beside.take(&Step::Interfere(vec![interference::delete("Load_Balancer", uuid)]));
    }
    assert_eq!(balanced(&beside), Vec::<String>::new());
    beside.reconciler.start_over();
    beside.converge();
    assert_eq!(balanced(&beside), ["10.0.0.250:80"]);
}

#[test]
fn a_vip_that_was_given_up_is_not_served_again_unless_it_is_excluded() {
    let mut beside = served_and_no_longer_excluded();
    for vips in [vec![], vec![history::v4(250)]] {
        let service = Object::Service(history::bare("a", vips.into_iter().collect()));
        beside.take(&Step::Cluster(Box::new(Change::Apply(service))));
        beside.converge();
    }
    assert_eq!(balanced(&beside), Vec::<String>::new());
}

#[test]
fn a_vip_whose_ports_all_went_to_another_service_is_not_served_and_must_be_excluded() {
    let mut beside = Beside::start(northbound());
    for object in history::base() {
        beside.take(&Step::Cluster(Box::new(Change::Apply(object))));
    }
    for name in ["c", "a"] {
        let service = Object::Service(history::bare(name, [history::v4(250)].into()));
        beside.take(&Step::Cluster(Box::new(Change::Apply(service))));
        beside.converge();
    }
    beside.take(&Step::Cluster(Box::new(Change::Apply(history::subnet("underlay", true, false)))));
    beside.converge();
    let reasons = |name| {
        let refusals = beside.reconciler.refusals().get(&ServiceKey::new("default", name));
        refusals.into_iter().flatten().map(Refusal::reason).collect::<Vec<_>>()
    };
    assert_eq!(
        (reasons("a"), reasons("c")),
        (vec!["ServedNotExcluded", "NoReadyBackend"], vec!["NotExcluded"])
    );
}

#[test]
fn what_kube_ovn_puts_back_after_a_take_over_is_taken_out_again_and_nothing_else_of_its_row() {
    let mut beside = Beside::start(northbound());
    let Object::Subnet(mut subnet) = history::subnet("underlay", true, true) else { panic!("no subnet") };
    subnet.wishes.takeover = true;
    let service = Object::Service(history::bare("a", [history::v4(250)].into()));
    for object in history::base().into_iter().chain([Object::Subnet(subnet), service]) {
        beside.take(&Step::Cluster(Box::new(Change::Apply(object))));
    }
    for _ in 0..2 {
        let keys = [("10.0.0.250:80", "10.0.0.111:80"), ("10.96.0.1:443", "10.0.0.5:6443")];
        let theirs = interference::edit(history::uuid(3), "vips", Datum::map(keys));
        beside.take(&Step::Interfere(vec![theirs]));
        beside.converge();
        assert_eq!(balanced(&beside), ["10.0.0.250:80"]);
        let (_, row) =
            beside.northbound.rows("Load_Balancer").find(|(uuid, _)| **uuid == history::uuid(3)).unwrap();
        assert_eq!(row["vips"], Datum::map([keys[1]]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_its_writes_there_is_nothing_to_write_and_a_new_controller_agrees(history in steps(24)) {
        let mut beside = Beside::start(northbound());
        let mut world = Vec::new();
        let mut bindings = BTreeMap::new();
        for step in &history {
            beside.take(step);
            beside.converge();
            match step {
                Step::Cluster(change) => world.push((**change).clone()),
                Step::Bind(port, chassis) => { bindings.insert(*port, *chassis); }
                Step::Interfere(_) => {}
            }
        }
        let mut fresh = Beside::start(beside.northbound.clone());
        for (port, chassis) in bindings {
            fresh.take(&Step::Bind(port, chassis));
        }
        fresh.reconciler.cluster_changed(world);
        prop_assert_eq!(fresh.converge(), Vec::<Vec<Operation>>::new());
        prop_assert_eq!(fresh.reconciler.desired(), beside.reconciler.desired());
        prop_assert_eq!(fresh.reconciler.refusals(), beside.reconciler.refusals());
    }

    #[test]
    fn what_others_did_to_our_rows_is_undone(history in steps(16), damage in prop::collection::vec(interference::to_our_rows(), 1..4)) {
        let mut beside = Beside::start(northbound());
        for step in &history {
            beside.take(step);
        }
        beside.converge();
        let before = beside.content();
        for operations in damage {
            beside.take(&Step::Interfere(operations));
        }
        beside.converge();
        prop_assert_eq!(beside.content(), before);
    }

    #[test]
    fn the_order_of_the_same_objects_does_not_matter(shuffled in objects().prop_shuffle()) {
        let mut sorted = shuffled.clone();
        sorted.sort_by_key(|object| object.key());
        let written = |objects: Vec<_>| {
            let mut beside = Beside::start(northbound());
            for object in objects {
                beside.take(&Step::Cluster(Box::new(Change::Apply(object))));
                beside.converge();
            }
            beside.content()
        };
        prop_assert_eq!(written(shuffled), written(sorted));
    }

    #[test]
    fn what_is_not_dirty_is_planned_as_before(objects in objects(), steps in history::small_steps()) {
        let mut index = NetworkIndex::default();
        let northbound = northbound();
        index.northbound_changed(&Owner::new("test", 0), northbound.replica(), &northbound.first_dump());
        let plan = |world: &World, key: &ServiceKey| plan_service(world, index.network(), &Policy::default(), key);
        let mut world = World::default();
        for object in objects {
            world.apply(Change::Apply(object));
        }
        for step in steps {
            let keys = history::SERVICES.map(|name| ServiceKey::new("default", name));
            let before = keys.clone().map(|key| plan(&world, &key));
            let dirty = world.apply(step.clone());
            let affected = world.affected(&dirty).services;
            for (key, before) in keys.iter().zip(before) {
                if !dirty.everything && !affected.contains(key) {
                    prop_assert_eq!(plan(&world, key), before, "{} was not dirty after {:?}", key, step);
                }
            }
        }
    }

    #[test]
    fn no_row_but_ours_is_ever_written(history in steps(24)) {
        let mut beside = Beside::start(northbound());
        for step in &history {
            beside.take(step);
            let ours = |northbound: &Northbound, table: &str, uuid: &uuid::Uuid| {
                northbound.rows(table).any(|(name, row)| name == uuid && interference::is_ours(table, *uuid, row))
            };
            let before = beside.northbound.clone();
            for operation in beside.converge().concat() {
                let (table, uuid) = interference::target(&operation);
                let only_references = matches!(&operation, Operation::Mutate { table, .. } if table == "Logical_Switch");
                prop_assert!(
                    only_references || ours(&before, table, &uuid) || ours(&beside.northbound, table, &uuid),
                    "{:?}", operation
                );
            }
            interference::assert_foreign_rows_are_untouched(&before, &beside.northbound);
        }
    }
}
