//! `ovn-vip explain`: one Service's or VIP's way, to the first thing that is wrong with it.

mod backends;
mod holder;
mod left;
mod ovn;
mod print;
mod rows;
mod stage;
mod steps;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use jiff::Timestamp;

use crate::model::{ObjectKey, Service, ServiceKey, World};
use crate::settings::{ExplainArgs, Output};

use super::objects::Objects;
use super::{addresses, objects, status, tally};

use ovn::Ovn;
use steps::{Explained, Facts, Verdict, explain};

/// Names that are told where none was met.
const MOST: usize = 10;

/// Looks, prints, and says by its exit code whether something is wrong.
pub async fn run(arguments: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let objects = objects::read(&arguments.objects).await?;
    for problem in &objects.problems {
        eprintln!("ovn-vip: {}: {}; {}", problem.object, problem.message, problem.cure);
    }
    let world = objects.world();
    let services = asked(arguments, &world, &objects)?;
    let explained = follow(arguments, &objects, &world, &services).await?;
    match arguments.objects.output {
        Output::Table => print!("{}", print::text(&explained)),
        Output::Json => println!("{:#}", print::as_json(&explained)),
    }
    let wrong = explained.iter().any(|found| match found.verdict {
        Verdict::NotServed | Verdict::LeftUnseen => true,
        Verdict::Served | Verdict::SaidToBeServed | Verdict::LeftToOthers | Verdict::Unknown => false,
    });
    // What cannot be read may be the Service's, or another's that has its port.
    let unread = objects.live.is_none()
        && objects.problems.iter().any(|problem| problem.severity == crate::plan::Severity::Error);
    if unread {
        eprintln!("ovn-vip: not all of the folder could be read: what is said above may be otherwise");
    }
    Ok(if wrong || unread { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Every Service, for people.
pub async fn everything(arguments: &ExplainArgs, objects: &Objects) -> anyhow::Result<String> {
    let world = objects.world();
    let services: Vec<Asked<'_>> = world.services().map(with_its_vips).collect();
    Ok(print::text(&follow(arguments, objects, &world, &services).await?))
}

/// Follows the way of each.
async fn follow(
    arguments: &ExplainArgs,
    objects: &Objects,
    world: &World,
    services: &[Asked<'_>],
) -> anyhow::Result<Vec<Explained>> {
    let ovn = Ovn::look(arguments, world, objects).await?;
    let (speakers, errors) = status::ask_all(&arguments.speakers, arguments.token_file.as_deref()).await?;
    errors.iter().for_each(|error| eprintln!("ovn-vip: {error}"));
    let silent = objects.silent(Timestamp::now());
    let scope = arguments.objects.allocate.scope(&arguments.objects.policy);
    let lacks = addresses::lacks(scope, &objects.changes, Some(ovn.reconciler.network()));
    let explained = services.iter().flat_map(|(service, vips)| {
        let said = objects.marks(&ObjectKey::Service(service.key.clone()));
        let facts = Facts {
            reconciler: &ovn.reconciler,
            differences: ovn.differences.as_ref(),
            fault: ovn.fault.as_ref(),
            southbound: ovn.southbound.as_ref(),
            disabled: &ovn.disabled,
            live: objects.live.is_some(),
            said: said.and_then(|marks| marks.served.as_ref()).map(|(served, _)| served),
            lack: lacks.get(&service.key),
            silent: &silent,
            asked: !arguments.speakers.is_empty(),
            speakers: &speakers,
        };
        vips.iter().map(move |vip| explain(&facts, service, *vip)).collect::<Vec<_>>()
    });
    Ok(explained.collect())
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
    let address = what.split('/').next().unwrap_or_default();
    let vip = address.trim_matches(['[', ']']).parse().ok();
    if let Some(vip) = vip.or_else(|| Some(address.parse::<SocketAddr>().ok()?.ip())) {
        return with_vip(world, vip);
    }
    if is_mistyped(what) {
        anyhow::bail!("{what} is no address: correct it, or give a Service as NAMESPACE/NAME");
    }
    let given = arguments.namespace.as_deref();
    let (namespace, name) = what.split_once('/').unwrap_or((given.unwrap_or("default"), what));
    if given.is_some_and(|given| given != namespace) {
        anyhow::bail!("--namespace says another namespace than {what}: leave one of them out");
    }
    let key = ServiceKey::new(namespace, name);
    let Some(service) = world.service(&key) else { anyhow::bail!("{}", unknown(world, objects, &key)) };
    Ok(vec![with_its_vips(service)])
}

/// Whether it was meant as an address: no Service has such a name (RFC 1035 labels begin with a letter).
fn is_mistyped(what: &str) -> bool {
    let digits = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']');
    what.starts_with(|c: char| c.is_ascii_digit() || c == '[') && what.chars().all(digits)
}

fn with_its_vips(service: &Service) -> Asked<'_> {
    let vips: Vec<Option<IpAddr>> = service.vips.iter().copied().map(Some).collect();
    (service, if vips.is_empty() { vec![None] } else { vips })
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
        [] => format!(
            "is it of type LoadBalancer, and in this namespace? There are: {}",
            names(&|_| true).join(", ")
        ),
        others => format!("did you mean {}?", others.join(" or ")),
    };
    format!("there is no Service {key} of type LoadBalancer: {hint}")
}
