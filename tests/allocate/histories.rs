//! Histories of creates, edits, deletes and restarts, against a model that looks at every address one by one.

use std::collections::{BTreeMap, BTreeSet};

use ovn_vip::allocate::Scope;
use ovn_vip::kube::Kind;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::room::{Room, pool, service, subnet};

/// Of an address: IPv6, and its last number.
type Address = (bool, u8);

#[derive(Clone, Debug, Default, PartialEq)]
struct ModelService {
    key: Option<&'static str>,
    ports: BTreeSet<u16>,
    pool: Option<&'static str>,
    asked: Option<u8>,
    /// IPv4, IPv6, both preferred, both required.
    families: u8,
}

#[derive(Clone, Debug, PartialEq)]
struct ModelPool {
    first: u8,
    count: u8,
    v6: bool,
    auto: bool,
    only: Option<(i64, &'static str)>,
}

/// Who has what, the slow way.
#[derive(Default)]
struct Model {
    services: BTreeMap<String, ModelService>,
    pools: BTreeMap<&'static str, ModelPool>,
    books: BTreeSet<u8>,
    has: BTreeMap<String, Vec<Address>>,
}

impl ModelPool {
    fn addresses(&self) -> Vec<Address> {
        let v4 = (0..self.count).map(|n| (false, self.first + n));
        v4.chain((0..self.count).filter(|_| self.v6).map(|n| (true, self.first + n))).collect()
    }

    fn is_for(&self, name: &str) -> bool {
        self.only.is_none_or(|(_, namespace)| name.starts_with(namespace))
    }
}

impl Model {
    /// Whether these may be together on an address.
    fn clash(&self, name: &str, address: Address) -> bool {
        let mine = &self.services[name];
        let others = self.has.iter().filter(|(other, has)| *other != name && has.contains(&address));
        others.into_iter().any(|(other, _)| {
            let theirs = &self.services[other];
            mine.key.is_none() || mine.key != theirs.key || !mine.ports.is_disjoint(&theirs.ports)
        })
    }

    fn pool_of(&self, addresses: &[Address]) -> Option<&'static str> {
        let owns = |pool: &ModelPool| addresses.iter().all(|address| pool.addresses().contains(address));
        self.pools.iter().find(|(_, pool)| owns(pool)).map(|(name, _)| *name)
    }

    fn may_keep(&self, name: &str, has: &[Address]) -> bool {
        let mine = &self.services[name];
        let families = match mine.families {
            0 => has.len() == 1 && !has[0].0,
            1 => has.len() == 1 && has[0].0,
            2 => true,
            _ => has.len() == 2,
        };
        let Some(pool) = self.pool_of(has).filter(|_| families) else { return false };
        self.pools[pool].is_for(name)
            && mine.pool.is_none_or(|asked| asked == pool)
            && mine.asked.is_none_or(|n| has == [(false, n)])
            && !has.iter().any(|address| self.clash(name, *address))
    }

    /// The first address of a pool that the Service may have.
    fn first(&self, name: &str, pool: &str, v6: bool) -> Option<Address> {
        let blocked = |it: &Address| !it.0 && self.books.contains(&it.1);
        let all = self.pools[pool].addresses().into_iter().filter(|it| it.0 == v6 && !blocked(it));
        all.into_iter().find(|address| !self.clash(name, *address))
    }

    fn choose(&self, name: &str) -> Option<Vec<Address>> {
        let mine = &self.services[name];
        if let Some(n) = mine.asked {
            let it = vec![(false, n)];
            let good = mine.families == 0 && !self.books.contains(&n) && self.may_keep(name, &it);
            return good.then_some(it);
        }
        let of = |pool: &str| {
            let wanted = [mine.families != 1, mine.families != 0];
            let found =
                [false, true].map(|v6| self.first(name, pool, v6).filter(|_| wanted[usize::from(v6)]));
            let found: Vec<Address> = found.into_iter().flatten().collect();
            let enough = if mine.families == 3 { 2 } else { 1 };
            (found.len() >= enough).then_some(found)
        };
        if let Some(pool) = mine.pool {
            return self.pools.get(pool).filter(|pool| pool.is_for(name)).and_then(|_| of(pool));
        }
        let auto = || self.pools.iter().filter(|(_, pool)| pool.auto && pool.is_for(name));
        let mut pinned: Vec<_> = auto().filter(|(_, pool)| pool.only.is_some()).collect();
        pinned.sort_by_key(|(name, pool)| pool.only.map(|(priority, _)| (priority == 0, priority, **name)));
        let open: Vec<_> = auto().filter(|(_, pool)| pool.only.is_none()).collect();
        for pools in [pinned, open] {
            let found: Vec<_> = pools.into_iter().filter_map(|(name, _)| of(name)).collect();
            let both = found.iter().find(|it| mine.families < 2 || it.len() == 2);
            let first = found.iter().find(|it| !it[0].0);
            if let Some(choice) = both.or(first).or(found.first()) {
                return Some(choice.clone());
            }
        }
        None
    }

    /// Everything level: `edited` is the Service that a step was about, and all where it was about pools.
    fn settle(&mut self, edited: Option<&str>) {
        let names: Vec<String> = self.services.keys().cloned().collect();
        self.has.retain(|name, _| self.services.contains_key(name));
        // Whoever was not edited stays: it is the edited one that has to go where two do not go together.
        let looked_at = || names.iter().filter(|name| edited.is_none_or(|edited| edited == **name));
        for name in looked_at() {
            if self.has.get(name).is_some_and(|has| !self.may_keep(name, has)) {
                self.has.remove(name);
            }
        }
        for name in looked_at() {
            let Some(has) = self.has.get(name).cloned() else { continue };
            if self.services[name].families == 2
                && self.services[name].asked.is_none()
                && has.len() == 1
                && let Some(pool) = self.pool_of(&has)
                && let Some(other) = self.first(name, pool, !has[0].0)
            {
                self.has.insert(name.clone(), vec![has[0], other]);
            }
        }
        for name in &names {
            if !self.has.contains_key(name)
                && let Some(choice) = self.choose(name)
            {
                self.has.insert(name.clone(), choice);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put(&'static str, ModelService),
    Delete(&'static str),
    PutPool(&'static str, ModelPool),
    DeletePool(&'static str),
    Book(u8),
    Unbook(u8),
    Restart,
}

const NAMES: [&str; 6] = ["x/a", "x/b", "x/c", "y/a", "y/b", "y/c"];
/// Pools that never overlap, each with room of its own.
const POOLS: [(&str, u8); 3] = [("p", 200), ("q", 210), ("r", 220)];

fn op() -> impl Strategy<Value = Op> {
    let name = || prop::sample::select(&NAMES[..]);
    let ports = prop::collection::btree_set(80..83u16, 1..3);
    let pools = || prop::sample::select(&POOLS[..]);
    let asked = prop::option::weighted(0.15, prop::sample::select(&[200u8, 201, 210, 220, 230][..]));
    let wants = prop::option::weighted(0.2, prop::sample::select(&["p", "q", "r"][..]));
    let key = prop::option::of(prop::sample::select(&["k", "l"][..]));
    let service = (key, ports, wants, asked, 0..4u8).prop_map(|(key, ports, pool, asked, families)| {
        ModelService { key, ports, pool, asked, families: if asked.is_some() { 0 } else { families } }
    });
    let only = prop::option::weighted(0.3, (0..3i64, prop::sample::select(&["x", "y"][..])));
    let pool = (pools(), 0..3u8, 1..4u8, any::<bool>(), prop::bool::weighted(0.8), only);
    let pool = pool.prop_map(|((name, at), skip, count, v6, auto, only)| {
        Op::PutPool(name, ModelPool { first: at + skip, count, v6, auto, only })
    });
    prop_oneof![
        8 => (name(), service).prop_map(|(name, service)| Op::Put(name, service)),
        3 => name().prop_map(Op::Delete),
        3 => pool,
        1 => pools().prop_map(|(name, _)| Op::DeletePool(name)),
        1 => (200..224u8).prop_map(Op::Book),
        1 => (200..224u8).prop_map(Op::Unbook),
        1 => Just(Op::Restart),
    ]
}

fn object(name: &str, from: &ModelService) -> Value {
    let mut object = service(name);
    let spec = &mut object["spec"];
    spec["ports"] = from.ports.iter().map(|port| json!({ "port": port })).collect();
    spec["clusterIPs"] = match from.families {
        0 => json!(["10.96.0.1"]),
        1 => json!(["fd96::1"]),
        _ => json!(["10.96.0.1", "fd96::1"]),
    };
    spec["ipFamilyPolicy"] = json!(
        ["SingleStack", "SingleStack", "PreferDualStack", "RequireDualStack"][usize::from(from.families)]
    );
    let annotations = &mut object["metadata"]["annotations"];
    let asked = from.asked.map(|n| format!("10.0.0.{n}"));
    for (name, value) in
        [("allow-shared-ip", from.key), ("address-pool", from.pool), ("loadBalancerIPs", asked.as_deref())]
    {
        if let Some(value) = value {
            annotations[format!("metallb.io/{name}")] = json!(value);
        }
    }
    object
}

fn pool_object(name: &str, from: &ModelPool) -> Value {
    let last = from.first + from.count - 1;
    let mut ranges = vec![format!("10.0.0.{}-10.0.0.{last}", from.first)];
    if from.v6 {
        ranges.push(format!("fd00::{:x}-fd00::{last:x}", from.first));
    }
    let mut object = pool(name, &ranges.iter().map(String::as_str).collect::<Vec<_>>());
    object["spec"]["autoAssign"] = json!(from.auto);
    if let Some((priority, namespace)) = from.only {
        object["spec"]["serviceAllocation"] = json!({ "priority": priority, "namespaces": [namespace] });
    }
    object
}

fn book(n: u8) -> Value {
    json!({ "apiVersion": "kubeovn.io/v1", "kind": "IP", "metadata": { "name": format!("ip{n}") },
        "spec": { "subnet": "underlay", "v4IpAddress": format!("10.0.0.{n}") } })
}

fn play(room: &mut Room, model: &mut Model, op: &Op) {
    match op.clone() {
        Op::Put(name, service) => {
            room.apply_and_settle(object(name, &service));
            model.services.insert(name.to_owned(), service);
            return model.settle(Some(name));
        }
        Op::Delete(name) => {
            let (namespace, short) = name.split_once('/').unwrap();
            room.delete(Kind::Service, namespace, short);
            model.services.remove(name);
        }
        Op::PutPool(name, pool) => {
            room.apply(pool_object(name, &pool));
            let altered = model.pools.insert(name, pool.clone()) != Some(pool);
            room.settle();
            return model.settle(if altered { None } else { Some("") });
        }
        Op::DeletePool(name) => {
            room.delete(Kind::AddressPool, "metallb-system", name);
            let altered = model.pools.remove(name).is_some();
            room.settle();
            return model.settle(if altered { None } else { Some("") });
        }
        Op::Book(n) => {
            room.apply(book(n));
            model.books.insert(n);
        }
        Op::Unbook(n) => {
            room.delete(Kind::Allocation, "", &format!("ip{n}"));
            model.books.remove(&n);
        }
        Op::Restart => {
            room.restart(Scope::Everybody);
            return model.settle(None);
        }
    }
    room.settle();
    model.settle(Some(""));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]
    #[test]
    fn every_history_ends_as_the_model_says(ops in prop::collection::vec(op(), 1..40)) {
        let mut room = Room::empty();
        room.apply(subnet("underlay", &["10.0.0.1", "10.0.0.200..10.0.0.254", "fd00::c8..fd00::fe"]));
        let mut model = Model::default();
        for (index, op) in ops.iter().enumerate() {
            play(&mut room, &mut model, op);
            for name in model.services.keys() {
                let text = |(v6, n): &Address| if *v6 { format!("fd00::{n:x}") } else { format!("10.0.0.{n}") };
                let wanted: Vec<String> = model.has.get(name).into_iter().flatten().map(text).collect();
                prop_assert_eq!(room.has(name), wanted, "{} after step {}: {:?}", name, index, op);
            }
            for (name, has) in &model.has {
                prop_assert!(has.iter().all(|address| !model.clash(name, *address)));
            }
        }
    }
}
