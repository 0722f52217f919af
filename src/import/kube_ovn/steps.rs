//! The steps, in words: each says what changes hands with it, and the command.

use std::collections::{BTreeMap, BTreeSet};

use super::flags::{self, Flags};
use super::{Balanced, Native};
use crate::import::Manifest;
use crate::model::{ServiceKey, SubnetName, TrafficPolicy};
use crate::plan::{is_eligible, missing_exclude_ips};

/// All steps.
pub(super) fn all(native: Native<'_>, flags: Option<&Flags>, balanced: &[Balanced<'_>]) -> Vec<Manifest> {
    let lists = [
        overview(),
        flags_first(flags),
        exclude_ips(native),
        install(balanced),
        balancing(flags, balanced),
        announcing(native),
        addresses(),
    ];
    lists.into_iter().map(Manifest::words).collect()
}

fn lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).into()
}

fn overview() -> Vec<String> {
    lines([
        "From Kube-OVN's own load balancer to ovn-vip: what changes hands, and in which order.",
        "  balancing, in the northbound: from Kube-OVN's rows to ovn-vip's, in step 4",
        "  steering, on the provider bridges: kube-ovn-cni's rules stay where they are right, ovn-vip adds what is missing",
        "  answering ARP and neighbour discovery: from MetalLB's speaker to ovn-vip's, in step 5",
        "  addresses: MetalLB's controller goes on, or ovn-vip's does from step 6 on",
        "Subnets keep enableExternalLBAddress, Services their annotations and addresses.",
    ])
}

fn flags_first(flags: Option<&Flags>) -> Vec<String> {
    let mut words = lines(["1. What kube-ovn-controller has to be told, whoever serves:"]);
    let Some(flags) = flags else {
        words.push(
            "  its flags are not known: --ls-ct-skip-dst-lport-ips=false, --ls-dnat-mod-dl-dst=true".into(),
        );
        return words;
    };
    let asked = words.len();
    if flags.skips_subnet_addresses {
        words.push(format!("  {}", flags.command(flags::SKIPS, "false")));
    }
    if !flags.rewrites_mac {
        words.push(format!("  {}", flags.command(flags::REWRITES, "true")));
    }
    if !flags.skipped.is_empty() {
        let skipped: Vec<String> = flags.skipped.iter().map(ToString::to_string).collect();
        words.push(format!("  no VIP may be in {} {}", flags::SKIPPED, skipped.join(",")));
    }
    if words.len() == asked {
        words.push("  nothing: it is told already".into());
    }
    words
}

fn exclude_ips(native: Native<'_>) -> Vec<String> {
    let mut words =
        lines(["2. Kube-OVN must not hand a VIP to a pod: each pool lies in its Subnet's excludeIps."]);
    let eligible = native.world.subnets().filter(|subnet| is_eligible(subnet) && subnet.external_lb);
    for subnet in eligible {
        let missing = missing_exclude_ips(native.world, native.policy, subnet);
        if !missing.is_empty() {
            let missing = missing.ranges().map(|range| range.to_string()).collect::<Vec<_>>().join(", ");
            words.push(format!(
                "  Subnet {} lacks {missing}; ovn-vip adds it, when it is told to:",
                subnet.name
            ));
            words.push(format!("  kubectl annotate subnet {} ovn-vip.io/exclude-ips=fix", subnet.name));
        }
    }
    if words.len() == 1 {
        words.push("  nothing: every pool is covered".into());
    }
    words
}

fn install(balanced: &[Balanced<'_>]) -> Vec<String> {
    let mut words = lines([
        "3. Install ovn-vip (docs/install.md). It stands back: nothing changes hands yet.",
        "  ovn-vip check --ovn-nb ADDR    has NativeOwner and AnnouncedByOthers for these VIPs, and no error",
    ]);
    let consenting = balanced.iter().filter_map(|found| found.subnet).filter(|subnet| subnet.wishes.takeover);
    let consenting: BTreeSet<&SubnetName> = consenting.map(|subnet| &subnet.name).collect();
    for subnet in consenting {
        words.push(format!("  Subnet {subnet} has ovn-vip.io/takeover: there step 4 is done with this one."));
    }
    words
}

fn balancing(flags: Option<&Flags>, balanced: &[Balanced<'_>]) -> Vec<String> {
    let mut words =
        lines(["4. Balancing: Kube-OVN lets go, and ovn-vip takes each VIP with that change of its row."]);
    if balanced.is_empty() {
        words.push("  nothing: Kube-OVN balances no VIP of a Service".into());
        return words;
    }
    let is_cluster = |found: &&Balanced<'_>| found.service.traffic_policy == TrafficPolicy::Cluster;
    let unmarked = balanced.iter().filter(is_cluster).filter_map(|found| found.subnet);
    let unmarked: BTreeSet<&SubnetName> =
        unmarked.filter(|subnet| !subnet.wishes.takeover).map(|subnet| &subnet.name).collect();
    for subnet in unmarked {
        words.push(
            "  Some have externalTrafficPolicy: Cluster, of which Kube-OVN leaves no trace: consent first."
                .into(),
        );
        words.push(format!("  kubectl annotate subnet {subnet} ovn-vip.io/takeover=true"));
    }
    match flags {
        Some(flags) => words.push(format!("  {}", flags.command(flags::NATIVE, "false"))),
        None => words.push(format!("  start kube-ovn-controller with {}=false", flags::NATIVE)),
    }
    words.push("  These change hands:".into());
    for Balanced { service, vip, rows, .. } in balanced {
        let rows = rows.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let from = if rows.is_empty() { String::new() } else { format!(", of Load_Balancer {rows}") };
        words.push(format!("    Service {}: {vip}{from}", service.key));
    }
    words.push("  Back: the same flag with true; ovn-vip stands back again.".into());
    words
}

fn announcing(native: Native<'_>) -> Vec<String> {
    let mut words = lines([
        "5. Answering: MetalLB's speaker stops, and ovn-vip's answers as soon as no ServiceL2Status says otherwise.",
        "  MetalLB's chart: speaker.enabled=false; else delete the L2Advertisements below, and let the speaker be",
    ]);
    let world = native.world;
    for advertisement in world.advertisements() {
        let interfaces: Vec<&str> = advertisement.interfaces.iter().map(|name| name.as_str()).collect();
        let only = match interfaces.is_empty() {
            true => String::new(),
            false => {
                format!(", from {} only: while it stands ovn-vip heeds that, too", interfaces.join(", "))
            }
        };
        words.push(format!("    L2Advertisement {}{only}", advertisement.key));
    }
    let mut announced: BTreeMap<String, Vec<&ServiceKey>> = BTreeMap::new();
    for service in world.services() {
        if let Some(status) = world.statuses_of(&service.key).find(|status| !status.ours) {
            announced.entry(status.node.to_string()).or_default().push(&service.key);
        }
    }
    for (node, services) in announced {
        let services: Vec<String> = services.into_iter().map(ToString::to_string).collect();
        words.push(format!("    on Node {node} now: {}", services.join(", ")));
    }
    words
}

fn addresses() -> Vec<String> {
    lines([
        "6. Addresses: MetalLB's controller may go on. Or ovn-vip's controller hands out what the same IPAddressPools have, with",
        "  --allocate=all; nobody gets another address. First stop MetalLB's, and delete its webhook, or no pool can be edited:",
        "    kubectl -n metallb-system scale deployment/controller --replicas=0   (metallb-controller where its chart was used)",
        "    kubectl delete validatingwebhookconfiguration metallb-webhook-configuration",
    ])
}
