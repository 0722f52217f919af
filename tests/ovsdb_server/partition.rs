//! A cluster whose members are cut off from each other, though their clients are not: each lives in a network namespace
//! of its own and is joined to the others by one cable, and clients come over Unix sockets. It needs root.

use std::collections::BTreeSet;
use std::process::Command;

use ovn_vip::io::ovsdb_client::ClientConfig;
use ovn_vip::ovsdb::session::Timing;

use crate::faults::write_until_known;
use crate::harness::{Follower, id, insert, run};
use crate::raft::{Cluster, Place};

/// Three namespaces on a switch, gone when dropped.
struct Network {
    name: String,
}

impl Network {
    /// Each test has its own, under a name of few letters.
    fn new(name: &str) -> Self {
        let network = Self { name: format!("ovsdb-{}-{name}", std::process::id()) };
        let switch = network.switch();
        ip(&["netns", "add", &switch]);
        ip(&["-n", &switch, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", &switch, "link", "set", "br0", "up"]);
        for member in 0..3 {
            let (space, port) = (network.space(member), port(member));
            ip(&["netns", "add", &space]);
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            ip(&[
                "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &space,
            ]);
            ip(&["-n", &switch, "link", "set", &port, "master", "br0", "up"]);
            ip(&["-n", &space, "address", "add", &format!("{}/24", host(member)), "dev", "eth0"]);
            ip(&["-n", &space, "link", "set", "eth0", "up"]);
        }
        network
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }

    fn space(&self, member: usize) -> String {
        format!("{}-{member}", self.name)
    }

    fn place(&self, member: usize) -> Place {
        let prefix = ["ip", "netns", "exec", &self.space(member)].map(str::to_owned).to_vec();
        Place { prefix, address: format!("tcp:{}:6643", host(member)) }
    }

    fn cable(&self, member: usize, state: &str) {
        ip(&["-n", &self.switch(), "link", "set", &port(member), state]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for space in [self.space(0), self.space(1), self.space(2), self.switch()] {
            let _ = Command::new("ip").args(["netns", "delete", &space]).output();
        }
    }
}

fn ip(words: &[&str]) {
    run(Command::new("ip").args(words));
}

fn host(member: usize) -> String {
    format!("192.0.2.{}", member + 1)
}

fn port(member: usize) -> String {
    format!("port{member}")
}

#[tokio::test]
async fn a_leader_cut_off_from_the_others_acknowledges_nothing_and_everyone_is_level_when_it_heals() {
    let network = Network::new("one");
    let places = [0, 1, 2].map(|member| network.place(member));
    let cluster = Cluster::start_in(tempfile::tempdir().unwrap(), places);
    cluster.joined().await;
    let mut client = Follower::new(cluster.client(true));
    client.synced().await;
    client.transact(vec![insert(1, [])]).await.unwrap();
    let leader = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|member| *member != leader).collect();
    // A reader of the member that is to be cut off.
    let mut reader = Follower::new(cluster.client_of(leader));
    reader.synced().await;
    reader.sees(|client| client.replica().row("T", &id(1)).is_some()).await;

    network.cable(leader, "down");
    let sent = client.client.transact(vec![insert(2, [])]);
    assert!(client.committed(sent).await.is_err(), "one of three is no majority");
    let successor = cluster.leader_among(&others).await;
    assert_ne!(successor, leader);
    client.synced().await;
    for number in 2..20 {
        write_until_known(&mut client, number).await;
    }
    let reason = reader.disconnected().await;
    assert!(reason.contains("cut off from its cluster"), "{reason}");
    let held: Vec<_> = reader.client.replica().rows("T").map(|(uuid, _)| *uuid).collect();
    assert!(
        held.contains(&id(1)) && !held.contains(&id(3)),
        "what was known stays, and no more is: {held:?}"
    );

    network.cable(leader, "up");
    let rows: BTreeSet<_> = (1..20).map(id).collect();
    reader.sees(|client| client.replica().rows("T").map(|(uuid, _)| uuid).eq(&rows)).await;
    cluster.agree_on(&rows).await;
}

#[tokio::test]
async fn a_cluster_without_any_majority_heals_with_its_clients() {
    let network = Network::new("all");
    let places = [0, 1, 2].map(|member| network.place(member));
    let cluster = Cluster::start_in(tempfile::tempdir().unwrap(), places);
    cluster.joined().await;
    let config = cluster.client(true);
    let timing = Timing { probe: std::time::Duration::from_secs(1), ..config.timing };
    let mut client = Follower::new(ClientConfig { timing, ..config });
    client.synced().await;
    client.transact(vec![insert(1, [])]).await.unwrap();
    (0..3).for_each(|member| network.cable(member, "down"));
    let sent = client.client.transact(vec![insert(2, [])]);
    assert!(client.committed(sent).await.is_err());
    client.disconnected().await;
    client.disconnected().await;
    assert!(client.client.replica().row("T", &id(1)).is_some());
    (0..3).for_each(|member| network.cable(member, "up"));
    client.synced().await;
    write_until_known(&mut client, 2).await;
    cluster.agree_on(&BTreeSet::from([id(1), id(2)])).await;
}
