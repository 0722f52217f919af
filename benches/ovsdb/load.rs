//! What is in the database, and what is done to it.

use std::collections::BTreeMap;

use ovn_vip::ovsdb::{Condition, Datum, Mutation, Mutator, Operation};
use serde_json::{Value, json};
use uuid::Uuid;

/// The database.
pub const DATABASE: &str = "OVN_Northbound";
/// The table of the rows.
pub const TABLE: &str = "Load_Balancer";
/// The columns that everybody follows, the controller's own.
pub const COLUMNS: [&str; 6] = ["name", "protocol", "vips", "ip_port_mappings", "options", "external_ids"];
/// The rows of one transaction, as many as the controller takes.
pub const BATCH: usize = 150;
/// The backends of a row.
const BACKENDS: usize = 10;
/// The key that a change puts in and takes out.
const MARK: &str = "bench";

/// The name of a row. Spread as the controller's are: `ovsdb-server` hashes a UUID by its first 32 bits alone.
pub fn uuid(number: usize) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, number.to_string().as_bytes())
}

fn vips(number: usize, round: usize) -> (String, Datum) {
    let vip = format!("10.{}.{}.{}:80", 100 + (number >> 16), number >> 8 & 255, number & 255);
    let backends =
        (0..BACKENDS).map(|backend| format!("10.16.{}.{}:{}", number & 255, backend + 2, 8080 + round));
    let backends = backends.collect::<Vec<_>>().join(",");
    ("vips".to_owned(), Datum::map([(vip.as_str(), backends.as_str())]))
}

/// A new row, as the controller writes them.
pub fn insert(number: usize) -> Operation {
    let name = format!("ovn-vip/default/service-{number}/tcp");
    let port = |backend: usize| {
        (format!("10.16.{}.{}", number & 255, backend + 2), format!("pod-{backend}.default"))
    };
    let ports: Vec<_> = (0..BACKENDS).map(port).collect();
    let marks = [("ovn-vip/cluster", "bench"), ("ovn-vip/service", name.as_str())];
    let columns = [
        ("name", Datum::from(name.as_str())),
        ("protocol", Datum::from("tcp")),
        ("ip_port_mappings", Datum::map(ports.iter().map(|(ip, port)| (ip.as_str(), port.as_str())))),
        ("options", Datum::map([("distributed", "true")])),
        ("external_ids", Datum::map(marks)),
    ];
    let columns = columns.into_iter().map(|(column, datum)| (column.to_owned(), datum));
    let row = columns.chain([vips(number, 0)]).collect();
    Operation::Insert { table: TABLE.to_owned(), uuid: Some(uuid(number)), uuid_name: None, row }
}

/// All backends of a row replaced.
pub fn rewrite(number: usize, round: usize) -> Operation {
    let row = BTreeMap::from([vips(number, round)]);
    Operation::Update { table: TABLE.to_owned(), condition: vec![Condition::uuid(uuid(number))], row }
}

/// A row gains or loses one entry of a map.
pub fn change(number: usize, gains: bool) -> Operation {
    let mutation = if gains {
        Mutation::new("external_ids", Mutator::Insert, Datum::map([(MARK, "1")]))
    } else {
        Mutation::new("external_ids", Mutator::Delete, Datum::from(MARK))
    };
    Operation::Mutate {
        table: TABLE.to_owned(),
        condition: vec![Condition::uuid(uuid(number))],
        mutations: vec![mutation],
    }
}

/// An operation for each of the rows, in transactions of [`BATCH`].
pub fn batches(rows: usize, operation: impl Fn(usize) -> Operation) -> Vec<Vec<Operation>> {
    let all: Vec<usize> = (0..rows).collect();
    all.chunks(BATCH).map(|batch| batch.iter().map(|row| operation(*row)).collect()).collect()
}

/// The parameters of `transact`.
pub fn transact(operations: &[Operation]) -> Value {
    let operations = operations.iter().map(Operation::to_json);
    [json!(DATABASE)].into_iter().chain(operations).collect()
}

/// The parameters of `monitor_cond_since`: the rows from the beginning.
pub fn monitor() -> Value {
    json!([DATABASE, "bench", {TABLE: [{"columns": COLUMNS}]}, Uuid::nil()])
}
