//! What is put back because somebody changed it, write by write, for the log: table, row, column and reason. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use tracing::warn;
use uuid::Uuid;

use crate::nb::diff::{Change, Changes};
use crate::nb::rows::LOAD_BALANCER;
use crate::ovsdb::{Datum, Replica};

/// Lines of one step; a whole northbound that is put back is not told row by row.
const MOST: usize = 20;

/// One thing that somebody changed, and that is put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The table.
    pub table: &'static str,
    /// The row's name; its uuid where it has none.
    pub row: String,
    /// The row.
    pub uuid: Uuid,
    /// The column; empty where it is about the whole row.
    pub column: String,
    /// What somebody did.
    pub reason: String,
}

/// Every one, in the order of the writes.
pub fn repairs(changes: &Changes, replica: &Replica) -> Vec<Repair> {
    changes.all().flat_map(|change| of(change, replica)).collect()
}

/// Tells them, each on its line.
pub fn say(repairs: &[Repair]) {
    for Repair { table, row, uuid, column, reason } in repairs.iter().take(MOST) {
        warn!(table, row, %uuid, column, reason, "putting back what somebody changed");
    }
    if let Some(more @ 1..) = repairs.len().checked_sub(MOST) {
        warn!(more, "putting back what somebody changed: the rest is not told one by one");
    }
}

fn of(change: &Change, replica: &Replica) -> Vec<Repair> {
    let repair = |table, name: &str, uuid: &Uuid, column: &str, reason: String| {
        let row = if name.is_empty() { uuid.to_string() } else { name.to_owned() };
        Repair { table, row, uuid: *uuid, column: column.to_owned(), reason }
    };
    match change {
        Change::Insert { table, uuid, columns } => {
            let name = columns.get("name").and_then(Datum::as_str).unwrap_or_default();
            vec![repair(table, name, uuid, "", "the row was deleted".to_owned())]
        }
        Change::Update { table, uuid, name, columns } => {
            let row = replica.row(table, uuid);
            let differing = columns.iter().map(|(column, wanted)| {
                let reason = altered(row.and_then(|row| row.get(column)), wanted);
                repair(table, name, uuid, column, reason)
            });
            differing.collect()
        }
        Change::Delete { table, uuid, name } => {
            vec![repair(table, name, uuid, "", "the row bears our mark, and nothing wants it".to_owned())]
        }
        Change::Refer { table, uuid, name, column, added, removed } => {
            let lost = |one: &Uuid| repair(table, name, uuid, column, format!("{one} was taken out"));
            let extra = |one: &Uuid| repair(table, name, uuid, column, format!("{one} is not to be in it"));
            added.iter().map(lost).chain(removed.iter().map(extra)).collect()
        }
        Change::RemoveKeys { uuid, name, keys } => {
            let again = |key: &String| {
                repair(LOAD_BALANCER, name, uuid, "vips", format!("{key} was written again, and is ours"))
            };
            keys.iter().map(again).collect()
        }
    }
}

/// What of a column is other than it was, key by key where it is a map.
fn altered(found: Option<&Datum>, wanted: &Datum) -> String {
    let Datum::Map(_) = wanted else { return "it is not what was written".to_owned() };
    let pairs = |datum: Option<&Datum>| -> BTreeMap<String, String> {
        let pairs = datum.into_iter().flat_map(Datum::string_map);
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let (found, wanted) = (pairs(found), pairs(Some(wanted)));
    let keys: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let told = keys.into_iter().filter_map(|key| match (found.get(key), wanted.get(key)) {
        (None, Some(_)) => Some(format!("{key} was taken out")),
        (Some(_), None) => Some(format!("{key} was put in")),
        (Some(found), Some(wanted)) if found != wanted => Some(format!("{key} was set to {found:?}")),
        _ => None,
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROW: Uuid = Uuid::from_u128(0xa1);
    const OTHER: Uuid = Uuid::from_u128(0xa2);

    fn told(change: Change) -> Vec<String> {
        let replica = Replica::from_json(json!({ "Load_Balancer": { ROW.to_string(): {
            "name": "default/nginx/tcp", "protocol": "udp",
            "vips": ["map", [["10.0.0.9:80", "10.0.0.1:80"], ["10.0.0.9:81", "10.0.0.1:81"]]] } } }))
        .unwrap();
        let changes = Changes { load_balancers: vec![change], ..Changes::default() };
        let words =
            |Repair { table, row, uuid: _, column, reason }| format!("{table} {row} {column}: {reason}");
        repairs(&changes, &replica).into_iter().map(words).collect()
    }

    #[test]
    fn each_kind_of_write_names_row_column_and_what_somebody_did() {
        let (table, name) = ("Load_Balancer", || "default/nginx/tcp".to_owned());
        let named = BTreeMap::from([("name".to_owned(), Datum::from("default/nginx/tcp"))]);
        assert_eq!(
            told(Change::Insert { table, uuid: OTHER, columns: named }),
            ["Load_Balancer default/nginx/tcp : the row was deleted"]
        );
        let vips = Datum::map([("10.0.0.9:80", "10.0.0.2:80"), ("10.0.0.9:82", "10.0.0.2:80")]);
        let columns =
            BTreeMap::from([("protocol".to_owned(), Datum::from("tcp")), ("vips".to_owned(), vips)]);
        assert_eq!(
            told(Change::Update { table, uuid: ROW, name: name(), columns }),
            [
                "Load_Balancer default/nginx/tcp protocol: it is not what was written",
                "Load_Balancer default/nginx/tcp vips: 10.0.0.9:80 was set to \"10.0.0.1:80\", 10.0.0.9:81 was put in, \
                 10.0.0.9:82 was taken out",
            ]
        );
        assert_eq!(
            told(Change::Delete { table: "ACL", uuid: OTHER, name: String::new() }),
            [format!("ACL {OTHER} : the row bears our mark, and nothing wants it")]
        );
        let refer = Change::Refer {
            table: "Load_Balancer_Group",
            uuid: OTHER,
            name: "ovn-vip.s".to_owned(),
            column: "load_balancer",
            added: [ROW].into(),
            removed: BTreeSet::new(),
        };
        assert_eq!(
            told(refer),
            [format!("Load_Balancer_Group ovn-vip.s load_balancer: {ROW} was taken out")]
        );
        let keys = BTreeSet::from(["10.0.0.9:80".to_owned()]);
        let again = "Load_Balancer cluster-tcp-loadbalancer vips: 10.0.0.9:80 was written again, and is ours";
        assert_eq!(
            told(Change::RemoveKeys { uuid: OTHER, name: "cluster-tcp-loadbalancer".to_owned(), keys }),
            [again]
        );
    }
}
