//! Everything that is wrong with a cluster, or worth knowing, at once.

use std::collections::BTreeSet;

use crate::model::{L2Status, Network, ObjectKey, RangeSet, Service, ServiceKey, Subnet, World};

use super::announce::segment_refusals;
use super::backends::lack;
use super::unit::Units;
use super::view::View;
use super::{Finding, Policy, Refusal, Severity, exclude_ips, is_eligible, service};

/// What an operator should know, the worst first. Without a northbound only what the cluster itself tells.
pub fn check(world: &World, network: Option<&Network>, policy: &Policy) -> Vec<Finding> {
    let view = View { world, policy, network, absent: None };
    let mut units = Units::new(view);
    let mut findings: BTreeSet<Finding> = exclude_ips::findings(world, policy).into_iter().collect();
    for found in world.services() {
        let refusals = service::plan(view, &mut units, &found.key).refusals;
        let refusals = refusals.iter().filter(|refusal| !follows_from_a_gap(world, refusal));
        findings.extend(refusals.map(|refusal| {
            let finding = Finding::of(refusal, &found.key);
            match lack(world, found, refusal) {
                Some(lack) => Finding { message: format!("{}: {lack}", finding.message), ..finding },
                None => finding,
            }
        }));
    }
    let others = world.services().filter(|found| !policy.serves(found));
    findings.extend(others.map(of_another_class));
    findings.extend(strangers(world, policy));
    let segments = segment_refusals(world).filter(|refusal| !follows_from_a_gap(world, refusal));
    findings.extend(segments.map(|refusal| of_segment(&refusal)));
    for subnet in world.subnets() {
        findings.extend(of_subnet(subnet));
    }
    findings.into_iter().collect()
}

/// Whether it is said only because something was not read, which is told by itself.
fn follows_from_a_gap(world: &World, refusal: &Refusal) -> bool {
    match refusal {
        Refusal::NoSubnet { .. } => world.gaps().cover_a_subnet(),
        Refusal::BackendOnUnknownNode { .. } => world.nodes().next().is_none(),
        Refusal::NoVlan { vlan, .. } => world.gaps().cover(&ObjectKey::Vlan(vlan.clone())),
        Refusal::NoProvider { provider, .. } => {
            world.gaps().cover(&ObjectKey::ProviderNetwork(provider.clone()))
        }
        _ => false,
    }
}

/// The ServiceL2Statuses that do not count.
pub fn strangers<'w>(world: &'w World, policy: &'w Policy) -> impl Iterator<Item = Finding> + 'w {
    let strangers = world.statuses().filter(|status| !status.ours && !policy.believes(world, status));
    strangers.map(|status| of_status(world, status))
}

/// A Service that is left to somebody else.
fn of_another_class(service: &Service) -> Finding {
    let message = match &service.class {
        Some(class) => format!("its class is {class}: it is left to others"),
        None => "it has no class: it is left to others".to_owned(),
    };
    Finding {
        severity: Severity::Info,
        object: ObjectKey::Service(service.key.clone()).to_string(),
        field: "spec.loadBalancerClass".to_owned(),
        reason: "OtherClass",
        message,
        cure: "--load-balancer-class says which Services are served".to_owned(),
    }
}

/// A ServiceL2Status that does not count.
fn of_status(world: &World, status: &L2Status) -> Finding {
    let node = &status.node;
    let why = match world.node(node) {
        Some(_) => format!("{} is not MetalLB's namespace", status.key.namespace),
        None => format!("there is no Node {node}"),
    };
    Finding {
        severity: Severity::Warning,
        object: ObjectKey::L2Status(status.key.clone()).to_string(),
        field: "status".to_owned(),
        reason: "StatusDoesNotCount",
        message: format!(
            "it says that {node} announces Service {}, and does not count: {why}",
            status.service
        ),
        cure: "ask who wrote it, and delete it; where it is MetalLB's own, --metallb-namespace says so"
            .to_owned(),
    }
}

/// What keeps a node from speaking on a segment; no Service is part of it.
fn of_segment(refusal: &Refusal) -> Finding {
    let (object, field) = refusal.subject(&ServiceKey::new("", ""));
    Finding {
        severity: refusal.severity(),
        object,
        field: field.to_owned(),
        reason: refusal.reason(),
        message: refusal.fault(),
        cure: refusal.cure(),
    }
}

fn of_subnet(subnet: &Subnet) -> Vec<Finding> {
    let finding = |severity, field: &str, reason, message: String, cure: &str| Finding {
        severity,
        object: ObjectKey::Subnet(subnet.name.clone()).to_string(),
        field: field.to_owned(),
        reason,
        message,
        cure: cure.to_owned(),
    };
    let mut findings = Vec::new();
    if subnet.external_lb && !is_eligible(subnet) {
        let message = "it is to take VIPs, but is no underlay subnet of OVN".to_owned();
        let cure = "spec.vlan must name a Vlan and spec.provider be empty, ovn or end in .ovn";
        findings.push(finding(
            Severity::Warning,
            "spec.enableExternalLBAddress",
            "NotUnderlay",
            message,
            cure,
        ));
    }
    if !is_eligible(subnet) {
        return findings;
    }
    let strays: RangeSet = subnet
        .exclude_ips
        .iter()
        .copied()
        .filter(|range| !subnet.contains(range.first()) && !subnet.contains(range.last()))
        .collect();
    for stray in strays.ranges() {
        let message = format!("{stray} lies outside the subnet, where Kube-OVN drops it silently");
        let cure = "correct it, or take it out";
        findings.push(finding(Severity::Warning, "spec.excludeIps", "ExcludeOutsideSubnet", message, cure));
    }
    if !subnet.wishes.announce {
        let message = "its VIPs are balanced and steered, and left to others to announce".to_owned();
        let cure = "take the annotation away to have them announced by ovn-vip";
        let field = "metadata.annotations[ovn-vip.io/announce]";
        findings.push(finding(Severity::Info, field, "NotAnnounced", message, cure));
    }
    findings
}
