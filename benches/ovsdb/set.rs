//! One reference more in a large set and in a small one: what the update costs the client.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use ovn_vip::ovsdb::{
    Condition, Datum, Endpoint, Event, Mutation, Mutator, Operation, Session, SessionConfig, TablesWanted,
};
use uuid::Uuid;

use crate::load;
use crate::numbers::Contest;
use crate::raw::Raw;

const GROUP: &str = "Load_Balancer_Group";
const SMALL: usize = 20;
/// How often a set gains a member, and loses it again.
const GAINS: usize = 1000;

/// Both sets in turns, in microseconds; the database has at least `members` rows. The server's two updates for each set
/// are recorded once and read again and again: between two that are live, the caches go cold while the server works, for
/// longer with the large set.
pub fn run(socket: &Path, members: usize) -> anyhow::Result<Contest> {
    let mut writer = Raw::connect(socket)?;
    let newcomer = members - 1;
    let mut follower = Follower::sync(socket)?;
    let mut contest = Contest::new("one reference more in a set, µs in the client");
    let mut sets = Vec::new();
    for held in [SMALL, newcomer] {
        let group = Uuid::new_v4();
        writer.write(&[vec![make(group, held)]])?;
        follower.update()?;
        writer.round_trip(refer(group, newcomer, Mutator::Insert))?;
        let gain = follower.update()?;
        writer.round_trip(refer(group, newcomer, Mutator::Delete))?;
        let loss = follower.update()?;
        sets.push((held, group, gain, loss));
    }
    for _ in 0..GAINS {
        for (held, group, gain, loss) in &sets {
            let took = follower.replay(gain)?;
            ensure!(follower.members(group) == Some(held + 1), "the replica lost count");
            contest.of(&format!("ovn-vip, {held} in it")).push(took.as_secs_f64() * 1e6);
            follower.replay(loss)?;
            ensure!(follower.members(group) == Some(*held), "the replica lost count");
        }
    }
    Ok(contest)
}

fn make(group: Uuid, members: usize) -> Operation {
    let row = [
        ("name", Datum::from(format!("group-{members}").as_str())),
        ("load_balancer", Datum::uuids((0..members).map(load::uuid))),
    ];
    let row = row.map(|(column, datum)| (column.to_owned(), datum)).into();
    Operation::Insert { table: GROUP.to_owned(), uuid: Some(group), uuid_name: None, row }
}

fn refer(group: Uuid, member: usize, mutator: Mutator) -> Operation {
    Operation::Mutate {
        table: GROUP.to_owned(),
        condition: vec![Condition::uuid(group)],
        mutations: vec![Mutation::new("load_balancer", mutator, Datum::uuids([load::uuid(member)]))],
    }
}

/// A session driven by hand, so that waiting for the server is not counted.
struct Follower {
    session: Session,
    stream: UnixStream,
    started: Instant,
}

impl Follower {
    fn sync(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let tables = TablesWanted::new().require(GROUP, &["name", "load_balancer"]);
        let config = SessionConfig::new(vec![Endpoint::Unix(socket.to_owned())], load::DATABASE, tables);
        let mut session = Session::new(config, 1);
        session.poll_connect(Duration::ZERO);
        session.connected(Duration::ZERO);
        let mut follower = Self { session, stream, started: Instant::now() };
        follower.until(|event| matches!(event, Event::Synced))?;
        Ok(follower)
    }

    /// Takes the next change, and returns the bytes that told it.
    fn update(&mut self) -> anyhow::Result<Vec<u8>> {
        self.until(|event| matches!(event, Event::Changed(_)))
    }

    /// The same bytes again: how long the session worked on them.
    fn replay(&mut self, update: &[u8]) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.session.received(self.started.elapsed(), update);
        let worked = began.elapsed();
        let event = self.session.poll_event();
        ensure!(matches!(event, Some(Event::Changed(_))), "{event:?} where a change should be");
        Ok(worked)
    }

    fn members(&self, group: &Uuid) -> Option<usize> {
        let row = self.session.replica().row(GROUP, group)?;
        row.get("load_balancer").map(Datum::len)
    }

    /// The bytes of the last read, once what was waited for has come.
    fn until(&mut self, done: impl Fn(&Event) -> bool) -> anyhow::Result<Vec<u8>> {
        let mut buffer = vec![0; 64 << 10];
        let mut read = Vec::new();
        loop {
            while let Some(event) = self.session.poll_event() {
                match event {
                    Event::Disconnected { reason, .. } => bail!("the server went away: {reason}"),
                    event if done(&event) => return Ok(read),
                    _ => {}
                }
            }
            let count = self.stream.write(self.session.outbound())?;
            self.session.sent(self.started.elapsed(), count);
            if self.session.outbound().is_empty() {
                let count = self.stream.read(&mut buffer)?;
                ensure!(count > 0, "the server closed the connection");
                read = buffer[..count].to_vec();
                self.session.received(self.started.elapsed(), &read);
            }
        }
    }
}
