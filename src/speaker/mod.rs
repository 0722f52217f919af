//! `ovn-vip speaker`: steers and answers for VIPs on one node.
//!
//! The order of acts is what it is for: rules first, then speech; silence first, then rules. A VIP is spoken only
//! while its rules are known to be on the bridge.

pub mod bridge;
mod handover;
mod segment;
pub mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, select_all};
use tracing::{debug, error, info, warn};

use crate::flows::Flow;
use crate::io::cluster::{Cluster, News};
use crate::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use crate::io::packet_socket::PacketSocketError;
use crate::io::switch::{DeliveryEvent, Integration, Switch, SwitchEvent};
use crate::l2::Received;
use crate::model::{AnnouncePlan, InterfaceName, NodeName, SubnetName, World};
use crate::plan::{Policy, announce_plan};
use crate::settings::SpeakerArgs;
use crate::telemetry::metrics::{Health, SpeakerMetrics, label, replace};
use crate::telemetry::{Shutdown, say_problems};

use bridge::locate;
use segment::Segment;
use status::Status;

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
    metrics: SpeakerMetrics,
    health: Arc<Health>,
    said: BTreeSet<String>,
    said_of_world: BTreeSet<String>,
}

/// Something to take in.
enum Input {
    Cluster(News),
    Vswitch(Event),
    Bridge(InterfaceName, SwitchEvent),
    Integration(DeliveryEvent),
    Frame(SubnetName, Result<Received, PacketSocketError>),
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
        Ok(Self {
            node: NodeName::from(arguments.node.as_str()),
            policy: arguments.cluster.policy(),
            rundir,
            cluster: Cluster::open(&arguments.cluster.source()).await?,
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
            metrics,
            health,
            said: BTreeSet::new(),
            said_of_world: BTreeSet::new(),
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
            Input::Due => {}
        }
    }

    fn cluster_changed(&mut self, news: News) {
        for change in news.changes {
            self.stale |= !self.world.apply(change).is_empty();
        }
        let nobody = self.cluster.is_complete() && self.world.node(&self.node).is_none();
        let nobody = nobody.then(|| {
            format!("the cluster has no Node {}: nothing is announced; is --node its name?", self.node)
        });
        say_problems(&mut self.said_of_world, news.problems.into_iter().chain(nobody));
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

    /// Plans where something changed; then speaks what is steered, and sends what is due.
    fn settle(&mut self, now: Instant) {
        // Rules and speech of an earlier run stay while the cluster is not fully known.
        let known = self.vswitch_known && self.cluster.is_complete();
        if known && std::mem::take(&mut self.stale) {
            self.plan_anew(now);
            self.rules_changed = true;
        }
        let rules_changed = std::mem::take(&mut self.rules_changed);
        for segment in self.segments.values_mut() {
            let opened = segment.open_socket(now);
            let switch = self.switches.get(segment.bridge());
            self.status_stale |= opened || rules_changed;
            if let Some(switch) = switch.filter(|_| opened || rules_changed) {
                let integration = &self.integration;
                segment.speak_what_is_delivered(
                    |flow| switch.confirms(flow),
                    |vip| integration.confirms(vip),
                    now,
                );
            }
            segment.transmit(now);
        }
    }

    fn measure_switch(&self, bridge: &InterfaceName, event: &SwitchEvent) {
        let connected = self.metrics.connected.get_or_create_owned(&label("bridge", bridge.as_str()));
        match event {
            SwitchEvent::Connected { .. } => drop(connected.set(1)),
            SwitchEvent::Disconnected { .. } => drop(connected.set(0)),
            SwitchEvent::Repaired { added, removed } => {
                self.metrics.repairs.inc_by(u64::try_from(added + removed).unwrap_or_default());
            }
            SwitchEvent::Installed { .. } | SwitchEvent::Refused { .. } => {}
        }
    }

    /// Tells probes and metrics how it stands.
    fn report(&mut self) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let spoken = self.segments.values().map(|segment| segment.spoken().len()).sum();
        let rules = self.segments.values().map(|segment| segment.flows().len()).sum();
        self.metrics.announced.set(gauge(spoken));
        self.metrics.rules.set(gauge(rules));
        replace(&self.metrics.objects, "kind", self.cluster.counts());
        if std::mem::take(&mut self.status_stale) {
            self.health.set_status(serde_json::to_string(&self.status()).unwrap_or_default());
        }
        let waiting_for = if !self.cluster.is_complete() {
            Some("the cluster's objects")
        } else if !self.vswitch_known {
            Some("Open vSwitch's database")
        } else {
            None
        };
        self.health.set_ready(waiting_for);
    }

    fn status(&self) -> Status {
        let mut vips = Vec::new();
        for segment in self.segments.values() {
            let switch = self.switches.get(segment.bridge());
            let has_rule = |flow: &Flow| switch.is_some_and(|switch| switch.confirms(flow));
            vips.extend(segment.status(has_rule, |vip| self.integration.confirms(vip)));
        }
        vips.sort_by_key(|vip| vip.vip);
        Status { node: self.node.to_string(), vips }
    }

    fn plan_anew(&mut self, now: Instant) {
        let (plan, refusals) = announce_plan(&self.world, &self.policy, &self.node);
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
                        None => Segment::new(subnet.clone(), plan.clone(), located, now),
                    };
                    segments.insert(subnet.clone(), segment);
                }
                Err(error) if needed => drop(problems.insert(format!("Subnet {subnet}: {error}"))),
                Err(_) => {}
            }
        }
        // Segments that are gone fall silent here; their rules go next.
        let gone = std::mem::replace(&mut self.segments, segments);
        gone.into_values().for_each(|segment| segment.fall_silent(now));
        say_problems(&mut self.said, problems.into_iter());
        self.plan = plan;
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
        self.integration.set_wanted(self.segments.values().flat_map(Segment::wishes).collect());
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

fn say_delivery_event(event: DeliveryEvent) {
    match event {
        DeliveryEvent::Delivered => debug!("OVN delivers more of the VIPs here"),
        DeliveryEvent::Disconnected { reason, first: true } => {
            warn!("{reason}; nothing is announced until OVN's bridge answers")
        }
        DeliveryEvent::Disconnected { reason, first: false } => debug!("{reason}"),
    }
}

fn say_switch_event(bridge: &InterfaceName, event: SwitchEvent) {
    match event {
        SwitchEvent::Connected { version, .. } => debug!(%bridge, ?version, "the bridge answers"),
        SwitchEvent::Disconnected { reason, first: true } => warn!(%bridge, "{reason}"),
        SwitchEvent::Disconnected { reason, first: false } => debug!(%bridge, "{reason}"),
        SwitchEvent::Installed { added, removed } => info!(%bridge, added, removed, "rules installed"),
        SwitchEvent::Repaired { added, removed } => {
            warn!(%bridge, added, removed, "somebody changed our rules; repaired")
        }
        SwitchEvent::Refused { flow, error } => error!(%bridge, flow, error, "the bridge refuses a rule"),
    }
}
