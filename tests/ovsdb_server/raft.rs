//! Three members of a raft cluster, each a process of its own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ovn_vip::io::ovsdb_client::{Client, ClientConfig, Endpoint};
use ovn_vip::ovsdb::{ChangeKind, RowChange};
use tempfile::TempDir;
use uuid::Uuid;

use crate::harness::{Daemon, Follower, binary, run, schema, wanted};

/// A running cluster, gone with its files when dropped.
pub struct Cluster {
    folder: TempDir,
    /// What starts a member where it belongs, and its address in the cluster.
    places: [Place; 3],
    pub members: Vec<Daemon>,
}

/// Where a member lives.
#[derive(Clone)]
pub struct Place {
    pub prefix: Vec<String>,
    pub address: String,
}

impl Cluster {
    /// The members talk over Unix sockets.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address =
            |member: usize| format!("unix:{}", folder.path().join(format!("raft{member}")).display());
        let places = [0, 1, 2].map(|member| Place { prefix: vec![], address: address(member) });
        Self::start_in(folder, places)
    }

    pub fn start_in(folder: TempDir, places: [Place; 3]) -> Self {
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("schema"), schema()).unwrap();
        let tool = || Command::new(binary("ovsdb-tool"));
        run(tool().arg("create-cluster").arg(path("db0")).arg(path("schema")).arg(&places[0].address));
        for member in 1..3 {
            let addresses = [&places[member].address, &places[0].address];
            run(tool().arg("join-cluster").arg(path(&format!("db{member}"))).arg("Db").args(addresses));
        }
        let mut cluster = Self { members: vec![], folder, places };
        cluster.members = (0..3).map(|member| cluster.member(member)).collect();
        cluster
    }

    /// Starts a member.
    pub fn member(&self, member: usize) -> Daemon {
        let path = |name: &str| self.folder.path().join(format!("{name}{member}"));
        let prefix = &self.places[member].prefix;
        Daemon::start_under(prefix, &path("db"), &path("sock"), &path("ctl"), &path("log"), &[])
    }

    pub fn control(&self, member: usize) -> PathBuf {
        self.folder.path().join(format!("ctl{member}"))
    }

    pub fn endpoints(&self) -> Vec<Endpoint> {
        (0..3).map(|member| Endpoint::Unix(self.folder.path().join(format!("sock{member}")))).collect()
    }

    /// A command to a member, and its answer.
    pub fn ask(&self, member: usize, command: &[&str]) -> String {
        let mut appctl = Command::new(binary("ovs-appctl"));
        let output = appctl.arg("--timeout=5").arg("-t").arg(self.control(member)).args(command).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    fn status(&self, member: usize) -> String {
        self.ask(member, &["cluster/status", "Db"])
    }

    /// Waits until each of these members says this of itself.
    pub async fn say(&self, members: &[usize], what: &str) {
        for _ in 0..400 {
            if members.iter().all(|member| self.status(*member).contains(what)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{members:?} never say {what}: {}", self.status(members[0]));
    }

    /// The member that leads, once one does.
    pub async fn leader(&self) -> usize {
        self.leader_among(&[0, 1, 2]).await
    }

    pub async fn leader_among(&self, members: &[usize]) -> usize {
        for _ in 0..400 {
            let leads = |member: &&usize| self.status(**member).contains("Role: leader");
            if let Some(leader) = members.iter().find(leads) {
                return *leader;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody leads: {}", self.status(members[0]));
    }

    pub async fn joined(&self) {
        self.say(&[0, 1, 2], "Status: cluster member").await;
    }

    pub fn client(&self, leader_only: bool) -> ClientConfig {
        ClientConfig { leader_only, ..ClientConfig::new(self.endpoints(), "Db", wanted()) }
    }

    /// A client of one member, whether it leads or not.
    pub fn client_of(&self, member: usize) -> ClientConfig {
        ClientConfig::new(vec![self.endpoints().remove(member)], "Db", wanted())
    }

    /// Every member shows these rows.
    pub async fn agree_on(&self, rows: &BTreeSet<Uuid>) {
        for member in 0..3 {
            let mut client = Follower::new(self.client_of(member));
            client.sees(|client| client.replica().rows("T").map(|(uuid, _)| uuid).eq(rows)).await;
        }
    }
}

/// What the changes told so far add up to; a change told twice or not at all does not fit.
#[derive(Default)]
pub struct Model(pub BTreeSet<Uuid>);

impl Model {
    pub fn apply(&mut self, changes: &[RowChange]) {
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

    pub fn matches(&self, client: &Client) -> bool {
        client.replica().rows("T").map(|(uuid, _)| *uuid).eq(self.0.iter().copied())
    }
}
