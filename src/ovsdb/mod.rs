//! RFC 7047 and the `monitor_cond_since` extension (ovsdb-server(7)), sans-I/O; knows neither OVN nor Kubernetes.
//!
//! | file | what it holds |
//! |---|---|
//! | [`value`] | atoms, sets and maps, and their JSON |
//! | [`schema`] | what a database has, and the check of what we want against it |
//! | [`operation`] | what a transaction does; [`outcome`]: what came of it |
//! | [`replica`] | our copy of the monitored tables, and how it changes |
//! | [`framing`], [`message`] | bytes to JSON-RPC messages and back |
//! | [`endpoint`] | where a server listens |
//! | [`session`] | all of it together: one database followed through any number of connections |
//!
//! Nothing here reads a clock or a socket: `now` is an argument, a [`std::time::Duration`] since any fixed moment.

pub mod endpoint;
pub mod error;
pub mod framing;
pub mod message;
pub mod operation;
pub mod outcome;
pub mod replica;
pub mod schema;
pub mod session;
pub mod value;

pub use endpoint::{Endpoint, EndpointError};
pub use error::ProtocolError;
pub use operation::{Condition, Expect, Function, Mutation, Mutator, Operation};
pub use outcome::{OperationResult, Retry, TransactionError};
pub use replica::{ChangeKind, Replica, Row, RowChange, Table};
pub use schema::{MissingOptional, MissingRequired, Schema, TablesWanted};
pub use session::{Event, RowFilter, Session, SessionConfig, Timing, TransactionId};
pub use value::{Atom, Datum, Real};
