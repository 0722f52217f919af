//! The replica follows the server, whatever happens to the connection.

use std::time::Duration;

use ovn_vip::io::ovsdb_client::{ClientConfig, Event};
use ovn_vip::ovsdb::{ChangeKind, Condition, Datum, Mutation, Mutator, Operation};

use crate::harness::{Follower, Server, delete, free_port, id, insert, row, schema, update, wanted};

#[tokio::test]
async fn two_clients_see_the_same_rows_with_every_kind_of_column() {
    let server = Server::start();
    let (mut writer, mut reader) = (server.client(), server.client());
    writer.synced().await;
    reader.synced().await;
    let columns = || {
        [
            ("n", Datum::from(-7)),
            ("real", Datum::from(2.0)),
            ("flag", Datum::from(true)),
            ("kind", Datum::from("udp")),
            ("weak", Datum::from(id(2))),
            ("tags", Datum::strings(["a", "b \"quoted\" {x}"])),
            ("ids", Datum::map([("k", "v"), ("ü", "日本")])),
        ]
    };
    let named = Operation::Insert {
        table: "U".into(),
        uuid: None,
        uuid_name: Some("u".into()),
        row: row([("name", Datum::from("u"))]),
    };
    writer
        .transact(vec![insert(1, columns()), insert(2, [("refs", Datum::named_uuid("u"))]), named])
        .await
        .unwrap();
    reader.sees(|client| client.replica().rows("T").count() == 2).await;
    assert_eq!(reader.client.replica(), writer.client.replica());
    for (column, datum) in columns() {
        assert_eq!(reader.column(1, column), datum);
    }
    assert_eq!(reader.column(2, "kind"), Datum::empty_set());
    assert_eq!(reader.column(2, "refs").len(), 1);

    let mutations = vec![
        Mutation::new("tags", Mutator::Delete, "a"),
        Mutation::new("tags", Mutator::Insert, "c"),
        Mutation::new("ids", Mutator::Delete, "k"),
        Mutation::new("ids", Mutator::Insert, Datum::map([("new", "x")])),
        Mutation::new("n", Mutator::Add, 10),
    ];
    let condition = vec![Condition::uuid(id(1))];
    writer.transact(vec![Operation::Mutate { table: "T".into(), condition, mutations }]).await.unwrap();
    writer.transact(vec![delete(2)]).await.unwrap();
    reader.sees(|client| client.replica().rows("T").count() == 1).await;
    assert_eq!(reader.client.replica(), writer.client.replica());
    assert_eq!(reader.column(1, "tags"), Datum::strings(["b \"quoted\" {x}", "c"]));
    assert_eq!(reader.column(1, "ids"), Datum::map([("new", "x"), ("ü", "日本")]));
    assert_eq!(reader.column(1, "n"), Datum::from(3));
    assert_eq!(reader.column(1, "weak"), Datum::empty_set(), "a weak reference goes with its row");
    assert_eq!(reader.client.replica().rows("U").count(), 0, "a row without a reference goes");
}

#[tokio::test]
async fn a_committed_transaction_is_in_the_replica_already() {
    let server = Server::start();
    let mut client = server.client();
    client.synced().await;
    for number in 0..200 {
        client.transact(vec![insert(number, [])]).await.unwrap();
        assert!(client.client.replica().row("T", &id(number)).is_some());
        client.transact(vec![update(number, [("n", Datum::from(5))])]).await.unwrap();
        assert_eq!(client.column(number, "n"), Datum::from(5));
    }
}

#[tokio::test]
async fn a_restarted_server_is_followed_again_and_only_differences_are_told() {
    let mut server = Server::start();
    let mut client = server.client();
    client.synced().await;
    client.transact((0..100).map(|number| insert(number, [])).collect()).await.unwrap();
    client.log.clear();
    server.restart();
    client.synced().await;
    assert_eq!(client.changes(), [], "the same content is no change");

    server.kill();
    client.disconnected().await;
    assert_eq!(client.client.replica().rows("T").count(), 100, "kept while the server is away");
    server.restart();
    let mut other = server.client();
    other.synced().await;
    other.transact(vec![delete(0), update(1, [("n", Datum::from(9))]), insert(100, [])]).await.unwrap();
    client.synced().await;
    client.sees(|client| client.replica().row("T", &id(100)).is_some()).await;
    let kinds: Vec<_> = client.changes().into_iter().map(|change| (change.uuid, change.kind)).collect();
    let modified = ChangeKind::Modified { columns: vec!["n".into()] };
    assert_eq!(kinds, [(id(0), ChangeKind::Deleted), (id(1), modified), (id(100), ChangeKind::Inserted)]);
}

#[tokio::test]
async fn an_idle_tcp_connection_answers_the_servers_probe() {
    let port = free_port();
    let server = Server::with(&["--remote=db:Db,Remote,target".to_owned()]);
    let mut local = server.client();
    local.synced().await;
    let columns = row([
        ("target", Datum::from(format!("ptcp:{port}:127.0.0.1"))),
        ("inactivity_probe", Datum::from(500)),
    ]);
    let remote = Operation::Insert { table: "Remote".into(), uuid: None, uuid_name: None, row: columns };
    local.transact(vec![remote]).await.unwrap();
    let endpoint = format!("tcp:127.0.0.1:{port}").parse().unwrap();
    let mut client = Follower::new(ClientConfig::new(vec![endpoint], "Db", wanted()));
    client.synced().await;
    client.log.clear();
    client.idle(Duration::from_secs(3)).await;
    assert_eq!(client.log, [], "the server gives up after two probes of 0.5 s");
    assert!(client.client.is_synced());
}

#[tokio::test]
async fn nothing_is_lost_when_the_event_loop_looks_away_all_the_time() {
    let server = Server::start();
    let (mut writer, mut reader) = (server.client(), server.client());
    writer.synced().await;
    let task = async {
        for number in 0..300 {
            let tags: Vec<String> = (0..number % 50).map(|tag| format!("tag {tag}")).collect();
            let tags = Datum::strings(tags.iter().map(String::as_str));
            writer.transact(vec![insert(number, [("tags", tags)])]).await.unwrap();
        }
    };
    let mut told = Vec::new();
    let look = async {
        let mut ready = 0;
        while reader.client.replica().rows("T").count() < 300 {
            // The other branch wins every second time, and drops the future wherever it is.
            tokio::select! {
                biased;
                () = tokio::task::yield_now(), if ready % 2 == 0 => {}
                event = reader.client.next_event() => told.push(event),
                () = tokio::time::sleep(Duration::from_micros(50)) => {}
            }
            ready += 1;
        }
    };
    tokio::join!(task, look);
    while reader.client.replica() != writer.client.replica() {
        told.push(reader.client.next_event().await);
    }
    let told = told.iter().map(|event| if let Event::Changed(changes) = event { changes.len() } else { 0 });
    assert!(told.sum::<usize>() >= 299);
}

#[tokio::test]
async fn a_large_pipeline_does_not_block_against_a_server_that_blocks() {
    let server = Server::start();
    let mut client = server.client();
    client.synced().await;
    // About 40 MB each way: far more than sockets hold.
    let text = "x".repeat(2000);
    let mut last = None;
    for batch in 0..100_u128 {
        let rows = (0..200).map(|n| insert(batch * 1000 + n, [("tags", Datum::from(text.as_str()))]));
        last = Some(client.client.transact(rows.collect()));
    }
    client.committed(last.unwrap()).await.unwrap();
    assert_eq!(client.client.replica().rows("T").count(), 20_000);

    let started = std::time::Instant::now();
    let mut fresh = server.client();
    fresh.synced().await;
    println!("first dump of 20,000 rows: {:?}", started.elapsed());
    assert_eq!(fresh.client.replica(), client.client.replica());
}

#[tokio::test]
async fn one_member_more_in_a_large_set_is_told_as_one_member() {
    let server = Server::start();
    let mut client = server.client();
    client.synced().await;
    let tags: Vec<String> = (0..20_000).map(|tag| format!("tag {tag}")).collect();
    let all = Datum::strings(tags.iter().map(String::as_str));
    client.transact(vec![insert(1, [("tags", all)])]).await.unwrap();
    client.log.clear();
    let mutations = vec![
        Mutation::new("tags", Mutator::Insert, "one more"),
        Mutation::new("tags", Mutator::Delete, "tag 5"),
    ];
    let condition = vec![Condition::uuid(id(1))];
    client.transact(vec![Operation::Mutate { table: "T".into(), condition, mutations }]).await.unwrap();
    assert_eq!(client.column(1, "tags").len(), 20_000);
    let changes = client.changes();
    assert_eq!(changes[0].old.as_ref().unwrap().get("tags"), Some(&Datum::from("tag 5")));
}

#[tokio::test]
async fn a_converted_database_is_followed_over_the_same_connection() {
    let server = Server::start();
    let monitors = wanted().prefer("T", &["newer"]);
    let mut client = Follower::new(ClientConfig::new(vec![server.endpoint()], "Db", monitors));
    client.synced().await;
    client.transact(vec![insert(1, [])]).await.unwrap();
    client.log.clear();
    let mut newer: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    newer["version"] = "1.1.0".into();
    newer["tables"]["T"]["columns"]["newer"] = serde_json::json!({"type": "integer"});
    server.call("convert", &serde_json::json!(["Db", newer]));
    client.synced().await;
    assert!(!client.log.iter().any(|event| matches!(event, Event::Disconnected { .. })), "{:?}", client.log);
    assert_eq!(client.client.schema().unwrap().version, "1.1.0");
    assert_eq!(client.column(1, "newer"), Datum::from(0));
    client.transact(vec![update(1, [("newer", Datum::from(5))])]).await.unwrap();
    assert_eq!(client.column(1, "newer"), Datum::from(5));
}
