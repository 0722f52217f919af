//! A northbound in memory: executes the operations that we write, with OVSDB's rules for references (RFC 7047 §3.2:
//! a strong reference must have its row, a weak one goes with it, a row of no root table goes when nobody names it).

use std::collections::{BTreeMap, BTreeSet};

use ovn_vip::ovsdb::{Atom, Condition, Datum, Mutator, Operation, Replica, RowChange};
use serde_json::{Value, json};
use uuid::Uuid;

type Row = BTreeMap<String, Datum>;

/// Table, column, table referred to, strong.
const REFERENCES: &[(&str, &str, &str, bool)] = &[
    ("Logical_Switch", "ports", "Logical_Switch_Port", true),
    ("Logical_Switch", "acls", "ACL", true),
    ("Logical_Switch", "load_balancer_group", "Load_Balancer_Group", true),
    ("Load_Balancer_Group", "load_balancer", "Load_Balancer", false),
    ("Logical_Router", "ports", "Logical_Router_Port", true),
];
const NOT_ROOT: &[&str] = &["Logical_Switch_Port", "Logical_Router_Port", "ACL"];

#[derive(Clone, Default)]
pub struct Northbound {
    pub tables: BTreeMap<String, BTreeMap<Uuid, Row>>,
    replica: Replica,
}

impl Northbound {
    /// `{"Table": {"<uuid>": {"column": <value as on the wire>}}}`
    pub fn from_json(json: Value) -> Self {
        let replica = Replica::from_json(json).unwrap();
        let rows = |table: &ovn_vip::ovsdb::Table| {
            let row = |row: &ovn_vip::ovsdb::Row| {
                row.columns().map(|(name, datum)| (name.to_owned(), datum.clone())).collect()
            };
            table.rows().map(|(uuid, found)| (*uuid, row(found))).collect()
        };
        let tables = replica.tables().map(|table| (table.name().to_owned(), rows(table))).collect();
        Self { tables, replica }
    }

    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Everything as if it had just been read.
    pub fn first_dump(&self) -> Vec<RowChange> {
        Replica::new().become_level_with(self.replica.clone())
    }

    pub fn rows(&self, table: &str) -> impl Iterator<Item = (&Uuid, &Row)> {
        self.tables.get(table).into_iter().flatten()
    }

    /// Executes one transaction, and says what changed. Panics where a server would refuse it.
    pub fn commit(&mut self, operations: &[Operation]) -> Vec<RowChange> {
        for operation in operations {
            self.execute(operation);
        }
        self.settle_references();
        let fresh = Replica::from_json(self.to_json()).unwrap();
        self.replica.become_level_with(fresh)
    }

    pub fn to_json(&self) -> Value {
        let row = |row: &Row| -> Value {
            row.iter()
                .map(|(name, datum)| (name.clone(), datum.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let mut json = json!({});
        for (table, rows) in &self.tables {
            json[table] = json!({});
            for (uuid, found) in rows {
                json[table][uuid.to_string()] = row(found);
            }
        }
        json
    }

    fn execute(&mut self, operation: &Operation) {
        match operation {
            Operation::Insert { table, uuid, row, uuid_name: _ } => {
                let uuid = uuid.expect("our rows have a name");
                let old = self.tables.entry(table.clone()).or_default().insert(uuid, row.clone());
                assert!(old.is_none(), "duplicate uuid {uuid} in {table}");
            }
            Operation::Update { table, condition, row } => {
                let found =
                    self.named(table, condition).unwrap_or_else(|| panic!("{operation:?} finds no row"));
                found.extend(row.clone());
            }
            Operation::Mutate { table, condition, mutations } => {
                let found =
                    self.named(table, condition).unwrap_or_else(|| panic!("{operation:?} finds no row"));
                for mutation in mutations {
                    let column = found.entry(mutation.column.clone()).or_insert_with(Datum::empty_set);
                    if let Datum::Map(pairs) = column {
                        assert_eq!(mutation.mutator, Mutator::Delete, "of a map we only take keys out");
                        pairs.retain(|key, _| !mutation.value.members().any(|member| member == key));
                        continue;
                    }
                    let mut members: BTreeSet<Atom> = column.members().cloned().collect();
                    for member in mutation.value.members() {
                        match mutation.mutator {
                            Mutator::Insert => members.insert(member.clone()),
                            Mutator::Delete => members.remove(member),
                            other => panic!("we do not mutate by {other:?}"),
                        };
                    }
                    *column = Datum::Set(members);
                }
            }
            Operation::Delete { table, condition } => {
                let uuid = name_in(condition);
                self.tables.entry(table.clone()).or_default().remove(&uuid);
            }
            Operation::Checked { operation, expect: _ } => self.execute(operation),
            other => panic!("we do not write {other:?}"),
        }
    }

    fn named(&mut self, table: &str, condition: &[Condition]) -> Option<&mut Row> {
        self.tables.get_mut(table)?.get_mut(&name_in(condition))
    }

    fn settle_references(&mut self) {
        loop {
            let before = self.tables.clone();
            for (table, column, target, strong) in REFERENCES {
                let there: BTreeSet<Uuid> = self.rows(target).map(|(uuid, _)| *uuid).collect();
                for row in self.tables.get_mut(*table).into_iter().flat_map(BTreeMap::values_mut) {
                    let Some(datum) = row.get_mut(*column) else { continue };
                    let kept: BTreeSet<Uuid> =
                        datum.uuid_members().filter(|uuid| there.contains(uuid)).collect();
                    assert!(
                        !strong || kept.len() == datum.len(),
                        "{table}.{column} names a row that is not there"
                    );
                    *datum = Datum::uuids(kept);
                }
                if NOT_ROOT.contains(target) {
                    let named: BTreeSet<Uuid> = self
                        .rows(table)
                        .flat_map(|(_, row)| row.get(*column).into_iter().flat_map(Datum::uuid_members))
                        .collect();
                    if let Some(rows) = self.tables.get_mut(*target) {
                        rows.retain(|uuid, _| named.contains(uuid));
                    }
                }
            }
            if before == self.tables {
                return;
            }
        }
    }
}

fn name_in(condition: &[Condition]) -> Uuid {
    let [condition] = condition else { panic!("one condition, not {condition:?}") };
    assert_eq!(condition.column, "_uuid", "rows are found by their name only");
    condition.value.as_uuid().unwrap()
}
