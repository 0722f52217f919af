//! A [`Session`] with sockets and a clock: follows one OVSDB database over unix, TCP and TLS.
//!
//! One task, no locks: [`Client::next_event`] reads and writes together, so that neither side can block the other, and
//! reads on only when the events so far were taken. It decides nothing; see [`crate::ovsdb::session`].

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::Instant;

use crate::ovsdb::session::{RowFilter, Session, SessionConfig, Syncs, Timing};
use crate::ovsdb::{Operation, Replica, Schema};

pub use crate::ovsdb::endpoint::{Endpoint, EndpointError};
pub use crate::ovsdb::schema::TablesWanted;
pub use crate::ovsdb::session::{Event, TransactionId};

mod tls;
mod transport;

pub use tls::{TlsConfig, Verify};
use transport::{Progress, Transport};

/// How much is read at once.
const READ_SIZE: usize = 64 << 10;

/// What to follow, and where.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The servers, see [`Endpoint::parse_list`].
    pub endpoints: Vec<Endpoint>,
    /// The database, such as `OVN_Northbound`.
    pub database: String,
    /// The tables and columns to follow.
    pub monitors: TablesWanted,
    /// Follow the leader of a raft cluster only, and move when another one leads.
    pub leader_only: bool,
    /// The certificates of `ssl:` endpoints.
    pub tls: Option<TlsConfig>,
    /// How patiently.
    pub timing: Timing,
    /// The largest message to accept, in bytes.
    pub message_limit: usize,
}

impl ClientConfig {
    /// The defaults for this database.
    pub fn new(endpoints: Vec<Endpoint>, database: &str, monitors: TablesWanted) -> Self {
        let SessionConfig { endpoints, database, monitors, leader_only, timing, message_limit, .. } =
            SessionConfig::new(endpoints, database, monitors);
        Self { endpoints, database, monitors, leader_only, tls: None, timing, message_limit }
    }
}

/// A client of one database.
#[derive(Debug)]
pub struct Client {
    session: Session,
    transport: Transport,
    tls: Option<TlsConfig>,
    started: Instant,
    buffer: Box<[u8]>,
}

impl Client {
    /// A client that connects as soon as it is driven.
    pub fn new(config: ClientConfig) -> Self {
        let ClientConfig { endpoints, database, monitors, leader_only, tls, timing, message_limit } = config;
        let defaults = SessionConfig::new(endpoints, &database, monitors);
        let config = SessionConfig { leader_only, timing, message_limit, ..defaults };
        let (seed, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self {
            session: Session::new(config, seed),
            transport: Transport::Closed,
            tls,
            started: Instant::now(),
            buffer: vec![0; READ_SIZE].into(),
        }
    }

    /// The copy of the database: the events told so far and perhaps more, never less.
    pub fn replica(&self) -> &Replica {
        self.session.replica()
    }

    /// The schema, once a server told it.
    pub fn schema(&self) -> Option<&Schema> {
        self.session.schema()
    }

    /// Whether the replica follows a server right now.
    pub fn is_synced(&self) -> bool {
        self.session.is_synced()
    }

    /// How often the replica was brought level, and how.
    pub fn syncs(&self) -> Syncs {
        self.session.syncs()
    }

    /// Queues a transaction; what comes of it is an [`Event::Committed`]. Nothing is sent twice: after a lost
    /// connection the caller compares again.
    pub fn transact(&mut self, operations: Vec<Operation>) -> TransactionId {
        let now = self.now();
        self.session.transact(now, operations)
    }

    /// How many transactions are not answered yet: what a caller bounds that has much to write.
    pub fn open_transactions(&self) -> usize {
        self.session.open_transactions()
    }

    /// Follows only these rows of a table from now on; rows come into view and leave it as [`Event::Changed`].
    pub fn filter(&mut self, table: &str, filter: RowFilter) {
        let now = self.now();
        self.session.filter(now, table, filter);
    }

    /// Asks for a lock, now and on every connection to come; see [`Event::Locked`]. It is the server's, not the
    /// cluster's, so it fences only with `leader_only` and an assert in each transaction.
    pub fn lock(&mut self, name: &str) {
        let now = self.now();
        self.session.lock(now, name);
    }

    /// Takes a lock from whoever has it.
    pub fn steal(&mut self, name: &str) {
        let now = self.now();
        self.session.steal(now, name);
    }

    /// Gives a lock back, or no longer waits for it.
    pub fn unlock(&mut self, name: &str) {
        let now = self.now();
        self.session.unlock(now, name);
    }

    /// Whether a lock is ours, as far as the server told.
    pub fn holds(&self, name: &str) -> bool {
        self.session.holds(name)
    }

    /// The next event. All I/O happens in here, so it is to be awaited always, in a `select!` with whatever else there
    /// is: dropping it loses nothing.
    pub async fn next_event(&mut self) -> Event {
        loop {
            if !self.session.wants_transport() {
                self.transport = Transport::Closed;
            }
            let now = self.now();
            if let Some(endpoint) = self.session.poll_connect(now) {
                self.transport = Transport::connect(endpoint, self.tls.clone());
            }
            if let Some(event) = self.session.poll_event() {
                return event;
            }
            self.step().await;
        }
    }

    /// One read, one write, one connect, or one deadline. I/O goes first: what lies ready is read before anybody is
    /// called late.
    async fn step(&mut self) {
        let deadline = self.session.deadline().map(|deadline| self.started + deadline);
        let outbound = self.session.outbound();
        let io = poll_fn(|context| self.transport.poll(context, outbound, &mut self.buffer));
        let progress = tokio::select! {
            biased;
            progress = io => Some(progress),
            () = sleep_until(deadline) => None,
        };
        let now = self.now();
        match progress {
            Some(Progress::Connected) => self.session.connected(now),
            Some(Progress::Wrote(count)) => self.session.sent(now, count),
            Some(Progress::Read(count)) => self.session.received(now, &self.buffer[..count]),
            Some(Progress::Failed(reason)) => self.session.disconnected(now, &reason),
            None => self.session.tick(now),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
