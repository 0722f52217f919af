//! `ovn-vip plan`: what would change in the northbound, and why. Nothing is written.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::controller::Reconciler;
use crate::model::{Change as WorldChange, ServiceKey, Sources};
use crate::nb::diff::{Change, Changes};
use crate::nb::rows::Selection;
use crate::ovsdb::{Datum, Replica};
use crate::plan::{Finding, Severity};
use crate::settings::{Output, PlanArgs};

use super::table::Table;
use super::writes::Step;
use super::{addresses, assumed, mind, northbound, objects, tally};

/// Something would change.
const CHANGES: u8 = 2;

/// Plans, prints, and says by its exit code whether anything would change.
pub async fn run(arguments: &PlanArgs) -> anyhow::Result<ExitCode> {
    let objects = objects::read(&arguments.objects).await?;
    for Finding { object, field, message, cure, .. } in &objects.problems {
        let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
        eprintln!("ovn-vip: {object}: {field}{message}; {cure}");
    }
    let (replica, selection) = match northbound::read(&arguments.northbound).await? {
        Some(found) => found,
        None => (assumed::northbound(&objects.world(), arguments.ovn)?, Selection::full()),
    };
    let cluster = objects.changes.clone();
    let (reconciler, changes) = plan(arguments, &replica, selection, objects.changes)?;
    let scope = arguments.objects.allocate.scope(&arguments.objects.policy);
    let (given, rival) = addresses::told(scope, &cluster, Some(reconciler.network()));
    let names = names(&changes);
    let steps: Vec<Step> = changes.all().map(|change| Step::of(change, &replica, &names)).collect();
    if objects.tally.objects.is_empty() && objects.problems.is_empty() {
        anyhow::bail!("this is not the whole plan: read nothing that anything is decided by");
    }
    match arguments.objects.output {
        Output::Table => {
            let given = addresses::table(&given, rival.as_deref());
            print!("{}{given}{}{}", table(&steps), closed(&reconciler), refused(&reconciler));
        }
        Output::Json => {
            let mut all = as_json(&steps, &reconciler);
            all["addresses"] = addresses::as_json(&given);
            println!("{all:#}");
        }
    }
    let nothing = objects.tally.objects.is_empty();
    let unread = objects.problems.iter().any(|problem| problem.severity == Severity::Error);
    if nothing || unread {
        let line = tally::line(&objects.tally);
        eprintln!("ovn-vip: this is not the whole plan: {line}, and what is said above could not be read");
        return Ok(ExitCode::FAILURE);
    }
    let changes = !steps.is_empty() || addresses::anything_new(&given);
    Ok(if !changes { ExitCode::SUCCESS } else { ExitCode::from(CHANGES) })
}

/// The controller's own mind, beside a northbound that it does not write to.
fn plan(
    arguments: &PlanArgs,
    replica: &Replica,
    selection: Selection,
    cluster: Vec<WorldChange>,
) -> anyhow::Result<(Reconciler, Changes)> {
    let policy = arguments.objects.policy.policy();
    let mut reconciler = mind::reconciler(&arguments.rules, policy, replica, selection, cluster);
    if let Some(fault) = mind::without_locality(&reconciler) {
        anyhow::bail!(
            "{fault}: OVN 26.03 or newer, or the OVN that Kube-OVN ships, is needed; nothing would be written"
        );
    }
    let (changes, _) = reconciler.reconcile(replica);
    if let Some(why) = reconciler.misnamed() {
        anyhow::bail!("{why}");
    }
    Ok((reconciler, changes))
}

/// The names of rows that are inserted, for those that refer to them.
fn names(changes: &Changes) -> BTreeMap<Uuid, String> {
    let named = changes.all().filter_map(|change| match change {
        Change::Insert { uuid, columns, .. } => {
            Some((*uuid, columns.get("name").and_then(Datum::as_str)?.to_owned()))
        }
        Change::Update { .. } | Change::Delete { .. } | Change::Refer { .. } | Change::RemoveKeys { .. } => {
            None
        }
    });
    named.collect()
}

fn table(steps: &[Step]) -> String {
    if steps.is_empty() {
        return "nothing would change: the northbound is as it should be\n".to_owned();
    }
    let mut table = Table::new(&["ACTION", "TABLE", "NAME", "WHY"]);
    for step in steps {
        let cells = vec![step.action.into(), step.table.into(), step.name.clone(), step.why.clone()];
        table.push(cells, step.lines());
    }
    let count = |action: &str| steps.iter().filter(|step| step.action == action).count();
    let (inserts, updates, deletes) = (count("insert"), count("update"), count("delete"));
    format!("{table}\nwould insert {inserts}, update {updates}, delete {deletes}\n")
}

/// Whom the Services let in that are not open to everybody: no row says it, ACLs name whom they keep out.
fn clients(reconciler: &Reconciler) -> impl Iterator<Item = (&ServiceKey, &Sources)> {
    let outcomes = reconciler.outcomes().iter().map(|(service, outcome)| (service, &outcome.sources));
    outcomes.filter(|(_, sources)| **sources != Sources::Everybody)
}

fn closed(reconciler: &Reconciler) -> String {
    let mut table = Table::new(&["SERVICE", "OPEN TO THESE CLIENTS ONLY"]);
    clients(reconciler)
        .for_each(|(service, sources)| table.push(vec![service.to_string(), sources.to_string()], vec![]));
    if clients(reconciler).next().is_none() { String::new() } else { format!("\n{table}") }
}

fn refused(reconciler: &Reconciler) -> String {
    let mut table = Table::new(&["SERVICE", "NOT SERVED, OR NOT AS IT COULD BE"]);
    for (service, refusals) in reconciler.refusals() {
        for refusal in refusals {
            let below = vec![refusal.fault(), format!("cure: {}", refusal.cure())];
            table.push(vec![service.to_string(), refusal.reason().to_owned()], below);
        }
    }
    if reconciler.refusals().is_empty() { String::new() } else { format!("\n{table}") }
}

fn as_json(steps: &[Step], reconciler: &Reconciler) -> Value {
    let refusals = reconciler.refusals().iter().flat_map(|(service, refusals)| {
        refusals.iter().map(move |refusal| {
            json!({
                "service": service.to_string(), "severity": refusal.severity().to_string(),
                "reason": refusal.reason(), "message": refusal.fault(), "cure": refusal.cure(),
            })
        })
    });
    let refusals: Vec<Value> = refusals.collect();
    let changes: Vec<Value> = steps.iter().map(Step::to_json).collect();
    let clients: BTreeMap<String, String> =
        clients(reconciler).map(|(service, sources)| (service.to_string(), sources.to_string())).collect();
    json!({ "changes": changes, "clients": clients, "refusals": refusals })
}
