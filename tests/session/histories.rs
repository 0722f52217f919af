//! Random histories: writes of ours and of others, bytes that arrive in any pieces, answers that come late and in another
//! order, connections that break anywhere, leaders that step down in any state, servers that probe, forget, and change
//! their version. Afterwards the replica is the server's table, the changes told add
//! up to it, and each transaction was answered once and truly.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ovn_vip::ovsdb::{
    ChangeKind, Condition, Datum, Event, Mutation, Mutator, Operation, Row, RowChange, Session,
    SessionConfig, TransactionError, TransactionId,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::fake_server::{FakeRow, FakeServer, FakeTable, Monitor};
use crate::harness::{config, id};

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Other(Write),
    Ours(Write),
    ToServer(usize),
    ToClient(usize),
    /// All that lies on the way, and the answers to it.
    Deliver,
    Break,
    Restart(Monitor),
    Resign,
    Probe,
    HoldAnswers,
    AnswerHeld,
    Wait(u64),
}

#[derive(Debug, Clone)]
enum Write {
    Insert(u128, i64),
    Delete(u128),
    Gain(u128, u128),
    Lose(u128, u128),
    Entry(u128, u8, Option<u8>),
}

fn ours() -> impl Strategy<Value = Write> {
    let row = 1..6_u128;
    prop_oneof![
        3 => (row.clone(), 0..4_i64).prop_map(|(row, n)| Write::Insert(row, n)),
        1 => row.clone().prop_map(Write::Delete),
        3 => (row.clone(), 0..5_u128).prop_map(|(row, member)| Write::Gain(row, member)),
        2 => (row, 0..5_u128).prop_map(|(row, member)| Write::Lose(row, member)),
    ]
}

fn others() -> impl Strategy<Value = Write> {
    let entry = (1..6_u128, 0..3_u8, prop::option::of(0..3_u8));
    prop_oneof![3 => ours(), 1 => entry.prop_map(|(row, key, value)| Write::Entry(row, key, value))]
}

fn steps() -> impl Strategy<Value = Step> {
    let version =
        prop_oneof![1 => Just(Monitor::Plain), 1 => Just(Monitor::Cond), 3 => Just(Monitor::CondSince)];
    prop_oneof![
        4 => others().prop_map(Step::Other),
        4 => ours().prop_map(Step::Ours),
        8 => (1..4000_usize).prop_map(Step::ToServer),
        8 => (1..2000_usize).prop_map(Step::ToClient),
        6 => Just(Step::Deliver),
        1 => Just(Step::Break),
        1 => version.prop_map(Step::Restart),
        1 => Just(Step::Resign),
        1 => Just(Step::Probe),
        1 => Just(Step::HoldAnswers),
        1 => Just(Step::AnswerHeld),
        4 => (0..3000_u64).prop_map(Step::Wait),
    ]
}

impl Write {
    fn apply(&self, table: &mut FakeTable) {
        if let Self::Insert(row, n) = self {
            table.entry(*row).or_insert(FakeRow { n: *n, ..FakeRow::default() });
        }
        if let Self::Delete(row) = self {
            table.remove(row);
        }
        let (Self::Insert(row, _)
        | Self::Delete(row)
        | Self::Gain(row, _)
        | Self::Lose(row, _)
        | Self::Entry(row, ..)) = self;
        let Some(row) = table.get_mut(row) else { return };
        match self {
            Self::Insert(..) | Self::Delete(_) => {}
            Self::Gain(_, member) => row.refs.extend([*member]),
            Self::Lose(_, member) => row.refs.retain(|held| held != member),
            Self::Entry(_, key, Some(value)) => row.ids.extend([(*key, *value)]),
            Self::Entry(_, key, None) => row.ids.retain(|held, _| held != key),
        }
    }

    /// As an operation.
    fn operation(&self) -> Operation {
        let condition = |row: u128| vec![Condition::uuid(id(row))];
        let mutate = |row: u128, mutator, member: u128| Operation::Mutate {
            table: "T".into(),
            condition: condition(row),
            mutations: vec![Mutation::new("refs", mutator, id(member))],
        };
        match self {
            Self::Insert(row, n) => Operation::Insert {
                table: "T".into(),
                uuid: Some(id(*row)),
                uuid_name: None,
                row: BTreeMap::from([("n".to_owned(), Datum::from(*n))]),
            },
            Self::Delete(row) => Operation::Delete { table: "T".into(), condition: condition(*row) },
            Self::Gain(row, member) => mutate(*row, Mutator::Insert, *member),
            Self::Lose(row, member) => mutate(*row, Mutator::Delete, *member),
            Self::Entry(..) => unreachable!("only others write to maps"),
        }
    }
}

/// A session, a server and what lies between them.
struct History {
    session: Session,
    server: FakeServer,
    now: Duration,
    /// The changes told, added up.
    told: BTreeMap<Uuid, Row>,
    open: BTreeMap<TransactionId, String>,
    answered: BTreeSet<TransactionId>,
}

impl History {
    fn new() -> Self {
        Self {
            session: Session::new(SessionConfig { leader_only: true, ..config(1) }, 7),
            server: FakeServer::new(),
            now: Duration::ZERO,
            told: BTreeMap::new(),
            open: BTreeMap::new(),
            answered: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Other(write) => self.server.change(|table| write.apply(table)),
            Step::Ours(write) => {
                let name = format!("transaction {}", self.open.len() + self.answered.len());
                let operations = vec![write.operation(), Operation::Comment(name.clone())];
                let id = self.session.transact(self.now, operations);
                self.open.insert(id, name);
            }
            Step::ToServer(count) => {
                let bytes = self.session.outbound();
                let bytes = bytes[..bytes.len().min(*count)].to_vec();
                self.session.sent(self.now, bytes.len());
                self.server.receive(&bytes);
            }
            Step::ToClient(count) => {
                let bytes = self.server.take(*count);
                self.session.received(self.now, &bytes);
            }
            Step::Deliver => {
                for _ in 0..5 {
                    self.step(&Step::ToServer(usize::MAX));
                    self.step(&Step::ToClient(usize::MAX));
                }
            }
            Step::Break => self.server.hang_up(),
            Step::Restart(version) => self.server.restart(*version),
            Step::Resign => self.server.step_down(),
            Step::Probe => self.server.probe(),
            Step::HoldAnswers => self.server.hold_answers(),
            Step::AnswerHeld => self.server.answer_held(),
            Step::Wait(milliseconds) => self.now += Duration::from_millis(*milliseconds),
        }
        self.connect(matches!(step, Step::Break | Step::Restart(_)));
        self.check_events();
    }

    fn connect(&mut self, broken: bool) {
        if broken {
            self.session.disconnected(self.now, "reset");
        }
        if self.session.poll_connect(self.now).is_some() {
            self.server.accept();
            self.session.connected(self.now);
        }
    }

    fn check_events(&mut self) {
        let mut events = Vec::new();
        while let Some(event) = self.session.poll_event() {
            events.push(event);
        }
        for event in events {
            match event {
                Event::Changed(changes) => changes.iter().for_each(|change| self.add_up(change)),
                Event::Committed { id, result } => {
                    assert!(self.answered.insert(id), "{id} was answered twice");
                    let name = self.open.remove(&id).unwrap();
                    let done = self.server.committed.contains(&name);
                    match result {
                        Ok(_) | Err(TransactionError::Count { .. }) => {
                            assert!(done, "{name} was not committed")
                        }
                        Err(TransactionError::NotConnected | TransactionError::Refused { .. }) => {
                            assert!(!done, "{name} was committed");
                        }
                        Err(TransactionError::Unknown) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                _ => {}
            }
        }
    }

    /// A change must fit what was told before it. The replica may be ahead, so its rows are taken at the end.
    fn add_up(&mut self, change: &RowChange) {
        match &change.kind {
            ChangeKind::Inserted => {
                assert!(self.told.insert(change.uuid, Row::default()).is_none(), "told twice: {change:?}");
            }
            ChangeKind::Deleted => {
                assert!(self.told.remove(&change.uuid).is_some(), "never told: {change:?}")
            }
            ChangeKind::Modified { columns } => {
                assert!(self.told.contains_key(&change.uuid), "never told: {change:?}");
                assert!(!columns.is_empty());
            }
        }
    }

    /// Lets everything arrive.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.step(&Step::AnswerHeld);
            self.step(&Step::ToServer(usize::MAX));
            self.step(&Step::ToClient(usize::MAX));
            self.step(&Step::Wait(if self.session.is_synced() { 0 } else { 1000 }));
        }
        assert!(self.session.is_synced(), "it does not come level");
    }

    fn check(&self) {
        assert_eq!(replica(&self.session), self.server.table);
        let rows: Vec<_> = self.session.replica().rows("T").map(|(uuid, _)| *uuid).collect();
        assert_eq!(rows, self.told.keys().copied().collect::<Vec<_>>());
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
    }
}

/// The replica, as the server writes it.
fn replica(session: &Session) -> FakeTable {
    let row = |row: &Row| FakeRow {
        n: row.get("n").and_then(Datum::as_integer).unwrap(),
        refs: row.get("refs").unwrap().uuid_members().map(|uuid| uuid.as_u128()).collect(),
        ids: row
            .get("ids")
            .unwrap()
            .string_map()
            .map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()))
            .collect(),
    };
    session.replica().rows("T").map(|(uuid, columns)| (uuid.as_u128(), row(columns))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn after_any_history_the_replica_is_the_server(history in prop::collection::vec(steps(), 1..150)) {
        let mut world = History::new();
        for step in &history {
            world.step(step);
        }
        world.settle();
        world.check();
    }
}
