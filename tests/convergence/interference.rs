//! What others do to the northbound: Kube-OVN's garbage collection, people, pods that come and go.

use std::collections::BTreeMap;

use ovn_vip::model::{Protocol, ServiceKey, SubnetName};
use ovn_vip::nb::Owner;
use ovn_vip::nb::owner::{CLUSTER, GateRow, RowKey, SubnetRow};
use ovn_vip::ovsdb::{Condition, Datum, Mutation, Mutator, Operation};
use proptest::prelude::*;
use uuid::Uuid;

use super::super::support::northbound::Northbound;
use super::{PODS, uuid};

pub fn anything() -> impl Strategy<Value = Vec<Operation>> {
    prop_oneof![
        6 => to_our_rows(),
        1 => prop::sample::select(&PODS[..5]).prop_map(|pod| vec![take_out("Logical_Switch", uuid(2), "ports", uuid(pod))]),
        1 => prop::sample::select(vec!["10.0.0.250:80", "[fd00::fa]:80", "10.0.0.251:8080"])
            .prop_map(|key| vec![edit(uuid(3), "vips", Datum::map([(key, "10.0.0.111:80")]))]),
    ]
}

pub fn to_our_rows() -> impl Strategy<Value = Vec<Operation>> {
    let owner = Owner::new("test", 0);
    let underlay = SubnetName::from("underlay");
    let group = owner.subnet_row(&underlay, SubnetRow::Group);
    let port = owner.subnet_row(&underlay, SubnetRow::SwitchPort);
    let router = owner.subnet_row(&underlay, SubnetRow::Router);
    let row = prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(|name| {
        Owner::new("test", 0).load_balancer(&ServiceKey::new("default", name), Protocol::Tcp)
    });
    prop_oneof![
        row.clone().prop_map(|uuid| vec![delete("Load_Balancer", uuid)]),
        row.clone().prop_map(|uuid| vec![edit(uuid, "vips", Datum::map([("1.2.3.4:80", "")]))]),
        row.clone().prop_map(|uuid| vec![edit(uuid, "external_ids", Datum::empty_map())]),
        row.prop_map(move |uuid| vec![take_out("Load_Balancer_Group", group, "load_balancer", uuid)]),
        to_a_gate(),
        Just(vec![take_out("Logical_Switch", uuid(2), "load_balancer_group", group)]),
        Just(vec![
            take_out("Logical_Switch", uuid(2), "load_balancer_group", group),
            delete("Load_Balancer_Group", group)
        ]),
        Just(vec![take_out("Logical_Switch", uuid(2), "ports", port)]),
        Just(vec![delete("Logical_Router", router)]),
    ]
}

pub fn edit(uuid: Uuid, column: &str, datum: Datum) -> Operation {
    let row = BTreeMap::from([(column.to_owned(), datum)]);
    Operation::Update { table: "Load_Balancer".into(), condition: vec![Condition::uuid(uuid)], row }
}

pub fn delete(table: &str, uuid: Uuid) -> Operation {
    Operation::Delete { table: table.into(), condition: vec![Condition::uuid(uuid)] }
}

fn take_out(table: &str, uuid: Uuid, column: &str, member: Uuid) -> Operation {
    Operation::Mutate {
        table: table.into(),
        condition: vec![Condition::uuid(uuid)],
        mutations: vec![Mutation::new(column, Mutator::Delete, Datum::uuids([member]))],
    }
}

/// The rows of all gates that there may be.
fn gates() -> Vec<RowKey> {
    let underlay = SubnetName::from("underlay");
    let services = ["a", "b", "c", "d"].map(|name| ServiceKey::new("default", name));
    let of_services = services.into_iter().flat_map(|service| {
        GateRow::ALL.map(|row| RowKey::Gate(service.clone(), SubnetName::from("underlay"), row))
    });
    of_services.chain(GateRow::ALL.map(|row| RowKey::Outside(underlay.clone(), row))).collect()
}

/// A gate's row is taken off the switch, or moved to the tier that kube-ovn-controller moves all ACLs to.
fn to_a_gate() -> impl Strategy<Value = Vec<Operation>> {
    (prop::sample::select(gates()), any::<bool>()).prop_map(|(key, is_moved)| {
        let gate = Owner::new("test", 0).gate(&key);
        let row = BTreeMap::from([("tier".to_owned(), Datum::from(2))]);
        let condition = vec![Condition::uuid(gate)];
        vec![match is_moved {
            true => Operation::Update { table: "ACL".into(), condition, row },
            false => take_out("Logical_Switch", uuid(2), "acls", gate),
        }]
    })
}

/// Our rows' first names, and what they are called now.
pub fn names(owner: &Owner) -> BTreeMap<Uuid, Uuid> {
    let first = Owner::new("test", 0);
    let services = ["a", "b", "c", "d"].map(|name| ServiceKey::new("default", name));
    let services = services.iter().flat_map(|service| Protocol::ALL.map(|protocol| (service, protocol)));
    let balancers = services.map(|(service, protocol)| {
        (first.load_balancer(service, protocol), owner.load_balancer(service, protocol))
    });
    let subnets = ["underlay", "other"].map(SubnetName::from);
    let rows = subnets.iter().flat_map(|subnet| {
        SubnetRow::ALL.map(|row| (first.subnet_row(subnet, row), owner.subnet_row(subnet, row)))
    });
    let gates = gates().into_iter().map(|key| (first.gate(&key), owner.gate(&key)));
    balancers.chain(rows).chain(gates).collect()
}

/// The operation with these rows called by their names of now.
pub fn renamed(operation: &Operation, names: &BTreeMap<Uuid, Uuid>) -> Operation {
    let name = |uuid: Uuid| names.get(&uuid).copied().unwrap_or(uuid);
    let (_, uuid) = target(operation);
    let condition = vec![Condition::uuid(name(uuid))];
    match operation.clone() {
        Operation::Update { table, row, .. } => Operation::Update { table, condition, row },
        Operation::Delete { table, .. } => Operation::Delete { table, condition },
        Operation::Mutate { table, mutations, .. } => {
            let mutation = |mutation: Mutation| {
                let value = Datum::uuids(mutation.value.uuid_members().map(name));
                Mutation { value, ..mutation }
            };
            Operation::Mutate { table, condition, mutations: mutations.into_iter().map(mutation).collect() }
        }
        other => panic!("others do not write {other:?}"),
    }
}

/// Whether the row that it is about is there.
pub fn applies(operation: &Operation, northbound: &Northbound) -> bool {
    let (table, uuid) = target(operation);
    northbound.rows(table).any(|(name, _)| *name == uuid)
}

/// Table and row of an operation.
pub fn target(operation: &Operation) -> (&str, Uuid) {
    match operation {
        Operation::Insert { table, uuid, .. } => (table, uuid.unwrap()),
        Operation::Update { table, condition, .. }
        | Operation::Mutate { table, condition, .. }
        | Operation::Delete { table, condition } => (table, condition[0].value.as_uuid().unwrap()),
        Operation::Checked { operation, .. } => target(operation),
        other => panic!("we do not write {other:?}"),
    }
}

/// By mark, or by the name that only we give.
pub fn is_ours(table: &str, uuid: Uuid, row: &BTreeMap<String, Datum>) -> bool {
    let marked = row.get("external_ids").and_then(|ids| ids.map_get(CLUSTER)) == Some("test");
    let group = table == "Load_Balancer_Group"
        && row.get("name").and_then(Datum::as_str).is_some_and(|name| name.starts_with("ovn-vip."));
    // Somebody may have taken the mark away; the row's own name is still ours.
    marked || group || uuid.get_version_num() == 5
}

pub fn assert_foreign_rows_are_untouched(before: &Northbound, after: &Northbound) {
    for table in ["Load_Balancer", "Logical_Switch", "Logical_Switch_Port", "NB_Global"] {
        for (uuid, row) in before.rows(table).filter(|(uuid, row)| !is_ours(table, **uuid, row)) {
            let (_, now) = after.rows(table).find(|(name, _)| *name == uuid).expect("a foreign row is gone");
            let ours = ["ports", "load_balancer_group", "acls"];
            let foreign = |row: &BTreeMap<String, Datum>| -> Vec<(String, Datum)> {
                let columns = row.iter().map(|(name, datum)| match ours.contains(&name.as_str()) {
                    true => (
                        name.clone(),
                        Datum::uuids(datum.uuid_members().filter(|u| u.get_version_num() != 5)),
                    ),
                    false => (name.clone(), datum.clone()),
                });
                columns.filter(|(_, datum)| !datum.is_empty()).collect()
            };
            assert_eq!(foreign(row), foreign(now), "{table} {uuid} is not ours");
        }
    }
}
