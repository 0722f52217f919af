//! Where the controller's own time goes, in this process, without its wait for a file's writer: reading the folder,
//! planning and comparing, encoding. First for everything, then for one Service's change.

use std::fs;
use std::path::Path;
use std::time::Instant;

use ovn_vip::controller::{Reconciler, Rules};
use ovn_vip::io::manifests::ManifestFolder;
use ovn_vip::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use ovn_vip::nb::rows::{NORTHBOUND, northbound_tables};
use ovn_vip::nb::{Owner, transaction};
use ovn_vip::plan::Policy;

use crate::Arguments;
use crate::cluster::{self, Cluster, Pod};
use crate::controller::Controller;
use crate::first_sync;
use crate::link::Link;
use crate::numbers::Samples;

/// The controller's inside.
struct Inside {
    folder: ManifestFolder,
    reconciler: Reconciler,
    client: Client,
}

/// What each step took.
#[derive(Default)]
struct Steps {
    read: Samples,
    apply: Samples,
    reconcile: Samples,
    encode: Samples,
    writes: usize,
}

impl Inside {
    /// Follows the northbound until it is level; says how long that took.
    async fn open(arguments: &Arguments, dir: &Path) -> anyhow::Result<(Self, f64)> {
        let started = Instant::now();
        let endpoints = Endpoint::parse_list(&arguments.nb)?;
        let mut client = Client::new(ClientConfig::new(endpoints, NORTHBOUND, northbound_tables()));
        let rules = Rules {
            owner: Owner::new("kubernetes", 0),
            policy: Policy::default(),
            own_router_port: Default::default(),
        };
        let mut reconciler = Reconciler::new(rules);
        while !client.is_synced() {
            if let Event::Changed(changes) = client.next_event().await {
                reconciler.northbound_changed(client.replica(), &changes);
            }
        }
        // What was told before the client was level.
        while let Ok(event) = tokio::time::timeout(std::time::Duration::ZERO, client.next_event()).await {
            if let Event::Changed(changes) = event {
                reconciler.northbound_changed(client.replica(), &changes);
            }
        }
        let took = started.elapsed().as_secs_f64() * 1000.0;
        Ok((Self { folder: ManifestFolder::open(dir)?, reconciler, client }, took))
    }

    fn step(&mut self, steps: &mut Steps) {
        let started = Instant::now();
        let reading = self.folder.reread();
        steps.read.push(started.elapsed());
        let started = Instant::now();
        self.reconciler.cluster_changed(reading.changes);
        steps.apply.push(started.elapsed());
        let started = Instant::now();
        let (changes, _) = self.reconciler.reconcile(self.client.replica());
        steps.reconcile.push(started.elapsed());
        steps.writes = steps.writes.max(changes.len());
        let started = Instant::now();
        let _ = transaction::encode(&changes);
        steps.encode.push(started.elapsed());
    }
}

impl Steps {
    fn print(&self, what: &str) {
        let Self { read, apply, reconcile, encode, writes } = self;
        println!("| {what} | {read} | {apply} | {reconcile} | {encode} | {writes} |");
    }
}

/// Prints a table.
pub async fn run(arguments: &Arguments, services: usize, endpoints: usize) -> anyhow::Result<()> {
    let cluster = Cluster::of_many_pods(services, endpoints);
    let mut link = Link::open(&arguments.nb, Default::default()).await?;
    first_sync::plug_in(&mut link, &cluster).await?;
    let dir = cluster.write(&arguments.work)?;
    println!("\n{services} Services with {endpoints} endpoints each; milliseconds: median (5 %–95 %).\n");
    println!("| the controller's own steps | read the folder | apply | plan and compare | encode | writes |");
    println!("|---|---|---|---|---|---|");
    let (mut inside, _) = Inside::open(arguments, &dir).await?;
    let mut first = Steps::default();
    inside.step(&mut first);
    first.print("first start, empty northbound (once)");
    drop(inside);
    Controller::once(arguments, &dir)?;
    let (mut inside, level) = Inside::open(arguments, &dir).await?;
    let mut second = Steps::default();
    inside.step(&mut second);
    second.print("second start (once)");
    // Until the big files' time stamps count.
    tokio::time::sleep(std::time::Duration::from_millis(3500)).await;
    let _ = inside.folder.reread();
    let mut change = Steps::default();
    for run in 0..arguments.runs {
        let backends: Vec<&Pod> = cluster.backends(0).skip(1 - run % 2).collect();
        let next = arguments.work.join("next.yaml");
        fs::write(&next, cluster::slice_file(0, backends.into_iter()))?;
        fs::rename(&next, cluster::changing(&dir))?;
        inside.step(&mut change);
    }
    change.print("one Service's backend");
    println!("\nReading the northbound as it then is into the replica: {level:.0} ms.");
    Controller::once(arguments, &Cluster::of_many_pods(0, 0).write(&arguments.work)?)?;
    first_sync::plug_out(&mut link).await
}
