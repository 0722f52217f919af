//! Servers that stand still, and databases that are compacted.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use ovn_vip::io::ovsdb_client::{ClientConfig, Event};
use ovn_vip::ovsdb::TransactionError;
use ovn_vip::ovsdb::session::Timing;

use crate::harness::{Follower, Server, binary, id, insert, run};
use crate::raft::{Cluster, Model};

/// Notices a server that stands still after two seconds.
fn watchful(config: ClientConfig) -> ClientConfig {
    let timing = Timing { probe: Duration::from_secs(1), ..config.timing };
    ClientConfig { timing, ..config }
}

/// Writes a row again until it is known to be there, as a caller would: compare, then write what is missing.
pub async fn write_until_known(client: &mut Follower, row: u128) {
    while client.client.replica().row("T", &id(row)).is_none() {
        while !client.client.is_synced() {
            client.until(|_| Some(())).await;
        }
        let _ = client.transact(vec![insert(row, [])]).await;
    }
}

/// Waits until what was told adds up to the replica, which may be ahead.
async fn adds_up(client: &mut Follower) {
    let told = |client: &Follower| {
        let mut model = Model::default();
        for event in &client.log {
            if let Event::Changed(changes) = event {
                model.apply(changes);
            }
        }
        model
    };
    while !told(client).matches(&client.client) {
        client.until(|_| Some(())).await;
    }
}

#[tokio::test]
async fn a_paused_leader_is_left_and_what_it_did_not_answer_is_compared_again() {
    let cluster = Cluster::start();
    cluster.joined().await;
    let mut client = Follower::new(watchful(cluster.client(true)));
    client.synced().await;
    client.transact(vec![insert(1, [])]).await.unwrap();
    let leader = cluster.leader().await;
    cluster.members[leader].pause();
    let sent = client.client.transact(vec![insert(2, [])]);
    assert_eq!(client.committed(sent).await, Err(TransactionError::Unknown));
    assert_eq!(client.client.replica().rows("T").count(), 1, "kept while nobody leads");
    client.synced().await;
    write_until_known(&mut client, 2).await;
    write_until_known(&mut client, 3).await;
    cluster.members[leader].resume();
    cluster.say(&[leader], "Role: follower").await;
    write_until_known(&mut client, 4).await;
    cluster.agree_on(&(1..5).map(id).collect()).await;
    adds_up(&mut client).await;
}

#[tokio::test]
async fn without_a_majority_nothing_is_acknowledged_and_nothing_is_forgotten() {
    let cluster = Cluster::start();
    cluster.joined().await;
    let mut client = Follower::new(watchful(cluster.client(true)));
    client.synced().await;
    client.transact(vec![insert(1, [])]).await.unwrap();
    let leader = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|member| *member != leader).collect();
    others.iter().for_each(|member| cluster.members[*member].pause());
    let sent = client.client.transact(vec![insert(2, [])]);
    assert_eq!(client.committed(sent).await, Err(TransactionError::Unknown));
    // A round of all members: none of them will do.
    for _ in 0..3 {
        client.disconnected().await;
    }
    assert!(!client.client.is_synced());
    assert!(client.client.replica().row("T", &id(1)).is_some());
    others.iter().for_each(|member| cluster.members[*member].resume());
    client.synced().await;
    write_until_known(&mut client, 2).await;
    cluster.agree_on(&BTreeSet::from([id(1), id(2)])).await;
    adds_up(&mut client).await;
}

#[tokio::test]
async fn a_database_that_is_compacted_is_followed_as_if_nothing_had_been() {
    let server = Server::start();
    let (mut writer, mut reader) = (server.client(), server.client());
    writer.synced().await;
    reader.synced().await;
    for number in 0..200 {
        writer.transact(vec![insert(number, [])]).await.unwrap();
        if number % 20 == 0 {
            run(Command::new(binary("ovs-appctl"))
                .arg("-t")
                .arg(server.path("ctl"))
                .args(["ovsdb-server/compact", "Db"]));
        }
    }
    reader.sees(|client| client.replica().rows("T").count() == 200).await;
    adds_up(&mut reader).await;
    for client in [&reader, &writer] {
        assert!(!client.log.iter().any(|event| matches!(event, Event::Disconnected { .. })));
        assert_eq!(client.client.syncs().dumps, 1);
    }
}

#[tokio::test]
async fn a_member_that_missed_what_was_compacted_away_is_followed_without_a_gap() {
    let mut cluster = Cluster::start();
    cluster.joined().await;
    let mut writer = Follower::new(cluster.client(true));
    writer.synced().await;
    let leader = cluster.leader().await;
    let behind = (0..3).find(|member| *member != leader).unwrap();
    let mut reader = Follower::new(cluster.client_of(behind));
    reader.synced().await;
    writer.transact(vec![insert(0, [])]).await.unwrap();
    reader.sees(|client| client.replica().row("T", &id(0)).is_some()).await;

    cluster.members[behind].kill();
    for number in 1..50 {
        writer.transact(vec![insert(number, [])]).await.unwrap();
    }
    for member in (0..3).filter(|member| *member != behind) {
        cluster.ask(member, &["ovsdb-server/compact", "Db"]);
    }
    writer.transact(vec![insert(50, [])]).await.unwrap();
    cluster.members[behind] = cluster.member(behind);
    reader.sees(|client| client.replica().rows("T").count() == 51).await;
    adds_up(&mut reader).await;
    assert_eq!(reader.client.replica(), writer.client.replica());
}
