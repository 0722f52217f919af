//! The client with its real sockets, against the fake server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ovn_vip::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use ovn_vip::ovsdb::{Datum, Operation, TransactionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::fake_server::{FakeRow, FakeServer};
use crate::harness::{id, wanted};

fn client(socket: &Path) -> Client {
    Client::new(ClientConfig::new(vec![Endpoint::Unix(socket.to_owned())], "Db", wanted()))
}

fn socket() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sock");
    (folder, path)
}

/// Serves one connection, a few bytes at a time, until the client has sent so many or goes away.
async fn serve(server: &mut FakeServer, stream: &mut UnixStream, mut patience: usize) {
    server.accept();
    let mut buffer = [0; 37];
    while patience > 0 {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            break;
        }
        patience = patience.saturating_sub(count);
        server.receive(&buffer[..count]);
        loop {
            let bytes = server.take(61);
            if bytes.is_empty() || stream.write_all(&bytes).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    server.hang_up();
}

fn insert(row: u128) -> Vec<Operation> {
    let columns = BTreeMap::from([("n".to_owned(), Datum::from(1))]);
    vec![Operation::Insert { table: "T".into(), uuid: Some(id(row)), uuid_name: None, row: columns }]
}

#[tokio::test]
async fn a_client_survives_connections_that_end_anywhere_and_a_loop_that_looks_away() {
    let (_folder, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    let mut server = FakeServer::new();
    let mut client = client(&path);
    let serving = async {
        // Ends in the handshake, in the first transactions, and then not at all.
        for patience in [90, 700, 1500, usize::MAX] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let row = patience as u128 % 1000 + 1000;
            server.change(|table| drop(table.insert(row, FakeRow::default())));
            serve(&mut server, &mut stream, patience).await;
        }
    };
    let writing = async {
        let (mut row, mut lost) = (0, 0);
        while row < 20 {
            if client.is_synced() && client.open_transactions() == 0 {
                client.transact(insert(row));
            }
            let event = tokio::select! {
                biased;
                () = tokio::time::sleep(Duration::from_micros(300)) => continue,
                event = client.next_event() => event,
            };
            match event {
                Event::Committed { result: Ok(_), .. } => {
                    assert!(client.replica().row("T", &id(row)).is_some());
                    row += 1;
                }
                Event::Committed { result: Err(TransactionError::Unknown), .. } => lost += 1,
                Event::Committed { result: Err(error), .. } => {
                    assert!(error.to_string().contains("duplicate uuid"), "{error}");
                    row += 1;
                }
                _ => {}
            }
        }
        drop(client);
        lost
    };
    let both = async { tokio::join!(serving, writing) };
    let ((), lost) = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    assert!(lost > 0, "a connection ended with a transaction on its way");
    assert_eq!(server.table.len(), 24);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_once_and_found_when_it_comes() {
    let (_folder, path) = socket();
    let mut client = client(&path);
    let mut told = Vec::new();
    for _ in 0..2 {
        match client.next_event().await {
            Event::Disconnected { reason, said_before, .. } => told.push((reason, said_before)),
            other => panic!("{other:?}"),
        }
    }
    assert!(told[0].0.contains("cannot connect"), "{told:?}");
    assert_eq!(told.iter().map(|(_, said_before)| *said_before).collect::<Vec<_>>(), [false, true]);
    let listener = UnixListener::bind(&path).unwrap();
    let mut server = FakeServer::new();
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        serve(&mut server, &mut stream, usize::MAX).await;
    };
    let synced = async { while client.next_event().await != Event::Synced {} };
    tokio::select! {
        () = serving => panic!("the client went away"),
        () = synced => {}
        () = tokio::time::sleep(Duration::from_secs(10)) => panic!("never synced"),
    }
}
