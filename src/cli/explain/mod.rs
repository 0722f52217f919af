//! `ovn-vip explain`: one Service's or VIP's way, to the first thing that is wrong with it.

mod holder;
mod print;
mod stage;
mod steps;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures::future::join_all;
use uuid::Uuid;

use crate::controller::{Reconciler, Rules};
use crate::model::{ObjectKey, Service, ServiceKey, World};
use crate::nb::Owner;
use crate::nb::diff::{Change, Changes};
use crate::nb::owner::{GateRow, RowKey, SubnetRow};
use crate::nb::rows::{ACL, Selection};
use crate::node::status::Status;
use crate::ovsdb::Replica;
use crate::settings::{AssumedOvn, ExplainArgs, Output};

use super::objects::Objects;
use super::writes::Step as Write;
use super::{assumed, northbound, objects, status, tally};

use steps::{Explained, Facts, Verdict, explain};

/// Names that are told where none was met.
const MOST: usize = 10;

/// Later than northd may be with its flows, and than Kube-OVN's rows are waited for: what is not there now is missing.
const LATER: Duration = Duration::from_secs(60);

/// Looks, prints, and says by its exit code whether something is wrong.
pub async fn run(arguments: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let objects = objects::read(&arguments.objects).await?;
    for problem in &objects.problems {
        eprintln!("ovn-vip: {}: {}; {}", problem.object, problem.message, problem.cure);
    }
    let world = objects.world();
    let services = asked(arguments, &world, &objects)?;
    let ovn = Ovn::look(arguments, &world, &objects).await?;
    let speakers = speakers(arguments).await?;
    let explained: Vec<Explained> = services
        .iter()
        .flat_map(|(service, vips)| {
            let said = objects.marks(&ObjectKey::Service(service.key.clone()));
            let facts = Facts {
                reconciler: &ovn.reconciler,
                missing: ovn.missing.as_ref(),
                too_old: ovn.too_old.as_deref(),
                southbound: ovn.southbound,
                live: objects.live.is_some(),
                said: said.and_then(|marks| marks.served.as_ref()).map(|(served, _)| served),
                asked: !arguments.speakers.is_empty(),
                speakers: &speakers,
            };
            vips.iter().map(move |vip| explain(&facts, service, *vip)).collect::<Vec<_>>()
        })
        .collect();
    match arguments.objects.output {
        Output::Table => print!("{}", print::text(&explained)),
        Output::Json => println!("{:#}", print::as_json(&explained)),
    }
    let wrong = explained.iter().any(|found| found.verdict == Verdict::NotServed);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A Service with the VIPs to follow.
type Asked<'w> = (&'w Service, Vec<Option<IpAddr>>);

/// The Services that are asked about.
fn asked<'w>(arguments: &ExplainArgs, world: &'w World, objects: &Objects) -> anyhow::Result<Vec<Asked<'w>>> {
    let what = arguments.what.as_str();
    if world.services().next().is_none() && objects.problems.is_empty() {
        let read = tally::line(&objects.tally);
        anyhow::bail!(
            "there is no Service of type LoadBalancer at all ({read}): is it the right folder, or cluster?"
        );
    }
    if let Ok(vip) = what.split('/').next().unwrap_or_default().parse::<IpAddr>() {
        return with_vip(world, vip);
    }
    let given = arguments.namespace.as_deref();
    let (namespace, name) = what.split_once('/').unwrap_or((given.unwrap_or("default"), what));
    if given.is_some_and(|given| given != namespace) {
        anyhow::bail!("--namespace says another namespace than {what}: leave one of them out");
    }
    let key = ServiceKey::new(namespace, name);
    let Some(service) = world.service(&key) else { anyhow::bail!("{}", unknown(world, objects, &key)) };
    let vips: Vec<Option<IpAddr>> = service.vips.iter().copied().map(Some).collect();
    Ok(vec![(service, if vips.is_empty() { vec![None] } else { vips })])
}

fn with_vip(world: &World, vip: IpAddr) -> anyhow::Result<Vec<Asked<'_>>> {
    let services: Vec<_> = world.services_at(vip).map(|service| (service, vec![Some(vip)])).collect();
    if services.is_empty() {
        let vips: Vec<String> = world.vips().take(MOST).map(|vip| vip.to_string()).collect();
        let vips = vips.join(", ");
        anyhow::bail!("no Service of type LoadBalancer has {vip} in status.loadBalancer; there are: {vips}");
    }
    Ok(services)
}

/// Why there is no such Service, and which it may be.
fn unknown(world: &World, objects: &Objects, key: &ServiceKey) -> String {
    let object = ObjectKey::Service(key.clone()).to_string();
    if objects.problems.iter().any(|problem| problem.object == object) {
        return format!("Service {key} cannot be read: what is said above is to be corrected first");
    }
    let names = |is_one: &dyn Fn(&&Service) -> bool| {
        let names = world.services().filter(is_one).take(MOST).map(|service| service.key.to_string());
        names.collect::<Vec<_>>()
    };
    let hint = match &names(&|service| service.key.name == key.name)[..] {
        [] => format!("is its type LoadBalancer? There are: {}", names(&|_| true).join(", ")),
        others => format!("did you mean {}?", others.join(" or ")),
    };
    format!("there is no Service {key} of type LoadBalancer: {hint}")
}

/// What OVN tells.
struct Ovn {
    reconciler: Reconciler,
    missing: Option<BTreeMap<String, Vec<String>>>,
    too_old: Option<String>,
    southbound: bool,
}

impl Ovn {
    async fn look(arguments: &ExplainArgs, world: &World, objects: &Objects) -> anyhow::Result<Self> {
        let [northbound, southbound] = arguments.databases();
        let northbound = match northbound {
            Some(address) => Some(northbound::northbound(&address, &arguments.northbound).await?),
            None => None,
        };
        let southbound = match southbound {
            Some(address) => Some(northbound::southbound(&address, &arguments.northbound).await?),
            None => None,
        };
        let found = northbound.as_ref().map(|(replica, selection)| (replica, selection.clone()));
        let mut too_old = None;
        if let Some((replica, selection)) = found {
            let (reconciler, changes) = plan(arguments, objects, replica, selection, southbound.as_ref());
            if reconciler.network().locality.is_some() {
                if let Some(why) = reconciler.misnamed() {
                    anyhow::bail!("{why}");
                }
                let missing = Some(missing(&reconciler, &changes, replica));
                return Ok(Self { reconciler, missing, too_old, southbound: southbound.is_some() });
            }
            let version = reconciler.network().northd_version.as_deref().unwrap_or("of unknown version");
            too_old = Some(format!("OVN {version} can keep DNAT on the announcing node in no way"));
        }
        let replica = assumed::northbound(world, AssumedOvn::KubeOvn)?;
        let (reconciler, _) = plan(arguments, objects, &replica, Selection::full(), None);
        Ok(Self { reconciler, missing: None, too_old, southbound: false })
    }
}

/// The controller's own mind, beside databases that it does not write to.
fn plan(
    arguments: &ExplainArgs,
    objects: &Objects,
    replica: &Replica,
    selection: Selection,
    southbound: Option<&Replica>,
) -> (Reconciler, Changes) {
    let rules = Rules {
        owner: Owner::new(&arguments.cluster_name, 0),
        policy: arguments.objects.policy.policy(),
        own_router_port: arguments.own_router_port,
    };
    let all = |replica: &Replica| Replica::new().become_level_with(replica.clone());
    let mut reconciler = Reconciler::new(rules);
    reconciler.set_selection(selection);
    reconciler.northbound_changed(replica, &all(replica));
    reconciler.cluster_changed(objects.changes.iter().cloned());
    if let Some(southbound) = southbound {
        reconciler.southbound_changed(southbound, &all(southbound));
        reconciler.set_southbound_level(true);
    }
    reconciler.advance(Duration::ZERO);
    reconciler.advance(LATER);
    let (changes, _) = reconciler.reconcile(replica);
    (reconciler, changes)
}

/// What would be written, for people, by Service.
fn missing(reconciler: &Reconciler, changes: &Changes, replica: &Replica) -> BTreeMap<String, Vec<String>> {
    let owner = reconciler.owner();
    let mut services: BTreeMap<Uuid, Vec<&ServiceKey>> = BTreeMap::new();
    for (key, outcome) in reconciler.outcomes() {
        for protocol in crate::model::Protocol::ALL {
            services.entry(owner.load_balancer(key, protocol)).or_default().push(key);
        }
        for subnet in outcome.vips.values() {
            let rows = SubnetRow::ALL.map(|row| owner.subnet_row(subnet, row));
            let gates = GateRow::ALL.into_iter().flat_map(|row| {
                let outside = owner.gate(&RowKey::Outside(subnet.clone(), row));
                [owner.gate(&RowKey::Gate(key.clone(), subnet.clone(), row)), outside]
            });
            for row in rows.into_iter().chain(gates) {
                services.entry(row).or_default().push(key);
            }
        }
    }
    let names = BTreeMap::new();
    let mut missing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in changes.all() {
        let rows: Vec<Uuid> = match change {
            Change::Insert { uuid, .. } | Change::Update { uuid, .. } | Change::Delete { uuid, .. } => {
                vec![*uuid]
            }
            Change::Refer { added, removed, .. } => added.iter().chain(removed).copied().collect(),
            Change::RemoveKeys { .. } => Vec::new(),
        };
        let Write { action, table, name, why, .. } = Write::of(change, replica, &names);
        let name = if table == ACL { String::new() } else { format!(" {name}") };
        let line = format!("to {action}: {table}{name}: {why}");
        for key in rows.iter().filter_map(|row| services.get(row)).flatten() {
            let lines = missing.entry(key.to_string()).or_default();
            if !lines.contains(&line) {
                lines.push(line.clone());
            }
        }
    }
    missing
}

/// Asks the speakers that were named.
async fn speakers(arguments: &ExplainArgs) -> anyhow::Result<Vec<Status>> {
    let token = arguments.token_file.as_ref().map(std::fs::read_to_string).transpose();
    let token = token.context("--token-file")?;
    let addresses: Vec<String> =
        arguments.speakers.iter().map(|address| status::with_port(address)).collect();
    let answers = join_all(addresses.iter().map(|address| status::ask(address, token.as_deref()))).await;
    let mut statuses = Vec::new();
    for answer in answers {
        match answer {
            Ok(status) => statuses.push(status),
            Err(error) => eprintln!("ovn-vip: {error:#}"),
        }
    }
    Ok(statuses)
}
