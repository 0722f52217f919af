//! Leaders killed again and again under a load of writes: every acknowledged write is there, and none twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ovn_vip::io::ovsdb_client::{Client, Event, TransactionId};
use ovn_vip::ovsdb::{Condition, Datum, Mutation, Mutator, Operation, Retry, TransactionError};
use uuid::Uuid;

use crate::harness::{Follower, id, insert};
use crate::raft::{Cluster, Model};

/// How many leaders die, unless `OVN_VIP_KILLS` says otherwise.
const KILLS: usize = 5;

/// The row whose number each write raises by one: a write done twice would show there.
const COUNTER: u128 = u32::MAX as u128;

fn kills() -> usize {
    std::env::var("OVN_VIP_KILLS").map_or(KILLS, |kills| kills.parse().expect("OVN_VIP_KILLS is a number"))
}

/// A new row, and the counter raised.
fn write(row: u128) -> Vec<Operation> {
    let mutations = vec![Mutation::new("n", Mutator::Add, 1)];
    let condition = vec![Condition::uuid(id(COUNTER))];
    vec![insert(row, []), Operation::Mutate { table: "T".into(), condition, mutations }]
}

/// A writer that keeps a few writes in flight and writes again what its replica does not show.
struct Writer {
    client: Client,
    seen: Model,
    next: u128,
    in_flight: BTreeMap<TransactionId, u128>,
    acknowledged: BTreeSet<Uuid>,
    unknown: usize,
    /// When the last leader died, until another one is found, and how long that took so far.
    bereft: Option<Instant>,
    took: Vec<Duration>,
}

impl Writer {
    fn new(client: Client) -> Self {
        Self {
            client,
            seen: Model::default(),
            next: 0,
            in_flight: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            unknown: 0,
            bereft: None,
            took: vec![],
        }
    }

    fn is_done(&self) -> bool {
        self.in_flight.is_empty() && self.client.is_synced() && self.missing().is_empty()
    }

    fn missing(&self) -> Vec<u128> {
        (0..self.next).filter(|row| self.client.replica().row("T", &id(*row)).is_none()).collect()
    }

    /// Compare, never remember: only when nothing is in flight does a missing row mean a lost one.
    fn write(&mut self, more: bool) {
        if !self.client.is_synced() {
            return;
        }
        let lost = if self.in_flight.is_empty() { self.missing() } else { vec![] };
        let fresh =
            if more { self.next + 8_u128.saturating_sub(self.in_flight.len() as u128) } else { self.next };
        for row in lost.into_iter().chain(self.next..fresh) {
            self.in_flight.insert(self.client.transact(write(row)), row);
        }
        self.next = fresh;
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::Changed(changes) => self.seen.apply(&changes),
            Event::Synced => self.took.extend(self.bereft.take().map(|since| since.elapsed())),
            Event::Committed { id: transaction, result } => {
                let row = self.in_flight.remove(&transaction).expect("answered once");
                match result {
                    Ok(_) => assert!(self.acknowledged.insert(id(row)), "row {row} was written twice"),
                    Err(TransactionError::Unknown) => self.unknown += 1,
                    Err(error) => assert_eq!(error.retry(), Retry::Compare, "{error}"),
                }
            }
            _ => {}
        }
    }
}

async fn start(cluster: &Cluster) -> Writer {
    cluster.joined().await;
    let mut first = Follower::new(cluster.client(true));
    first.synced().await;
    first.transact(vec![insert(COUNTER, [("n", Datum::from(0))])]).await.unwrap();
    Writer::new(Client::new(cluster.client(true)))
}

#[tokio::test]
async fn every_acknowledged_write_is_there_and_none_twice_while_leaders_die() {
    let kills = kills();
    let mut cluster = Cluster::start();
    let mut writer = start(&cluster).await;
    let mut reader = Client::new(cluster.client(false));
    let mut told = Model::default();

    let mut rounds = tokio::time::interval(Duration::from_millis(2000));
    rounds.tick().await;
    let (mut killed, mut down) = (0, None);
    while killed < kills || down.is_some() || !writer.is_done() {
        writer.write(killed < kills);
        tokio::select! {
            event = writer.client.next_event() => writer.told(event),
            event = reader.next_event() => if let Event::Changed(changes) = event { told.apply(&changes) },
            _ = rounds.tick() => match down.take() {
                Some(member) => cluster.members[member] = cluster.member(member),
                None if killed < kills => {
                    let leader = cluster.leader().await;
                    cluster.members[leader].kill();
                    writer.bereft = Some(Instant::now());
                    (down, killed) = (Some(leader), killed + 1);
                }
                None => {}
            },
        }
    }
    while reader.replica() != writer.client.replica() {
        let event = tokio::time::timeout(Duration::from_secs(30), reader.next_event()).await.unwrap();
        if let Event::Changed(changes) = event {
            told.apply(&changes);
        }
    }
    assert!(told.matches(&reader) && writer.seen.matches(&writer.client));
    agreed(&cluster, &writer).await;
    report(&mut writer, kills, &reader);
}

/// Every member has every row, and the counter says how often rows were written.
async fn agreed(cluster: &Cluster, writer: &Writer) {
    let rows: BTreeSet<Uuid> = (0..writer.next).chain([COUNTER]).map(id).collect();
    assert!(rows.is_superset(&writer.acknowledged));
    cluster.agree_on(&rows).await;
    let counter = writer.client.replica().row("T", &id(COUNTER)).and_then(|row| row.get("n").cloned());
    assert_eq!(counter, Some(Datum::from(i64::try_from(writer.next).unwrap())), "each row was written once");
}

fn report(writer: &mut Writer, kills: usize, reader: &Client) {
    writer.took.sort();
    println!(
        "{} rows, {} acknowledged, {kills} leaders killed, {} outcomes unknown, level again after {:?} (median), {:?} (most), \
         reader {:?}",
        writer.next,
        writer.acknowledged.len(),
        writer.unknown,
        writer.took.get(writer.took.len() / 2),
        writer.took.last(),
        reader.syncs()
    );
    assert!(writer.unknown > 0, "no transaction was in flight when a leader died: nothing was tested");
}
