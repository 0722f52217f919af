//! `ovn-vip check`: what is wrong with a cluster's objects, and what to do about it.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::io::manifests::Tally;
use crate::nb::{NetworkIndex, Owner};
use crate::ovsdb::Replica;
use crate::plan::{Finding, Policy, Severity, check};
use crate::settings::{CheckArgs, Output};

use super::grouped::{Group, grouped};
use super::objects::Objects;
use super::table::Table;
use super::tally;
use super::{northbound, objects};

/// Checks, prints, and says by its exit code whether there are errors.
pub async fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let objects = objects::read(&arguments.objects).await?;
    let found = northbound::read(&arguments.northbound).await?;
    let replica = found.as_ref().map(|(replica, _)| replica);
    let policy = arguments.objects.policy.policy();
    let (findings, tally) = findings(objects, replica, &arguments.cluster_name, &policy);
    match arguments.objects.output {
        Output::Table => print!("{}", text(&findings, &tally)),
        Output::Json => println!("{:#}", as_json(&findings, &tally)),
    }
    let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What is wrong with objects, beside a northbound where one was read; and what was read.
pub fn findings(
    objects: Objects,
    northbound: Option<&Replica>,
    cluster_name: &str,
    policy: &Policy,
) -> (Vec<Finding>, Tally) {
    let mut index = NetworkIndex::default();
    if let Some(replica) = northbound {
        let changes = Replica::new().become_level_with(replica.clone());
        index.northbound_changed(&Owner::new(cluster_name, 0), replica, &changes);
    }
    let world = objects.world();
    let network = northbound.map(|_| index.network());
    let mut findings = objects.problems;
    findings.extend(check(&world, network, policy));
    findings.extend(tally::findings(&objects.tally));
    findings.sort();
    (findings, objects.tally)
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
