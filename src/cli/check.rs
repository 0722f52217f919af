//! `ovn-vip check`: what is wrong with a cluster's objects, and what to do about it.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::io::manifests::{ManifestProblem, Tally};
use crate::model::World;
use crate::nb::{NetworkIndex, Owner};
use crate::ovsdb::Replica;
use crate::plan::{Finding, Severity, check};
use crate::settings::{CheckArgs, Output};

use super::northbound;
use super::table::Table;
use super::tally;

/// Checks, prints, and says by its exit code whether there are errors.
pub async fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let reading = northbound::read_folder(&arguments.folder)?;
    let mut index = NetworkIndex::default();
    let found = northbound::read(&arguments.northbound).await?;
    if let Some((replica, _)) = &found {
        let changes = Replica::new().become_level_with(replica.clone());
        index.northbound_changed(&Owner::new(&arguments.cluster_name, 0), replica, &changes);
    }
    let mut world = World::default();
    for change in reading.changes {
        world.apply(change);
    }
    let network = found.is_some().then(|| index.network());
    let mut findings: Vec<Finding> = reading.problems.iter().map(unreadable).collect();
    findings.extend(check(&world, network, &arguments.folder.policy.policy()));
    findings.extend(tally::findings(&reading.tally));
    findings.sort();
    match arguments.folder.output {
        Output::Table => print!("{}\n{}", tally::line(&reading.tally), table(&findings)),
        Output::Json => println!("{:#}", as_json(&findings, &reading.tally)),
    }
    let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Something that the folder has and that cannot be read.
fn unreadable(problem: &ManifestProblem) -> Finding {
    let finding = |severity, object: String, field: String, message: String, cure: &str| Finding {
        severity,
        object,
        field,
        reason: "CannotBeRead",
        message,
        cure: cure.to_owned(),
    };
    match problem {
        ManifestProblem::Field { file, line, problem } => {
            let at = format!("{}:{line}", file.display());
            let message = match problem.value.as_str() {
                "" => format!("{at}: the field is missing"),
                value => format!("{at}: {value:?} cannot be used"),
            };
            finding(Severity::Error, problem.object.clone(), problem.field.clone(), message, &problem.cure)
        }
        ManifestProblem::Broken { file, line, object, why } => {
            let object = object.clone().unwrap_or_else(|| file.display().to_string());
            let message = format!("{}:{line}: {why}", file.display());
            finding(Severity::Error, object, String::new(), message, "correct the document")
        }
        ManifestProblem::Unreadable { path, why } => {
            let cure = "make the file readable";
            finding(Severity::Error, path.display().to_string(), String::new(), why.clone(), cure)
        }
        ManifestProblem::Twice { file, object, other } => {
            let message =
                format!("it is in {} and in {}; the former counts", file.display(), other.display());
            finding(Severity::Warning, object.clone(), String::new(), message, "remove one of them")
        }
    }
}

fn table(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing found\n".to_owned();
    }
    let mut table = Table::new(&["SEVERITY", "OBJECT", "FIELD", "REASON"]);
    for Finding { severity, object, field, reason, message, cure } in findings {
        let cells = vec![severity.to_string(), object.clone(), field.clone(), (*reason).to_owned()];
        table.push(cells, vec![message.clone(), format!("cure: {cure}")]);
    }
    let [errors, warnings, infos] = counts(findings);
    format!("{table}\nerrors: {errors}, warnings: {warnings}, notes: {infos}\n")
}

fn counts(findings: &[Finding]) -> [usize; 3] {
    [Severity::Error, Severity::Warning, Severity::Info]
        .map(|severity| findings.iter().filter(|finding| finding.severity == severity).count())
}

fn as_json(findings: &[Finding], tally: &Tally) -> Value {
    let all = findings.iter().map(|Finding { severity, object, field, reason, message, cure }| {
        json!({
            "severity": severity.to_string(), "object": object, "field": field, "reason": reason,
            "message": message, "cure": cure,
        })
    });
    let all: Vec<Value> = all.collect();
    let [errors, warnings, infos] = counts(findings);
    json!({ "read": tally::as_json(tally), "findings": all, "errors": errors, "warnings": warnings, "infos": infos })
}
