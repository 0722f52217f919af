//! `ovn-vip speaker`: steers and answers for VIPs on one node.
//!
//! The order of acts is what it is for: rules first, then speech; silence first, then rules. A VIP is spoken only
//! while its rules are known to be on the bridge.

pub mod bridge;
mod handover;
mod line;
mod segment;
pub mod status;
mod telling;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, select_all};
use tracing::{debug, error, info, warn};

use crate::flows::{Flow, Wishes};
use crate::io::cluster::{Cluster, News};
use crate::io::kube::voice::{Said, Tempo, Voice};
use crate::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use crate::io::packet_socket::PacketSocketError;
use crate::io::switch::{DeliveryEvent, Integration, Switch, SwitchEvent};
use crate::kube::saying::report_key;
use crate::l2::Received;
use crate::model::{
    AnnouncePlan, Change, InterfaceName, NodeName, Object, ObjectKey, SpeakerReport, SubnetName, World,
};
use crate::plan::{Policy, announce_plan};
use crate::settings::SpeakerArgs;
use crate::telemetry::metrics::{Health, SpeakerMetrics, label};
use crate::telemetry::{Shutdown, say_problems};

use bridge::locate;
use segment::{Ready, Segment};
use telling::is_known;
use words::{say_delivery_event, say_switch_event};

/// How fast what happens is said in the cluster: 100 requests a second at most. Others wait for the report, so that an Event
/// which is refused must not hold it up for long.
const TEMPO: Tempo =
    Tempo { pause: Duration::from_millis(200), failure_pause: Duration::from_secs(1), portion: 20 };

/// Runs until it is told to stop. Rules stay when it ends, so that its restart interrupts no one.
pub async fn run(arguments: SpeakerArgs) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let mut speaker = Speaker::new(&arguments).await?;
    loop {
        let input = tokio::select! {
            () = shutdown.requested() => break,
            input = speaker.next_input() => input,
        };
        let is_frame = matches!(input, Input::Frame(..));
        speaker.take(input);
        speaker.settle(now());
        // A storm of frames is no time for book-keeping.
        if !is_frame {
            speaker.report();
        }
    }
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

struct Speaker {
    node: NodeName,
    policy: Policy,
    /// How often what is held is announced anew.
    refresh: Option<Duration>,
    rundir: PathBuf,
    cluster: Cluster,
    vswitch: Client,
    world: World,
    plan: AnnouncePlan,
    /// Whether the plan, or what the bridges are, may have changed.
    stale: bool,
    /// Whether Open vSwitch's database has been read: before that nothing is known of the bridges.
    vswitch_known: bool,
    /// Whether what the bridges confirm may have changed.
    rules_changed: bool,
    /// Whether the page `/status` may have to be another.
    status_stale: bool,
    switches: BTreeMap<InterfaceName, Switch>,
    /// OVN's own bridge: whether it delivers what we announce.
    integration: Integration,
    segments: BTreeMap<SubnetName, Segment>,
    /// What the other speakers can read of this one: the report as the API server has it.
    published: Option<SpeakerReport>,
    /// Whether the report may have to be another.
    report_stale: bool,
    /// Whether this run has reported anything: before that, the last report of the run before counts.
    has_reported: bool,
    voice: Voice,
    metrics: SpeakerMetrics,
    health: Arc<Health>,
    said: BTreeSet<String>,
    said_of_world: BTreeSet<String>,
    said_of_voice: BTreeSet<String>,
}

/// Something to take in.
enum Input {
    Cluster(News),
    Vswitch(Event),
    Bridge(InterfaceName, SwitchEvent),
    Integration(DeliveryEvent),
    Frame(SubnetName, Result<Received, PacketSocketError>),
    Voice(Option<Said>),
    Due,
}

impl Speaker {
    async fn new(arguments: &SpeakerArgs) -> anyhow::Result<Self> {
        let endpoints = Endpoint::parse_list(&arguments.ovs).context("--ovs")?;
        let rundir = arguments.ovs_rundir.clone().or_else(|| folder_of(&arguments.ovs));
        let rundir = rundir
            .context("--ovs is no unix socket: say with --ovs-rundir where the bridges' sockets are")?;
        let (metrics, health) = SpeakerMetrics::new();
        health.listen(arguments.cluster.http.as_deref()).await?;
        let integration = Integration::new(socket_of(&rundir, &InterfaceName::from("br-int")));
        let cluster = Cluster::open(&arguments.cluster.source()).await?;
        Ok(Self {
            node: NodeName::from(arguments.node.as_str()),
            policy: arguments.cluster.policy(),
            refresh: arguments.refresh(),
            rundir,
            voice: Voice::new(cluster.client(), TEMPO),
            cluster,
            vswitch: Client::new(ClientConfig::new(endpoints, bridge::DATABASE, bridge::tables())),
            world: World::default(),
            plan: AnnouncePlan::default(),
            stale: true,
            vswitch_known: false,
            rules_changed: false,
            status_stale: true,
            switches: BTreeMap::new(),
            integration,
            segments: BTreeMap::new(),
            published: None,
            report_stale: true,
            has_reported: false,
            metrics,
            health,
            said: BTreeSet::new(),
            said_of_world: BTreeSet::new(),
            said_of_voice: BTreeSet::new(),
        })
    }

    /// Cancel-safe: each source is.
    async fn next_input(&mut self) -> Input {
        let deadline = self.segments.values().filter_map(Segment::deadline).min();
        let bridges = self.switches.iter_mut().map(|(name, switch)| {
            async move { Input::Bridge(name.clone(), switch.next_event().await) }.boxed_local()
        });
        let frames = self.segments.iter().map(|(name, segment)| {
            async move { Input::Frame(name.clone(), segment.receive().await) }.boxed_local()
        });
        tokio::select! {
            news = self.cluster.next() => Input::Cluster(news),
            event = self.vswitch.next_event() => Input::Vswitch(event),
            event = self.integration.next_event() => Input::Integration(event),
            input = any(bridges.chain(frames).collect()) => input,
            said = self.voice.due() => Input::Voice(said),
            () = due(deadline) => Input::Due,
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Cluster(news) => self.cluster_changed(news),
            Input::Vswitch(event) => self.vswitch_event(event),
            Input::Bridge(bridge, event) => {
                self.rules_changed = true;
                self.measure_switch(&bridge, &event);
                say_switch_event(&bridge, event);
            }
            Input::Integration(event) => {
                self.rules_changed = true;
                say_delivery_event(event);
            }
            Input::Frame(subnet, frame) => {
                let segment = self.segments.get_mut(&subnet);
                if let Some(verdict) = segment.and_then(|segment| segment.received(frame, now())) {
                    self.status_stale |= verdict.starts_with("conflict");
                    self.metrics.verdicts.get_or_create(&label("verdict", verdict)).inc();
                }
            }
            Input::Voice(None) => self.speak_up(now()),
            Input::Voice(Some(said)) => self.said(&said, now()),
            Input::Due => {}
        }
    }

    fn cluster_changed(&mut self, news: News) {
        for change in news.changes {
            if self.is_own_report(&change) {
                self.rules_changed = true;
                if self.has_reported {
                    continue;
                }
            }
            self.stale |= !self.world.apply(change).is_empty();
        }
        self.voice.stir(now().into());
        let nobody = self.cluster.is_complete() && self.world.node(&self.node).is_none();
        let nobody = nobody.then(|| {
            format!("the cluster has no Node {}: nothing is announced; is --node its name?", self.node)
        });
        say_problems(&mut self.said_of_world, news.problems.into_iter().chain(nobody));
    }

    /// Takes note of what the API server has of this node's own report.
    fn is_own_report(&mut self, change: &Change) -> bool {
        let own = report_key(&self.node);
        self.published = match change {
            Change::Apply(Object::Report(report)) if report.key == own => Some(report.clone()),
            Change::Remove(ObjectKey::Report(key)) if *key == own => None,
            Change::Apply(_) | Change::Remove(_) => return false,
        };
        true
    }

    fn vswitch_event(&mut self, event: Event) {
        match event {
            Event::Connected { endpoint, missing: _ } => {
                info!(%endpoint, "connected to Open vSwitch's database")
            }
            Event::Disconnected { endpoint, reason, said_before: false, .. } => {
                warn!(endpoint, reason, "no connection to Open vSwitch's database; retrying");
            }
            Event::Disconnected { endpoint, reason, .. } => debug!(endpoint, reason, "no connection"),
            Event::SchemaRefused(missing) => error!(%missing, "this Open vSwitch cannot be used"),
            Event::Synced => (self.stale, self.vswitch_known) = (true, true),
            Event::Changed(_) => self.stale = true,
            Event::Committed { .. } | Event::Locked { .. } | Event::Unlocked { .. } => {}
        }
    }

    /// Does what there is to do; once more where that altered what this node can do, and so the plan.
    fn settle(&mut self, now: Instant) {
        self.step(now);
        if self.stale {
            self.step(now);
        }
    }

    /// Plans where something changed; then speaks what is steered, and sends what is due.
    fn step(&mut self, now: Instant) {
        // Rules and speech of an earlier run stay while the cluster is not fully known.
        let known = self.vswitch_known && self.cluster.is_complete();
        if known && std::mem::take(&mut self.stale) {
            self.plan_anew(now);
            self.rules_changed = true;
        }
        let rules_changed = std::mem::take(&mut self.rules_changed);
        for (subnet, segment) in &mut self.segments {
            let opened = segment.open_socket(now);
            self.status_stale |= opened || rules_changed;
            let switch = self.switches.get(segment.bridge());
            if let Some(switch) = switch.filter(|_| opened || rules_changed) {
                let mac = segment.located().interface.mac;
                let ready = Ready {
                    is_on_bridge: &|flow: &Flow| switch.confirms(flow),
                    is_delivered: &|vip| self.integration.confirms(subnet, vip),
                    is_known: is_known(&self.cluster, self.published.as_ref(), subnet, mac),
                };
                segment.speak_what_is_delivered(&ready, now);
            }
            segment.transmit(now);
        }
        if known {
            self.keep_report(now);
        }
        self.tell_news(now);
    }

    fn plan_anew(&mut self, now: Instant) {
        let (plan, refusals) = announce_plan(&self.world, &self.policy, None, &self.node);
        let replica = self.vswitch.replica();
        let mut problems: BTreeSet<String> = refusals.iter().map(ToString::to_string).collect();
        let mut segments = BTreeMap::new();
        for (subnet, plan) in &plan.segments {
            let needed = !plan.steered.is_empty();
            match locate(replica, plan) {
                Ok(located) => {
                    let old = self.segments.remove(subnet);
                    let segment = match old {
                        Some(mut segment) => {
                            segment.set_plan(plan.clone(), located, now);
                            segment
                        }
                        None => {
                            let held = self.world.report_of(&self.node);
                            let held = held.and_then(|report| report.segments.get(subnet));
                            let terms = held.map(|segment| segment.held.clone()).unwrap_or_default();
                            Segment::new(subnet.clone(), plan.clone(), located, terms, self.refresh, now)
                        }
                    };
                    segments.insert(subnet.clone(), segment);
                }
                Err(error) if needed => drop(problems.insert(format!("Subnet {subnet}: {error}"))),
                Err(_) => {}
            }
        }
        // Segments that are gone fall silent here; their rules go next.
        let gone = std::mem::replace(&mut self.segments, segments);
        for (subnet, mut segment) in gone {
            segment.fall_silent(now);
            self.tell_news_of(&subnet, &mut segment, now);
        }
        say_problems(&mut self.said, problems.into_iter());
        self.plan = plan;
        self.report_stale = true;
        self.want_rules();
        self.want_delivery();
    }

    /// OVN is asked for what we are to announce, and for nothing else.
    fn want_delivery(&mut self) {
        let bridge = bridge::integration_bridge(self.vswitch.replica());
        let socket = socket_of(&self.rundir, &bridge);
        if *self.integration.socket() != socket {
            self.integration = Integration::new(socket);
        }
        let mut wishes = Wishes::new();
        for (subnet, segment) in &self.segments {
            for (vip, wish) in segment.wishes() {
                wishes.entry(vip).or_default().insert(subnet.clone(), wish);
            }
        }
        self.integration.set_wanted(wishes);
    }

    /// Every bridge of a provider network has exactly the rules that its segments need; none, where there is none.
    fn want_rules(&mut self) {
        for bridge in &self.plan.bridges {
            if bridge::exists(self.vswitch.replica(), bridge) {
                let socket = || Switch::new(socket_of(&self.rundir, bridge));
                self.switches.entry(bridge.clone()).or_insert_with(socket);
            }
        }
        for (bridge, switch) in &mut self.switches {
            let segments = self.segments.values().filter(|segment| segment.bridge() == bridge);
            switch.set_wanted(segments.flat_map(Segment::flows).cloned().collect());
        }
    }
}

fn folder_of(address: &str) -> Option<PathBuf> {
    address.strip_prefix("unix:").and_then(|path| Path::new(path).parent()).map(Path::to_path_buf)
}

/// A bridge's management socket (ovs-vswitchd(8)).
fn socket_of(rundir: &Path, bridge: &InterfaceName) -> PathBuf {
    rundir.join(format!("{bridge}.mgmt"))
}

async fn any(sources: Vec<LocalBoxFuture<'_, Input>>) -> Input {
    if sources.is_empty() { std::future::pending().await } else { select_all(sources).await.0 }
}

async fn due(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[expect(clippy::disallowed_methods, reason = "a shell reads the clock")]
fn now() -> Instant {
    Instant::now()
}
