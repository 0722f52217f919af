//! Operations as JSON (RFC 7047 §5.2).

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Condition, Function, Mutation, Mutator, Operation, Until};
use crate::ovsdb::value::written;

/// The `<condition>` of RFC 7047.
impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.column, self.function.as_str(), &self.value).serialize(serializer)
    }
}

impl Condition {
    /// As it is written.
    pub fn to_json(&self) -> Value {
        written(self)
    }
}

impl Function {
    fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
            Self::Includes => "includes",
            Self::Excludes => "excludes",
        }
    }
}

/// The `<mutation>` of RFC 7047.
impl Serialize for Mutation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.column, self.mutator.as_str(), &self.value).serialize(serializer)
    }
}

impl Mutator {
    fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+=",
            Self::Subtract => "-=",
            Self::Multiply => "*=",
            Self::Divide => "/=",
            Self::Remainder => "%=",
            Self::Insert => "insert",
            Self::Delete => "delete",
        }
    }
}

impl Until {
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// The `<operation>` of RFC 7047.
impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        self.serialize_members(&mut json)?;
        json.end()
    }
}

impl Operation {
    /// As it is written.
    pub fn to_json(&self) -> Value {
        written(self)
    }

    fn serialize_members<M: SerializeMap>(&self, json: &mut M) -> Result<(), M::Error> {
        match self {
            Self::Insert { table, uuid, uuid_name, row } => {
                json.serialize_entry("op", "insert")?;
                json.serialize_entry("table", table)?;
                json.serialize_entry("row", row)?;
                optional(json, "uuid", uuid.as_ref())?;
                optional(json, "uuid-name", uuid_name.as_ref())
            }
            Self::Update { table, condition, row } => {
                json.serialize_entry("op", "update")?;
                json.serialize_entry("table", table)?;
                json.serialize_entry("where", condition)?;
                json.serialize_entry("row", row)
            }
            Self::Mutate { table, condition, mutations } => {
                json.serialize_entry("op", "mutate")?;
                json.serialize_entry("table", table)?;
                json.serialize_entry("where", condition)?;
                json.serialize_entry("mutations", mutations)
            }
            Self::Delete { table, condition } => {
                json.serialize_entry("op", "delete")?;
                json.serialize_entry("table", table)?;
                json.serialize_entry("where", condition)
            }
            Self::Select { table, condition, columns } => {
                json.serialize_entry("op", "select")?;
                json.serialize_entry("table", table)?;
                json.serialize_entry("where", condition)?;
                optional(json, "columns", columns.as_ref())
            }
            Self::Wait { table, condition, columns, until, rows, timeout } => {
                json.serialize_entry("op", "wait")?;
                json.serialize_entry("table", table)?;
                json.serialize_entry("where", condition)?;
                json.serialize_entry("columns", columns)?;
                json.serialize_entry("until", until.as_str())?;
                json.serialize_entry("rows", rows)?;
                let timeout = timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
                optional(json, "timeout", timeout.as_ref())
            }
            Self::Commit { durable } => {
                json.serialize_entry("op", "commit")?;
                json.serialize_entry("durable", durable)
            }
            Self::Abort => json.serialize_entry("op", "abort"),
            Self::Comment(comment) => {
                json.serialize_entry("op", "comment")?;
                json.serialize_entry("comment", comment)
            }
            Self::Assert(lock) => {
                json.serialize_entry("op", "assert")?;
                json.serialize_entry("lock", lock)
            }
            Self::Checked { operation, .. } => operation.serialize_members(json),
        }
    }
}

fn optional<M: SerializeMap>(
    json: &mut M,
    name: &str,
    value: Option<&impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| json.serialize_entry(name, value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::ovsdb::operation::Expect;
    use crate::ovsdb::value::Datum;

    const ROW: &str = "00000000-0000-0000-0000-000000000007";

    fn row<const N: usize>(columns: [(&str, Datum); N]) -> BTreeMap<String, Datum> {
        columns.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect()
    }

    fn mutate(condition: Vec<Condition>) -> Operation {
        let mutations = vec![Mutation::new("n", Mutator::Add, 1), Mutation::new("m", Mutator::Delete, "k")];
        Operation::Mutate { table: "T".into(), condition, mutations }
    }

    #[test]
    fn an_insert_names_its_row_in_both_ways() {
        let insert = Operation::Insert {
            table: "T".into(),
            uuid: Some(Uuid::from_u128(7)),
            uuid_name: Some("me".into()),
            row: row([("z", Datum::named_uuid("other")), ("a", Datum::from("x"))]),
        };
        assert_eq!(
            insert.to_json(),
            json!({"op": "insert", "table": "T", "row": {"a": "x", "z": ["named-uuid", "other"]},
                   "uuid": ROW, "uuid-name": "me"})
        );
        assert!(insert.to_json().to_string().contains(r#""row":{"a":"#), "columns are written in order");
    }

    #[test]
    fn every_other_operation_has_the_form_of_the_rfc() {
        let by_name = || vec![Condition::uuid(Uuid::from_u128(7))];
        let table = || "T".to_owned();
        let cases = [
            (
                Operation::Update {
                    table: table(),
                    condition: by_name(),
                    row: row([("a", Datum::empty_set())]),
                },
                json!({"op": "update", "table": "T", "where": [["_uuid", "==", ["uuid", ROW]]],
                       "row": {"a": ["set", []]}}),
            ),
            (
                mutate(vec![]),
                json!({"op": "mutate", "table": "T", "where": [],
                       "mutations": [["n", "+=", 1], ["m", "delete", "k"]]}),
            ),
            (
                Operation::Delete { table: table(), condition: vec![Condition::equal("a", "x")] },
                json!({"op": "delete", "table": "T", "where": [["a", "==", "x"]]}),
            ),
            (
                Operation::Select { table: table(), condition: vec![], columns: Some(vec!["a".into()]) },
                json!({"op": "select", "table": "T", "where": [], "columns": ["a"]}),
            ),
            (
                Operation::row_exists("T", Uuid::from_u128(7)),
                json!({"op": "wait", "table": "T", "where": [["_uuid", "==", ["uuid", ROW]]], "columns": ["_uuid"],
                       "until": "==", "rows": [{"_uuid": ["uuid", ROW]}], "timeout": 0}),
            ),
            (Operation::Commit { durable: true }, json!({"op": "commit", "durable": true})),
            (Operation::Abort, json!({"op": "abort"})),
            (Operation::Comment("why".into()), json!({"op": "comment", "comment": "why"})),
            (Operation::Assert("l".into()), json!({"op": "assert", "lock": "l"})),
            (Operation::Abort.expect(Expect::Any), json!({"op": "abort"})),
        ];
        for (operation, expected) in cases {
            assert_eq!(operation.to_json(), expected, "{}", operation.describe());
        }
    }

    #[test]
    fn a_wait_may_last_for_ever_or_for_so_long() {
        let wait = |timeout| Operation::Wait {
            table: "T".into(),
            condition: vec![],
            columns: vec![],
            until: Until::NotEqual,
            rows: vec![],
            timeout,
        };
        assert_eq!(wait(None).to_json().get("timeout"), None);
        assert_eq!(wait(Some(Duration::from_millis(1500))).to_json()["timeout"], json!(1500));
        assert_eq!(wait(None).to_json()["until"], json!("!="));
    }

    #[test]
    fn a_write_to_a_row_by_its_name_must_find_it_unless_told_otherwise() {
        assert_eq!(mutate(vec![Condition::uuid(Uuid::nil())]).expectation(), Expect::Exactly(1));
        assert_eq!(mutate(vec![Condition::equal("a", "x")]).expectation(), Expect::Any);
        assert_eq!(mutate(vec![]).expect(Expect::AtLeast(2)).expectation(), Expect::AtLeast(2));
        let delete = Operation::Delete { table: "T".into(), condition: vec![Condition::uuid(Uuid::nil())] };
        assert_eq!(delete.expectation(), Expect::Any);
    }
}
