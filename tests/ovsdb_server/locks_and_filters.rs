//! Locks and filters of a real server.

use std::time::Duration;

use ovn_vip::io::ovsdb_client::Event;
use ovn_vip::ovsdb::{Condition, Datum, Operation, RowFilter};

use crate::harness::{Follower, Server, id, insert, update};

async fn locked(client: &mut Follower) {
    client.until(|event| matches!(event, Event::Locked { .. }).then_some(())).await;
}

async fn unlocked(client: &mut Follower) {
    client.until(|event| matches!(event, Event::Unlocked { .. }).then_some(())).await;
}

fn fenced(number: u128) -> Vec<Operation> {
    vec![Operation::Assert("l".into()), insert(number, [])]
}

#[tokio::test]
async fn only_the_owner_of_a_lock_writes_and_it_goes_to_the_next_in_line() {
    let server = Server::start();
    let (mut first, mut second) = (server.client(), server.client());
    first.synced().await;
    second.synced().await;
    first.client.lock("l");
    locked(&mut first).await;
    second.client.lock("l");
    second.idle(Duration::from_millis(50)).await;
    assert!(!second.client.holds("l"));
    first.transact(fenced(1)).await.unwrap();
    assert!(second.transact(fenced(2)).await.unwrap_err().is_not_owner());

    first.client.unlock("l");
    first.idle(Duration::from_millis(50)).await;
    locked(&mut second).await;
    second.transact(fenced(2)).await.unwrap();
    assert!(first.transact(fenced(3)).await.unwrap_err().is_not_owner());

    first.client.lock("l");
    first.idle(Duration::from_millis(50)).await;
    first.client.steal("l");
    locked(&mut first).await;
    unlocked(&mut second).await;
    first.transact(fenced(3)).await.unwrap();
    assert!(second.transact(fenced(4)).await.unwrap_err().is_not_owner());

    drop(first);
    locked(&mut second).await;
    second.transact(fenced(4)).await.unwrap();
}

#[tokio::test]
async fn a_lock_is_asked_for_again_after_a_restart() {
    let mut server = Server::start();
    let mut client = server.client();
    client.client.lock("l");
    locked(&mut client).await;
    server.restart();
    unlocked(&mut client).await;
    locked(&mut client).await;
    client.transact(fenced(1)).await.unwrap();
}

#[tokio::test]
async fn rows_come_into_view_and_leave_it_with_the_filter() {
    let mut server = Server::start();
    let mut writer = server.client();
    writer.synced().await;
    writer
        .transact((0..10).map(|row| insert(row, [("n", Datum::from(row as i64))])).collect())
        .await
        .unwrap();
    let mut client = server.client();
    let only = |n: &[i64]| RowFilter::AnyOf(n.iter().map(|n| Condition::equal("n", *n)).collect());
    let seen =
        |client: &Follower| -> Vec<_> { client.client.replica().rows("T").map(|(uuid, _)| *uuid).collect() };
    client.client.filter("T", only(&[1, 2]));
    client.synced().await;
    assert_eq!(seen(&client), [id(1), id(2)]);
    client.log.clear();

    client.client.filter("T", only(&[2, 3]));
    client.sees(|client| client.replica().row("T", &id(3)).is_some()).await;
    assert_eq!(seen(&client), [id(2), id(3)]);
    assert_eq!(client.changes().len(), 2);

    writer
        .transact(vec![update(2, [("n", Datum::from(7))]), update(8, [("n", Datum::from(3))])])
        .await
        .unwrap();
    client.sees(|client| client.replica().row("T", &id(8)).is_some()).await;
    assert_eq!(seen(&client), [id(3), id(8)]);

    client.client.filter("T", RowFilter::AnyOf(vec![]));
    client.sees(|client| client.replica().rows("T").count() == 0).await;
    server.restart();
    client.disconnected().await;
    client.client.filter("T", RowFilter::All);
    client.synced().await;
    assert_eq!(seen(&client).len(), 10);
}
