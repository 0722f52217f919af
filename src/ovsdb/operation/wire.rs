//! Operations as JSON (RFC 7047 §5.2).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Condition, Function, Mutation, Mutator, Operation, Until};
use crate::ovsdb::value::Datum;

impl Condition {
    /// The `<condition>` of RFC 7047.
    pub fn to_json(&self) -> Value {
        json!([self.column, self.function.as_str(), self.value.to_json()])
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

impl Mutation {
    fn to_json(&self) -> Value {
        json!([self.column, self.mutator.as_str(), self.value.to_json()])
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

impl Operation {
    /// The `<operation>` of RFC 7047.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Insert { table, uuid, uuid_name, row } => {
                let mut json = json!({"op": "insert", "table": table, "row": row_to_json(row)});
                if let Some(uuid) = uuid {
                    json["uuid"] = json!(uuid);
                }
                if let Some(name) = uuid_name {
                    json["uuid-name"] = json!(name);
                }
                json
            }
            Self::Update { table, condition, row } => {
                json!({"op": "update", "table": table, "where": where_to_json(condition), "row": row_to_json(row)})
            }
            Self::Mutate { table, condition, mutations } => {
                let mutations: Vec<_> = mutations.iter().map(Mutation::to_json).collect();
                json!({"op": "mutate", "table": table, "where": where_to_json(condition), "mutations": mutations})
            }
            Self::Delete { table, condition } => {
                json!({"op": "delete", "table": table, "where": where_to_json(condition)})
            }
            Self::Select { table, condition, columns } => {
                let mut json = json!({"op": "select", "table": table, "where": where_to_json(condition)});
                if let Some(columns) = columns {
                    json["columns"] = json!(columns);
                }
                json
            }
            Self::Wait { .. } => self.wait_to_json(),
            Self::Commit { durable } => json!({"op": "commit", "durable": durable}),
            Self::Abort => json!({"op": "abort"}),
            Self::Comment(comment) => json!({"op": "comment", "comment": comment}),
            Self::Assert(lock) => json!({"op": "assert", "lock": lock}),
            Self::Checked { operation, .. } => operation.to_json(),
        }
    }

    fn wait_to_json(&self) -> Value {
        let Self::Wait { table, condition, columns, until, rows, timeout } = self else { return Value::Null };
        let until = match until {
            Until::Equal => "==",
            Until::NotEqual => "!=",
        };
        let rows: Vec<_> = rows.iter().map(row_to_json).collect();
        let mut json = json!({"op": "wait", "table": table, "where": where_to_json(condition), "columns": columns,
                              "until": until, "rows": rows});
        if let Some(timeout) = timeout {
            json["timeout"] = json!(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        }
        json
    }
}

fn row_to_json(row: &BTreeMap<String, Datum>) -> Value {
    row.iter().map(|(column, datum)| (column.clone(), datum.to_json())).collect::<Map<_, _>>().into()
}

fn where_to_json(conditions: &[Condition]) -> Vec<Value> {
    conditions.iter().map(Condition::to_json).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::ovsdb::operation::Expect;

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
