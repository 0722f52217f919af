//! One Service changes among N: from the file's rename to the northbound, from there to the flows on all nodes.
//! Beside it Kube-OVN's model, one row with all VIPs, one VIP of which changes, and OVN's answer to nothing at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use ovn_vip::model::{Protocol, ServiceKey};
use ovn_vip::nb::owner::load_balancer_name;
use ovn_vip::nb::rows::LOAD_BALANCER;
use ovn_vip::ovsdb::{Condition, Datum, Mutation, Mutator, Operation, Replica, Row, TablesWanted};
use uuid::Uuid;

use crate::Arguments;
use crate::cluster::{self, Cluster, NAMESPACE, Pod, SUBNET};
use crate::controller::Controller;
use crate::link::Link;
use crate::numbers::Samples;

/// A file younger than this is read again at every look (its time stamp could lie): not what is measured.
const SETTLED: Duration = Duration::from_millis(3500);
/// Between two changes.
const PAUSE: Duration = Duration::from_millis(60);

/// One line of the table.
#[derive(Debug, Default)]
struct Line {
    ours: Samples,
    southbound: Samples,
    nodes: Samples,
    whole: Samples,
}

impl Line {
    async fn measure(&mut self, link: &mut Link, started: Instant, committed: Instant) -> anyhow::Result<()> {
        let propagation = link.propagate().await?;
        self.ours.push(committed - started);
        self.southbound.push(propagation.southbound);
        self.nodes.push(propagation.nodes);
        self.whole.push(committed - started + propagation.nodes);
        link.rest(PAUSE).await
    }

    fn print(&self, services: usize, what: &str, peer: Option<&Line>) {
        let Self { ours, southbound, nodes, whole } = self;
        let ratio = peer.map_or("–".to_owned(), |peer| {
            let of = |samples: &Samples, theirs: &Samples| samples.median() / theirs.median();
            format!("{:.2}, {:.2}", of(nodes, &peer.nodes), of(whole, &peer.whole))
        });
        println!("| {services} | {what} | {ours} | {southbound} | {nodes} | {whole} | {ratio} |");
    }
}

/// Prints a table.
pub async fn run(arguments: &Arguments, services: &[usize]) -> anyhow::Result<()> {
    println!(
        "N = {} each; milliseconds: median (5 %–95 %). Ratio to the shared row: commit to nodes, the whole.\n",
        arguments.runs
    );
    println!("| Services | what | until in the NB | NB → SB | NB → nodes | the whole | ratio |");
    println!("|---|---|---|---|---|---|---|");
    let tables = TablesWanted::new()
        .require(LOAD_BALANCER, &["name", "vips"])
        .require("Logical_Switch", &["name", "load_balancer"]);
    let mut link = Link::open(&arguments.nb, tables).await?;
    for &services in services {
        let cluster = Cluster::of_lab_pods(services);
        let (ours, notes) = ours(arguments, &mut link, &cluster).await?;
        let shared = shared_row(arguments, &mut link, &cluster).await?;
        let mut nothing = Line::default();
        for _ in 0..arguments.runs {
            let now = Instant::now();
            nothing.measure(&mut link, now, now).await?;
        }
        for (what, line) in &ours {
            line.print(services, what, Some(&shared));
        }
        shared.print(services, "one shared row: a backend changes", None);
        nothing.print(services, "nothing changes", None);
        eprintln!("{services} Services: {notes}");
    }
    Ok(())
}

/// The real controller, told by files.
async fn ours(
    arguments: &Arguments,
    link: &mut Link,
    cluster: &Cluster,
) -> anyhow::Result<([(&'static str, Line); 3], String)> {
    let dir = cluster.write(&arguments.work)?;
    let controller = Controller::start(arguments, &dir)?;
    link.until("the first sync", |replica| count(replica) == cluster.services).await?;
    link.propagate().await?;
    link.rest(SETTLED).await?;
    let before = controller.cpu()?;
    let change = change(arguments, link, cluster, &dir).await?;
    let cpu = (controller.cpu()? - before).as_secs_f64() * 1000.0 / arguments.runs as f64;
    let (add, delete) = add_and_delete(arguments, link, cluster, &dir).await?;
    let memory = controller.memory()?;
    let notes = format!(
        "{cpu:.2} ms of the controller's CPU a backend change; resident {:.1} MiB, at most {:.1} MiB",
        memory.resident, memory.peak
    );
    drop(controller);
    let empty = Cluster::of_lab_pods(0).write(&arguments.work)?;
    Controller::once(arguments, &empty)?;
    link.until("all rows gone", |replica| count(replica) == 0).await?;
    link.propagate().await?;
    let lines = [
        ("ovn-vip: a backend changes", change),
        ("ovn-vip: a Service comes", add),
        ("ovn-vip: a Service goes", delete),
    ];
    Ok((lines, notes))
}

/// The Service 0 loses a backend, and gets it back, and so on.
async fn change(
    arguments: &Arguments,
    link: &mut Link,
    cluster: &Cluster,
    dir: &Path,
) -> anyhow::Result<Line> {
    let mut line = Line::default();
    let key = key(0);
    for run in 0..arguments.runs {
        let backends: Vec<&Pod> = cluster.backends(0).skip(1 - run % 2).collect();
        let next = arguments.work.join("next.yaml");
        fs::write(&next, cluster::slice_file(0, backends.iter().copied()))?;
        let wanted = value(backends.iter().copied());
        let started = Instant::now();
        fs::rename(&next, cluster::changing(dir))?;
        let arrived = |replica: &Replica| {
            row(replica, 0).and_then(|row| vip(replica, row, &key)).is_some_and(|found| same(found, &wanted))
        };
        let committed = link.until("the changed backends", arrived).await?;
        line.measure(link, started, committed).await?;
    }
    Ok(line)
}

/// One Service more, and away again.
async fn add_and_delete(
    arguments: &Arguments,
    link: &mut Link,
    cluster: &Cluster,
    dir: &Path,
) -> anyhow::Result<(Line, Line)> {
    let (mut add, mut delete) = (Line::default(), Line::default());
    let number = cluster.services;
    for _ in 0..arguments.runs {
        let next = arguments.work.join("next.yaml");
        fs::write(&next, cluster::service_with_slice(number, cluster.backends(number)))?;
        let started = Instant::now();
        fs::rename(&next, cluster::added(dir))?;
        let there = |replica: &Replica| row(replica, number).is_some();
        let committed = link.until("the new row", there).await?;
        add.measure(link, started, committed).await?;
        let started = Instant::now();
        fs::remove_file(cluster::added(dir))?;
        let gone = |replica: &Replica| row(replica, number).is_none();
        let committed = link.until("the row gone", gone).await?;
        delete.measure(link, started, committed).await?;
    }
    Ok((add, delete))
}

/// One row with every VIP, on the switch: Kube-OVN's model. A VIP goes out and in again by two mutations in one
/// transaction, the least that can be sent.
async fn shared_row(arguments: &Arguments, link: &mut Link, cluster: &Cluster) -> anyhow::Result<Line> {
    let uuid = Uuid::new_v4();
    let on_switch = |mutator| Operation::Mutate {
        table: "Logical_Switch".to_owned(),
        condition: vec![Condition::equal("name", Datum::from(SUBNET))],
        mutations: vec![Mutation::new("load_balancer", mutator, Datum::uuids([uuid]))],
    };
    link.commit(vec![vec![insert_shared(uuid, link.is_kube_ovn(), cluster), on_switch(Mutator::Insert)]])
        .await?;
    link.propagate().await?;
    link.rest(SETTLED).await?;
    let mut line = Line::default();
    let key = key(0);
    for run in 0..arguments.runs {
        let value = value(cluster.backends(0).skip(1 - run % 2));
        let mutations = vec![
            Mutation::new("vips", Mutator::Delete, Datum::strings([key.as_str()])),
            Mutation::new("vips", Mutator::Insert, Datum::map([(key.as_str(), value.as_str())])),
        ];
        let condition = vec![Condition::uuid(uuid)];
        let started = Instant::now();
        link.commit(vec![vec![Operation::Mutate { table: LOAD_BALANCER.to_owned(), condition, mutations }]])
            .await?;
        let arrived = |replica: &Replica| vip(replica, uuid, &key) == Some(&value);
        let committed = link.until("the changed backends", arrived).await?;
        line.measure(link, started, committed).await?;
    }
    let condition = vec![Condition::uuid(uuid)];
    let delete = Operation::Delete { table: LOAD_BALANCER.to_owned(), condition };
    link.commit(vec![vec![on_switch(Mutator::Delete), delete]]).await?;
    link.propagate().await.context("after the shared row")?;
    Ok(line)
}

fn insert_shared(uuid: Uuid, kube_ovn: bool, cluster: &Cluster) -> Operation {
    let (option, suffix) = if kube_ovn { ("prefer_local_backend", ":0.0.0.0") } else { ("distributed", "") };
    let values: Vec<_> =
        (0..cluster.services).map(|number| (key(number), value(cluster.backends(number)))).collect();
    let pods = cluster.pods.iter();
    let mappings: Vec<_> =
        pods.map(|pod| (pod.address.to_string(), format!("{}{suffix}", pod.port))).collect();
    let map = |pairs: &[(String, String)]| Datum::map(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
    let columns = [
        ("name", Datum::from("bench-shared")),
        ("protocol", Datum::from("tcp")),
        ("vips", map(&values)),
        ("ip_port_mappings", map(&mappings)),
        ("options", Datum::map([(option, "true")])),
    ];
    let row: BTreeMap<_, _> = columns.map(|(column, datum)| (column.to_owned(), datum)).into();
    Operation::Insert { table: LOAD_BALANCER.to_owned(), uuid: Some(uuid), uuid_name: None, row }
}

fn count(replica: &Replica) -> usize {
    replica.table(LOAD_BALANCER).map_or(0, ovn_vip::ovsdb::Table::len)
}

fn vip<'r>(replica: &'r Replica, row: Uuid, key: &str) -> Option<&'r str> {
    replica.row(LOAD_BALANCER, &row)?.get("vips")?.map_get(key)
}

/// Whether two lists have the same backends: the controller may list them in another way (`nb::revision`).
fn same(found: &str, wanted: &str) -> bool {
    let set = |list: &str| list.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    set(found) == set(wanted)
}

/// The row of a Service, by its name: the controller gives it another UUID each time that it makes it.
fn row(replica: &Replica, number: usize) -> Option<Uuid> {
    let service = ServiceKey::new(NAMESPACE, &cluster::name(number));
    let name = load_balancer_name(&service, Protocol::Tcp);
    let named = |row: &Row| row.get("name").and_then(Datum::as_str) == Some(&name);
    replica.rows(LOAD_BALANCER).find(|(_, found)| named(found)).map(|(uuid, _)| *uuid)
}

fn key(number: usize) -> String {
    format!("{}:80", cluster::vip(number))
}

fn value<'a>(backends: impl Iterator<Item = &'a Pod>) -> String {
    let mut values: Vec<String> = backends.map(|pod| format!("{}:80", pod.address)).collect();
    values.sort();
    values.join(",")
}
