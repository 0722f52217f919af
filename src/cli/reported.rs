//! `ovn-vip status --kubeconfig`: who announces what, by the reports that speakers keep in the cluster. No speaker is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::controller::announcer::{Announcer, announcer};
use crate::controller::heard::Silent;
use crate::io::kube::connect::KubeTarget;
use crate::kube::marks::{Marks, Served, Status};
use crate::model::{NodeName, ObjectKey, SubnetName, World};
use crate::plan::is_eligible;
use crate::settings::Output;

use super::objects;
use super::status::age;
use super::table::Table;

/// One VIP of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reported {
    pub(super) vip: IpAddr,
    subnet: String,
    pub(super) services: Vec<String>,
    pub(super) announced: Announced,
    /// Who announces it, or did last.
    node: Option<String>,
    mac: Option<String>,
    /// When its speaker said so last, by its clock.
    heard: Option<String>,
    /// What is wrong, by the condition of its Services.
    why: Vec<String>,
}

/// Whether somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Announced {
    Yes,
    /// It is, and the controller says of every Service of it that clients do not reach it.
    NotServed,
    ByOthers,
    ByNobody,
    Undelivered,
    NodeNotReady,
    NotHeard,
    Unknown,
    Declined,
}

impl Announced {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Announced::Yes => "announced",
            Announced::NotServed => "announced, not served",
            Announced::ByOthers => "announced by others",
            Announced::ByNobody => "announced by nobody",
            Announced::Undelivered => "held and not delivered",
            Announced::NodeNotReady => "its node is not ready",
            Announced::NotHeard => "unknown: its speaker is not heard",
            Announced::Unknown => "unknown: no speaker reports",
            Announced::Declined => "not served",
        }
    }
}

/// Reads the cluster, prints, and says by its exit code whether every VIP is announced, and no Service declined.
pub async fn run(target: KubeTarget, output: Output) -> anyhow::Result<ExitCode> {
    let objects = objects::from_api_server(target).await?;
    let now = Timestamp::now();
    let world = objects.world();
    let vips = reported(&world, &objects.silent(now), |key| objects.marks(key));
    let is_declined = |service: &crate::model::Service| {
        let marks = objects.marks(&ObjectKey::Service(service.key.clone()));
        let served = marks.and_then(|marks| marks.served.as_ref());
        served.is_some_and(|(served, _)| served.status == Status::False)
    };
    match output {
        Output::Table => print!("{}", table(&vips, now)),
        Output::Json => println!("{:#}", json!({ "vips": vips })),
    }
    let is_announced = vips.iter().all(|vip| vip.announced == Announced::Yes);
    let well = is_announced && !world.services().any(is_declined);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every VIP that lies in a Subnet of ours, in order; then those that the controller declines though they lie in none.
pub(super) fn reported<'m>(
    world: &World,
    silent: &Silent,
    marks_of: impl Fn(&ObjectKey) -> Option<&'m Marks>,
) -> Vec<Reported> {
    let mut services: BTreeMap<(IpAddr, &SubnetName), Vec<&crate::model::Service>> = BTreeMap::new();
    for service in world.services() {
        for vip in &service.vips {
            for subnet in world.subnets().filter(|subnet| is_eligible(subnet) && subnet.contains(*vip)) {
                services.entry((*vip, &subnet.name)).or_default().push(service);
            }
        }
    }
    let why = |service: &&crate::model::Service| {
        let marks = marks_of(&ObjectKey::Service(service.key.clone()))?;
        let (served, _) = marks.served.as_ref()?;
        // Also what of a Service that is served is not.
        (served.reason != "Served").then(|| format!("{}: {}: {}", service.key, served.reason, served.message))
    };
    let said = |service: &crate::model::Service| {
        Some(&marks_of(&ObjectKey::Service(service.key.clone()))?.served.as_ref()?.0)
    };
    let vips = services.into_iter().map(|((vip, subnet), services)| {
        let is_dark = services.iter().all(|it| said(it).is_some_and(|said| said.status == Status::False));
        let others = services.iter().find_map(|it| others(world, it, said(it)));
        let (announced, node) = match announcer(world, silent, subnet, vip) {
            Announcer::Node(node) if is_dark => (Announced::NotServed, Some(node)),
            Announcer::Node(node) => (Announced::Yes, Some(node)),
            Announcer::Nobody | Announcer::Unreported if others.is_some() => (Announced::ByOthers, others),
            Announcer::Undelivered(node) => (Announced::Undelivered, Some(node)),
            Announcer::Lost(node) => (Announced::NodeNotReady, Some(node)),
            Announcer::NotHeard(node, _) => (Announced::NotHeard, Some(node)),
            Announcer::Nobody => (Announced::ByNobody, None),
            Announcer::Unreported => (Announced::Unknown, None),
        };
        let mac = node.and_then(|node| Some(world.report_of(node)?.segments.get(subnet)?.mac));
        let marks = node.and_then(|node| marks_of(&ObjectKey::Report(world.report_of(node)?.key.clone())));
        let heard = marks.and_then(|marks| Some(marks.pulse.as_ref()?.renewed.clone()));
        Reported {
            vip,
            subnet: subnet.to_string(),
            services: services.iter().map(|service| service.key.to_string()).collect(),
            announced,
            node: node.map(ToString::to_string),
            mac: mac.map(|mac| mac.to_string()),
            heard,
            why: services.iter().filter_map(why).collect(),
        }
    });
    let mut vips: Vec<Reported> = vips.collect();
    for service in world.services() {
        vips.extend(declined(service, why(&service), &vips));
    }
    vips
}

/// A Service's VIPs that lie in no Subnet of ours and that the controller declines.
fn declined(service: &crate::model::Service, why: Option<String>, told: &[Reported]) -> Vec<Reported> {
    let Some(why) = why else { return Vec::new() };
    let untold = service.vips.iter().filter(|vip| !told.iter().any(|told| told.vip == **vip));
    let of = |vip: &IpAddr| Reported {
        vip: *vip,
        subnet: "-".to_owned(),
        services: vec![service.key.to_string()],
        announced: Announced::Declined,
        node: None,
        mac: None,
        heard: None,
        why: vec![why.clone()],
    };
    untold.map(of).collect()
}

/// Who announces the VIPs of a Service that are left to others, by the controller's word.
fn others<'w>(
    world: &'w World,
    service: &crate::model::Service,
    said: Option<&Served>,
) -> Option<&'w NodeName> {
    said.filter(|said| said.reason == "AnnouncedByOthers")?;
    world.statuses_of(&service.key).find(|status| !status.ours).map(|status| &status.node)
}

fn table(vips: &[Reported], now: Timestamp) -> String {
    if vips.is_empty() {
        return "no Service has a VIP in an underlay Subnet with enableExternalLBAddress\n".to_owned();
    }
    let mut table = Table::new(&["VIP", "NODE", "STATE", "HEARD", "MAC", "SUBNET", "SERVICES"]);
    let mut told = BTreeSet::new();
    for Reported { vip, subnet, services, announced, node, mac, heard, why } in vips {
        let some = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let state = announced.as_str().to_owned();
        let heard = heard.as_ref().map_or_else(|| "-".to_owned(), |heard| age(heard, now));
        let (vip, services) = (vip.to_string(), services.join(","));
        let cells = [vip, some(node), state, heard, some(mac), subnet.clone(), services];
        // What was said of a Service at its first VIP is not said again.
        table.push(cells.into(), why.iter().filter(|why| told.insert(*why)).cloned().collect());
    }
    table.to_string()
}

#[cfg(test)]
impl Reported {
    /// A VIP of a Service.
    pub(super) fn of(service: &str, announced: Announced) -> Self {
        let (vip, services) = ([10, 0, 0, 9].into(), vec![service.to_owned()]);
        let (subnet, why) = ("underlay".into(), Vec::new());
        Self { vip, subnet, services, announced, node: None, mac: None, heard: None, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vip_that_nobody_announces_says_so_and_why() {
        let vip = |announced, node: Option<&str>, why: &[&str]| Reported {
            vip: [10, 0, 0, 9].into(),
            subnet: "underlay".into(),
            services: vec!["d/web".into()],
            announced,
            node: node.map(str::to_owned),
            mac: node.map(|_| "02:00:00:00:00:01".into()),
            heard: node.map(|_| "2026-01-01T00:00:00.5Z".into()),
            why: why.iter().map(ToString::to_string).collect(),
        };
        let vips = [
            vip(Announced::Yes, Some("a"), &[]),
            vip(Announced::NotHeard, Some("a"), &[]),
            vip(Announced::ByNobody, None, &["d/web: NotAnnounced: no node announces it"]),
            vip(Announced::NotServed, Some("a"), &["d/web: NotAnnounced: no node announces it"]),
        ];
        assert_eq!(
            table(&vips, "2026-01-01T00:00:12Z".parse().unwrap()),
            "VIP       NODE  STATE                              HEARD  MAC                SUBNET    SERVICES\n\
             10.0.0.9  a     announced                          11s    02:00:00:00:00:01  underlay  d/web\n\
             10.0.0.9  a     unknown: its speaker is not heard  11s    02:00:00:00:00:01  underlay  d/web\n\
             10.0.0.9  -     announced by nobody                -      -                  underlay  d/web\n          \
             d/web: NotAnnounced: no node announces it\n\
             10.0.0.9  a     announced, not served              11s    02:00:00:00:00:01  underlay  d/web\n"
        );
    }
}
