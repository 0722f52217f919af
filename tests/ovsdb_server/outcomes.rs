//! What a real server answers, and what we make of it.

use std::time::Duration;

use ovn_vip::ovsdb::{
    Condition, Datum, Expect, Function, Mutation, Mutator, Operation, OperationResult, Retry,
};
use ovn_vip::ovsdb::{TransactionError, operation::Until};

use crate::harness::{Follower, Server, delete, id, insert, row, update};

async fn client(server: &Server) -> Follower {
    let mut client = server.client();
    client.synced().await;
    client.transact(vec![insert(1, []), insert(2, [("n", Datum::from(2))])]).await.unwrap();
    client
}

#[tokio::test]
async fn every_operation_is_understood() {
    let server = Server::start();
    let mut client = client(&server).await;
    let by_name = || vec![Condition::uuid(id(2))];
    let wait = |until, n: i64| Operation::Wait {
        table: "T".into(),
        condition: by_name(),
        columns: vec!["n".into()],
        until,
        rows: vec![row([("n", Datum::from(n))])],
        timeout: Some(Duration::ZERO),
    };
    let select =
        Operation::Select { table: "T".into(), condition: by_name(), columns: Some(vec!["n".into()]) };
    let results = client
        .transact(vec![
            insert(3, []),
            update(2, [("n", Datum::from(6))]),
            Operation::Mutate {
                table: "T".into(),
                condition: by_name(),
                mutations: vec![
                    Mutation::new("n", Mutator::Subtract, 1),
                    Mutation::new("n", Mutator::Multiply, 5),
                    Mutation::new("n", Mutator::Divide, 2),
                    Mutation::new("n", Mutator::Remainder, 7),
                ],
            },
            wait(Until::Equal, 5),
            wait(Until::NotEqual, 6),
            Operation::row_exists("T", id(2)),
            select,
            delete(1),
            delete(99),
            Operation::Comment("a test".into()),
            Operation::Commit { durable: true },
        ])
        .await
        .unwrap();
    let found = OperationResult::Rows(vec![row([("n", Datum::from(5))])]);
    let done = OperationResult::Done;
    let count = OperationResult::Count;
    let inserted = OperationResult::Inserted(id(3));
    let expected = [
        inserted,
        count(1),
        count(1),
        done.clone(),
        done.clone(),
        done.clone(),
        found,
        count(1),
        count(0),
        done.clone(),
        done,
    ];
    assert_eq!(results, expected);
}

#[tokio::test]
async fn every_condition_is_understood() {
    let server = Server::start();
    let mut client = client(&server).await;
    client.transact(vec![update(2, [("tags", Datum::strings(["a", "b"]))])]).await.unwrap();
    let cases = [
        (Condition::new("n", Function::Less, 1), 1),
        (Condition::new("n", Function::LessOrEqual, 2), 2),
        (Condition::new("n", Function::Greater, 1), 1),
        (Condition::new("n", Function::GreaterOrEqual, 3), 0),
        (Condition::equal("name", "2"), 1),
        (Condition::new("name", Function::NotEqual, "2"), 1),
        (Condition::new("tags", Function::Includes, "a"), 1),
        (Condition::new("tags", Function::Excludes, "c"), 2),
    ];
    for (condition, expected) in cases {
        let condition = vec![condition];
        let select = Operation::Select { table: "T".into(), condition: condition.clone(), columns: None };
        let results = client.transact(vec![select]).await.unwrap();
        let [OperationResult::Rows(rows)] = &results[..] else { panic!("{results:?}") };
        assert_eq!(rows.len(), expected, "{condition:?}");
    }
}

async fn failure(client: &mut Follower, operations: Vec<Operation>) -> TransactionError {
    let before = client.client.replica().clone();
    let error = client.transact(operations).await.unwrap_err();
    if !matches!(error, TransactionError::Count { .. }) {
        assert_eq!(*client.client.replica(), before, "nothing of it is committed");
    }
    error
}

#[tokio::test]
async fn every_kind_of_failure_of_a_real_server_is_an_error() {
    let server = Server::start();
    let mut client = client(&server).await;
    let cases = [
        (vec![update(1, [("n", Datum::from(5))]), insert(1, [])], "duplicate uuid", Retry::Compare),
        (
            vec![insert(11, [("refs", Datum::from(id(77)))])],
            "commit failed: referential integrity",
            Retry::Compare,
        ),
        (
            vec![insert(12, [("name", Datum::from("1"))])],
            "commit failed: constraint violation",
            Retry::Compare,
        ),
        (vec![insert(13, [("kind", Datum::from("icmp"))])], "constraint violation", Retry::Hopeless),
        (vec![insert(14, [("colour", Datum::from("red"))])], "unknown column", Retry::Hopeless),
        (vec![insert(15, []), Operation::row_exists("T", id(77))], "timed out", Retry::Compare),
        (vec![insert(16, []), Operation::Abort], "aborted", Retry::Compare),
        (vec![insert(17, []), Operation::Assert("lock".into())], "not owner", Retry::Compare),
        (vec![update(77, [("n", Datum::from(1))])], "touched 0 rows where 1 had to be", Retry::Compare),
        (vec![delete(77).expect(Expect::Exactly(1))], "touched 0 rows where 1 had to be", Retry::Compare),
    ];
    for (operations, expected, retry) in cases {
        let error = failure(&mut client, operations).await;
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.retry(), retry, "{error}");
    }
}

#[tokio::test]
async fn a_reply_lost_with_the_server_is_unknown_and_a_second_insert_tells_what_became_of_it() {
    let mut server = Server::start();
    let mut client = client(&server).await;
    let sent = client.client.transact(vec![insert(3, [])]);
    server.kill();
    let result = client.committed(sent).await;
    assert!(matches!(result, Err(TransactionError::Unknown)), "{result:?}");
    server.restart();
    client.synced().await;
    let known = client.client.replica().row("T", &id(3)).is_some();
    let again = client.transact(vec![insert(3, [])]).await;
    assert_eq!(again.is_err(), known, "{again:?}");
}
