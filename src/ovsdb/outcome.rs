//! What came of a transaction.
//!
//! The traps, all seen on a real server: a failed operation stands *inside* a successful reply, followed by `null` for
//! those after it; a failure at commit time is one element more than there were operations; and a write that matched
//! nothing is a success with count 0.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::error::ProtocolError;
use super::message::error_text;
use super::operation::{Expect, Operation};
use super::value::{Atom, Datum};

/// What one operation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationResult {
    /// A row was inserted under this name.
    Inserted(Uuid),
    /// So many rows were touched.
    Count(u64),
    /// These rows were found.
    Rows(Vec<BTreeMap<String, Datum>>),
    /// Nothing to tell.
    Done,
}

/// Why a transaction did not do what it was to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Nothing was sent: there is no connection, or its copy is not level yet.
    #[error("not sent: no level connection to the database; compare again once it is synced")]
    NotConnected,
    /// It was sent and the connection was lost before the reply: it may have been committed or not.
    #[error("outcome unknown: the connection was lost before the reply; compare again once it is synced")]
    Unknown,
    /// The server undid it, because of one operation.
    #[error("{operation} (operation {index}) failed: {error}")]
    Refused {
        /// Which operation, from 0.
        index: usize,
        /// Its name and table.
        operation: String,
        /// The server's words, `error: details`.
        error: String,
    },
    /// The server undid it at commit time: a constraint over the whole.
    #[error("commit failed: {error}")]
    Commit {
        /// The server's words, `error: details`.
        error: String,
    },
    /// It was committed, but one write touched another number of rows than it had to: someone was faster.
    #[error(
        "{operation} (operation {index}) touched {found} rows where {expected} had to be; the rest is committed"
    )]
    Count {
        /// Which operation, from 0.
        index: usize,
        /// Its name and table.
        operation: String,
        /// How many it had to be.
        expected: Expect,
        /// How many it were.
        found: u64,
    },
    /// The server did not take the request at all.
    #[error("the server refused the request: {0}")]
    Request(String),
    /// The reply does not have the form of RFC 7047; it may have been committed or not.
    #[error("the reply cannot be read: {0}")]
    Reply(#[from] ProtocolError),
}

/// What to do about a failed transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Compare with the replica again and send what is still missing.
    Compare,
    /// The same transaction would fail again.
    Hopeless,
}

impl TransactionError {
    /// Whether trying again makes sense.
    pub fn retry(&self) -> Retry {
        match self {
            Self::NotConnected
            | Self::Unknown
            | Self::Commit { .. }
            | Self::Count { .. }
            | Self::Reply(_) => Retry::Compare,
            Self::Refused { error, .. } | Self::Request(error) if passes(error) => Retry::Compare,
            Self::Refused { .. } | Self::Request(_) => Retry::Hopeless,
        }
    }

    /// Whether the lock of an `assert` belongs to someone else (RFC 7047 §5.2.10).
    pub fn is_not_owner(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error.starts_with("not owner"))
    }
}

/// Errors that pass: someone changed the same rows since the comparison, or a raft cluster is between two leaders.
fn passes(error: &str) -> bool {
    const PASSING: [&str; 7] = [
        "timed out",
        "canceled",
        "aborted",
        "not owner",
        "referential integrity violation",
        "duplicate uuid",
        "cluster error",
    ];
    PASSING.iter().any(|word| error.starts_with(word))
}

/// Reads the reply of `transact` for these operations.
pub fn read_reply(
    operations: &[Operation],
    reply: &Result<Value, Value>,
) -> Result<Vec<OperationResult>, TransactionError> {
    let reply = reply.as_ref().map_err(|error| TransactionError::Request(error_text(error)))?;
    let results = reply.as_array().ok_or_else(|| ProtocolError::unexpected("an array of results", reply))?;
    let failed = |result: &&Value| result.get("error").is_some_and(|error| !error.is_null());
    if let Some((index, result)) = results.iter().enumerate().find(|(_, result)| failed(result)) {
        let error = error_text(result);
        return Err(match operations.get(index) {
            Some(operation) => TransactionError::Refused { index, operation: operation.describe(), error },
            None => TransactionError::Commit { error },
        });
    }
    if results.len() != operations.len() {
        return Err(ProtocolError::unexpected("one result for each operation", reply).into());
    }
    let read = operations.iter().zip(results).map(|(operation, result)| read_result(operation, result));
    let read: Vec<OperationResult> = read.collect::<Result<_, ProtocolError>>()?;
    check_counts(operations, &read)?;
    Ok(read)
}

fn read_result(operation: &Operation, result: &Value) -> Result<OperationResult, ProtocolError> {
    match operation {
        Operation::Checked { operation, .. } => read_result(operation, result),
        Operation::Insert { .. } => match Atom::from_json(&result["uuid"], None) {
            Ok(Atom::Uuid(uuid)) => Ok(OperationResult::Inserted(uuid)),
            _ => Err(ProtocolError::unexpected("the new row's UUID", result)),
        },
        Operation::Update { .. } | Operation::Mutate { .. } | Operation::Delete { .. } => {
            let count = result["count"].as_u64();
            count.map(OperationResult::Count).ok_or_else(|| ProtocolError::unexpected("a count", result))
        }
        Operation::Select { .. } => {
            let rows = result["rows"].as_array();
            let rows = rows.ok_or_else(|| ProtocolError::unexpected("the rows found", result))?;
            rows.iter().map(read_row).collect::<Result<_, _>>().map(OperationResult::Rows)
        }
        Operation::Wait { .. }
        | Operation::Commit { .. }
        | Operation::Abort
        | Operation::Comment(_)
        | Operation::Assert(_) => Ok(OperationResult::Done),
    }
}

fn read_row(row: &Value) -> Result<BTreeMap<String, Datum>, ProtocolError> {
    let columns = row.as_object().ok_or_else(|| ProtocolError::unexpected("a row", row))?;
    columns.iter().map(|(column, value)| Ok((column.clone(), Datum::from_json(value)?))).collect()
}

fn check_counts(operations: &[Operation], results: &[OperationResult]) -> Result<(), TransactionError> {
    for (index, (operation, result)) in operations.iter().zip(results).enumerate() {
        let expected = operation.expectation();
        match result {
            OperationResult::Count(found) if !expected.holds(*found) => {
                let operation = operation.describe();
                return Err(TransactionError::Count { index, operation, expected, found: *found });
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ovsdb::operation::Condition;

    fn operations() -> Vec<Operation> {
        let by_name = || vec![Condition::uuid(Uuid::from_u128(1))];
        vec![
            Operation::Insert { table: "LB".into(), uuid: None, uuid_name: None, row: BTreeMap::new() },
            Operation::Update { table: "LS".into(), condition: by_name(), row: BTreeMap::new() },
        ]
    }

    fn read(reply: Value) -> Result<Vec<OperationResult>, TransactionError> {
        read_reply(&operations(), &Ok(reply))
    }

    fn inserted() -> Value {
        json!({"uuid": ["uuid", Uuid::from_u128(9)]})
    }

    #[test]
    fn each_operation_gets_its_result() {
        let results = read(json!([inserted(), {"count": 1}])).unwrap();
        assert_eq!(results, [OperationResult::Inserted(Uuid::from_u128(9)), OperationResult::Count(1)]);
        let select = Operation::Select { table: "LB".into(), condition: vec![], columns: None };
        let rows = read_reply(&[select], &Ok(json!([{"rows": [{"name": "x"}]}]))).unwrap();
        assert_eq!(rows, [OperationResult::Rows(vec![BTreeMap::from([("name".into(), Datum::from("x"))])])]);
    }

    #[test]
    fn an_error_inside_a_successful_reply_names_the_operation() {
        let error = read(json!([inserted(), {"error": "timed out", "details": "d"}])).unwrap_err();
        assert_eq!(error.to_string(), "update of LS (operation 1) failed: timed out: d");
        let error = read(json!([{"error": "constraint violation"}, null])).unwrap_err();
        assert!(matches!(error, TransactionError::Refused { index: 0, .. }));
    }

    #[test]
    fn the_one_element_too_many_is_a_failed_commit() {
        let error = read(json!([inserted(), {"count": 1}, {"error": "referential integrity violation"}]));
        let error = error.unwrap_err();
        assert_eq!(error, TransactionError::Commit { error: "referential integrity violation".into() });
        assert_eq!(error.retry(), Retry::Compare);
    }

    #[test]
    fn a_write_that_matched_nothing_is_no_success() {
        let error = read(json!([inserted(), {"count": 0}])).unwrap_err();
        assert!(matches!(error, TransactionError::Count { index: 1, found: 0, .. }), "{error}");
        assert_eq!(error.retry(), Retry::Compare);
    }

    #[test]
    fn a_failed_request_or_a_short_reply_is_no_success_either() {
        let error = read_reply(&operations(), &Err(json!({"error": "unknown database"}))).unwrap_err();
        assert_eq!(error.to_string(), "the server refused the request: unknown database");
        assert_eq!(error.retry(), Retry::Hopeless);
        for short in [json!([]), json!([inserted()]), json!({}), json!([inserted(), {}]), json!([null, null])]
        {
            assert!(matches!(read(short.clone()), Err(TransactionError::Reply(_))), "{short}");
        }
    }

    #[test]
    fn a_foreign_lock_is_told_apart() {
        let assert = [Operation::Assert("l".into())];
        let error = read_reply(&assert, &Ok(json!([{"error": "not owner", "details": ""}]))).unwrap_err();
        assert!(error.is_not_owner());
    }
}
