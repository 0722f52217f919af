//! `ovn-vip check`: what is wrong with a cluster's objects, and what to do about it.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::allocate::Scope;
use crate::controller::{Reconciler, Rules};
use crate::io::manifests::Tally;
use crate::model::{ObjectKey, World};
use crate::nb::Owner;
use crate::nb::rows::Selection;
use crate::ovsdb::Replica;
use crate::plan::{Finding, Policy, Severity, check};
use crate::settings::{CheckArgs, Output, OwnRouterPort};

use super::grouped::{Group, grouped};
use super::objects::Objects;
use super::table::Table;
use super::tally;
use super::{addresses, conditions, mind, northbound, objects, reported};

/// Checks, prints, and says by its exit code whether there are errors.
pub async fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let objects = objects::read(&arguments.objects).await?;
    let found = northbound::read(&arguments.northbound).await?;
    let southbound = match arguments.ovn_sb.as_deref().filter(|address| !address.is_empty()) {
        Some(address) => Some(northbound::southbound(address, &arguments.northbound).await?),
        None => None,
    };
    let replica = found.as_ref().map(|(replica, _)| replica);
    let policy = arguments.objects.policy.policy();
    let databases = Databases { northbound: replica, southbound: southbound.as_ref() };
    let scope = arguments.objects.allocate.scope(&arguments.objects.policy);
    let (findings, tally) = findings(objects, databases, &arguments.cluster_name, &policy, scope);
    match arguments.objects.output {
        Output::Table => print!("{}", text(&findings, &tally)),
        Output::Json => println!("{:#}", as_json(&findings, &tally)),
    }
    let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// OVN's databases, as far as they were read.
#[derive(Clone, Copy, Default)]
pub struct Databases<'d> {
    /// The northbound.
    pub northbound: Option<&'d Replica>,
    /// The southbound; of no use without a northbound.
    pub southbound: Option<&'d Replica>,
}

/// What is wrong with objects, beside databases where some were read; of a live cluster also what its controller and speakers say;
/// and what was read.
pub fn findings(
    objects: Objects,
    databases: Databases<'_>,
    cluster_name: &str,
    policy: &Policy,
    scope: Scope,
) -> (Vec<Finding>, Tally) {
    let world = objects.world();
    let planned = databases.northbound.map(|northbound| {
        let owner = Owner::new(cluster_name, 0);
        let rules = Rules { owner, policy: policy.clone(), own_router_port: OwnRouterPort::default() };
        let changes = objects.changes.iter().cloned();
        let mut reconciler = mind::of(rules, northbound, Selection::full(), changes);
        mind::look_later(&mut reconciler, northbound, databases.southbound);
        reconciler
    });
    let mut findings = objects.problems.clone();
    findings.extend(check(&world, planned.as_ref().map(Reconciler::network), policy));
    // What only the flows tell.
    let seen = planned.iter().flat_map(|reconciler| reconciler.refusals());
    let seen = seen.flat_map(|(key, refusals)| refusals.iter().map(move |refusal| Finding::of(refusal, key)));
    let is_new = |finding: &Finding, known: &[Finding]| {
        !known.iter().any(|it| it.reason == finding.reason && it.object == finding.object)
    };
    let seen: Vec<Finding> = seen.filter(|finding| is_new(finding, &findings)).collect();
    findings.extend(seen.into_iter().filter(|_| databases.southbound.is_some()));
    let network = planned.as_ref().map(Reconciler::network);
    addresses::explain_lacks(&mut findings, &addresses::lacks(scope, &objects.changes, network));
    findings.extend(tally::findings(&objects.tally));
    findings.extend(said(&objects, &world, policy, &findings));
    findings.sort();
    (findings, objects.tally)
}

/// What controller and speakers say, where they could.
fn said(objects: &Objects, world: &World, policy: &Policy, known: &[Finding]) -> Vec<Finding> {
    if objects.live.is_none() {
        return Vec::new();
    }
    let marks_of = |key: &ObjectKey| objects.marks(key);
    let vips = reported::reported(world, &objects.silent(Timestamp::now()), marks_of);
    let services = world.services().filter(|service| policy.serves(service));
    let conditions = services.map(|service| {
        let marks = marks_of(&ObjectKey::Service(service.key.clone()));
        (service.key.clone(), marks.and_then(|marks| marks.served.as_ref()).map(|(served, _)| served))
    });
    conditions::findings(&vips, &conditions.collect::<Vec<_>>(), known)
}

/// For people.
pub fn text(findings: &[Finding], tally: &Tally) -> String {
    format!("{}\n{}", tally::line(tally), table(findings))
}

fn table(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing found\n".to_owned();
    }
    let mut table = Table::new(&["SEVERITY", "OBJECT", "FIELD", "REASON"]);
    for Group { first, object, names, count } in grouped(findings) {
        let Finding { severity, object: _, field, reason, message, cure } = first;
        let cells = vec![severity.to_string(), object, field.clone(), (*reason).to_owned()];
        let (names, others) = match count {
            1 => (None, String::new()),
            count => (
                Some(names).filter(|names| !names.is_empty()),
                format!(" ({} more like it: -o json)", count - 1),
            ),
        };
        let below = names.into_iter().chain([format!("{message}{others}"), format!("cure: {cure}")]);
        table.push(cells, below.collect());
    }
    let [errors, warnings, infos] = counts(findings);
    format!("{table}\nerrors: {errors}, warnings: {warnings}, notes: {infos}\n")
}

fn counts(findings: &[Finding]) -> [usize; 3] {
    [Severity::Error, Severity::Warning, Severity::Info]
        .map(|severity| findings.iter().filter(|finding| finding.severity == severity).count())
}

fn as_json(findings: &[Finding], tally: &Tally) -> Value {
    let all: Vec<Value> = findings.iter().map(finding_as_json).collect();
    let [errors, warnings, infos] = counts(findings);
    json!({ "read": tally::as_json(tally), "findings": all, "errors": errors, "warnings": warnings, "infos": infos })
}

/// One finding, for machines.
pub fn finding_as_json(finding: &Finding) -> Value {
    let Finding { severity, object, field, reason, message, cure } = finding;
    json!({
        "severity": severity.to_string(), "object": object, "field": field, "reason": reason,
        "message": message, "cure": cure,
    })
}
