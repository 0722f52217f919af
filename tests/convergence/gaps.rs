//! What cannot be read is not gone: a controller that starts and finds objects unreadable takes nothing of theirs away,
//! opens nothing, and is level again once it can read them (ADR 0030).

use std::collections::{BTreeMap, BTreeSet};

use ovn_vip::model::{Change, Gaps, Object, ObjectKey, ServiceKey, Sources, SubnetName, World};
use ovn_vip::nb::transaction;
use proptest::prelude::*;

use super::closed::{converge, keys, never_opens};
use super::history::{self, Step};
use super::{Beside, balanced, content};

/// The objects that the cluster has after a history.
fn objects(steps: &[Step]) -> BTreeMap<ObjectKey, Object> {
    let mut objects = BTreeMap::new();
    for step in steps {
        let Step::Cluster(change) = step else { continue };
        match &**change {
            Change::Apply(object) => drop(objects.insert(object.key(), object.clone())),
            Change::Remove(key) => drop(objects.remove(key)),
            Change::Gaps(_) => {}
        }
    }
    objects
}

/// What of the objects cannot be read: some, or something of which nobody knows what it is.
fn gaps_of(unread: &BTreeMap<ObjectKey, Object>, named: bool) -> Gaps {
    let owner = |object: &Object| match object {
        Object::EndpointSlice(slice) => Some(slice.service.clone()),
        _ => None,
    };
    let objects = unread.iter().filter(|(key, _)| named && Gaps::counts(key));
    let objects = objects.map(|(key, object)| (key.clone(), owner(object))).collect();
    Gaps { anything: !named, slices: !named, objects, ..Gaps::default() }
}

/// The bindings of a history, as they are at its end.
fn bindings(steps: &[Step]) -> BTreeMap<u8, Option<u8>> {
    let binds = steps.iter().filter_map(|step| match step {
        Step::Bind(port, chassis) => Some((*port, *chassis)),
        Step::Cluster(_) | Step::Interfere(_) => None,
    });
    binds.collect()
}

fn settled(steps: &[Step]) -> Beside {
    let mut beside = Beside::start(history::northbound());
    for step in steps.iter().filter(|step| !matches!(step, Step::Interfere(_))) {
        beside.take(step);
    }
    beside.converge();
    beside
}

/// A new process beside the same northbound.
fn restarted(beside: &Beside, steps: &[Step], changes: Vec<Change>) -> Beside {
    let mut fresh = Beside::start(beside.northbound.clone());
    for (port, chassis) in bindings(steps) {
        fresh.take(&Step::Bind(port, chassis));
    }
    fresh.reconciler.cluster_changed(changes);
    fresh
}

/// Each key of ours with its backends, and on how many switches it is.
fn served(beside: &Beside) -> BTreeMap<String, (BTreeSet<String>, usize)> {
    let groups = || beside.northbound.rows("Load_Balancer_Group");
    let attached = |group| {
        let mut switches = beside.northbound.rows("Logical_Switch");
        switches.any(|(_, row)| row.get("load_balancer_group").is_some_and(|all| all.contains_uuid(group)))
    };
    let rows = beside.northbound.rows("Load_Balancer").filter(|(uuid, _)| uuid.get_version_num() == 5);
    let keys = rows.flat_map(|(uuid, row)| {
        let switches = groups()
            .filter(|(group, _)| attached(*group))
            .filter(|(_, row)| row.get("load_balancer").is_some_and(|all| all.contains_uuid(uuid)))
            .count();
        let name = row["name"].as_str().unwrap().to_owned();
        row["vips"]
            .string_map()
            .map(move |(key, backends)| {
                let backends = backends.split(',').filter(|text| !text.is_empty());
                (format!("{name} {key}"), (backends.map(str::to_owned).collect(), switches))
            })
            .collect::<Vec<_>>()
    });
    keys.collect()
}

fn history_and_damage() -> impl Strategy<Value = (Vec<Step>, Vec<prop::sample::Index>, bool)> {
    (history::steps(24), prop::collection::vec(any::<prop::sample::Index>(), 1..4), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_cannot_be_read_at_a_start_loses_nothing_opens_nothing_and_comes_back(
        (steps, damage, named) in history_and_damage(),
    ) {
        let before = settled(&steps);
        let mut readable = objects(&steps);
        let mut unread = BTreeMap::new();
        for index in damage.iter().filter(|_| !readable.is_empty()).collect::<Vec<_>>() {
            let Some(key) = readable.keys().nth(index.index(readable.len().max(1))).cloned() else { continue };
            if Gaps::counts(&key) {
                unread.extend(readable.remove_entry(&key));
            }
        }
        prop_assume!(!unread.is_empty());
        let gaps = gaps_of(&unread, named);
        let applied = readable.values().cloned().map(Change::Apply);
        let mut after = restarted(&before, &steps, applied.chain([Change::Gaps(gaps)]).collect());
        converge(&mut after, before.reconciler.world());

        let (had, has) = (served(&before), served(&after));
        for (key, (backends, switches)) in &had {
            let Some((now, on)) = has.get(key) else { panic!("{key} is gone: {unread:?}") };
            prop_assert!(backends.is_subset(now), "{} lost {:?}, has {:?}", key, backends, now);
            prop_assert!(switches <= on, "{} is on {} switches of {}", key, on, switches);
        }
        never_opens(&before, &after);

        let back = unread.into_values().map(Change::Apply).chain([Change::Gaps(Gaps::default())]);
        let world = after.reconciler.world().clone();
        after.reconciler.cluster_changed(back);
        converge(&mut after, &world);
        prop_assert_eq!(served(&after), had);
        let fresh = restarted(&after, &steps, vec![]).settle_with(&steps);
        prop_assert_eq!(after.reconciler.desired(), fresh.reconciler.desired());
    }
}

impl Beside {
    /// Takes what the cluster has after a history.
    fn settle_with(mut self, steps: &[Step]) -> Self {
        self.reconciler.cluster_changed(objects(steps).into_values().map(Change::Apply));
        self.converge();
        self
    }
}

fn base_with(services: Vec<Object>) -> Vec<Step> {
    let objects = history::base().into_iter().chain(services);
    objects.map(|object| Step::Cluster(Box::new(Change::Apply(object)))).collect()
}

fn service(name: &str, sources: Sources) -> Object {
    let service = history::bare(name, [history::v4(250)].into());
    Object::Service(ovn_vip::model::Service { sources, ..service })
}

/// A restart that cannot read some objects; and the world before.
fn without(steps: &[Step], keys: &[ObjectKey]) -> (Beside, World) {
    let before = settled(steps);
    let mut readable = objects(steps);
    let unread: BTreeMap<_, _> = keys.iter().filter_map(|key| readable.remove_entry(key)).collect();
    assert_eq!(unread.len(), keys.len());
    let gaps = Change::Gaps(gaps_of(&unread, true));
    let changes = readable.into_values().map(Change::Apply).chain([gaps]).collect();
    let world = before.reconciler.world().clone();
    (restarted(&before, steps, changes), world)
}

#[test]
fn a_subnet_that_cannot_be_read_keeps_its_rows_and_group_and_a_narrower_range_counts_at_once() {
    let some = |network: &str| Sources::only([network.parse().unwrap()]);
    let steps = base_with(vec![service("a", some("192.0.2.0/24"))]);
    let (mut beside, before) = without(&steps, &[ObjectKey::Subnet(SubnetName::from("underlay"))]);
    converge(&mut beside, &before);
    assert_eq!(balanced(&beside), ["10.0.0.250:80"]);
    let closed = content(&beside.northbound);
    for narrower in [some("192.0.2.0/25"), Sources::only([])] {
        let world = beside.reconciler.world().clone();
        beside.reconciler.cluster_changed([Change::Apply(service("a", narrower.clone()))]);
        converge(&mut beside, &world);
        assert_eq!(balanced(&beside), ["10.0.0.250:80"], "{narrower}");
    }
    assert_eq!(content(&beside.northbound)["Load_Balancer"], closed["Load_Balancer"]);
}

#[test]
fn a_key_that_an_unread_service_has_is_nobody_elses() {
    let steps = base_with(vec![service("b", Sources::Everybody)]);
    let (mut beside, _) = without(&steps, &[ObjectKey::Service(ServiceKey::new("default", "b"))]);
    beside.reconciler.cluster_changed([Change::Apply(service("a", Sources::only([])))]);
    beside.converge();
    assert_eq!(keys(&beside).into_values().collect::<Vec<_>>(), [ServiceKey::new("default", "b")]);
    assert_eq!(beside.northbound.rows("ACL").count(), 0);
    let reasons = &beside.reconciler.refusals()[&ServiceKey::new("default", "a")];
    assert!(reasons.iter().any(|refusal| refusal.reason() == "PortTaken"), "{reasons:?}");
}

#[test]
fn kept_rows_that_somebody_deletes_come_back() {
    let steps = base_with(vec![service("a", Sources::only([]))]);
    let (mut beside, _) = without(&steps, &[ObjectKey::Service(ServiceKey::new("default", "a"))]);
    beside.converge();
    let rows: Vec<_> = beside.northbound.rows("Load_Balancer").map(|(uuid, _)| *uuid).collect();
    for uuid in rows.into_iter().filter(|uuid| uuid.get_version_num() == 5) {
        beside.take(&Step::Interfere(vec![history::interference::delete("Load_Balancer", uuid)]));
    }
    beside.converge();
    assert_eq!(balanced(&beside), ["10.0.0.250:80"]);
}

#[test]
fn what_the_cluster_no_longer_has_goes_once_all_can_be_read() {
    let steps = base_with(vec![service("a", Sources::only([]))]);
    let (mut beside, _) = without(&steps, &[ObjectKey::Service(ServiceKey::new("default", "a"))]);
    beside.converge();
    assert_eq!(balanced(&beside), ["10.0.0.250:80"]);
    beside.reconciler.cluster_changed([Change::Gaps(Gaps::default())]);
    beside.converge();
    assert_eq!(balanced(&beside), Vec::<String>::new());
    assert_eq!(beside.northbound.rows("ACL").count(), 0);
}

#[test]
fn a_class_that_no_service_has_deletes_nothing_at_a_start_and_a_changed_class_does_later() {
    let steps = base_with(vec![service("a", Sources::Everybody)]);
    let before = settled(&steps);
    let classed = |class: Option<&str>| {
        let Object::Service(service) = service("a", Sources::Everybody) else { panic!("no Service") };
        Change::Apply(Object::Service(ovn_vip::model::Service { class: class.map(Into::into), ..service }))
    };
    let base = || history::base().into_iter().map(Change::Apply);
    let mut wrong = restarted(&before, &steps, base().chain([classed(Some("metallb"))]).collect());
    assert_eq!(wrong.converge(), Vec::<Vec<_>>::new());
    assert!(wrong.reconciler.unread().unwrap().contains("--load-balancer-class"));
    wrong.reconciler.cluster_changed([classed(None)]);
    wrong.converge();
    assert_eq!((balanced(&wrong).len(), wrong.reconciler.unread()), (1, None));
    wrong.reconciler.cluster_changed([classed(Some("metallb"))]);
    wrong.converge();
    assert_eq!(balanced(&wrong).len(), 0);
}

#[test]
fn nothing_is_written_where_nothing_can_be_read_at_all() {
    let steps = base_with(vec![service("a", Sources::only([]))]);
    let before = settled(&steps);
    let mut bare = restarted(&before, &steps, vec![Change::Gaps(Gaps::everything())]);
    let (changes, _) = bare.reconciler.step(bare.northbound.replica());
    assert!(transaction::encode(&changes).is_empty(), "{changes}");
}
