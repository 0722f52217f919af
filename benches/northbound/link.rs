//! A client that stays connected, so that no process start is measured: it watches, writes, and waits for OVN.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ovn_vip::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use ovn_vip::ovsdb::{Condition, Datum, Mutation, Mutator, Operation, Replica, TablesWanted};
use uuid::Uuid;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
const NB_GLOBAL: &str = "NB_Global";

/// The lab's northbound.
pub struct Link {
    client: Client,
}

/// How long OVN took with what was written before.
#[derive(Clone, Copy, Debug)]
pub struct Propagation {
    /// Until ovn-northd had it in the southbound.
    pub southbound: Duration,
    /// Until every node had it in its Open vSwitch.
    pub nodes: Duration,
}

impl Link {
    /// Connects and reads; `tables` beside NB_Global.
    pub async fn open(address: &str, tables: TablesWanted) -> anyhow::Result<Self> {
        let tables = tables.require(NB_GLOBAL, &["nb_cfg", "sb_cfg", "hv_cfg", "options"]);
        let config = ClientConfig::new(Endpoint::parse_list(address)?, "OVN_Northbound", tables);
        let mut link = Self { client: Client::new(config) };
        link.until("the first dump", |replica| replica.rows(NB_GLOBAL).next().is_some()).await?;
        Ok(link)
    }

    /// The copy.
    pub fn replica(&self) -> &Replica {
        self.client.replica()
    }

    /// Whether this is Kube-OVN's build of OVN.
    pub fn is_kube_ovn(&self) -> bool {
        let options = self.replica().rows(NB_GLOBAL).next().and_then(|(_, row)| row.get("options"));
        options.is_some_and(|options| options.map_get("ls_dnat_mod_dl_dst").is_some())
    }

    /// Waits until the copy is so, and says when it was.
    pub async fn until(
        &mut self,
        what: &str,
        mut so: impl FnMut(&Replica) -> bool,
    ) -> anyhow::Result<Instant> {
        let wait = async {
            while !(self.client.is_synced() && so(self.client.replica())) {
                check(self.client.next_event().await)?;
            }
            Ok(Instant::now())
        };
        tokio::time::timeout(PATIENCE, wait).await.with_context(|| format!("waiting for {what}"))?
    }

    /// Takes in, at no cost to anybody's measurement, what is under way.
    pub async fn rest(&mut self, time: Duration) -> anyhow::Result<()> {
        let events = async {
            loop {
                check(self.client.next_event().await)?;
            }
        };
        tokio::time::timeout(time, events).await.unwrap_or(Ok(()))
    }

    /// Sends all transactions at once, and says how long until the last was answered.
    pub async fn commit(&mut self, transactions: Vec<Vec<Operation>>) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let mut pending: BTreeSet<_> = BTreeSet::new();
        for operations in transactions {
            pending.insert(self.client.transact(operations));
        }
        while !pending.is_empty() {
            let event = self.client.next_event().await;
            if let Event::Committed { id, .. } = &event {
                pending.remove(id);
            }
            check(event)?;
        }
        Ok(started.elapsed())
    }

    /// What `ovn-nbctl --wait=hv sync` does.
    pub async fn propagate(&mut self) -> anyhow::Result<Propagation> {
        let started = Instant::now();
        let (uuid, cfg) = {
            let (uuid, row) = self.replica().rows(NB_GLOBAL).next().context("no NB_Global")?;
            (*uuid, row.get("nb_cfg").and_then(Datum::as_integer).unwrap_or_default())
        };
        self.commit(vec![vec![Operation::Mutate {
            table: NB_GLOBAL.to_owned(),
            condition: vec![Condition::uuid(uuid)],
            mutations: vec![Mutation::new("nb_cfg", Mutator::Add, Datum::from(1))],
        }]])
        .await?;
        let reached = |column: &'static str| move |replica: &Replica| integer(replica, uuid, column) > cfg;
        let southbound = self.until("ovn-northd", reached("sb_cfg")).await? - started;
        let nodes = self.until("the nodes", reached("hv_cfg")).await? - started;
        Ok(Propagation { southbound, nodes })
    }
}

fn integer(replica: &Replica, uuid: Uuid, column: &str) -> i64 {
    replica
        .row(NB_GLOBAL, &uuid)
        .and_then(|row| row.get(column))
        .and_then(Datum::as_integer)
        .unwrap_or_default()
}

fn check(event: Event) -> anyhow::Result<()> {
    match event {
        Event::Disconnected { reason, .. } => bail!("the northbound went away: {reason}"),
        Event::SchemaRefused(missing) => bail!("{missing}"),
        Event::Committed { result: Err(error), .. } => bail!("{error}"),
        Event::Connected { .. }
        | Event::Synced
        | Event::Changed(_)
        | Event::Committed { .. }
        | Event::Locked { .. }
        | Event::Unlocked { .. } => Ok(()),
    }
}
