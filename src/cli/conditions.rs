//! What of a live cluster only its controller and speakers know, as findings of `check`. No I/O.

use crate::kube::marks::{Served, Status};
use crate::model::{ObjectKey, ServiceKey};
use crate::plan::{Finding, Severity};

use super::reported::{Announced, Reported};

/// What they say that `known` does not; an error where no VIP is served at all. Nothing where nobody says anything: ovn-vip is not
/// installed yet.
pub fn findings(
    vips: &[Reported],
    said: &[(ServiceKey, Option<&Served>)],
    known: &[Finding],
) -> Vec<Finding> {
    let is_installed = said.iter().any(|(_, said)| said.is_some())
        || vips.iter().any(|vip| vip.announced != Announced::Unknown);
    if !is_installed {
        return Vec::new();
    }
    let mut findings: Vec<Finding> =
        said.iter().filter_map(|(key, said)| of_condition(key, (*said)?, known)).collect();
    let is_said = |vip: &Reported| {
        let of_vip = said.iter().filter(|(key, _)| vip.services.contains(&key.to_string()));
        of_vip.filter_map(|(_, said)| *said).any(|said| said.status != Status::True)
    };
    let dark = |vip: &&Reported| !matches!(vip.announced, Announced::Yes | Announced::ByOthers);
    findings.extend(vips.iter().filter(dark).filter(|vip| !is_said(vip)).map(of_vip));
    if !vips.is_empty() && vips.iter().all(|vip| dark(&vip)) {
        let message = format!("none of {} VIPs is served, as controller and speakers say", vips.len());
        let cure = "`ovn-vip explain VIP` follows the way of each to what is wrong";
        findings.push(finding(
            Severity::Error,
            "the cluster".to_owned(),
            "AllDark",
            message,
            cure.to_owned(),
        ));
    }
    findings
}

/// What the controller says of a Service that is not simply served, unless it is known already.
fn of_condition(key: &ServiceKey, said: &Served, known: &[Finding]) -> Option<Finding> {
    let object = ObjectKey::Service(key.clone()).to_string();
    let its = known
        .iter()
        .filter(|finding| finding.object == object || finding.message.starts_with(&format!("{object}: ")));
    let mut reasons = its.map(|finding| finding.reason);
    let is_known = match said.reason.as_str() {
        "Served" => true,
        // It stands for reasons that may all be known, or not: its words tell.
        "PartlyServed" => reasons.next().is_some(),
        reason => reasons.any(|known| known == reason),
    };
    let message = format!("the controller says {}: {}", said.reason, said.message);
    let cure = format!(
        "`ovn-vip explain {key}` follows its way; docs/refusals.md or docs/troubleshoot.md has {}",
        said.reason
    );
    (!is_known).then(|| Finding {
        field: "status.conditions".to_owned(),
        ..finding(Severity::Warning, object, "ConditionSays", message, cure)
    })
}

fn of_vip(vip: &Reported) -> Finding {
    let message = format!("VIP {}: {}, by the speakers' reports", vip.vip, vip.announced.as_str());
    let cure = format!("`ovn-vip explain {}` follows its way", vip.vip);
    let object = vip.services.first().map_or_else(|| vip.vip.to_string(), |key| format!("Service {key}"));
    finding(Severity::Warning, object, "VipDark", message, cure)
}

fn finding(
    severity: Severity,
    object: String,
    reason: &'static str,
    message: String,
    cure: String,
) -> Finding {
    Finding { severity, object, field: String::new(), reason, message, cure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(status: Status, reason: &str) -> Served {
        Served { status, reason: reason.to_owned(), message: "m".to_owned() }
    }

    fn reasons(announced: &[Announced], said: Option<&Served>, known: &[Finding]) -> Vec<&'static str> {
        let vips: Vec<Reported> = announced.iter().map(|it| Reported::of("d/web", *it)).collect();
        let said = [(ServiceKey::new("d", "web"), said)];
        findings(&vips, &said, known).iter().map(|finding| finding.reason).collect()
    }

    #[test]
    fn where_all_vips_are_dark_it_is_an_error() {
        use Announced::{ByNobody, ByOthers, NotServed, Unknown, Yes};
        let (well, dark) = (served(Status::True, "Served"), served(Status::False, "NotAnnounced"));
        assert_eq!(reasons(&[Yes], Some(&well), &[]), [""; 0]);
        assert_eq!(reasons(&[ByNobody], Some(&dark), &[]), ["ConditionSays", "AllDark"]);
        assert_eq!(reasons(&[NotServed], Some(&dark), &[]), ["ConditionSays", "AllDark"]);
        assert_eq!(reasons(&[ByNobody, Yes], Some(&well), &[]), ["VipDark"], "the controller is dead");
        assert_eq!(reasons(&[Unknown], Some(&well), &[]), ["VipDark", "AllDark"], "all speakers are");
        assert_eq!(reasons(&[Unknown], None, &[]), [""; 0], "it is not installed");
        let others = served(Status::Unknown, "AnnouncedByOthers");
        assert_eq!(reasons(&[ByOthers], Some(&others), &[]), ["ConditionSays"], "MetalLB serves it");
    }

    #[test]
    fn what_check_found_itself_is_not_told_twice() {
        let (partly, vlan) = (served(Status::True, "PartlyServed"), served(Status::False, "VlanDiffers"));
        let known = |object: &str, message: &str| {
            [finding(Severity::Error, object.to_owned(), "VlanDiffers", message.to_owned(), String::new())]
        };
        assert_eq!(reasons(&[Announced::Yes], Some(&partly), &[]), ["ConditionSays"]);
        assert_eq!(reasons(&[Announced::Yes], Some(&partly), &known("Service d/web", "m")), [""; 0]);
        assert_eq!(reasons(&[Announced::Yes], Some(&vlan), &known("Vlan v", "Service d/web: m")), [""; 0]);
        assert_eq!(
            reasons(&[Announced::Yes], Some(&vlan), &known("Vlan v", "Service d/x: m")),
            ["ConditionSays"]
        );
    }
}
