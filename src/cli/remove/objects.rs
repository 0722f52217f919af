//! What stands on objects of the cluster: what controller and speakers have said there, and the Leases that they keep.

use std::fmt;

use crate::io::cluster::{Cluster, Source};
use crate::io::kube::connect::KubeTarget;
use crate::io::kube::status::say;
use crate::io::kube::watch::{By, KubeWatch};
use crate::io::kube::withdraw::{delete, is_there};
use crate::kube::Kind;
use crate::kube::saying::Saying;
use crate::model::{L2StatusKey, ObjectKey, ReportKey, ServiceKey, SubnetName, World};
use crate::settings::RemoveArgs;

use super::Outcome;

/// One thing of ours.
enum Ours {
    Condition(ServiceKey),
    Annotations(SubnetName, Vec<String>),
    Lease(ReportKey),
    L2Status(L2StatusKey),
}

impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ours::Condition(service) => write!(f, "Service {service}: condition ovn-vip.io/Served"),
            Ours::Annotations(subnet, names) => write!(f, "Subnet {subnet}: {}", names.join(", ")),
            Ours::Lease(lease) => write!(f, "Lease {}/{}", lease.namespace, lease.name),
            Ours::L2Status(key) => write!(f, "ServiceL2Status {}/{}", key.namespace, key.name),
        }
    }
}

/// Says what there is; with `--yes` takes it away.
pub(super) async fn remove(arguments: &RemoveArgs, last: &mut String) -> anyhow::Result<Outcome> {
    let target =
        KubeTarget { kubeconfig: arguments.kubeconfig.clone(), context: arguments.kube_context.clone() };
    let mut cluster = Cluster::open(&Source::Kube(target), By::All).await?;
    let mut world = World::default();
    while !cluster.is_complete() {
        let news = cluster.next().await;
        *last = format!("the cluster is not known: {}", news.problems.join("; "));
        news.changes.into_iter().for_each(|change| drop(world.apply(change)));
    }
    let Cluster::Kube(watch, client) = cluster else { anyhow::bail!("no API server was named") };
    let mut ours = ours(&watch, &world);
    let leader = ReportKey::new(&arguments.lease_namespace, &arguments.lease);
    if is_there(&client, &leader).await.map_err(anyhow::Error::msg)? {
        ours.push(Ours::Lease(leader));
    }
    ours.iter().for_each(|one| println!("{one}"));
    if !arguments.yes && !ours.is_empty() {
        println!("{} things would go from objects of the cluster: say --yes to do it.", ours.len());
        return Ok(Outcome::Unsaid);
    }
    for one in &ours {
        take_away(&client, one).await.map_err(|why| anyhow::anyhow!("{one}: {why}"))?;
    }
    println!(
        "{} things removed: nothing of ours stands on the cluster's objects but Events, which end by themselves, and what \
         --exclude-ips=fix has added to Subnets",
        ours.len()
    );
    Ok(Outcome::Clean)
}

/// Everything of ours, in order.
fn ours(watch: &KubeWatch, world: &World) -> Vec<Ours> {
    let conditions = watch.marked(Kind::Service).filter_map(|key| match key {
        ObjectKey::Service(service) if watch.marks_of(key)?.served.is_some() => {
            Some(Ours::Condition(service.clone()))
        }
        _ => None,
    });
    let annotations = watch.marked(Kind::Subnet).filter_map(|key| match key {
        ObjectKey::Subnet(subnet) => {
            let names: Vec<String> = watch.marks_of(key)?.annotations.keys().cloned().collect();
            (!names.is_empty()).then(|| Ours::Annotations(subnet.clone(), names))
        }
        _ => None,
    });
    let reports = world.every_report().map(|report| Ours::Lease(report.key.clone()));
    let statuses = world.statuses().filter(|status| status.ours);
    let statuses = statuses.map(|status| Ours::L2Status(status.key.clone()));
    conditions.chain(annotations).chain(reports).chain(statuses).collect()
}

async fn take_away(client: &kube::Client, one: &Ours) -> Result<(), String> {
    match one {
        Ours::Condition(service) => {
            let nothing = Saying::Condition { service: service.clone(), since: None, served: None };
            say(client, &nothing).await
        }
        Ours::Annotations(subnet, names) => {
            let annotations = names.iter().map(|name| (name.clone(), None)).collect();
            say(client, &Saying::Annotations { subnet: subnet.clone(), annotations }).await
        }
        Ours::Lease(key) => delete(client, Kind::Report, &key.namespace, &key.name).await,
        Ours::L2Status(key) => delete(client, Kind::L2Status, &key.namespace, &key.name).await,
    }
}
