//! `ovn-vip speaker`: steers and answers for VIPs on one node.
//!
//! Wiring: what comes from the cluster, from Open vSwitch, from bridges and sockets goes into the node's
//! [`Agent`](crate::node::Agent), and what that wants is done. It decides; nothing here does.

mod line;
mod measured;
mod place;
mod switches;
mod waiting;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, select_all};
use k8s_openapi::jiff::Timestamp;
use tracing::{info, warn};

use crate::io::clock;
use crate::io::cluster::{self, Cluster};
use crate::io::kube::voice::{Said, Tempo, Voice};
use crate::io::node_lock::NodeLock;
use crate::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use crate::io::packet_socket::PacketSocketError;
use crate::io::switch::{DeliveryEvent, SwitchEvent};
use crate::kube::Kind;
use crate::kube::saying::{Owner, Saying};
use crate::l2::Received;
use crate::l2::beat::{Keys, State};
use crate::model::{InterfaceName, NodeName, ObjectKey, SubnetName};
use crate::node::{Agent, Identity, Manner, News, Settings, UidOf, bridge};
use crate::settings::SpeakerArgs;
use crate::telemetry::metrics::{Health, SpeakerMetrics, label};
use crate::telemetry::{Shutdown, say_problems};

use line::Line;
use switches::{Switches, folder_of};
use words::{say_delivery_event, say_news, say_switch_event, say_verdict, say_vswitch_event};

/// How fast what happens is said in the cluster: 100 requests a second at most. Others wait for the report, so that an Event
/// which is refused must not hold it up for long.
const TEMPO: Tempo =
    Tempo { pause: Duration::from_millis(200), failure_pause: Duration::from_secs(1), portion: 20 };

/// The loop turns so often at least within the time that a node may be stopped, so that one which was is told from one that
/// had nothing to do.
const TURNS: u32 = 3;

/// Runs until it is told to stop. Rules stay when it ends, so that its restart interrupts no one.
pub async fn run(arguments: SpeakerArgs) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let (mut speaker, mut place) = Speaker::new(&arguments).await?;
    // Held until this process has ended: then the next one begins.
    let mut held = None;
    loop {
        let input = tokio::select! {
            () = shutdown.requested() => break,
            taken = &mut place, if held.is_none() => {
                held = Some(taken.context("the wait for this node")??);
                Input::Due
            }
            input = speaker.next_input() => input,
        };
        if held.is_none() {
            speaker.take(input);
            continue;
        }
        let is_frame = matches!(input, Input::Frame(..));
        if !speaker.was_stopped(now()) || !is_frame {
            speaker.take(input);
        }
        speaker.turn(now());
        // A storm of frames is no time for book-keeping.
        if !is_frame {
            speaker.measure();
        }
    }
    if held.is_some() {
        speaker.part(arguments.last_words());
    }
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What the beats of this process have in common; none where none are sent. `alone`: whether there is no API server.
fn identity(arguments: &SpeakerArgs, node: &NodeName, alone: bool) -> anyhow::Result<Option<Arc<Identity>>> {
    let Some(cadence) = arguments.cadence() else { return Ok(None) };
    let keys = arguments.beat_key_file.as_deref().map(read_keys).transpose().context("--beat-key-file")?;
    if keys.is_none() {
        warn!("no --beat-key-file: any host on the wire can say that a node of this cluster lives");
    }
    let boot = u64::try_from(wall().as_millisecond()).unwrap_or_default();
    let (node, keys) = (node.clone(), keys.unwrap_or_default());
    Ok(Some(Arc::new(Identity { node, boot, cadence, keys, alone })))
}

fn read_keys(file: &Path) -> anyhow::Result<Keys> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let keys = Keys::read(&text);
    anyhow::ensure!(!keys.is_empty(), "{} is empty: write one secret a line into it", file.display());
    Ok(keys)
}

struct Speaker {
    node: NodeName,
    agent: Agent,
    cluster: Cluster,
    switches: Switches,
    lines: BTreeMap<SubnetName, Line>,
    voice: Voice,
    metrics: SpeakerMetrics,
    health: Arc<Health>,
    per_vip: bool,
    said: BTreeSet<String>,
    said_of_world: BTreeSet<String>,
    said_of_voice: BTreeSet<String>,
}

/// What a speaker waits for before it works.
type Place = tokio::task::JoinHandle<anyhow::Result<Option<NodeLock>>>;

/// Something to take in.
enum Input {
    Cluster(cluster::News),
    Vswitch(Event),
    Bridge(InterfaceName, SwitchEvent),
    Integration(DeliveryEvent),
    Frame(SubnetName, Result<Received, PacketSocketError>),
    Voice(Option<Said>),
    Due,
}

impl Speaker {
    /// It reads at once, and is to do nothing before it has its place.
    async fn new(arguments: &SpeakerArgs) -> anyhow::Result<(Self, Place)> {
        let endpoints = Endpoint::parse_list(&arguments.ovs).context("--ovs")?;
        let rundir = arguments.ovs_rundir.clone().or_else(|| folder_of(&arguments.ovs));
        let rundir = rundir
            .context("--ovs is no unix socket: say with --ovs-rundir where the bridges' sockets are")?;
        let (metrics, health) = SpeakerMetrics::new();
        let place = tokio::spawn(place::take(rundir.clone(), health.clone(), arguments.cluster.clone()));
        let vswitch = Client::new(ClientConfig::new(endpoints, bridge::DATABASE, bridge::tables()));
        let switches = Switches::new(rundir, vswitch);
        let cluster = Cluster::open(&arguments.cluster.source(), crate::io::kube::watch::By::All).await?;
        let node = NodeName::from(arguments.node.as_str());
        let beats = identity(arguments, &node, cluster.client().is_none())?;
        let speaker = Self {
            agent: Agent::new(Settings {
                node: node.clone(),
                policy: arguments.cluster.policy(),
                manner: Manner { beats, ..arguments.manner() },
                reports: cluster.client().is_some(),
            }),
            node,
            voice: Voice::new(cluster.client(), TEMPO),
            cluster,
            switches,
            lines: BTreeMap::new(),
            metrics,
            health,
            per_vip: arguments.cluster.metrics_per_vip,
            said: BTreeSet::new(),
            said_of_world: BTreeSet::new(),
            said_of_voice: BTreeSet::new(),
        };
        Ok((speaker, place))
    }

    /// Cancel-safe: each source is.
    async fn next_input(&mut self) -> Input {
        let lines = self.agent.sockets().filter(|(.., wanted)| *wanted);
        let lines = lines.filter_map(|(subnet, ..)| self.lines.get(subnet)?.deadline());
        let tick = now() + self.agent.patience() / TURNS;
        let deadline = lines.chain(self.agent.deadline()).fold(tick, Instant::min);
        let Switches { vswitch, bridges, integration, .. } = &mut self.switches;
        let bridges = bridges.iter_mut().map(|(name, switch)| {
            async move { Input::Bridge(name.clone(), switch.next_event().await) }.boxed_local()
        });
        let frames = self.lines.iter().map(|(name, line)| {
            async move { Input::Frame(name.clone(), line.receive().await) }.boxed_local()
        });
        tokio::select! {
            news = self.cluster.next() => Input::Cluster(news),
            event = vswitch.next_event() => Input::Vswitch(event),
            event = integration.next_event() => Input::Integration(event),
            input = any(bridges.chain(frames).collect()) => input,
            said = self.voice.due() => Input::Voice(said),
            () = due(deadline) => Input::Due,
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Cluster(news) => self.cluster_changed(news),
            Input::Vswitch(event) => {
                self.switches.excuse();
                if matches!(event, Event::Synced | Event::Changed(_)) {
                    self.agent.vswitch_changed();
                }
                say_vswitch_event(event);
            }
            Input::Bridge(bridge, event) => {
                self.agent.sight_changed();
                self.measure_switch(&bridge, &event);
                say_switch_event(&bridge, event);
            }
            Input::Integration(event) => {
                self.agent.sight_changed();
                say_delivery_event(event);
            }
            Input::Frame(subnet, Ok(frame)) => {
                if let Some(verdict) = self.agent.receive(&subnet, &frame, now()) {
                    self.metrics.verdicts.get_or_create(&label("verdict", verdict.as_str())).inc();
                    say_verdict(&subnet, &verdict);
                }
            }
            Input::Frame(subnet, Err(error)) => self.lose_line(&subnet, &error, now()),
            Input::Voice(None) => self.write(now()),
            Input::Voice(Some(said)) => {
                self.voice.said(&said, now().into());
                say_problems(&mut self.said_of_voice, said.failures.first().cloned().into_iter());
            }
            Input::Due => self.take_waiting(),
        }
    }

    fn cluster_changed(&mut self, news: cluster::News) {
        self.metrics.rewinds.inc_by(news.rewinds);
        self.agent.cluster_changed(news.changes, self.cluster.is_complete());
        let nobody = self.cluster.is_complete() && self.agent.world().node(&self.node).is_none();
        let nobody = nobody.then(|| {
            format!("the cluster has no Node {}: nothing is announced; is --node its name?", self.node)
        });
        say_problems(&mut self.said_of_world, news.problems.into_iter().chain(nobody));
    }

    /// Whether this process was stopped; then frames that wait for it are dropped.
    fn was_stopped(&mut self, now: Instant) -> bool {
        let was_stopped = self.agent.wake(clock::up(), now);
        if was_stopped {
            warn!("this node was stopped for a while: what it holds is asked for before it is answered for");
            self.lines.values().for_each(Line::drop_waiting);
        }
        was_stopped
    }

    /// Does what there is to do, in the order in which it has to be done.
    fn turn(&mut self, now: Instant) {
        if self.agent.plan(&self.switches, now) {
            let (spared, kept) = (self.agent.spared(), self.agent.kept());
            self.switches.want(self.agent.rules(), &spared, &kept, self.agent.wishes());
            say_problems(&mut self.said, self.agent.problems().iter().cloned());
        }
        self.open_lines(now);
        self.agent.act(&self.switches, now);
        // Stopped in the midst of it: nothing of then is said.
        self.was_stopped(now);
        self.send(now);
        self.tell();
        if self.agent.take_writing_due() {
            self.voice.stir(now.into());
        }
    }

    /// Sends what is due.
    fn send(&mut self, now: Instant) {
        while let Some((subnet, frame)) = self.agent.poll_transmit(now) {
            let sent = self.lines.get(&subnet).map_or(Ok(()), |line| line.send(&frame));
            if let Err(error) = sent {
                self.lose_line(&subnet, &error, now);
            }
        }
    }

    /// Tells the other speakers that this one ends.
    fn part(&mut self, state: State) {
        self.agent.part(state);
        self.send(now());
    }

    /// Opens a socket where there is something to say; tries again after a pause.
    fn open_lines(&mut self, now: Instant) {
        let sockets: Vec<(SubnetName, InterfaceName, bool)> = self
            .agent
            .sockets()
            .map(|(subnet, interface, wanted)| (subnet.clone(), interface.clone(), wanted))
            .collect();
        self.lines.retain(|subnet, _| sockets.iter().any(|(wanted, ..)| wanted == subnet));
        for (subnet, interface, wanted) in sockets {
            let line = self.lines.entry(subnet.clone()).or_insert_with(|| Line::new(interface.clone(), now));
            if *line.interface() != interface {
                *line = Line::new(interface, now);
            }
            match wanted.then(|| line.open(now)).flatten() {
                Some(Ok(())) => self.agent.socket_opened(&subnet, now),
                Some(Err(error)) => self.lose_line(&subnet, &error, now),
                None => {}
            }
        }
    }

    fn lose_line(&mut self, subnet: &SubnetName, error: &PacketSocketError, now: Instant) {
        let line = self.lines.get_mut(subnet);
        if let Some(error) = line.and_then(|line| line.lose(error, now)) {
            warn!(%subnet, "{error}");
        }
        self.agent.socket_failed(subnet, now);
    }

    /// Tells what happened to VIPs.
    fn tell(&mut self) {
        while let Some(told) = self.agent.poll_told(wall()) {
            say_news(&told);
            self.count(&told.news);
            told.events.into_iter().for_each(|event| self.voice.tell(event));
        }
    }

    fn count(&self, news: &News) {
        let count = |event| {
            self.metrics.claims.get_or_create(&label("event", event)).inc();
        };
        match news {
            News::Announced(_) => count("announced"),
            News::Withdrawn(..) => count("withdrawn"),
            // Each frame of them is counted among the verdicts.
            News::Asking(_)
            | News::HandedOver(..)
            | News::Conflict(..)
            | News::Carrier(..)
            | News::Silent(_) => {}
        }
    }

    /// Writes the next portion of what is to be written.
    fn write(&mut self, now: Instant) {
        let writings = self.writings(now);
        self.voice.speak(writings, now.into());
    }

    fn writings(&mut self, now: Instant) -> Vec<Saying> {
        let Cluster::Kube(watch, _) = &self.cluster else { return Vec::new() };
        let uid_of = |key: &ObjectKey| watch.marks_of(key).map(|marks| marks.uid.clone());
        let uid = uid_of(&ObjectKey::Node(self.node.clone())).unwrap_or_default();
        let owner = Owner { node: self.node.clone(), uid };
        let uid_of: &UidOf<'_> = &uid_of;
        self.agent.writings(&owner, watch.has(Kind::L2Status).then_some(uid_of), now)
    }

    /// What a switch did, in numbers.
    fn measure_switch(&self, bridge: &InterfaceName, event: &SwitchEvent) {
        let connected = self.metrics.connected.get_or_create_owned(&label("bridge", bridge.as_str()));
        match event {
            SwitchEvent::Connected { .. } => drop(connected.set(1)),
            SwitchEvent::Disconnected { .. } => drop(connected.set(0)),
            SwitchEvent::Repaired { added, removed } => {
                self.metrics.repairs.inc_by(u64::try_from(added + removed).unwrap_or_default());
            }
            SwitchEvent::Installed { .. }
            | SwitchEvent::LeftToKubeOvn { .. }
            | SwitchEvent::Replaces { .. }
            | SwitchEvent::Refused { .. } => {}
        }
    }
}

async fn any(sources: Vec<LocalBoxFuture<'_, Input>>) -> Input {
    if sources.is_empty() { std::future::pending().await } else { select_all(sources).await.0 }
}

async fn due(deadline: Instant) {
    tokio::time::sleep_until(deadline.into()).await;
}

#[expect(clippy::disallowed_methods, reason = "a shell reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn wall() -> Timestamp {
    Timestamp::now()
}
