//! Kube-OVN's own way to serve MetalLB's VIPs: what changes hands, and in which order.
//!
//! Given a cluster, kube-ovn-controller's Deployment and, where it was read, the northbound. Decides what Kube-OVN
//! serves now and whether it would be served afterwards, by the rules of `plan`. Never changes anything.

mod flags;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Value, json};

use self::flags::Flags;
use super::fields::Findings;
use super::{Imported, METALLB_NAMESPACE, Manifest};
use crate::model::{Holder, NativeRow, Network, ObjectKey, Service, ServiceKey, Subnet, World};
use crate::plan::{Finding, Policy, Refusal, Severity, check, plan_as_known};

/// What there is to bring over.
#[derive(Clone, Copy, Debug)]
pub struct Native<'a> {
    /// The cluster.
    pub world: &'a World,
    /// The northbound, where it was read.
    pub network: Option<&'a Network>,
    /// The controller's settings.
    pub policy: &'a Policy,
    /// The Deployment `kube-ovn-controller`, where it was read.
    pub deployment: Option<&'a Value>,
}

/// One VIP that Kube-OVN balances, with its rows where the northbound tells them.
#[derive(Debug)]
struct Balanced<'a> {
    service: &'a Service,
    vip: IpAddr,
    subnet: Option<&'a Subnet>,
    rows: BTreeSet<String>,
}

/// The steps, the objects that they need, and what is in the way.
pub fn kube_ovn(native: Native<'_>) -> Imported {
    let findings = Findings::default();
    let flags = native.deployment.and_then(|deployment| Flags::read(deployment, &findings));
    // What is said of rows of Kube-OVN's is what the steps are about.
    let freed = native.network.map(without_kube_ovn);
    let after = Native { network: freed.as_ref(), ..native };
    let balanced = balanced(native, flags.as_ref());
    say_what_is_unknown(native, &findings);
    if let Some(flags) = &flags {
        say_what_flags_forbid(after, flags, &balanced, &findings);
    }
    say_what_would_be_lost(after, &balanced, &findings);
    say_what_differs(&balanced, &findings);
    let mut all = findings.finish();
    all.extend(found_by_check(after));
    all.sort_by_key(|finding| finding.severity);
    let mut manifests = steps::all(native, flags.as_ref(), &balanced);
    manifests.extend(kept_pool(native.world, &balanced));
    Imported { manifests, findings: all }
}

fn without_kube_ovn(network: &Network) -> Network {
    let mut freed = network.clone();
    freed.native.values_mut().for_each(|on| on.retain(|_, row| row.holder == Holder::Stranger));
    freed
}

/// By its rows, where they are known; else by the flag, which counts for every Service that has an address, whatever its
/// class and subnet.
fn balanced<'a>(native: Native<'a>, flags: Option<&Flags>) -> Vec<Balanced<'a>> {
    let world = native.world;
    let mut balanced = Vec::new();
    for service in world.services() {
        for &vip in &service.vips {
            let subnet = world.subnets().find(|subnet| subnet.contains(vip));
            let rows = native.network.map(|network| rows_of(network, service, vip));
            let is_balanced = match &rows {
                Some(rows) => !rows.is_empty(),
                None => flags.is_some_and(|flags| flags.native),
            };
            if is_balanced {
                balanced.push(Balanced { service, vip, subnet, rows: rows.unwrap_or_default() });
            }
        }
    }
    balanced
}

fn rows_of(network: &Network, service: &Service, vip: IpAddr) -> BTreeSet<String> {
    let ports = service.ports.iter();
    let on = ports.filter_map(|port| network.native.get(&(port.protocol, (vip, port.port).into())));
    on.flat_map(BTreeMap::values)
        .filter(|row| row.holder != Holder::Stranger)
        .map(|NativeRow { name, .. }| name.clone())
        .collect()
}

fn say_what_is_unknown(native: Native<'_>, findings: &Findings) {
    if native.deployment.is_none() {
        let what = "was not found: which of its flags count is not known";
        let cure = "put what `kubectl -n kube-system get deployment kube-ovn-controller -o yaml` prints beside the rest";
        findings.add(
            Severity::Warning,
            "NotChecked",
            ("Deployment kube-system/kube-ovn-controller", ""),
            what,
            cure,
        );
    }
    if native.network.is_none() {
        let what = "was not read: which rows have the VIPs is told by the flag alone, and nothing of OVN is compared";
        findings.add(Severity::Info, "NotChecked", ("northbound", ""), what, "give it with --ovn-nb ADDR");
    }
}

/// What the flags say that the northbound would: without it they are the only ones who do. Each is said once, of the first
/// VIP that it hits.
fn say_what_flags_forbid(after: Native<'_>, flags: &Flags, balanced: &[Balanced<'_>], findings: &Findings) {
    let mut said: BTreeMap<(&str, String), Refusal> = BTreeMap::new();
    for Balanced { vip, subnet, .. } in balanced.iter().filter(|_| after.network.is_none()) {
        let vip = *vip;
        let mut say = |flag, about: String, refusal| {
            said.entry((flag, about)).or_insert(refusal);
        };
        if flags.skips_subnet_addresses {
            say(flags::SKIPS, String::new(), Refusal::SkipsSubnetAddresses { vip });
        }
        if let Some(&cidr) = flags.skipped.iter().find(|cidr| cidr.contains(&vip)) {
            say(flags::SKIPPED, cidr.to_string(), Refusal::SkippedCidr { vip, cidr });
        }
        let bare = subnet.filter(|subnet| subnet.u2o_mac.is_none() && !subnet.logical_gateway);
        if let Some(Subnet { name, .. }) = bare.filter(|_| !flags.rewrites_mac) {
            let refusal = Refusal::KeepsDestinationMac { vip, subnet: name.clone() };
            say(flags::REWRITES, name.to_string(), refusal);
        }
    }
    for ((flag, _), refusal) in said {
        let place = (flags.object.as_str(), flag);
        findings.add(refusal.severity(), refusal.reason(), place, refusal.fault(), refusal.cure());
    }
}

/// Each VIP that would go dark: Kube-OVN asks for neither class nor subnet, we do.
fn say_what_would_be_lost(after: Native<'_>, balanced: &[Balanced<'_>], findings: &Findings) {
    let Native { world, network, policy, .. } = after;
    for Balanced { service, vip, .. } in balanced {
        let plan = plan_as_known(world, network, policy, &service.key);
        if plan.vips.contains_key(vip) {
            continue;
        }
        let why = match &service.class {
            _ if policy.serves(service) => {
                let reasons: BTreeSet<&str> = plan.refusals.iter().map(Refusal::reason).collect();
                format!("see {} of it", reasons.into_iter().collect::<Vec<_>>().join(", "))
            }
            Some(class) => format!("its class is {class}, which --load-balancer-class leaves to others"),
            None => "it has no class, and --load-balancer-class asks for one".to_owned(),
        };
        let object = ObjectKey::Service(service.key.clone()).to_string();
        let what = format!("Kube-OVN balances {vip}, and ovn-vip would not: {why}");
        let cure = "mend that first, or leave --enable-ovn-lb-prefer-local on";
        findings.add(Severity::Error, "WouldGoDark", (&object, "status.loadBalancer.ingress"), what, cure);
    }
}

/// What Kube-OVN does for a Service that has no counterpart.
fn say_what_differs(balanced: &[Balanced<'_>], findings: &Findings) {
    let sticky = balanced.iter().filter(|found| found.service.client_ip_affinity);
    let sticky: BTreeSet<&ServiceKey> = sticky.map(|found| &found.service.key).collect();
    for key in sticky {
        let object = ObjectKey::Service(key.clone()).to_string();
        let what = "has no counterpart: Kube-OVN keeps a client on its pod for 10800 s, ovn-vip by a hash of its address while the pods stay the same";
        let cure = "nothing to do, unless clients have to keep their pod while pods come and go";
        findings.add(Severity::Info, "NoCounterpart", (&object, "spec.sessionAffinity"), what, cure);
    }
}

/// What `check` says of the cluster as it would be. That MetalLB's speaker announces is what a step is about.
fn found_by_check(after: Native<'_>) -> Vec<Finding> {
    let mut found = check(after.world, after.network, after.policy);
    found.retain(|finding| finding.reason != "AnnouncedByOthers");
    found
}

/// A pool for VIPs that are in none, so that an allocator takes them for what they are.
fn kept_pool(world: &World, balanced: &[Balanced<'_>]) -> Option<Manifest> {
    let in_none = |vip: &IpAddr| !world.pools().any(|pool| pool.contains(*vip));
    let vips: BTreeSet<IpAddr> = balanced.iter().map(|found| found.vip).filter(in_none).collect();
    if vips.is_empty() {
        return None;
    }
    let addresses: Vec<String> = vips.iter().map(|vip| format!("{vip}-{vip}")).collect();
    let mut manifest = Manifest::new(json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": { "name": "kept", "namespace": METALLB_NAMESPACE },
        "spec": { "addresses": addresses, "autoAssign": false },
    }));
    manifest.comments.push("VIPs that are in no IPAddressPool: nobody else is given them.".to_owned());
    Some(manifest)
}
