//! A raft cluster whose leader hands over, and a member that is followed through a restart.

use std::process::Command;
use std::time::Instant;

use ovn_vip::ovsdb::session::Syncs;
use ovn_vip::ovsdb::{ChangeKind, Datum};

use crate::harness::{Follower, binary, insert, run, update};
use crate::raft::Cluster;

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
        client.transact(vec![update(1, [("n", Datum::from(1))])]).await.unwrap();
    }
    assert_eq!(client.changes().iter().filter(|change| change.kind == ChangeKind::Inserted).count(), 0);
}

#[tokio::test]
async fn a_reconnect_to_a_cluster_goes_on_from_the_last_transaction() {
    let mut cluster = Cluster::start();
    cluster.joined().await;
    let mut client = Follower::new(cluster.client_of(2));
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
