//! What should stand on Services and Subnets, compared with what does. No I/O.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use crate::kube::Problem;
use crate::kube::convert::vips_text;
use crate::kube::marks::{Marks, STEERING_MAC, Served, Status, UNDELIVERABLE, VIPS, WARNINGS};
use crate::kube::saying::{Regarding, Saying};
use crate::model::{Mac, ObjectKey, Service, ServiceKey, Subnet, SubnetName};
use crate::plan::{fixed_exclude_ips, is_eligible};

use super::Reconciler;
use super::announcer::{Announcer, announcer};
use super::heard::Heard;
use super::reconciler::Outcome;
use super::truth::{NOT_HEARD, Truth, served};
use super::undeliverable::undeliverable;

/// Lines of the annotation that is for people; all of an object's may have 256 KiB (Kubernetes API).
const LINES: usize = 100;

/// What is known besides what is planned.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// Whose speakers were heard.
    pub heard: &'a Heard,
    /// Why a Service has no address.
    pub unaddressed: &'a dyn Fn(&Service) -> Option<String>,
}

/// What differs from what stands there, in order; each with the Event that goes with it. `stands` is what we said on an
/// object, and what of it could not be understood; `marked`: the objects that have
/// something of ours.
pub fn sayings<'m>(
    reconciler: &Reconciler,
    stands: impl Fn(&ObjectKey) -> Option<(&'m Marks, &'m [Problem])>,
    marked: impl Iterator<Item = &'m ObjectKey>,
    Told { heard, unaddressed }: Told<'_>,
    truth: &mut Truth,
    router_mac: impl Fn(&SubnetName) -> Option<Mac>,
) -> Vec<Saying> {
    let mut sayings = Vec::new();
    for (key, outcome) in reconciler.outcomes() {
        let Some(service) = reconciler.world().service(key) else { continue };
        let marks = stands(&ObjectKey::Service(key.clone())).map(|(marks, _)| marks);
        let served = served(reconciler.world(), heard.silent(), outcome, reconciler.refusals().get(key));
        let served = served.or_else(|| unaddressed(service).map(no_address));
        let is_early = marks.is_some_and(|marks| is_early(reconciler, heard, outcome, marks));
        if truth.tell(key, served.as_ref()) && !is_early {
            say_service(service, served, marks, &mut sayings);
        }
    }
    for key in marked {
        let ObjectKey::Service(key) = key else { continue };
        // What cannot be read is not gone, and keeps its condition.
        let is_left = |(marks, problems): (&Marks, &[Problem])| marks.served.is_some() && problems.is_empty();
        let stands = stands(&ObjectKey::Service(key.clone()));
        if reconciler.world().service(key).is_none() && stands.is_some_and(is_left) {
            sayings.push(Saying::Condition { service: key.clone(), since: None, served: None });
        }
    }
    let mut vips = vips(reconciler);
    let mut warnings = warnings(reconciler);
    let mut undeliverable = undeliverable(reconciler.refusals());
    for subnet in reconciler.world().subnets() {
        let Some((marks, problems)) = stands(&ObjectKey::Subnet(subnet.name.clone())) else { continue };
        let vips = vips.remove(&subnet.name).unwrap_or_default();
        let invalid = problems.iter().map(ToString::to_string);
        let warnings = invalid.chain(warnings.remove(&subnet.name).unwrap_or_default()).collect();
        let reason = if problems.is_empty() { "VipsDeclined" } else { "InvalidValue" };
        let mac = is_eligible(subnet).then(|| router_mac(&subnet.name)).flatten();
        let undeliverable = undeliverable.remove(&subnet.name).unwrap_or_default();
        let texts =
            [(VIPS, vips_text(&vips)), (WARNINGS, lines(warnings, LINES)), (UNDELIVERABLE, undeliverable)];
        say_subnet(subnet, texts, reason, mac, marks, &mut sayings);
        sayings.extend(fix(reconciler, subnet, marks));
    }
    sayings
}

/// Whether another controller, or the one before, has said that nobody is heard, and this one has not listened for long enough
/// to know better.
fn is_early(reconciler: &Reconciler, heard: &Heard, outcome: &Outcome, marks: &Marks) -> bool {
    let is_doubtful = |(vip, subnet): (&IpAddr, &SubnetName)| {
        let announcer = announcer(reconciler.world(), heard.silent(), subnet, *vip);
        matches!(announcer, Announcer::Node(node) if heard.is_doubtful(node))
    };
    let was_silent = marks.served.as_ref().is_some_and(|(served, _)| served.reason == NOT_HEARD);
    was_silent && outcome.vips.iter().any(is_doubtful)
}

/// It waits for an address, and it is known why.
fn no_address(message: String) -> Served {
    Served { status: Status::False, reason: "NoAddress".to_owned(), message }
}

fn say_service(service: &Service, wanted: Option<Served>, marks: Option<&Marks>, sayings: &mut Vec<Saying>) {
    let found = marks.and_then(|marks| marks.served.as_ref());
    if found.map(|(served, _)| served) == wanted.as_ref() {
        return;
    }
    let same_status =
        |found: &&(Served, String)| wanted.as_ref().is_some_and(|it| it.status == found.0.status);
    let since = found.filter(same_status).map(|(_, since)| since.clone());
    if let Some(wanted) = &wanted
        && found.is_none_or(|(found, _)| found.reason != wanted.reason)
    {
        sayings.push(Saying::Event {
            regarding: Regarding::Service(service.key.clone(), service.uid.clone()),
            warning: wanted.status != Status::True || wanted.reason != "Served",
            reason: wanted.reason.clone(),
            note: wanted.message.clone(),
            about: String::new(),
        });
    }
    sayings.push(Saying::Condition { service: service.key.clone(), since, served: wanted });
}

fn say_subnet(
    subnet: &Subnet,
    texts: [(&'static str, String); 3],
    reason: &str,
    mac: Option<Mac>,
    marks: &Marks,
    sayings: &mut Vec<Saying>,
) {
    let found = |name: &str| marks.annotations.get(name).map(String::as_str);
    let some = |(name, text): (&'static str, String)| (name, (!text.is_empty()).then_some(text));
    let mut wanted = BTreeMap::from(texts.map(some));
    // Where the northbound tells no MAC an operator's own word stands, as long as there is something to say.
    if mac.is_some() || !subnet.logical_gateway {
        wanted.insert(STEERING_MAC, mac.map(|mac| mac.to_string()));
    }
    wanted.retain(|name, value| value.as_deref() != found(name));
    if wanted.is_empty() {
        return;
    }
    if let Some(Some(note)) = wanted.get(WARNINGS) {
        sayings.push(Saying::Event {
            regarding: Regarding::Subnet(subnet.name.clone(), marks.uid.clone()),
            warning: true,
            reason: reason.to_owned(),
            note: note.clone(),
            about: String::new(),
        });
    }
    let annotations = wanted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    sayings.push(Saying::Annotations { subnet: subnet.name.clone(), annotations });
}

/// By subnet, each VIP, and the Services that it is programmed for.
fn vips(reconciler: &Reconciler) -> BTreeMap<SubnetName, BTreeMap<IpAddr, String>> {
    let mut holders: BTreeMap<(&SubnetName, IpAddr), Vec<&ServiceKey>> = BTreeMap::new();
    for (key, outcome) in reconciler.outcomes() {
        for (vip, subnet) in &outcome.vips {
            holders.entry((subnet, *vip)).or_default().push(key);
        }
    }
    let mut vips: BTreeMap<SubnetName, BTreeMap<IpAddr, String>> = BTreeMap::new();
    for ((subnet, vip), keys) in holders {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        vips.entry(subnet.clone()).or_default().insert(vip, keys.join(" "));
    }
    vips
}

/// By subnet, a line for each refusal of a Service that has a VIP in it.
fn warnings(reconciler: &Reconciler) -> BTreeMap<SubnetName, Vec<String>> {
    let mut lines: BTreeMap<SubnetName, Vec<String>> = BTreeMap::new();
    for (key, refusals) in reconciler.refusals() {
        let Some(service) = reconciler.world().service(key) else { continue };
        for subnet in reconciler.world().subnets().filter(|subnet| is_eligible(subnet)) {
            if service.vips.iter().any(|vip| subnet.contains(*vip)) {
                let words = refusals.iter().map(|refusal| format!("{key} {}: {refusal}", refusal.reason()));
                lines.entry(subnet.name.clone()).or_default().extend(words);
            }
        }
    }
    lines
}

fn lines(lines: Vec<String>, most: usize) -> String {
    let mut text = lines.iter().take(most).cloned().collect::<Vec<_>>().join("\n");
    if lines.len() > most {
        let _ = write!(text, "\n… and {} more", lines.len() - most);
    }
    text
}

/// `--exclude-ips=fix`: the list of a Subnet that Kube-OVN's address allocation must leave alone, made whole.
fn fix(reconciler: &Reconciler, subnet: &Subnet, marks: &Marks) -> Option<Saying> {
    let wanted = fixed_exclude_ips(reconciler.world(), reconciler.policy(), subnet)?;
    Some(Saying::ExcludeIps {
        subnet: subnet.name.clone(),
        found: marks.exclude_ips.clone(),
        wanted: wanted.iter().map(ToString::to_string).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn is_served() -> Option<Served> {
        Some(Served { status: Status::True, reason: "Served".into(), message: "m".into() })
    }

    fn service() -> Service {
        Service {
            key: ServiceKey::new("d", "web"),
            uid: "u".into(),
            created: None,
            labels: Default::default(),
            class: None,
            vips: BTreeSet::new(),
            first_vip: None,
            proxied: BTreeSet::new(),
            hostnames: BTreeSet::new(),
            external_ips: BTreeSet::new(),
            ports: Vec::new(),
            traffic_policy: crate::model::TrafficPolicy::Cluster,
            client_ip_affinity: false,
            publish_not_ready: false,
            sources: crate::model::Sources::Everybody,
            bad_ranges: BTreeSet::new(),
            request: Default::default(),
        }
    }

    fn said(wanted: &Option<Served>, marks: Option<&Marks>) -> Vec<Saying> {
        let mut sayings = Vec::new();
        say_service(&service(), wanted.clone(), marks, &mut sayings);
        sayings
    }

    #[test]
    fn what_stands_there_is_not_said_again() {
        let wanted = is_served();
        let says = said(&wanted, None);
        assert!(matches!(&says[..], [Saying::Event { warning: false, .. }, Saying::Condition { .. }]));
        let since = "2026-01-01T00:00:00Z".to_owned();
        let marks = Marks { served: wanted.clone().map(|it| (it, since)), ..Marks::default() };
        assert_eq!(said(&wanted, Some(&marks)), []);
    }

    #[test]
    fn another_message_of_the_same_status_keeps_its_time_and_makes_no_event() {
        let since = "2026-01-01T00:00:00Z".to_owned();
        let old = Served { status: Status::True, reason: "Served".into(), message: "old".into() };
        let marks = Marks { served: Some((old, since.clone())), ..Marks::default() };
        let says = said(&is_served(), Some(&marks));
        assert!(
            matches!(&says[..], [Saying::Condition { since: Some(kept), .. }] if *kept == since),
            "{says:?}"
        );
    }

    #[test]
    fn a_long_list_says_how_much_is_left_out() {
        let text = lines((0..150).map(|number| number.to_string()).collect(), LINES);
        assert!(text.ends_with("\n99\n… and 50 more"), "{text}");
    }
}
