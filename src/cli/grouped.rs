//! Findings that say the same of many objects, told once.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Finding;

/// So many of one kind are told one by one.
const ONE_BY_ONE: usize = 5;
/// Names that are told of more.
const NAMES: usize = 3;

/// One finding, or many of one reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Group<'f> {
    /// The first of them.
    pub first: &'f Finding,
    /// What they are about: one object's name, or how many of which kind.
    pub object: String,
    /// Some of the names; empty where there is one.
    pub names: String,
    /// How many there are.
    pub count: usize,
}

/// The groups, in the order of the first of each.
pub fn grouped(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut alike: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        alike.entry(key(finding)).or_default().push(finding);
    }
    let mut groups = Vec::new();
    for finding in findings {
        match alike.get(&key(finding)) {
            Some(all) if all.len() > ONE_BY_ONE => groups.extend(alike.remove(&key(finding)).map(many)),
            Some(_) => groups.push(Group {
                first: finding,
                object: finding.object.clone(),
                names: String::new(),
                count: 1,
            }),
            // It was told with the first of its kind.
            None => {}
        }
    }
    groups
}

/// What alike findings have in common: severity, the object's kind, field and reason.
fn key(finding: &Finding) -> (crate::plan::Severity, &str, &str, &str) {
    (finding.severity, kind(&finding.object), &finding.field, finding.reason)
}

fn kind(object: &str) -> &str {
    object.split_once(' ').map_or(object, |(kind, _)| kind)
}

fn many(all: Vec<&Finding>) -> Group<'_> {
    let first = all[0];
    let objects: BTreeSet<&str> = all.iter().map(|finding| finding.object.as_str()).collect();
    let names: Vec<&str> =
        objects.iter().filter_map(|object| Some(object.split_once(' ')?.1)).take(NAMES).collect();
    let (object, names) = match objects.len() {
        1 => (first.object.clone(), String::new()),
        count => {
            let more = count.saturating_sub(names.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            (format!("{count} {}s", kind(&first.object)), format!("{}{more}", names.join(", ")))
        }
    };
    Group { first, object, names, count: all.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Severity;

    fn finding(severity: Severity, object: &str, message: &str) -> Finding {
        Finding {
            severity,
            object: object.to_owned(),
            field: "status".to_owned(),
            reason: "NoVip",
            message: message.to_owned(),
            cure: "c".to_owned(),
        }
    }

    #[test]
    fn what_repeats_is_one_line_with_some_names_and_what_does_not_stays() {
        let mut findings: Vec<Finding> = (0..400)
            .map(|number| finding(Severity::Warning, &format!("Service d/s{number:03}"), "no VIP"))
            .collect();
        findings.insert(0, finding(Severity::Error, "Service d/bad", "worse"));
        findings.push(finding(Severity::Warning, "Subnet a", "no VIP"));
        let groups = grouped(&findings);
        let told: Vec<_> = groups.iter().map(|group| (group.count, &*group.object, &*group.names)).collect();
        assert_eq!(
            told,
            [
                (1, "Service d/bad", ""),
                (400, "400 Services", "d/s000, d/s001, d/s002 and 397 more"),
                (1, "Subnet a", ""),
            ]
        );
    }

    #[test]
    fn a_few_are_told_one_by_one() {
        let findings: Vec<Finding> = (0..ONE_BY_ONE)
            .map(|number| finding(Severity::Warning, &format!("Service d/{number}"), "m"))
            .collect();
        assert_eq!(grouped(&findings).len(), ONE_BY_ONE);
    }

    #[test]
    fn many_findings_of_one_object_are_one_line_with_its_name() {
        let findings: Vec<Finding> = (0..9)
            .map(|number| finding(Severity::Error, "Subnet a", &format!("Service d/{number}: not excluded")))
            .collect();
        let groups = grouped(&findings);
        assert_eq!((groups.len(), groups[0].count, &*groups[0].object), (1, 9, "Subnet a"));
    }
}
