//! The nodes, the wire between them, a client that asks, and what no history may do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ovn_vip::flows::Flow;
use ovn_vip::kube::saying::{Owner, Saying};
use ovn_vip::l2::beat::GROUP;
use ovn_vip::l2::ethernet::{self, ETHERTYPE_ARP};
use ovn_vip::l2::{Received, arp};
use ovn_vip::model::{
    Endpoint, EndpointSlice, Family, Mac, Object, Protocol, ServiceKey, SliceKey, SlicePort,
};
use ovn_vip::node::News;

use super::cluster::{bare, base, v4};
use super::host::Host;
use super::server::Server;

#[path = "changes.rs"]
mod changes;
#[path = "wire.rs"]
mod wire;

/// After the last trouble of the wire or of a node: then two may no longer answer for one VIP.
const WHOLE: Duration = Duration::from_secs(8);
/// After the last change of anything: then one answers, if any can.
const SETTLED: Duration = Duration::from_secs(15);
/// How long the loss of delivery may go unnoticed, and its flows be answered for.
const NOTICED: Duration = Duration::from_millis(1000);
const CLIENT: Mac = Mac([2, 0xc, 0, 0, 0, 1]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    Wait(Duration),
    Backend {
        node: usize,
        vip: usize,
        ready: bool,
    },
    NodeReady {
        node: usize,
        ready: bool,
    },
    /// The group that each node is in; the client is in the first.
    Partition(Vec<usize>),
    /// Of a thousand frames.
    Loss(u32),
    Server {
        node: usize,
        reachable: bool,
    },
    Restore(usize),
    Ovn {
        node: usize,
        vip: usize,
        delivers: bool,
    },
    Bridge {
        node: usize,
        there: bool,
    },
    /// ovs-vswitchd: without it nothing is sent, heard, confirmed or delivered.
    Switch {
        node: usize,
        runs: bool,
    },
    Carrier {
        node: usize,
        carrier: bool,
    },
    Stop {
        node: usize,
        time: Duration,
    },
    Kill(usize),
    Start(usize),
}

#[derive(Debug)]
enum Event {
    Frame(usize, Vec<u8>),
    Wake(usize),
    Read(usize),
    Write(usize),
    See(usize),
    Resume(usize),
    Ask,
    Judge(IpAddr, Duration),
}

pub struct Lab {
    start: Instant,
    now: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    number: u64,
    random: u64,
    hosts: Vec<Host>,
    vips: Vec<IpAddr>,
    server: Server,
    groups: Vec<usize>,
    loss: u32,
    /// Whether the speakers say on the wire that they are there.
    beats: bool,
    /// Whether there is no API server, but a folder on each node: speakers know each other by their beats alone.
    alone: bool,
    troubled_at: Duration,
    changed_at: Duration,
    /// Who answered the client, and when.
    answers: Vec<(Duration, IpAddr, usize)>,
    /// Set at the end: who answers each VIP; nothing may alter it.
    final_answerers: Option<BTreeMap<IpAddr, usize>>,
    faults: Vec<String>,
    /// Who announces each VIP, by their own word, since when two do, and the longest that two did.
    announcing: BTreeMap<IpAddr, BTreeSet<usize>>,
    together_since: BTreeMap<IpAddr, Duration>,
    longest_together: Duration,
    /// How many beats were sent.
    pub beaten: usize,
}

impl Lab {
    pub fn new(nodes: usize, vips: usize, seed: u64) -> Self {
        Self::of(nodes, vips, seed, false)
    }

    /// Without an API server: each node has a folder.
    pub fn alone(nodes: usize, vips: usize, seed: u64) -> Self {
        Self::of(nodes, vips, seed, true)
    }

    fn of(nodes: usize, vips: usize, seed: u64, alone: bool) -> Self {
        let vips: Vec<IpAddr> = (0..vips).map(|number| v4(250 + u8::try_from(number).unwrap())).collect();
        let mut lab = Self {
            start: Instant::now(),
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            number: 0,
            random: seed | 1,
            hosts: (0..nodes).map(|number| Host::new(number, &vips)).collect(),
            vips,
            server: Server::default(),
            groups: vec![0; nodes],
            loss: 0,
            beats: alone || seed.count_ones().is_multiple_of(2),
            alone,
            troubled_at: Duration::ZERO,
            changed_at: Duration::ZERO,
            answers: Vec::new(),
            final_answerers: None,
            faults: Vec::new(),
            announcing: BTreeMap::new(),
            together_since: BTreeMap::new(),
            longest_together: Duration::ZERO,
            beaten: 0,
        };
        for object in base().into_iter().filter(|object| !matches!(object, Object::Node(_))) {
            lab.server.put(object);
        }
        for number in 0..nodes {
            lab.write_node(number);
        }
        for number in 0..lab.vips.len() {
            let service = bare(&format!("s{number}"), [lab.vips[number]].into());
            lab.server.put(Object::Service(service));
            lab.write_slice(number);
        }
        for number in 0..nodes {
            lab.start(number);
            lab.at(Duration::from_millis(20), Event::Read(number));
        }
        lab.at(Duration::from_millis(500), Event::Ask);
        lab
    }

    /// Who answered last for the VIP of that number, and how long ago.
    pub fn answerer(&self, vip: usize) -> Option<(usize, Duration)> {
        let last = self.answers.iter().rev().find(|(_, of, _)| *of == self.vips[vip]);
        last.map(|(at, _, node)| (*node, self.now - *at))
    }

    /// How many announce the VIP of that number.
    pub fn announcers(&self, vip: usize) -> usize {
        self.announcing.get(&self.vips[vip]).map_or(0, BTreeSet::len)
    }

    pub fn into_faults(self) -> Vec<String> {
        self.faults
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.number += 1;
        self.queue.insert((self.now + after, self.number), event);
    }

    fn soon(&mut self, event: Event) {
        self.at(Duration::from_millis(1), event);
    }

    /// Xorshift (Marsaglia 2003).
    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn random_millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.random(most - least))
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut events = 0;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            self.happen(event);
            events += 1;
            if events > 100_000 {
                self.faults.push(format!("{:?}: no end of it", self.now));
                break;
            }
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame(node, bytes) => self.hear(node, bytes),
            Event::Wake(node) => self.turn(node),
            Event::Read(node) => self.read(node),
            Event::Write(node) => self.write(node),
            Event::See(node) => {
                let switches = &mut self.hosts[node].switches;
                switches.seen.clone_from(&switches.delivers);
                if let Some(agent) = &mut self.hosts[node].agent {
                    agent.sight_changed();
                }
                self.turn(node);
            }
            Event::Resume(node) => self.resume(node),
            Event::Ask => self.ask(),
            Event::Judge(vip, asked_at) => self.judge(vip, asked_at),
        }
    }

    // ── nodes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    fn hear(&mut self, node: usize, bytes: Vec<u8>) {
        let (now, host) = (self.instant(), &mut self.hosts[node]);
        if !host.has_socket || !host.switches.carrier || !host.switches.runs {
            return;
        }
        if host.stopped.is_some() {
            host.inbox.push(bytes);
            return;
        }
        if let Some(agent) = &mut host.agent {
            agent.receive(&"underlay".into(), &Received { bytes, stripped: None }, now);
        }
        self.turn(node);
    }

    fn resume(&mut self, node: usize) {
        let (now, time) = (self.instant(), self.now);
        let host = &mut self.hosts[node];
        let Some((since, _)) = host.stopped.filter(|(_, until)| *until <= time) else { return };
        host.stopped = None;
        host.slept += time - since;
        let inbox = std::mem::take(&mut host.inbox);
        let Some(agent) = &mut host.agent else { return };
        if !agent.wake(host.slept, now) {
            for bytes in inbox {
                agent.receive(&"underlay".into(), &Received { bytes, stripped: None }, now);
            }
        }
        host.switches.seen.clone_from(&host.switches.delivers);
        agent.sight_changed();
        self.turn(node);
        self.soon(Event::Read(node));
        self.soon(Event::Write(node));
        self.troubled_at = self.now;
        self.changed_at = self.now;
    }

    fn read(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        let Some(agent) = host.agent.as_mut().filter(|_| host.stopped.is_none() && host.reachable) else {
            return;
        };
        let (changes, read) = match host.read {
            Some(read) => self.server.since(read),
            None => self.server.list(),
        };
        host.read = Some(read);
        agent.cluster_changed(changes, true);
        self.turn(node);
    }

    fn write(&mut self, node: usize) {
        let now = self.instant();
        let host = &mut self.hosts[node];
        let Some(agent) = host.agent.as_mut().filter(|_| host.stopped.is_none()) else { return };
        host.write_at = None;
        if self.alone {
            return;
        }
        let owner = Owner { node: host.name.clone(), uid: String::new() };
        let writings = agent.writings(&owner, None, now);
        if !host.reachable {
            host.write_at = Some(self.now + Duration::from_secs(1));
            return self.at(Duration::from_secs(1), Event::Write(node));
        }
        for saying in writings {
            if let Saying::Report { report, .. } = saying
                && self.server.put(Object::Report(report))
            {
                self.tell_all();
            }
        }
    }

    fn turn(&mut self, node: usize) {
        let (now, time) = (self.instant(), self.now);
        let host = &mut self.hosts[node];
        let Some(agent) = host.agent.as_mut().filter(|_| host.stopped.is_none()) else { return };
        agent.wake(host.slept, now);
        if agent.plan(&host.switches, now) {
            host.switches.rules = agent.rules().into_values().flatten().collect();
            host.switches.handed = host.switches.rules.clone();
        }
        let wanted: BTreeSet<Flow> = agent.rules().into_values().flatten().collect();
        if agent.waiting_for().is_none() && wanted != host.switches.handed {
            self.faults
                .push(format!("{time:?} {}: other rules are wanted, and that was not said", host.name));
        }
        if agent.sockets().any(|(.., wanted)| wanted) && !host.has_socket && host.switches.bridge {
            host.has_socket = true;
            agent.socket_opened(&"underlay".into(), now);
        }
        agent.act(&host.switches, now);
        let frames: Vec<Vec<u8>> =
            std::iter::from_fn(|| agent.poll_transmit(now)).map(|(_, frame)| frame).collect();
        let mut news = Vec::new();
        while let Some(told) = agent.poll_told(Timestamp::UNIX_EPOCH) {
            if std::env::var_os("NODES_TRACE").is_some() {
                println!("{time:?} {}: {:?}", host.name, told.news);
            }
            news.push(told.news);
        }
        let write = agent.take_writing_due() && host.write_at.is_none();
        let deadline = agent.deadline().map(|deadline| deadline.saturating_duration_since(self.start));
        let wake = deadline.map(|deadline| deadline.max(time));
        let wake = wake.filter(|at| host.wake_at.is_none_or(|before| before <= time || *at < before));
        if write {
            host.write_at = Some(time + Duration::from_millis(200));
            self.at(Duration::from_millis(200), Event::Write(node));
        }
        if let Some(at) = wake {
            self.hosts[node].wake_at = Some(at);
            self.at(at - time, Event::Wake(node));
        }
        news.iter().for_each(|news| self.note(node, news));
        frames.into_iter().for_each(|frame| self.send(node, frame));
    }

    fn note(&mut self, node: usize, news: &News) {
        let (vip, announces) = match news {
            News::Announced(vip) => (*vip, true),
            News::Withdrawn(vip, _) => (*vip, false),
            _ => return,
        };
        let nodes = self.announcing.entry(vip).or_default();
        let _ = if announces { nodes.insert(node) } else { nodes.remove(&node) };
        if nodes.len() > 1 {
            self.together_since.entry(vip).or_insert(self.now);
        } else if let Some(since) = self.together_since.remove(&vip) {
            self.longest_together = self.longest_together.max(self.now - since);
        }
    }

    /// The longest time for which two announced one VIP.
    pub fn longest_together(&self) -> Duration {
        let lasting = self.together_since.values().map(|since| self.now - *since);
        lasting.fold(self.longest_together, Duration::max)
    }

    // ── the wire ────────────────────────────────────────────────────────────────────────────────────────────────────────
}
