//! Leader election on a Lease (coordination.k8s.io/v1): of several replicas one writes.
//!
//! [`candidate`] has the rules. Here they are driven by a watch of the one Lease, so that a released one is taken at
//! once, and by requests whose optimistic lock (`resourceVersion`) lets one of several win. A watch that breaks costs
//! only time: a write on what was last seen is then refused, and the Lease is read. What a read says counts, also where it
//! is older than what was told before: then the API server's state went back, and nothing else will come.

pub mod candidate;

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, PostParams};
use kube::runtime::watcher::Event;
use kube::{Api, Client};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::watch::{Lasting, Need, Paced, Rewind, Trouble, follow, forbidden, paced, root, silent};
pub use candidate::LeaseTiming;
use candidate::{Action, Candidate, Record};

/// How long the API server may keep the watch open: what kube-rs and client-go ask for, too.
const WATCH_TIMEOUT_SECONDS: u32 = 290;

const OUTDATED: &str = "etcd was restored while kube-apiserver ran: what is read, the Lease apart, is of the state before; \
                        restart every kube-apiserver";

/// Giving the Lease back may take so long.
const RELEASE: Duration = Duration::from_secs(2);

/// Which Lease, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are: no other process has the same.
    pub identity: String,
    /// How long things take.
    pub timing: LeaseTiming,
}

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Until when we lead, unless it is renewed before.
    pub until: Option<Instant>,
    /// Who leads; empty: nobody that is known.
    pub holder: String,
    /// Why the Lease cannot be had, or watched.
    pub trouble: Option<String>,
    /// How often the API server's state was seen to go back.
    pub rewinds: u64,
    /// The API server's lists are of a state that is no more, with the cure. Only who leads finds out.
    pub outdated: Option<&'static str>,
}

/// A candidacy: it goes on by itself.
#[derive(Debug)]
pub struct Candidacy {
    standing: watch::Receiver<Standing>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Candidacy {
    /// Stands for the Lease from now on.
    pub fn start(client: &Client, config: LeaseConfig) -> Self {
        let (told, standing) = watch::channel(Standing::default());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(Elector::new(client, config, told).run(stopped));
        Self { standing, stop: Some(stop), task }
    }

    /// Whether we lead at this moment. To be asked before each write: it ends by itself when renewals fail.
    pub fn leads(&self, now: Instant) -> bool {
        self.standing.borrow().until.is_some_and(|until| now < until)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Ends at each renewal, and whenever it stands otherwise. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.standing.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Gives the Lease back, if it is ours, so that another takes it at once.
    pub async fn release(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
            let _ = tokio::time::timeout(RELEASE, &mut self.task).await;
        }
    }
}

struct Elector {
    api: Api<Lease>,
    config: LeaseConfig,
    candidate: Candidate,
    /// As last seen or written; `None` where there is none.
    lease: Option<Lease>,
    /// Whether the list that is under way had it.
    listed: bool,
    trouble: Option<Lasting<String>>,
    rewinds: u64,
    /// The state went back; whether lists did, too, is not known yet, or they did not.
    is_doubtful: bool,
    outdated: Option<&'static str>,
    told: watch::Sender<Standing>,
}

impl Elector {
    fn new(client: &Client, config: LeaseConfig, told: watch::Sender<Standing>) -> Self {
        Self {
            api: Api::namespaced(client.clone(), &config.namespace),
            candidate: Candidate::new(config.identity.clone(), config.timing),
            config,
            lease: None,
            listed: false,
            trouble: None,
            rewinds: 0,
            is_doubtful: false,
            outdated: None,
            told,
        }
    }

    fn only(&self) -> String {
        format!("metadata.name={}", self.config.name)
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        // It finds out by itself, or by a write, whether the state went back.
        let (_look, looked) = watch::channel(0);
        let events = follow(self.api.clone(), WATCH_TIMEOUT_SECONDS, Some(self.only()), looked);
        let mut seen = paced(Need::Required, events);
        loop {
            match self.candidate.next(Instant::now()) {
                Action::Write => self.write().await,
                Action::Wait(until) => {
                    let leads_until = self.candidate.leads_until(Instant::now());
                    let well_at = self.trouble.as_ref().map(Lasting::until);
                    let until = until.into_iter().chain(leads_until).chain(well_at).min();
                    tokio::select! {
                        _ = &mut stopped => return self.release().await,
                        event = seen.next() => self.saw(event).await,
                        () = super::watch::until(until) => {}
                    }
                }
            }
            self.tell();
        }
    }

    async fn saw(&mut self, event: Option<Paced<Lease>>) {
        match event {
            Some(Ok(Event::Init)) => self.listed = false,
            Some(Ok(Event::InitApply(lease) | Event::Apply(lease))) => {
                self.trouble = None;
                self.listed = true;
                self.see(Some(lease));
            }
            Some(Ok(Event::InitDone)) if self.listed => {}
            Some(Ok(Event::Delete(_) | Event::InitDone)) => self.see(None),
            Some(Err((Trouble::Rewound(_), _))) => self.look().await,
            Some(Err((trouble, _))) => {
                if let Some(words) = trouble.of_lease() {
                    self.ail(words);
                }
            }
            None => {}
        }
    }

    /// A watch tells it; it may lag behind what a request has told.
    fn see(&mut self, lease: Option<Lease>) {
        if rewind(self.lease.as_ref(), lease.as_ref()).is_none() {
            self.believe(lease);
        }
    }

    /// Reads the Lease: that is how it is.
    async fn look(&mut self) {
        let look = self.api.get_opt(&self.config.name);
        let Ok(Ok(lease)) = tokio::time::timeout(self.config.timing.retry, look).await else { return };
        if let Some(Rewind { before, now }) = rewind(self.lease.as_ref(), lease.as_ref()) {
            self.rewinds += 1;
            self.is_doubtful = true;
            tracing::warn!(
                before,
                now,
                "the Lease is an older one than before: was etcd restored? It counts"
            );
        }
        self.believe(lease);
    }

    fn believe(&mut self, lease: Option<Lease>) {
        self.candidate.see(lease.as_ref().map(record).unwrap_or_default(), Instant::now());
        self.lease = lease;
    }

    /// Writes our name, or renews it.
    async fn write(&mut self) {
        let listed = if self.is_doubtful { self.listed_version().await } else { None };
        let asked = Instant::now();
        let lease = self.wanted(&self.config.identity, self.config.timing.duration);
        match tokio::time::timeout(self.config.timing.retry, self.put(&lease)).await {
            Ok(Ok(lease)) => {
                self.candidate.wrote(record(&lease), asked);
                // Listed before it was written, and newer than that: a list of what is no more.
                let written = lease.metadata.resource_version.as_deref().unwrap_or_default();
                let is_outdated = listed.is_some_and(|listed| Rewind::between(&listed, written).is_some());
                self.outdated = is_outdated.then_some(OUTDATED);
                self.is_doubtful = is_outdated;
                self.lease = Some(lease);
                self.trouble = None;
            }
            Ok(Err(error)) => self.refused(error).await,
            Err(_) => {
                self.ail("the API server does not answer: timed out".to_owned());
                self.candidate.failed(Instant::now());
            }
        }
    }

    /// What version lists have: kube-apiserver answers them from its memory (since Kubernetes 1.31), the Lease from etcd.
    async fn listed_version(&self) -> Option<String> {
        let one = ListParams::default().fields(&self.only()).limit(1);
        let list = tokio::time::timeout(self.config.timing.retry, self.api.list(&one)).await;
        list.ok()?.ok()?.metadata.resource_version
    }

    async fn refused(&mut self, error: kube::Error) {
        self.candidate.failed(Instant::now());
        match &error {
            // Somebody was faster, or we saw too little.
            kube::Error::Api(status) if status.code == 409 || status.code == 404 => {
                self.look().await;
            }
            kube::Error::Api(status) if status.code == 403 => {
                let verb = if self.lease.is_some() { "update" } else { "create" };
                self.ail(forbidden(verb, "leases.coordination.k8s.io"));
            }
            kube::Error::Api(status) => {
                self.ail(format!("the API server answers {}: {}", status.code, status.message));
            }
            error => self.ail(silent(error)),
        }
    }

    fn ail(&mut self, words: String) {
        let pause = self.config.timing.retry;
        self.trouble = Some(Lasting::go_on(self.trouble.take(), words, pause, Instant::now()));
    }

    async fn put(&self, lease: &Lease) -> kube::Result<Lease> {
        match self.lease {
            Some(_) => self.api.replace(&self.config.name, &PostParams::default(), lease).await,
            None => self.api.create(&PostParams::default(), lease).await,
        }
    }

    async fn release(mut self) {
        if self.candidate.is_holder() {
            // As client-go does: a Lease without holder, for a second.
            let lease = self.wanted("", Duration::from_secs(1));
            if let Err(error) = self.put(&lease).await {
                tracing::debug!(error = root(&error), "the Lease was not given back; it expires");
            }
        }
        self.candidate.see(Record::default(), Instant::now());
        self.tell();
    }

    fn wanted(&self, holder: &str, duration: Duration) -> Lease {
        renewed(self.lease.as_ref(), &self.config.name, holder, duration)
    }

    fn tell(&mut self) {
        let now = Instant::now();
        self.trouble.take_if(|trouble| trouble.until() <= now);
        let standing = Standing {
            until: self.candidate.leads_until(now),
            holder: self.candidate.holder().to_owned(),
            trouble: self.trouble.as_ref().and_then(|trouble| trouble.told(now)).cloned(),
            rewinds: self.rewinds,
            outdated: self.outdated.filter(|_| self.candidate.leads_until(now).is_some()),
        };
        self.told.send_if_modified(|told| {
            let altered = *told != standing;
            *told = standing;
            altered
        });
    }
}

/// The Lease with this holder; the rest as it was seen, its version above all.
fn renewed(seen: Option<&Lease>, name: &str, holder: &str, duration: Duration) -> Lease {
    let mut lease = seen.cloned().unwrap_or_default();
    lease.metadata.name = Some(name.to_owned());
    lease.metadata.managed_fields = None;
    let now = MicroTime(Timestamp::now());
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    if spec.holder_identity.as_deref().unwrap_or_default() != holder {
        spec.acquire_time = Some(now.clone());
        let turn = i32::from(!holder.is_empty());
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(turn));
    }
    spec.holder_identity = Some(holder.to_owned());
    spec.lease_duration_seconds = i32::try_from(duration.as_secs()).ok();
    spec.renew_time = Some(now);
    lease
}

/// Whether the second one is older than the first.
fn rewind(before: Option<&Lease>, now: Option<&Lease>) -> Option<Rewind> {
    let version = |lease: Option<&Lease>| lease?.metadata.resource_version.clone();
    Rewind::between(&version(before)?, &version(now)?)
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
    Record {
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lease(metadata: Value, spec: Value) -> Lease {
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
    }

    #[test]
    fn garbage_in_a_lease_is_read_as_little_and_written_over() {
        for (metadata, spec) in [
            (json!({}), Value::Null),
            (json!({ "resourceVersion": "no number" }), json!({})),
            (
                json!({ "resourceVersion": "99999999999999999999999" }),
                json!({ "leaseDurationSeconds": i32::MAX, "leaseTransitions": i32::MAX }),
            ),
            (
                json!({ "resourceVersion": "-1" }),
                json!({ "holderIdentity": "\u{0}\n", "leaseDurationSeconds": i32::MIN, "leaseTransitions": i32::MIN }),
            ),
        ] {
            let found = lease(metadata, spec);
            let now = Instant::now();
            let mut candidate = Candidate::new("me", LeaseTiming::default());
            candidate.see(record(&found), now);
            candidate.next(now);
            assert_eq!(
                rewind(Some(&found), Some(&lease(json!({ "resourceVersion": "1" }), json!({})))),
                None
            );
            let ours = renewed(Some(&found), "lease", "me", Duration::from_secs(15));
            let spec = ours.spec.unwrap();
            assert_eq!(
                (spec.holder_identity.as_deref(), spec.lease_duration_seconds),
                (Some("me"), Some(15))
            );
        }
    }

    #[test]
    fn an_older_lease_is_told_from_a_newer_one_and_from_none() {
        let at = |version: &str| lease(json!({ "resourceVersion": version }), json!({}));
        assert_eq!(rewind(Some(&at("10")), Some(&at("9"))), Some(Rewind { before: 10, now: 9 }));
        assert_eq!(rewind(Some(&at("9")), Some(&at("10"))), None);
        assert_eq!((rewind(Some(&at("9")), None), rewind(None, Some(&at("9")))), (None, None));
    }
}
