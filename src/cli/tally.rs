//! What was read of a folder, and what was not, for people and machines.

use serde_json::{Value, json};

use crate::io::manifests::Tally;
use crate::plan::{Finding, Severity};

/// One line: `read 2 Services, 1 Subnet`.
pub fn line(tally: &Tally) -> String {
    let counted = |(kind, count): (&String, &usize)| {
        let plural = match (*count, kind.ends_with('s')) {
            (1, _) => "",
            (_, true) => "es",
            (_, false) => "s",
        };
        format!("{count} {kind}{plural}")
    };
    let mut parts: Vec<String> = tally.objects.iter().map(counted).collect();
    if tally.others > 0 {
        parts.push(format!("{} of kinds that do not matter here", tally.others));
    }
    if parts.is_empty() { "read nothing".to_owned() } else { format!("read {}", parts.join(", ")) }
}

/// The same as JSON.
pub fn as_json(tally: &Tally) -> Value {
    let over =
        tally.passed_over.iter().map(|(path, why)| json!({ "path": path.display().to_string(), "why": why }));
    let over: Vec<Value> = over.collect();
    json!({ "objects": tally.objects, "others": tally.others, "passedOver": over })
}

/// What of it is worth a word: an error where there is nothing to decide on.
pub fn findings(tally: &Tally) -> Vec<Finding> {
    let finding = |severity, object: String, reason, message: String, cure: String| Finding {
        severity,
        object,
        field: String::new(),
        reason,
        message,
        cure,
    };
    let over = tally.passed_over.iter().map(|(path, why)| {
        let cure = "rename it, or move it, if it is meant".to_owned();
        finding(Severity::Info, path.display().to_string(), "PassedOver", (*why).to_owned(), cure)
    });
    let import = tally.to_import.iter().map(|(path, how)| {
        let message =
            "it has a configuration that MetalLB 0.13 and newer does not read, and so do we not".to_owned();
        let cure = format!("{how} {} makes MetalLB's objects of it", path.display());
        finding(Severity::Warning, path.display().to_string(), "ToImport", message, cure)
    });
    let mut findings: Vec<Finding> = over.chain(import).collect();
    for kind in &tally.missing {
        let message = format!(
            "no {kind} was read, and every cluster has some: what is said of the others is not to be relied on"
        );
        let cure = format!(
            "give the folder the {kind}s, too: what `kubectl get -A -o yaml {}` prints",
            kind.to_lowercase()
        );
        findings.push(finding(Severity::Error, "the folder".into(), "KindMissing", message, cure));
    }
    if tally.objects.is_empty() {
        let message = "no object was read that anything is decided by".to_owned();
        let cure = "give the folder with what `kubectl get -A -o yaml svc,endpointslices,nodes,subnets,vlans,provider-networks` prints";
        findings.push(finding(Severity::Error, "the folder".into(), "NothingRead", message, cure.into()));
    }
    findings
}
