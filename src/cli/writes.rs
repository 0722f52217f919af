//! A write, in words: what it is, what it alters, and why it is wanted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::nb::diff::Change;
use crate::nb::owner::{SERVICE, SUBNET};
use crate::nb::rows::{ACL, GROUP, LOAD_BALANCER};
use crate::ovsdb::{Datum, Replica};

/// One write, for people and machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `insert`, `update` or `delete`.
    pub action: &'static str,
    /// The table.
    pub table: &'static str,
    /// The row, for people.
    pub name: String,
    /// The row.
    pub uuid: Uuid,
    /// Why.
    pub why: String,
    /// What of it changes.
    pub details: Vec<Detail>,
}

/// One value that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The column.
    pub column: String,
    /// The key, of a map.
    pub key: Option<String>,
    /// What is there.
    pub from: Option<String>,
    /// What is wanted.
    pub to: Option<String>,
}

impl Step {
    /// Explains a write to what is there now. `names` has the names of rows that the same plan inserts.
    pub fn of(change: &Change, replica: &Replica, names: &BTreeMap<Uuid, String>) -> Self {
        let step = |action, table, name: &str, uuid: &Uuid, why: String, details| Self {
            action,
            table,
            name: name.to_owned(),
            uuid: *uuid,
            why,
            details,
        };
        match change {
            Change::Insert { table, uuid, columns } => {
                let name = columns.get("name").and_then(Datum::as_str).unwrap_or_default();
                let told = columns.iter().filter(|(column, _)| *column != "name");
                let details = told.flat_map(|(column, wanted)| details(column, None, Some(wanted)));
                step("insert", table, name, uuid, why_insert(table, name, columns), details.collect())
            }
            Change::Update { table, uuid, name, columns } => {
                let row = replica.row(table, uuid);
                let found = |column: &str| row.and_then(|row| row.get(column));
                let details =
                    columns.iter().flat_map(|(column, wanted)| details(column, found(column), Some(wanted)));
                let why = "the row is not as it should be".to_owned();
                step("update", table, name, uuid, why, details.collect())
            }
            Change::Delete { table, uuid, name } => {
                let why = if *table == LOAD_BALANCER {
                    "the row bears our mark, and no Service of ours wants it"
                } else {
                    "the row bears our mark, and no Subnet wants it"
                };
                step("delete", table, name, uuid, why.to_owned(), Vec::new())
            }
            Change::Refer { table, uuid, name, column, added, removed } => {
                let why = if *table == GROUP {
                    "what is in the group is balanced on the Subnet's switch"
                } else {
                    "the Subnet's switch must name what is ours, and nothing that no longer is"
                };
                let details = references(column, added, removed, replica, names);
                step("update", table, name, uuid, why.to_owned(), details)
            }
            Change::RemoveKeys { uuid, name, keys } => {
                let why = "taken over: Kube-OVN left it there, or the Subnet's annotation ovn-vip.io/takeover is true".to_owned();
                let row = replica.row(LOAD_BALANCER, uuid);
                let found = |key: &str| Some(row?.get("vips")?.map_get(key)?.to_owned());
                let details = keys.iter().map(|key| Detail {
                    column: "vips".to_owned(),
                    key: Some(key.clone()),
                    from: found(key),
                    to: None,
                });
                step("update", LOAD_BALANCER, name, uuid, why, details.collect())
            }
        }
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let Self { action, table, name, uuid, why, details } = self;
        let detail = |Detail { column, key, from, to }: &Detail| json!({ "column": column, "key": key, "from": from, "to": to });
        let details: Vec<Value> = details.iter().map(detail).collect();
        json!({ "action": action, "table": table, "name": name, "uuid": uuid.to_string(), "why": why, "changes": details })
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let text = |value: &Option<String>| match value.as_deref() {
            Some("") => "(empty)".to_owned(),
            Some(value) => value.to_owned(),
            None => String::new(),
        };
        let lines = self.details.iter().map(|detail| {
            let Detail { column, key, from, to } = detail;
            let what = key.as_ref().map_or_else(|| column.clone(), |key| format!("{column} {key}"));
            match (from, to) {
                (Some(_), Some(_)) => format!("~ {what}: {} -> {}", text(from), text(to)),
                (Some(_), None) => format!("- {what}: {}", text(from)),
                _ => format!("+ {what}: {}", text(to)),
            }
        });
        lines.collect()
    }
}

fn why_insert(table: &str, name: &str, columns: &BTreeMap<String, Datum>) -> String {
    let mark = |key: &str| columns.get("external_ids").and_then(|ids| ids.map_get(key)).map(str::to_owned);
    match (table, mark(SERVICE), mark(SUBNET)) {
        (ACL, Some(service), _) => format!("Service {service} is not open to everybody on the Subnet"),
        (ACL, None, Some(subnet)) => {
            format!(
                "Subnet {subnet} has VIPs that are closed: from outside only what the bridge let in may reach them"
            )
        }
        (LOAD_BALANCER, Some(service), _) => format!("Service {service} has VIPs, and no row yet"),
        (_, _, Some(subnet)) => format!("the switch of Subnet {subnet} needs a router port on this OVN"),
        (GROUP, ..) => {
            format!(
                "Subnet {} takes VIPs, and its switch has no group yet",
                name.trim_start_matches("ovn-vip.")
            )
        }
        _ => "it is not there".to_owned(),
    }
}

/// What of a column differs, key by key where it is a map.
fn details(column: &str, found: Option<&Datum>, wanted: Option<&Datum>) -> Vec<Detail> {
    let is_map = |datum: Option<&Datum>| matches!(datum, Some(Datum::Map(_)));
    if !is_map(wanted) && !is_map(found) {
        let [from, to] = [found, wanted].map(|datum| datum.map(plain));
        let differs = from != to;
        return differs
            .then(|| Detail { column: column.to_owned(), key: None, from, to })
            .into_iter()
            .collect();
    }
    let pairs = |datum: Option<&Datum>| -> BTreeMap<String, String> {
        let pairs = datum.into_iter().flat_map(Datum::string_map);
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let (found, wanted) = (pairs(found), pairs(wanted));
    let keys: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let differing = keys.into_iter().filter(|key| found.get(*key) != wanted.get(*key));
    let detail = |key: &String| Detail {
        column: column.to_owned(),
        key: Some(key.clone()),
        from: found.get(key).cloned(),
        to: wanted.get(key).cloned(),
    };
    differing.map(detail).collect()
}

fn plain(datum: &Datum) -> String {
    let strings: Vec<&str> = datum.string_members().collect();
    let uuids = datum.uuid_members().map(|uuid| uuid.to_string());
    strings.into_iter().map(str::to_owned).chain(uuids).collect::<Vec<_>>().join(", ")
}

fn references(
    column: &str,
    added: &BTreeSet<Uuid>,
    removed: &BTreeSet<Uuid>,
    replica: &Replica,
    names: &BTreeMap<Uuid, String>,
) -> Vec<Detail> {
    let name = |uuid: &Uuid| {
        let tables = [LOAD_BALANCER, GROUP, "Logical_Switch_Port", ACL].into_iter();
        let found = || tables.filter_map(|table| replica.row(table, uuid)?.get("name")?.as_str()).next();
        names.get(uuid).cloned().or_else(|| found().map(str::to_owned)).unwrap_or_else(|| uuid.to_string())
    };
    let detail = |from, to| Detail { column: column.to_owned(), key: None, from, to };
    let added = added.iter().map(|uuid| detail(None, Some(name(uuid))));
    let removed = removed.iter().map(|uuid| detail(Some(name(uuid)), None));
    added.chain(removed).collect()
}
