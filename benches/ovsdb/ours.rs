//! Our client, as the controller uses it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ovn_vip::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event, TablesWanted};
use ovn_vip::ovsdb::Operation;

use crate::load;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that is level.
pub struct Ours {
    client: Client,
}

impl Ours {
    /// Connects, asks for the schema, checks it, and reads all rows into the replica.
    pub async fn sync(socket: &Path, rows: usize) -> anyhow::Result<(Self, Duration)> {
        let tables = TablesWanted::new().require(load::TABLE, &load::COLUMNS);
        let config = ClientConfig::new(vec![Endpoint::Unix(socket.to_owned())], load::DATABASE, tables);
        let started = Instant::now();
        let mut ours = Self { client: Client::new(config) };
        while !matches!(ours.event().await?, Event::Synced) {}
        let took = started.elapsed();
        let found = ours.client.replica().rows(load::TABLE).count();
        ensure!(found == rows, "{found} rows where {rows} should be");
        Ok((ours, took))
    }

    /// Sends all transactions at once, and says how long until the last was answered; the replica shows all by then.
    pub async fn write(&mut self, transactions: Vec<Vec<Operation>>) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let mut open: BTreeSet<_> =
            transactions.into_iter().map(|operations| self.client.transact(operations)).collect();
        // One alarm for all of it: raw's is the socket's own.
        let all = async {
            while !open.is_empty() {
                if let Event::Committed { id, .. } = good(self.client.next_event().await)? {
                    open.remove(&id);
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, all).await.context("nothing came")??;
        Ok(started.elapsed())
    }

    async fn event(&mut self) -> anyhow::Result<Event> {
        good(tokio::time::timeout(PATIENCE, self.client.next_event()).await.context("nothing came")?)
    }
}

/// An event that is nothing bad.
fn good(event: Event) -> anyhow::Result<Event> {
    match event {
        Event::Disconnected { reason, .. } => bail!("the server went away: {reason}"),
        Event::SchemaRefused(missing) => bail!("{missing}"),
        Event::Committed { result: Err(error), .. } => bail!("{error}"),
        event => Ok(event),
    }
}
