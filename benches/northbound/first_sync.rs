//! All Services into an empty northbound by the real controller; then the same rows in the same batches by a client
//! that does nothing else, and by ovn-nbctl.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ovn_vip::nb::diff::{Change, Changes};
use ovn_vip::nb::rows::{LOAD_BALANCER, LoadBalancerRow, northbound_tables};
use ovn_vip::nb::transaction;
use ovn_vip::ovsdb::{Condition, Datum, Mutation, Mutator, Operation};
use uuid::Uuid;

use crate::Arguments;
use crate::cluster::{Cluster, SUBNET};
use crate::controller::Controller;
use crate::link::Link;
use crate::numbers::Samples;

const GROUP: &str = "Load_Balancer_Group";

/// Prints a table.
pub async fn run(
    arguments: &Arguments,
    services: usize,
    endpoints: usize,
    nbctl: &Path,
) -> anyhow::Result<()> {
    let cluster = Cluster::of_many_pods(services, endpoints);
    let empty = arguments.work.join("empty");
    std::fs::create_dir_all(&empty)?;
    let empty = Cluster::of_many_pods(0, 0).write(&empty)?;
    let mut link = Link::open(&arguments.nb, Default::default()).await?;
    plug_in(&mut link, &cluster).await?;
    let dir = cluster.write(&arguments.work)?;
    tokio::time::sleep(Duration::from_millis(3500)).await;

    let (mut first, mut commits, mut second) = <(Samples, Samples, Samples)>::default();
    let (mut raw, mut nbctl_took) = <(Samples, Samples)>::default();
    let mut memory = None;
    for run in 0..arguments.runs {
        let started = Instant::now();
        let said = Controller::once(arguments, &dir)?;
        first.push(started.elapsed());
        commits.push(commit_time(&said)?);
        let started = Instant::now();
        let said = Controller::once(arguments, &dir)?;
        second.push(started.elapsed());
        ensure!(said.contains("nothing to write"), "the second start wrote: {said}");
        if memory.is_none() {
            memory = Some(resident(arguments, &dir, &mut link).await?);
        }
        let rows = rows(arguments, services).await?;
        Controller::once(arguments, &empty)?;
        link.propagate().await.context("after removing all")?;

        let group = make_group(&mut link).await?;
        raw.push(write_raw(arguments, &rows, group).await?);
        remove(&mut link, rows.keys()).await?;
        if run == 0 {
            nbctl_took.push(write_with_nbctl(arguments, nbctl, &rows, group)?);
            remove_all(&mut link).await?;
        }
    }
    let rate = |samples: &Samples| services as f64 * 1000.0 / samples.median();
    println!(
        "\n{services} Services with {endpoints} endpoints each, N = {}; milliseconds: median (5 %–95 %).\n",
        arguments.runs
    );
    println!("| what | ms | rows/s | ratio to the raw client |");
    println!("|---|---|---|---|");
    for (what, samples) in [
        ("controller, first start: process start to exit, reading the folder too", &first),
        ("controller, first start: its first transaction sent to the last answered", &commits),
        ("raw client: the same transactions, pipelined, no replica", &raw),
        ("ovn-nbctl: the same rows, 150 a process (once)", &nbctl_took),
    ] {
        println!("| {what} | {samples} | {:.0} | {:.2} |", rate(samples), samples.median() / raw.median());
    }
    println!("| controller, second start: 0 writes, process start to exit | {second} | – | – |");
    if let Some((settled, peak)) = memory {
        println!("\nController following that: resident {settled:.1} MiB, at most {peak:.1} MiB.");
    }
    plug_out(&mut link).await
}

/// `took_ms` of the line that the controller logs when everything was answered. The last: its subnet's rows go first.
fn commit_time(said: &str) -> anyhow::Result<Duration> {
    let plain: String = said.replace("\u{1b}[3m", "").replace("\u{1b}[0m", "").replace("\u{1b}[2m", "");
    let line = plain.lines().rfind(|line| line.contains("took_ms")).context("no took_ms in the log")?;
    let value = line.split("took_ms=").nth(1).and_then(|rest| rest.split_whitespace().next());
    Ok(Duration::from_secs_f64(value.context("took_ms has no value")?.parse::<f64>()? / 1000.0))
}

async fn resident(arguments: &Arguments, dir: &Path, link: &mut Link) -> anyhow::Result<(f64, f64)> {
    let controller = Controller::start(arguments, dir)?;
    link.rest(Duration::from_secs(10)).await?;
    let memory = controller.memory()?;
    Ok((memory.resident, memory.peak))
}

/// The rows that the controller wrote.
async fn rows(arguments: &Arguments, services: usize) -> anyhow::Result<BTreeMap<Uuid, LoadBalancerRow>> {
    let mut link = Link::open(&arguments.nb, northbound_tables()).await?;
    link.until("the rows", |replica| {
        replica.table(LOAD_BALANCER).is_some_and(|table| table.len() == services)
    })
    .await?;
    let rows = link.replica().rows(LOAD_BALANCER);
    Ok(rows.filter_map(|(uuid, _)| Some((*uuid, LoadBalancerRow::read(link.replica(), *uuid)?))).collect())
}

async fn make_group(link: &mut Link) -> anyhow::Result<Uuid> {
    let group = Uuid::new_v4();
    let row = BTreeMap::from([("name".to_owned(), Datum::from(format!("bench-{group}").as_str()))]);
    let insert = Operation::Insert { table: GROUP.to_owned(), uuid: Some(group), uuid_name: None, row };
    link.commit(vec![vec![insert, on_switch("load_balancer_group", [group])]]).await?;
    Ok(group)
}

async fn write_raw(
    arguments: &Arguments,
    rows: &BTreeMap<Uuid, LoadBalancerRow>,
    group: Uuid,
) -> anyhow::Result<Duration> {
    let inserts = rows.iter().map(|(uuid, row)| Change::Insert {
        table: LOAD_BALANCER,
        uuid: *uuid,
        columns: row.columns(),
    });
    let members = Change::Refer {
        table: GROUP,
        uuid: group,
        name: String::new(),
        column: "load_balancer",
        added: rows.keys().copied().collect(),
        removed: Default::default(),
    };
    let changes = Changes { subnets: Vec::new(), load_balancers: inserts.chain([members]).collect() };
    let transactions = transaction::encode(&changes);
    let mut writer = Link::open(&arguments.nb, Default::default()).await?;
    writer.commit(transactions).await
}

fn write_with_nbctl(
    arguments: &Arguments,
    nbctl: &Path,
    rows: &BTreeMap<Uuid, LoadBalancerRow>,
    group: Uuid,
) -> anyhow::Result<Duration> {
    let rows: Vec<_> = rows.values().collect();
    let started = Instant::now();
    for batch in rows.chunks(transaction::BATCH) {
        let mut command = Command::new(nbctl);
        command.arg(format!("--db={}", arguments.nb)).arg("--no-leader-only");
        for (number, row) in batch.iter().enumerate() {
            let (id, name) = (format!("@r{number}"), format!("name=\"{}\"", row.name));
            command.args(["--", &format!("--id={id}"), "create", LOAD_BALANCER, &name, "protocol=tcp"]);
            for (column, map) in [
                ("vips", &row.vips),
                ("ip_port_mappings", &row.ip_port_mappings),
                ("options", &row.options),
                ("external_ids", &row.external_ids),
            ] {
                command.args(map.iter().map(|(key, value)| format!("{column}:\"{key}\"=\"{value}\"")));
            }
            command.args(["--", "add", GROUP, &group.to_string(), "load_balancer", &id]);
        }
        let status = command.stdout(std::process::Stdio::null()).status().context("ovn-nbctl")?;
        ensure!(status.success(), "ovn-nbctl failed");
    }
    Ok(started.elapsed())
}

async fn remove(link: &mut Link, rows: impl Iterator<Item = &Uuid>) -> anyhow::Result<()> {
    let delete = |uuid: &Uuid| Operation::Delete {
        table: LOAD_BALANCER.to_owned(),
        condition: vec![Condition::uuid(*uuid)],
    };
    link.commit(vec![rows.map(delete).collect()]).await?;
    link.propagate().await.map(drop).context("after removing the raw client's rows")
}

async fn remove_all(link: &mut Link) -> anyhow::Result<()> {
    let delete = Operation::Delete { table: LOAD_BALANCER.to_owned(), condition: Vec::new() };
    link.commit(vec![vec![delete.expect(ovn_vip::ovsdb::Expect::Any)]]).await?;
    link.propagate().await.map(drop).context("after removing ovn-nbctl's rows")
}

/// Switch ports for the pods, in one transaction.
pub async fn plug_in(link: &mut Link, cluster: &Cluster) -> anyhow::Result<()> {
    let mut uuids = Vec::new();
    let mut operations = Vec::new();
    for (number, pod) in cluster.pods.iter().enumerate() {
        let uuid = Uuid::new_v4();
        let addresses = format!("0a:00:00:01:00:{number:02x} {}", pod.address);
        let row = [("name", pod.port.as_str()), ("addresses", addresses.as_str())];
        let row = row.map(|(column, text)| (column.to_owned(), Datum::from(text))).into();
        let table = "Logical_Switch_Port".to_owned();
        operations.push(Operation::Insert { table, uuid: Some(uuid), uuid_name: None, row });
        uuids.push(uuid);
    }
    operations.push(on_switch("ports", uuids));
    link.commit(vec![operations]).await?;
    link.propagate().await.map(drop).context("after plugging the pods in")
}

/// Whatever [`plug_in`] made: ports go when no switch names them.
pub async fn plug_out(link: &mut Link) -> anyhow::Result<()> {
    link.propagate().await.map(drop)
}

fn on_switch(column: &str, rows: impl IntoIterator<Item = Uuid>) -> Operation {
    Operation::Mutate {
        table: "Logical_Switch".to_owned(),
        condition: vec![Condition::equal("name", Datum::from(SUBNET))],
        mutations: vec![Mutation::new(column, Mutator::Insert, Datum::uuids(rows))],
    }
}
