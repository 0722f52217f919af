//! `ovn-vip controller`: follows the cluster and the northbound, and writes what is missing.

pub mod announcer;
mod commits;
mod doubt;
mod due;
mod giving;
pub mod heard;
mod kept;
mod leading;
mod northbound;
mod once;
pub mod page;
mod reconciler;
mod repairs;
mod report;
mod seeing;
mod showing;
mod southbound;
pub mod truth;
mod undeliverable;
mod wanted;
mod words;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::allocate::Scope;
use crate::io::cluster::{Cluster, News};
use crate::io::kube::voice::{Said, Tempo, Voice};
use crate::io::kube::watch::By;
use crate::io::ovsdb_client::{Client, Event};
use crate::kube::Kind;
use crate::model::{ObjectKey, Service, SubnetName};
use crate::nb::diff::Changes;
use crate::nb::router::foreign_router_mac;
use crate::nb::rows::{NORTHBOUND, SOUTHBOUND, needed_release, northbound_tables, southbound_tables};
use crate::nb::{Owner, transaction};
use crate::ovsdb::MissingRequired;
use crate::settings::ControllerArgs;
use crate::telemetry::metrics::{ControllerMetrics, Health, replace};
use crate::telemetry::{Shutdown, say_problems};

use commits::Commits;
use giving::{Giving, left_behind};
use heard::Heard;
use leading::Leading;
use once::Once;
pub use reconciler::{Outcome, Reconciler, RefusalChange, Rules};
use southbound::client;
use truth::Truth;
use wanted::{Told, sayings};
use words::{say_refusals, too_old};

/// How long a stopping controller waits for the answers to what it sent.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How fast what we know is said on the objects.
const TEMPO: Tempo =
    Tempo { pause: Duration::from_secs(1), failure_pause: Duration::from_secs(10), portion: 50 };

/// Runs until it is told to stop; with `--once`, until the northbound is as it should be.
#[expect(clippy::disallowed_methods, reason = "a shell reads the clock")]
pub async fn run(arguments: ControllerArgs) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let mut controller = Controller::new(&arguments).await?;
    let mut once = arguments.once.then(|| Once::new(Instant::now(), Duration::from_secs(arguments.timeout)));
    loop {
        let input = tokio::select! {
            () = shutdown.requested() => break,
            input = controller.next_input() => input,
            () = Once::expired(once.as_ref()) => {
                anyhow::bail!("not done after {} s: {}", arguments.timeout, controller.waiting_for());
            }
        };
        controller.take(input);
        controller.give();
        if let Some(changes) = controller.settle(Instant::now()) {
            once.iter_mut().for_each(|once| once.wrote(&changes));
        }
        controller.report();
        if let Some(once) = &once {
            controller.refuse_hopeless()?;
            if controller.is_converged() {
                return once.end(Instant::now(), controller.reconciler.unread());
            }
        }
    }
    controller.stop().await;
    info!("stopped");
    Ok(if once.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Controller {
    cluster: Cluster,
    once: bool,
    per_vip: bool,
    northbound: Client,
    southbound: Option<Client>,
    /// The southbound was read, or failed to answer: rows need not wait for it any longer.
    southbound_answered: bool,
    schema_refused: Option<MissingRequired>,
    reconciler: Reconciler,
    started: Instant,
    commits: Commits,
    leading: Leading,
    voice: Voice,
    giving: Giving,
    truth: Truth,
    heard: Heard,
    metrics: ControllerMetrics,
    health: Arc<Health>,
    /// What is wrong with the cluster's objects, and with the Lease.
    problems: Vec<String>,
    lease_trouble: Option<String>,
    voice_trouble: Option<String>,
    said: BTreeSet<String>,
    said_too_old: Option<Option<String>>,
}

/// Something to take in.
enum Input {
    Cluster(News),
    Northbound(Event),
    Southbound(Event),
    Leading,
    Voice(Option<Said>),
    Giving(giving::Happened),
    /// Somebody looked at the page.
    Looked,
    Retry,
    /// What Kube-OVN let go a while ago may be ours now.
    Patience,
}

impl Controller {
    async fn new(arguments: &ControllerArgs) -> anyhow::Result<Self> {
        let (northbound, southbound) = arguments.databases()?;
        if southbound.is_none() {
            warn!("no --ovn-sb: a backend whose port moves to another chassis will not be followed");
        }
        let tls = arguments.tls.config();
        let southbound = southbound.map(|address| client(&address, SOUTHBOUND, southbound_tables(), &tls));
        let rules = Rules {
            owner: Owner::new(&arguments.cluster_name, uuid::Uuid::new_v4().as_fields().0),
            policy: arguments.cluster.policy(),
            own_router_port: arguments.own_router_port,
        };
        let southbound = southbound.transpose().context("--ovn-sb")?;
        let (metrics, health) = ControllerMetrics::new();
        health.listen(&arguments.cluster).await?;
        let scope = arguments.allocate.scope(&arguments.cluster.policy);
        let by = if scope == Scope::Off { By::All } else { By::Givers };
        let cluster = Cluster::open(&arguments.cluster.source(), by).await?;
        let client_to_tell = cluster.client().filter(|_| !arguments.once);
        Ok(Self {
            leading: Leading::start(cluster.client(), arguments),
            truth: Truth::default(),
            heard: Heard::default(),
            giving: Giving::new(client_to_tell, scope, now()),
            voice: Voice::new(client_to_tell, TEMPO),
            metrics,
            health,
            cluster,
            once: arguments.once,
            per_vip: arguments.cluster.metrics_per_vip,
            northbound: client(&northbound, NORTHBOUND, northbound_tables(), &tls).context("--ovn-nb")?,
            southbound_answered: southbound.is_none(),
            southbound,
            schema_refused: None,
            reconciler: Reconciler::new(rules),
            started: now(),
            commits: Commits::default(),
            problems: Vec::new(),
            lease_trouble: None,
            voice_trouble: None,
            said: BTreeSet::new(),
            said_too_old: None,
        })
    }

    /// Cancel-safe: each source is.
    async fn next_input(&mut self) -> Input {
        let patience = due::reached(self.patience());
        let southbound = async {
            match &mut self.southbound {
                Some(client) => client.next_event().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            news = self.cluster.next() => Input::Cluster(news),
            event = self.northbound.next_event() => Input::Northbound(event),
            event = southbound => Input::Southbound(event),
            () = self.leading.changed() => Input::Leading,
            said = self.voice.due() => Input::Voice(said),
            happened = self.giving.next() => Input::Giving(happened),
            () = self.health.looked() => Input::Looked,
            () = self.commits.retry_due() => Input::Retry,
            () = patience => Input::Patience,
        }
    }

    fn take(&mut self, input: Input) {
        self.reconciler.advance(now() - self.started);
        match input {
            Input::Cluster(news) => self.cluster_changed(news),
            Input::Northbound(event) => self.northbound_event(event),
            Input::Southbound(event) => self.southbound_event(event),
            Input::Leading => self.settle_lead(),
            Input::Voice(None) => self.speak(now()),
            Input::Voice(Some(said)) => self.said(&said),
            Input::Giving(happened) => self.giving.take(happened, now()),
            Input::Looked => self.show(),
            Input::Retry => self.reconciler.start_over(),
            Input::Patience => self.listen(),
        }
    }

    fn cluster_changed(&mut self, news: News) {
        let altered = !news.changes.is_empty() || self.problems != news.problems;
        self.problems = news.problems;
        self.metrics.rewinds.inc_by(news.rewinds);
        self.say_problems();
        self.giving.note(self.reconciler.world(), &news.changes);
        self.reconciler.cluster_changed(news.changes);
        self.listen();
        // Most news are speakers' that say they are there.
        if altered {
            self.voice.stir(now());
        }
    }

    /// Whoever writes the northbound also says so, once all that is known is planned.
    fn speak(&mut self, now: Instant) {
        self.count_unaddressed(now);
        // An address is worth more than a word about it.
        if self.giving.is_busy() && self.voice.may_wait(now) {
            return self.voice.wait(true);
        }
        if !self.is_converged() {
            return self.voice.wait(self.leading.may_write(&self.northbound, now));
        }
        let (replica, owner) = (self.northbound.replica(), self.reconciler.owner());
        let router_mac = |subnet: &SubnetName| foreign_router_mac(replica, owner, subnet);
        let Cluster::Kube(watch, _) = &self.cluster else { return };
        let stands = |key: &ObjectKey| Some((watch.marks_of(key)?, watch.problems_of(key)));
        self.truth.begin(now.into_std());
        let marked = watch.marked(Kind::Service);
        let unaddressed = |service: &Service| self.giving.why(service);
        let told = Told { heard: &self.heard, unaddressed: &unaddressed };
        let mut sayings = sayings(&self.reconciler, stands, marked, told, &mut self.truth, router_mac);
        sayings.extend(left_behind(watch, self.reconciler.world()));
        sayings.extend(self.giving.counts(watch, self.reconciler.world()));
        self.voice.speak(sayings, now);
        // A doubt is looked at again once it would have lasted.
        if self.truth.due().is_some() {
            self.voice.stir(now);
        }
        replace(&self.metrics.services, "served", self.truth.counts());
        self.count_announced();
    }

    fn settle_lead(&mut self) {
        self.lease_trouble = self.leading.settle(&mut self.northbound, now());
        if self.leading.take_rewound() {
            self.cluster.look();
        }
        self.listen();
        self.say_problems();
    }

    fn say_problems(&mut self) {
        let troubles =
            [self.lease_trouble.clone(), self.voice_trouble.clone(), self.reconciler.unread()].into_iter();
        let troubles = troubles.flatten().chain(self.reconciler.misnamed()).chain(self.strangers());
        let troubles = troubles.chain(self.giving.troubles());
        say_problems(&mut self.said, self.problems.iter().cloned().chain(troubles));
    }

    /// Ends in order: what was sent is answered, and another replica leads at once.
    async fn stop(&mut self) {
        let answers = async {
            while !self.commits.is_answered() {
                let event = self.northbound.next_event().await;
                if let Event::Committed { id, result } = event {
                    self.committed(id, result.err());
                }
            }
        };
        if tokio::time::timeout(LAST_ANSWERS, answers).await.is_err() {
            warn!("stopping before the northbound answered; the next run compares again");
        }
        self.leading.release().await;
    }

    /// Plans and writes what is missing, once nothing of ours is under way; what it wrote, if anything.
    fn settle(&mut self, now: Instant) -> Option<Changes> {
        if !self.can_write(now) || self.reconciler.is_settled() {
            return None;
        }
        self.say_too_old();
        let repairing = self.reconciler.is_planned();
        let (changes, refusals) = self.reconciler.step(self.northbound.replica());
        refusals.iter().for_each(|change| say_refusals(change, self.is_given(&change.service)));
        self.say_problems();
        self.measure(&changes, repairing, now);
        self.voice.stir(now);
        if changes.is_empty() {
            return None;
        }
        if repairing {
            repairs::say(&repairs::repairs(&changes, self.northbound.replica()));
        }
        for line in changes.to_string().lines() {
            debug!("{line}");
        }
        let transactions = transaction::encode(&changes);
        info!(writes = changes.len(), transactions = transactions.len(), "writing to the northbound");
        for operations in transactions {
            self.commits.sent(self.northbound.transact(self.leading.fence(operations)), now);
        }
        Some(changes)
    }

    /// An empty folder is taken at its word only by who looks at what comes of it.
    fn knows_cluster(&self) -> bool {
        self.cluster.is_complete() || (self.once && self.cluster.is_empty())
    }

    fn can_write(&self, now: Instant) -> bool {
        self.knows_cluster()
            && self.northbound.is_synced()
            && self.southbound_answered
            && self.commits.is_idle()
            && self.leading.may_write(&self.northbound, now)
    }

    fn is_converged(&self) -> bool {
        self.can_write(now()) && self.reconciler.is_settled() && self.reconciler.network().locality.is_some()
    }

    /// For `--once`: what no waiting will mend.
    fn refuse_hopeless(&self) -> anyhow::Result<()> {
        if let Some(missing) = &self.schema_refused {
            anyhow::bail!("{missing} (needs OVN {} or newer)", needed_release(missing));
        }
        if let Some(why) = self.reconciler.misnamed() {
            anyhow::bail!("{why}");
        }
        let network = self.reconciler.network();
        match &network.northd_version {
            Some(version) if self.northbound.is_synced() && network.locality.is_none() => {
                anyhow::bail!("{}", too_old(Some(version)))
            }
            _ => Ok(()),
        }
    }

    fn waiting_for(&self) -> String {
        if !self.knows_cluster() {
            let problems: Vec<&str> = self.said.iter().map(String::as_str).collect();
            return format!("the cluster's objects are not all known yet; {}", problems.join("; "));
        }
        if !self.northbound.is_synced() {
            return "the northbound does not answer; is --ovn-nb right, and ovsdb-server running?".to_owned();
        }
        if self.reconciler.network().locality.is_none() {
            return too_old(None);
        }
        self.commits.last_error().unwrap_or("the southbound does not answer; is --ovn-sb right?").to_owned()
    }

    fn say_too_old(&mut self) {
        let network = self.reconciler.network();
        if network.locality.is_some() {
            self.said_too_old = None;
        } else if self.said_too_old.as_ref() != Some(&network.northd_version) {
            error!("{}", too_old(network.northd_version.as_deref()));
            self.said_too_old = Some(network.northd_version.clone());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a shell reads the clock")]
fn now() -> Instant {
    Instant::now()
}
