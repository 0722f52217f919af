//! Three members of a raft cluster, their leader killed again and again under writes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use ovn_vip::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use ovn_vip::ovsdb::session::Syncs;
use ovn_vip::ovsdb::{ChangeKind, Datum, Retry, RowChange, TransactionError};
use tempfile::TempDir;
use uuid::Uuid;

use crate::harness::{Daemon, Follower, binary, id, insert, run, schema, wanted};

struct Cluster {
    folder: TempDir,
    members: Vec<Daemon>,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("schema"), schema()).unwrap();
        let address = |member: usize| format!("unix:{}", path(&format!("raft{member}")).display());
        let tool = || Command::new(binary("ovsdb-tool"));
        run(tool().arg("create-cluster").arg(path("db0")).arg(path("schema")).arg(address(0)));
        let mut cluster = Self { members: vec![], folder };
        let path = |name: &str| cluster.folder.path().join(name);
        let address = |member: usize| format!("unix:{}", path(&format!("raft{member}")).display());
        let mut members = vec![cluster.member(0)];
        for member in 1..3 {
            let database = path(&format!("db{member}"));
            run(tool().arg("join-cluster").arg(database).arg("Db").args([address(member), address(0)]));
            members.push(cluster.member(member));
        }
        cluster.members = members;
        cluster
    }

    fn member(&self, member: usize) -> Daemon {
        let path = |name: &str| self.folder.path().join(format!("{name}{member}"));
        Daemon::start(&path("db"), &path("sock"), &path("ctl"), &path("log"), &[])
    }

    fn control(&self, member: usize) -> PathBuf {
        self.folder.path().join(format!("ctl{member}"))
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        (0..3).map(|member| Endpoint::Unix(self.folder.path().join(format!("sock{member}")))).collect()
    }

    fn status(&self, member: usize) -> String {
        let command = ["cluster/status", "Db"];
        let output =
            Command::new(binary("ovs-appctl")).arg("-t").arg(self.control(member)).args(command).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    /// The member that leads, once one does.
    async fn leader(&self) -> usize {
        for _ in 0..200 {
            if let Some(leader) = (0..3).find(|member| self.status(*member).contains("Role: leader")) {
                return leader;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody leads: {}", self.status(0));
    }

    async fn joined(&self) {
        for _ in 0..400 {
            if (0..3).all(|member| self.status(member).contains("Status: cluster member")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the cluster does not form: {}", self.status(2));
    }

    fn client(&self, leader_only: bool) -> ClientConfig {
        ClientConfig { leader_only, ..ClientConfig::new(self.endpoints(), "Db", wanted()) }
    }
}

/// What the changes told so far add up to; a change told twice or not at all does not fit.
#[derive(Default)]
struct Model(BTreeSet<Uuid>);

impl Model {
    fn apply(&mut self, changes: &[RowChange]) {
        for change in changes.iter().filter(|change| &*change.table == "T") {
            match &change.kind {
                ChangeKind::Inserted => assert!(self.0.insert(change.uuid), "told twice: {change:?}"),
                ChangeKind::Deleted => assert!(self.0.remove(&change.uuid), "never told: {change:?}"),
                ChangeKind::Modified { .. } => {
                    assert!(self.0.contains(&change.uuid), "never told: {change:?}")
                }
            }
        }
    }

    fn matches(&self, client: &Client) -> bool {
        client.replica().rows("T").map(|(uuid, _)| *uuid).eq(self.0.iter().copied())
    }
}

#[tokio::test]
async fn leader_only_follows_the_leader_and_moves_when_it_hands_over() {
    let cluster = Cluster::start();
    cluster.joined().await;
    let mut client = Follower::new(cluster.client(true));
    client.synced().await;
    client.transact(vec![insert(1, [])]).await.unwrap();
    client.log.clear();
    for _ in 0..3 {
        let leader = cluster.leader().await;
        let started = Instant::now();
        let target = cluster.control(leader);
        run(Command::new(binary("ovs-appctl"))
            .arg("-t")
            .arg(target)
            .args(["cluster/failure-test", "transfer-leadership"]));
        let reason = client.disconnected().await;
        assert!(reason.contains("does not lead"), "{reason}");
        client.synced().await;
        println!("moved with the leadership after {:?}", started.elapsed());
        client.transact(vec![crate::harness::update(1, [("n", Datum::from(1))])]).await.unwrap();
    }
    assert_eq!(client.changes().iter().filter(|change| change.kind == ChangeKind::Inserted).count(), 0);
}

/// A writer that keeps a few inserts in flight and writes again what its replica does not show.
struct Writer {
    client: Client,
    seen: Model,
    next: u128,
    in_flight: usize,
    unknown: usize,
    /// When the last leader died, until another one is found.
    bereft: Option<Instant>,
}

impl Writer {
    fn is_done(&self) -> bool {
        self.in_flight == 0 && self.client.is_synced() && self.missing().is_empty()
    }

    fn missing(&self) -> Vec<u128> {
        (0..self.next).filter(|row| self.client.replica().row("T", &id(*row)).is_none()).collect()
    }

    /// Compare, never remember: only when nothing is in flight does a missing row mean a lost one.
    fn write(&mut self, more: bool) {
        if !self.client.is_synced() {
            return;
        }
        let lost = if self.in_flight == 0 { self.missing() } else { vec![] };
        let fresh = if more { self.next + 8_u128.saturating_sub(self.in_flight as u128) } else { self.next };
        for row in lost.into_iter().chain(self.next..fresh) {
            self.client.transact(vec![insert(row, [])]);
            self.in_flight += 1;
        }
        self.next = fresh;
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::Changed(changes) => self.seen.apply(&changes),
            Event::Synced => {
                if let Some(since) = self.bereft.take() {
                    println!("level with the next leader after {:?}", since.elapsed());
                }
            }
            Event::Committed { result, .. } => {
                self.in_flight -= 1;
                match result {
                    Ok(_) => {}
                    Err(TransactionError::Unknown) => self.unknown += 1,
                    Err(error) => assert_eq!(error.retry(), Retry::Compare, "{error}"),
                }
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn no_row_is_lost_or_told_twice_while_leaders_die_under_writes() {
    const KILLS: usize = 5;
    let mut cluster = Cluster::start();
    cluster.joined().await;
    let mut reader = Client::new(cluster.client(false));
    let mut told = Model::default();
    let client = Client::new(cluster.client(true));
    let mut writer =
        Writer { client, seen: Model::default(), next: 0, in_flight: 0, unknown: 0, bereft: None };

    let mut rounds = tokio::time::interval(Duration::from_millis(2000));
    rounds.tick().await;
    let (mut kills, mut down) = (0, None);
    while kills < KILLS || down.is_some() || !writer.is_done() {
        writer.write(kills < KILLS);
        tokio::select! {
            event = writer.client.next_event() => writer.told(event),
            event = reader.next_event() => if let Event::Changed(changes) = event { told.apply(&changes) },
            _ = rounds.tick() => match down.take() {
                Some(member) => cluster.members[member] = cluster.member(member),
                None if kills < KILLS => {
                    let leader = cluster.leader().await;
                    cluster.members[leader].kill();
                    writer.bereft = Some(Instant::now());
                    (down, kills) = (Some(leader), kills + 1);
                }
                None => {}
            },
        }
    }
    let (rows, unknown) = (writer.next, writer.unknown);
    println!("{rows} rows, {KILLS} leaders killed, {unknown} outcomes unknown, reader {:?}", reader.syncs());
    while reader.replica() != writer.client.replica() {
        let event = tokio::time::timeout(Duration::from_secs(30), reader.next_event()).await.unwrap();
        if let Event::Changed(changes) = event {
            told.apply(&changes);
        }
    }
    assert!(told.matches(&reader) && writer.seen.matches(&writer.client));
    assert!(unknown > 0, "no transaction was in flight when a leader died: nothing was tested");
}

#[tokio::test]
async fn a_reconnect_to_a_cluster_goes_on_from_the_last_transaction() {
    let mut cluster = Cluster::start();
    cluster.joined().await;
    let endpoints =
        cluster.endpoints().into_iter().filter(|endpoint| endpoint.to_string().ends_with("sock2"));
    let endpoints = endpoints.collect();
    let mut client = Follower::new(ClientConfig { endpoints, ..cluster.client(false) });
    let mut writer = Follower::new(cluster.client(true));
    client.synced().await;
    writer.synced().await;
    writer.transact((0..50).map(|row| insert(row, [])).collect()).await.unwrap();
    client.sees(|client| client.replica().rows("T").count() == 50).await;
    assert_eq!(client.client.syncs(), Syncs { dumps: 1, continued: 0 });
    // A restarted server has the transactions of its log, though not those of a snapshot.
    cluster.members[2].kill();
    writer.transact(vec![insert(50, [])]).await.unwrap();
    cluster.members[2] = cluster.member(2);
    client.log.clear();
    client.sees(|client| client.replica().rows("T").count() == 51).await;
    assert_eq!(client.client.syncs(), Syncs { dumps: 1, continued: 1 });
    assert_eq!(client.changes().len(), 1);
}
