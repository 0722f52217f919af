//! `docs/refusals.md` against the code: every refusal is a row, every row a refusal, and each has a story that shows it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ovn_vip::model::{Holder, L2StatusKey, Mac, Protocol, ServiceKey, VlanId};
use ovn_vip::plan::{Finding, Refusal, Reserved};

/// One of each; the compiler asks for those that are new.
fn after(refusal: &Refusal) -> Option<Refusal> {
    let cidr = "10.0.0.0/24".parse().unwrap();
    let vip = "10.0.0.9".parse().unwrap();
    let address = "10.0.0.1".parse().unwrap();
    let key = "10.0.0.9:80".parse().unwrap();
    let protocol = Protocol::Tcp;
    let subnet = || "underlay".into();
    let node = || "node1".into();
    Some(match refusal {
        Refusal::NoVip => Refusal::HostnameOnly { hostname: "lb.example.org".into() },
        Refusal::HostnameOnly { .. } => Refusal::NoSubnet { vip },
        Refusal::NoSubnet { .. } => Refusal::NotUnderlay { vip, subnet: subnet() },
        Refusal::NotUnderlay { .. } => Refusal::ExternalLbDisabled { vip, subnet: subnet() },
        Refusal::ExternalLbDisabled { .. } => Refusal::NotExcluded { vip, subnet: subnet() },
        Refusal::NotExcluded { .. } => Refusal::ServedNotExcluded { vip, subnet: subnet() },
        Refusal::ServedNotExcluded { .. } => {
            Refusal::ReservedAddress { vip, subnet: subnet(), reserved: Reserved::Gateway }
        }
        Refusal::ReservedAddress { .. } => Refusal::NoSwitch { subnet: subnet() },
        Refusal::NoSwitch { .. } => Refusal::SkipsSubnetAddresses { vip },
        Refusal::SkipsSubnetAddresses { .. } => Refusal::KeepsDestinationMac { vip, subnet: subnet() },
        Refusal::KeepsDestinationMac { .. } => Refusal::SkippedCidr { vip, cidr },
        Refusal::SkippedCidr { .. } => Refusal::NativeOwner {
            key,
            protocol,
            row: "theirs".into(),
            holder: Holder::KubeOvn,
            subnet: subnet(),
        },
        Refusal::NativeOwner { .. } => Refusal::PortTaken { key, protocol, by: ServiceKey::new("a", "b") },
        Refusal::PortTaken { .. } => Refusal::NoReadyBackend { key, protocol },
        Refusal::NoReadyBackend { .. } => Refusal::BackendOutsideSubnet { address, subnet: subnet() },
        Refusal::BackendOutsideSubnet { .. } => Refusal::BackendWithoutNode { address },
        Refusal::BackendWithoutNode { .. } => Refusal::BackendOnUnknownNode { address, node: node() },
        Refusal::BackendOnUnknownNode { .. } => Refusal::BackendWithoutChassis { address, node: node() },
        Refusal::BackendWithoutChassis { .. } => Refusal::BackendNoPort { address, subnet: subnet() },
        Refusal::BackendNoPort { .. } => {
            Refusal::BadSourceRange { range: "10.0.0.1/8".into(), field: "spec.loadBalancerSourceRanges" }
        }
        Refusal::BadSourceRange { .. } => Refusal::ClosedToAll { vip },
        Refusal::ClosedToAll { .. } => Refusal::BackendElsewhere { address, node: node(), subnet: subnet() },
        Refusal::BackendElsewhere { .. } => Refusal::NoVlan { subnet: subnet(), vlan: "vlan".into() },
        Refusal::NoVlan { .. } => Refusal::NoProvider { vlan: "vlan".into(), provider: "provider".into() },
        Refusal::NoProvider { .. } => Refusal::NoSteeringMac { subnet: subnet() },
        Refusal::NoSteeringMac { .. } => Refusal::VipIsPort { vip, port: "p".into() },
        Refusal::AnnouncedByOthers { .. } => Refusal::Proxied { vip },
        Refusal::Proxied { .. } => Refusal::ForeignAddress { address, field: "spec.externalIPs" },
        Refusal::ForeignAddress { .. } => Refusal::NotAdvertised { vip },
        Refusal::NobodyMayAnnounce { .. } => Refusal::DarkPort { key, protocol, node: node() },
        Refusal::VipIsPort { .. }
        | Refusal::NotAdvertised { .. }
        | Refusal::DarkPort { .. }
        | Refusal::VlanDiffers { .. }
        | Refusal::SteeringDiffers { .. }
        | Refusal::SkippedByFlow { .. }
        | Refusal::NorthdSilent { .. }
        | Refusal::FlowMissing { .. }
        | Refusal::PodFlowMissing { .. } => return after_seen(refusal),
    })
}

/// Those of what OVN is seen to be.
fn after_seen(refusal: &Refusal) -> Option<Refusal> {
    let subnet = || "underlay".into();
    let key = "10.0.0.9:80".parse().unwrap();
    let protocol = Protocol::Tcp;
    Some(match refusal {
        Refusal::VipIsPort { .. } => {
            let status = L2StatusKey::new("metallb-system", "l2-x");
            Refusal::AnnouncedByOthers { vip: "10.0.0.9".parse().unwrap(), node: "node1".into(), status }
        }
        Refusal::NotAdvertised { .. } => {
            let vip = "10.0.0.9".parse().unwrap();
            Refusal::NobodyMayAnnounce { vip, hindered: BTreeMap::new(), others: 2 }
        }
        Refusal::DarkPort { .. } => Refusal::VlanDiffers {
            vlan: "vlan".into(),
            id: VlanId::new(342),
            port: "localnet.u".into(),
            tag: None,
        },
        Refusal::VlanDiffers { .. } => {
            let (mac, router) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
            Refusal::SteeringDiffers { subnet: subnet(), mac, router }
        }
        Refusal::SteeringDiffers { .. } => {
            Refusal::SkippedByFlow { vip: "10.0.0.9".parse().unwrap(), cidr: "10.0.0.0/24".parse().unwrap() }
        }
        Refusal::SkippedByFlow { .. } => Refusal::NorthdSilent { key, protocol },
        Refusal::NorthdSilent { .. } => Refusal::FlowMissing { key, protocol },
        Refusal::FlowMissing { .. } => Refusal::PodFlowMissing { key, protocol },
        _ => return None,
    })
}

fn all() -> Vec<Refusal> {
    std::iter::successors(Some(Refusal::NoVip), after).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The rows of the document's tables, by the number of their columns.
fn rows(columns: usize) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs/refusals.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let rows =
        rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect());
    rows.filter(|row: &Vec<String>| row.len() == columns).collect()
}

fn told(story: &str, file: &str) -> String {
    let folder = root().join("tests/golden").join(story);
    assert!(folder.is_dir(), "there is no story {story}");
    std::fs::read_to_string(folder.join(file)).unwrap_or_default()
}

#[test]
fn every_refusal_is_a_row_and_every_row_a_refusal() {
    let code: BTreeMap<String, String> =
        all().iter().map(|refusal| (refusal.reason().to_owned(), refusal.severity().to_string())).collect();
    let document: BTreeMap<String, String> =
        rows(5).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(document, code);
    assert_eq!(code.len(), all().len(), "two refusals have one reason");
}

#[test]
fn every_row_has_a_story_that_shows_it() {
    for row in rows(5) {
        for story in row[4].split(", ") {
            let told = told(story, "refusals.txt") + &told(story, "announce.txt");
            assert!(told.contains(&format!(" {}: ", row[0])), "{story} does not show {}", row[0]);
        }
    }
    for row in rows(4) {
        for story in row[3].split(", ") {
            assert!(
                told(story, "findings.txt").contains(&format!(" {}: ", row[0])),
                "{story} does not show {}",
                row[0]
            );
        }
    }
}

#[test]
fn every_finding_of_a_story_is_in_the_document() {
    let known: BTreeSet<String> = rows(5).into_iter().chain(rows(4)).map(|row| row[0].clone()).collect();
    for story in std::fs::read_dir(root().join("tests/golden")).unwrap() {
        let findings =
            std::fs::read_to_string(story.unwrap().path().join("findings.txt")).unwrap_or_default();
        let lines = findings
            .lines()
            .filter(|line| ["error: ", "warning: ", "info: "].iter().any(|it| line.starts_with(it)));
        for line in lines {
            assert!(known.iter().any(|reason| line.contains(&format!(" {reason}: "))), "unknown: {line}");
        }
    }
}

#[test]
fn every_refusal_says_what_is_wrong_and_what_to_do_on_one_line() {
    for refusal in all() {
        let (fault, cure) = (refusal.fault(), refusal.cure());
        for text in [&fault, &cure] {
            assert!(text.len() > 10 && !text.contains('\n') && !text.ends_with('.'), "{refusal:?}: {text}");
        }
        assert_eq!(refusal.to_string(), format!("{fault}; {cure}"));
        let finding = Finding::of(&refusal, &ServiceKey::new("default", "web"));
        assert!(!finding.object.is_empty() && !finding.field.is_empty(), "{finding:?}");
    }
}
