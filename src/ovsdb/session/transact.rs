//! Transactions: pipelined, each answered exactly once.

use std::time::Duration;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::connection::{Connection, Purpose};
use super::{Event, Link, Session, TransactionId};
use crate::ovsdb::message;
use crate::ovsdb::operation::Operation;
use crate::ovsdb::outcome::{self, TransactionError};

/// A transaction that is not on its way yet.
#[derive(Debug)]
pub(super) struct Queued {
    id: TransactionId,
    operations: Vec<Operation>,
}

/// The parameters of `transact` (RFC 7047 §4.1.3): the database, then the operations.
struct Params<'a> {
    database: &'a str,
    operations: &'a [Operation],
}

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut params = serializer.serialize_seq(Some(1 + self.operations.len()))?;
        params.serialize_element(self.database)?;
        self.operations.iter().try_for_each(|operation| params.serialize_element(operation))?;
        params.end()
    }
}

impl Session {
    /// Sends a transaction, or queues it behind what is not written yet. Without a level replica it is answered
    /// [`TransactionError::NotConnected`]: what it was computed from may be out of date when a server is back.
    pub fn transact(&mut self, now: Duration, operations: Vec<Operation>) -> TransactionId {
        let id = TransactionId(self.next_id());
        if self.is_synced() {
            self.queue.push_back(Queued { id, operations });
            self.send_queued(now);
        } else {
            self.events.push_back(Event::Committed { id, result: Err(TransactionError::NotConnected) });
        }
        id
    }

    /// How many transactions are not answered yet: what a caller bounds that has much to write.
    pub fn open_transactions(&self) -> usize {
        let sent = match &self.link {
            Link::Up(connection) => connection.open_transactions(),
            Link::Down { .. } | Link::Connecting { .. } => 0,
        };
        self.queue.len() + sent
    }

    /// Moves transactions to the wire while it is not blocked.
    pub(super) fn send_queued(&mut self, now: Duration) {
        let Link::Up(connection) = &mut self.link else { return };
        while connection.outbound.bytes().len() < self.config.outbound_limit {
            let Some(Queued { id, operations }) = self.queue.pop_front() else { return };
            let until = Some(now + self.config.timing.transaction);
            let request = message::request(
                id.0,
                "transact",
                &Params { database: &self.config.database, operations: &operations },
            );
            connection.send(id.0, &request, Purpose::Transaction { id, operations }, until);
        }
    }

    pub(super) fn transaction_told(
        &mut self,
        id: TransactionId,
        operations: &[Operation],
        reply: &Result<Value, Value>,
    ) {
        let result = outcome::read_reply(operations, reply);
        self.events.push_back(Event::Committed { id, result });
    }

    /// The connection is gone: what was sent is unknown, what was not is not sent. Nothing is sent again by itself.
    pub(super) fn fail_transactions(&mut self, connection: Connection) {
        for purpose in connection.into_pending() {
            if let Purpose::Transaction { id, .. } = purpose {
                self.events.push_back(Event::Committed { id, result: Err(TransactionError::Unknown) });
            }
        }
        self.fail_queued();
    }

    /// What is not on its way is not sent any more: it was computed from a copy that is not followed now.
    pub(super) fn fail_queued(&mut self) {
        for Queued { id, .. } in self.queue.drain(..) {
            self.events.push_back(Event::Committed { id, result: Err(TransactionError::NotConnected) });
        }
    }
}
