//! What a transaction does (RFC 7047 §5.2), as values that become JSON.
//!
//! The same operations give the same bytes: rows are ordered maps, values are ordered sets.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::value::Datum;

mod wire;

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A new row.
    Insert {
        /// Its table.
        table: String,
        /// Its name, if we give it (OVS ≥ 2.13). A second insert under the same name is refused, which makes creation
        /// idempotent after a lost reply.
        uuid: Option<Uuid>,
        /// A name within this transaction, for [`Datum::named_uuid`].
        uuid_name: Option<String>,
        /// Its columns; the others take their default.
        row: BTreeMap<String, Datum>,
    },
    /// Columns replaced in every row that matches.
    Update {
        /// The table.
        table: String,
        /// Which rows.
        condition: Vec<Condition>,
        /// The new values.
        row: BTreeMap<String, Datum>,
    },
    /// Columns changed in place in every row that matches.
    Mutate {
        /// The table.
        table: String,
        /// Which rows.
        condition: Vec<Condition>,
        /// The changes, in order.
        mutations: Vec<Mutation>,
    },
    /// Every row that matches removed.
    Delete {
        /// The table.
        table: String,
        /// Which rows.
        condition: Vec<Condition>,
    },
    /// The *distinct* rows of the chosen columns: never count with it over columns that are not a key.
    Select {
        /// The table.
        table: String,
        /// Which rows.
        condition: Vec<Condition>,
        /// Which columns; none is all.
        columns: Option<Vec<String>>,
    },
    /// Goes on only when the rows that match are (or are not) these.
    Wait {
        /// The table.
        table: String,
        /// Which rows.
        condition: Vec<Condition>,
        /// Which columns are compared.
        columns: Vec<String>,
        /// Whether they must be equal or differ.
        until: Until,
        /// What they are compared with.
        rows: Vec<BTreeMap<String, Datum>>,
        /// How long the server waits; none waits for ever. It is to be shorter than the session's patience with a
        /// transaction, or the connection is given up.
        timeout: Option<Duration>,
    },
    /// Asks the server to write to disk before it answers.
    Commit {
        /// Whether to.
        durable: bool,
    },
    /// Undoes the transaction.
    Abort,
    /// A line in the server's log of the database.
    Comment(String),
    /// Fails the transaction unless this client owns the lock.
    Assert(
        /// The lock's name.
        String,
    ),
    /// Another operation, with the number of rows it must touch.
    Checked {
        /// The operation: an update, mutate or delete.
        operation: Box<Operation>,
        /// How many.
        expect: Expect,
    },
}

/// How many rows a write must touch. RFC 7047 calls a write that matches nothing a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Any number, none too.
    Any,
    /// Exactly this many.
    Exactly(u64),
    /// At least this many.
    AtLeast(u64),
}

impl Expect {
    /// Whether `count` rows are right.
    pub fn holds(self, count: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => count == wanted,
            Self::AtLeast(least) => count >= least,
        }
    }
}

impl std::fmt::Display for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => write!(f, "any number"),
            Self::Exactly(count) => write!(f, "{count}"),
            Self::AtLeast(count) => write!(f, "at least {count}"),
        }
    }
}

/// What a wait waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The rows are these.
    Equal,
    /// The rows are not these.
    NotEqual,
}

/// A test of one column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// The column; `_uuid` too.
    pub column: String,
    /// The test.
    pub function: Function,
    /// What it compares with.
    pub value: Datum,
}

/// The tests of RFC 7047 §5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// The column has every member or entry of the value.
    Includes,
    /// The column has no member or entry of the value.
    Excludes,
}

/// A change of one column in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// The column.
    pub column: String,
    /// The change.
    pub mutator: Mutator,
    /// With what. For [`Mutator::Delete`] on a map: a set removes keys, a map removes exactly those entries.
    pub value: Datum,
}

/// The changes of RFC 7047 §5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutator {
    /// `+=`
    Add,
    /// `-=`
    Subtract,
    /// `*=`
    Multiply,
    /// `/=`
    Divide,
    /// `%=`
    Remainder,
    /// Adds members, or entries whose key is not there yet; a key that is there keeps its value.
    Insert,
    /// Removes members or entries.
    Delete,
}

impl Condition {
    /// A test of any column.
    pub fn new(column: &str, function: Function, value: impl Into<Datum>) -> Self {
        Self { column: column.to_owned(), function, value: value.into() }
    }

    /// The row of this name; the server finds it without a scan.
    pub fn uuid(uuid: Uuid) -> Self {
        Self::new("_uuid", Function::Equal, uuid)
    }

    /// The rows whose column has this value.
    pub fn equal(column: &str, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::Equal, value)
    }

    /// Whether this can hold for one row at most, by its name.
    fn names_one_row(&self) -> bool {
        self.column == "_uuid" && self.function == Function::Equal
    }
}

impl Mutation {
    /// A change of any kind.
    pub fn new(column: &str, mutator: Mutator, value: impl Into<Datum>) -> Self {
        Self { column: column.to_owned(), mutator, value: value.into() }
    }
}

impl Operation {
    /// The same operation, with the number of rows it must touch.
    pub fn expect(self, expect: Expect) -> Self {
        Self::Checked { operation: Box::new(self), expect }
    }

    /// A guard: the transaction fails unless this row exists. Unlike a count it stops the transaction before it acts.
    pub fn row_exists(table: &str, uuid: Uuid) -> Self {
        let row = BTreeMap::from([("_uuid".to_owned(), Datum::from(uuid))]);
        Self::unchanged(table, uuid, row)
    }

    /// A guard: the transaction fails unless this row still has these values.
    pub fn unchanged(table: &str, uuid: Uuid, row: BTreeMap<String, Datum>) -> Self {
        Self::Wait {
            table: table.to_owned(),
            condition: vec![Condition::uuid(uuid)],
            columns: row.keys().cloned().collect(),
            until: Until::Equal,
            rows: vec![row],
            timeout: Some(Duration::ZERO),
        }
    }

    /// How many rows must be touched. Without [`Operation::expect`], an update or mutate of a row by its name must
    /// find it; a delete need not.
    pub fn expectation(&self) -> Expect {
        match self {
            Self::Checked { expect, .. } => *expect,
            Self::Update { condition, .. } | Self::Mutate { condition, .. }
                if condition.iter().any(Condition::names_one_row) =>
            {
                Expect::Exactly(1)
            }
            _ => Expect::Any,
        }
    }

    /// The operation's name and table, for messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Insert { table, .. } => format!("insert into {table}"),
            Self::Update { table, .. } => format!("update of {table}"),
            Self::Mutate { table, .. } => format!("mutate of {table}"),
            Self::Delete { table, .. } => format!("delete from {table}"),
            Self::Select { table, .. } => format!("select from {table}"),
            Self::Wait { table, .. } => format!("wait on {table}"),
            Self::Commit { .. } => "commit".to_owned(),
            Self::Abort => "abort".to_owned(),
            Self::Comment(_) => "comment".to_owned(),
            Self::Assert(lock) => format!("assert of lock {lock}"),
            Self::Checked { operation, .. } => operation.describe(),
        }
    }
}
