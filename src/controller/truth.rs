//! Whether a Service is served, as far as anybody can know: its row is in, its flows are seen, and a speaker holds and
//! delivers each of its VIPs. What of it is wrong first is said, with its cure. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use std::time::{Duration, Instant};

use crate::kube::marks::{Served, Status, shortened};
use crate::model::{Family, ObjectKey, Protocol, ServiceKey, Sources, World};
use crate::plan::Refusal;

use super::doubt::doubt;
use super::heard::Silent;
use super::reconciler::Outcome;

/// A doubt that does not last is none: between two holders of a VIP, and before the first, reports are on their way.
const LASTS: Duration = Duration::from_secs(3);
/// What reports that are on their way may disprove.
const DOUBTS: [&str; 6] =
    ["NotAnnounced", "NotDelivered", "NoSpeaker", "NobodyMayAnnounce", "SteeringDiffers", "VlanDiffers"];
/// Why it is not known whether a VIP is announced: its speaker's word is too old.
pub const NOT_HEARD: &str = "NotHeard";
/// The longest message of a condition (Kubernetes API, Condition v1).
const MESSAGE_LIMIT: usize = 32_768;

/// The condition of a Service. None where it is none of our business: it waits for a VIP, or its VIP is in no subnet.
pub fn served(
    world: &World,
    silent: &Silent,
    outcome: &Outcome,
    refusals: Option<&BTreeSet<Refusal>>,
) -> Option<Served> {
    let all: Vec<&Refusal> = refusals.into_iter().flatten().collect();
    let is_lit = |vip: &IpAddr| outcome.serves.contains(vip) || is_served_by_kube_ovn(&all, *vip);
    let serves = outcome.vips.keys().any(is_lit);
    // Whether Kube-OVN serves it or we do is not told: it acts on each write to a Service, and takes keys out of its row.
    let told = |refusal: &&Refusal| native_key(refusal).is_none() && !is_outdated(world, refusal);
    let refusals: Vec<&Refusal> = all.iter().copied().filter(told).collect();
    let kept = outcome.kept || all.iter().any(|refusal| is_outdated(world, refusal));
    let elsewhere = |refusal: &&Refusal| matches!(refusal, Refusal::NoVip | Refusal::NoSubnet { .. });
    if outcome.vips.is_empty() && refusals.iter().all(elsewhere) {
        return None;
    }
    let is_of_others = |refusal: &&Refusal| matches!(refusal, Refusal::ForeignAddress { .. });
    let doubt = outcome.vips.iter().find_map(|(vip, subnet)| doubt(world, silent, &refusals, subnet, *vip));
    let doubt = doubt.or_else(|| kept.then(|| unread(world)));
    let darkens = refusals.iter().find(|refusal| darkens(refusal) && !outcome.kept);
    // Its own ports count, not those of another Service that shares the VIP.
    let dark = outcome.vips.keys().find(|vip| !is_lit(vip) && !outcome.kept);
    let why_dark = |vip: &IpAddr| refusals.iter().find(|refusal| refusal.vip() == Some(*vip));
    let (status, reason) = match (&doubt, darkens, refusals.first()) {
        (_, _, Some(refusal)) if !serves => (Status::False, refusal.reason()),
        (_, _, None) if !serves => (Status::False, "NotServed"),
        (_, Some(refusal), _) => (Status::False, refusal.reason()),
        _ if dark.is_some() => {
            (Status::False, dark.and_then(why_dark).map_or("NotServed", |refusal| refusal.reason()))
        }
        (Some((status, reason, _)), None, _) => (*status, *reason),
        (None, None, Some(_)) if !refusals.iter().all(is_of_others) => (Status::True, "PartlyServed"),
        (None, None, _) => (Status::True, "Served"),
    };
    let places = outcome.vips.iter().filter(|(vip, _)| !serves || is_lit(vip)).map(|(vip, subnet)| {
        let only = match outcome.sources.of(Family::of(*vip)) {
            Sources::Everybody => String::new(),
            sources @ Sources::Only(_) => format!(", for {sources} only"),
        };
        format!("{vip} is programmed in Subnet {subnet}{only}")
    });
    // What a refusal says already is not said twice.
    let wrong = doubt.filter(|(.., words)| serves && !words.is_empty()).map(|(.., words)| words);
    let message: Vec<String> = match status {
        // What is wrong comes first: many tools cut a message short.
        Status::False | Status::Unknown => {
            let refused = refusals.iter().map(ToString::to_string);
            wrong.into_iter().chain(refused).chain(places).collect()
        }
        Status::True => places.chain(refusals.iter().map(ToString::to_string)).collect(),
    };
    let message = shortened(&message.join("; "), MESSAGE_LIMIT);
    Some(Served { status, reason: reason.to_owned(), message })
}

/// The VIP and port that Kube-OVN serves itself, or may be about to.
fn native_key(refusal: &Refusal) -> Option<(Protocol, SocketAddr)> {
    match refusal {
        Refusal::NativeOwner { key, protocol, holder, .. } if holder.serves() => Some((*protocol, *key)),
        _ => None,
    }
}

/// Whether Kube-OVN serves any port of this VIP that has an endpoint.
fn is_served_by_kube_ovn(refusals: &[&Refusal], vip: IpAddr) -> bool {
    let is_empty = |served: (Protocol, SocketAddr)| {
        refusals.iter().any(|refusal| {
            matches!(refusal, Refusal::NoReadyBackend { key, protocol } if (*protocol, *key) == served)
        })
    };
    let mut native = refusals.iter().filter_map(|refusal| native_key(refusal));
    native.any(|served| served.1.ip() == vip && !is_empty(served))
}

/// Whether it is about an object as it was once read, and cannot be read any more.
fn is_outdated(world: &World, refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::VlanDiffers { vlan, .. } if world.gaps().cover(&ObjectKey::Vlan(vlan.clone())))
}

/// What is kept may be other than it should be.
fn unread(world: &World) -> (Status, &'static str, String) {
    let words = if world.gaps().is_empty() {
        "it is kept as it was: no Service has the class of --load-balancer-class; correct that".to_owned()
    } else {
        format!("it is kept as it was, since {} cannot be read: the controller's log says why", world.gaps())
    };
    (Status::Unknown, "Unread", words)
}

/// Whether a VIP is dark while this is so, although it is programmed.
pub(super) fn darkens(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NobodyMayAnnounce { .. }
            | Refusal::VlanDiffers { .. }
            | Refusal::SteeringDiffers { .. }
            | Refusal::SkippedByFlow { .. }
            | Refusal::NorthdSilent { .. }
            | Refusal::FlowMissing { .. }
            | Refusal::PodFlowMissing { .. }
    )
}

/// What was found to be so, Service by Service, in one pass over all of them; and since when what is doubtful is.
#[derive(Debug, Default)]
pub struct Truth {
    now: Option<Instant>,
    before: BTreeMap<ServiceKey, Instant>,
    doubted: BTreeMap<ServiceKey, Instant>,
    counts: BTreeMap<Status, usize>,
}

impl Truth {
    /// Begins a pass.
    pub fn begin(&mut self, now: Instant) {
        self.now = Some(now);
        self.before = std::mem::take(&mut self.doubted);
        self.counts.clear();
    }

    /// Takes a Service's condition in; whether it is to be said. A doubt that does not last yet is not.
    pub fn tell(&mut self, service: &ServiceKey, served: Option<&Served>) -> bool {
        let (Some(served), Some(now)) = (served, self.now) else { return true };
        *self.counts.entry(served.status).or_default() += 1;
        if served.status == Status::True || !DOUBTS.contains(&&*served.reason) {
            return true;
        }
        let since = self.before.remove(service).unwrap_or(now);
        self.doubted.insert(service.clone(), since);
        now - since >= LASTS
    }

    /// When the first doubt will have lasted, of those that had not.
    pub fn due(&self) -> Option<Instant> {
        let now = self.now?;
        self.doubted.values().map(|since| *since + LASTS).filter(|due| now < *due).min()
    }

    /// How many Services have which status.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let all = [Status::True, Status::False, Status::Unknown];
        all.into_iter().map(|status| (status.as_str(), self.counts.get(&status).copied().unwrap_or(0)))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an Instant has no other beginning than now")]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::kube::{Converted, Kind};
    use crate::model::{Change, Holder, Object, ReportKey, SegmentReport, SpeakerReport};

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    /// The term of one that holds the VIP and cannot deliver it.
    const CANNOT: u64 = 7;

    fn outcome(serves: bool) -> Outcome {
        let vips = BTreeMap::from([(VIP, "s".into())]);
        let serves = serves.then_some(VIP).into_iter().collect();
        Outcome { vips, serves, sources: Sources::Everybody, kept: false }
    }

    /// A world with nodes, ready or not; each with what its speaker holds, if that reports.
    fn world(nodes: &[(&str, bool, Option<&[u64]>)]) -> World {
        let mut world = World::default();
        for (name, ready, terms) in nodes {
            let status = if *ready { "True" } else { "False" };
            let node = json!({ "metadata": { "name": name },
                "status": { "conditions": [{ "type": "Ready", "status": status }] } });
            let Converted::Object(node) = Kind::Node.read(&node, &mut Vec::new()) else { panic!("{name}") };
            world.apply(Change::Apply(node));
            let Some(terms) = terms else { continue };
            let segment = SegmentReport {
                beats: false,
                mac: "02:00:00:00:00:01".parse().unwrap(),
                ready: true,
                held: terms.iter().map(|term| (VIP, *term)).collect(),
                left: BTreeMap::new(),
                strangers: BTreeMap::new(),
                undelivered: terms.iter().filter(|term| **term == CANNOT).map(|_| VIP).collect(),
                missed: BTreeSet::new(),
            };
            let key = ReportKey::new("ovn-vip", &format!("speaker.{name}"));
            let segments = BTreeMap::from([("s".into(), segment)]);
            let report = SpeakerReport { key, node: (*name).into(), segments };
            world.apply(Change::Apply(Object::Report(report)));
        }
        world
    }

    fn verdict(world: &World, serves: bool, refusals: &[Refusal]) -> (&'static str, String, String) {
        let refusals = refusals.iter().cloned().collect();
        let served = served(world, &Silent::new(), &outcome(serves), Some(&refusals)).unwrap();
        (served.status.as_str(), served.reason, served.message)
    }

    #[test]
    fn a_service_without_vip_or_elsewhere_gets_no_condition() {
        let refusals = BTreeSet::from([Refusal::NoVip]);
        let nobody = Silent::new();
        assert_eq!(served(&World::default(), &nobody, &Outcome::default(), Some(&refusals)), None);
        assert_eq!(served(&World::default(), &nobody, &Outcome::default(), None), None);
    }

    #[test]
    fn whom_a_vip_is_for_is_said_where_it_is_not_everybody() {
        let sources = Sources::only(["192.0.2.0/24".parse().unwrap()]);
        let world = world(&[("a", true, Some(&[1]))]);
        let said = served(&world, &Silent::new(), &Outcome { sources, ..outcome(true) }, None).unwrap();
        assert_eq!(said.message, "10.0.0.9 is programmed in Subnet s, for 192.0.2.0/24 only");
    }

    #[test]
    fn served_is_what_a_speaker_of_a_ready_node_holds() {
        for (nodes, status, reason, words) in [
            (&[("a", true, Some(&[1][..]))][..], "True", "Served", "10.0.0.9 is programmed in Subnet s"),
            (
                &[("a", true, Some(&[])), ("b", true, None)],
                "False",
                "NotAnnounced",
                "no node announces 10.0.0.9",
            ),
            (&[("a", true, Some(&[CANNOT]))], "False", "NotDelivered", "a holds 10.0.0.9 and cannot"),
            (&[("a", true, Some(&[CANNOT])), ("b", true, Some(&[1]))], "True", "Served", ""),
            (&[("a", false, Some(&[1]))], "False", "NotAnnounced", "a announced 10.0.0.9 last"),
            (&[("a", false, Some(&[2])), ("b", true, Some(&[1]))], "True", "Served", ""),
            (&[("a", true, None)], "Unknown", "NoSpeaker", "no speaker reports"),
        ] {
            let (found, why, message) = verdict(&world(nodes), true, &[]);
            assert_eq!((found, &*why), (status, reason), "{nodes:?}");
            assert!(message.starts_with(words), "{message}");
        }
    }

    #[test]
    fn what_is_declined_is_the_reason_and_its_cure_the_message() {
        let held = world(&[("a", true, Some(&[1]))]);
        let skips = Refusal::SkipsSubnetAddresses { vip: VIP };
        assert_eq!(verdict(&held, false, std::slice::from_ref(&skips)).1, "SkipsSubnetAddresses");
        let (status, reason, message) = verdict(&held, true, &[skips]);
        assert_eq!((status, &*reason), ("True", "PartlyServed"));
        assert!(message.contains("10.0.0.9 is programmed in Subnet s; "), "{message}");
        let nobody =
            Refusal::NobodyMayAnnounce { vip: VIP, hindered: Default::default(), others: Default::default() };
        let (status, reason, _) = verdict(&world(&[("a", true, Some(&[]))]), true, &[nobody]);
        assert_eq!((status, &*reason), ("False", "NobodyMayAnnounce"));
    }

    #[test]
    fn a_vip_at_which_none_of_its_own_ports_is_served_is_not_served() {
        let (held, other) = (world(&[("a", true, Some(&[1]))]), "fd00::9".parse().unwrap());
        let stranger = |vip| Refusal::NativeOwner {
            key: SocketAddr::new(vip, 80),
            protocol: Protocol::Tcp,
            row: "foo".to_owned(),
            holder: Holder::Stranger,
            subnet: "s".into(),
        };
        let mut both = outcome(true);
        both.vips.insert(other, "s".into());
        let said = |refusal| served(&held, &Silent::new(), &both, Some(&[refusal].into())).unwrap();
        let dark = said(stranger(other));
        assert_eq!((dark.status, &*dark.reason), (Status::False, "NativeOwner"));
        assert!(!dark.message.contains("fd00::9 is programmed"), "{}", dark.message);
        assert!(dark.message.contains("10.0.0.9 is programmed"), "{}", dark.message);
    }

    #[test]
    fn whether_kube_ovn_serves_it_or_we_do_is_not_told() {
        let held = world(&[("a", true, Some(&[1]))]);
        let key = SocketAddr::new(VIP, 80);
        let left_to = |holder| {
            let (row, subnet) = ("cluster-tcp-loadbalancer".to_owned(), "s".into());
            Refusal::NativeOwner { key, protocol: Protocol::Tcp, row, holder, subnet }
        };
        let ours = verdict(&held, true, &[]);
        let awaited = Holder::Awaited { seconds: 8, undone: 3 };
        for holder in [Holder::KubeOvn, Holder::Template, awaited] {
            assert_eq!(verdict(&held, false, &[left_to(holder)]), ours, "{holder:?}");
        }
        for holder in [Holder::Stranger, Holder::Idle] {
            assert_eq!(verdict(&held, false, &[left_to(holder)]).1, "NativeOwner", "{holder:?}");
        }
        let empty = Refusal::NoReadyBackend { key, protocol: Protocol::Tcp };
        let ours = verdict(&held, false, std::slice::from_ref(&empty));
        assert_eq!(ours.1, "NoReadyBackend");
        assert_eq!(verdict(&held, false, &[left_to(Holder::KubeOvn), empty]), ours);
    }

    #[test]
    fn what_is_kept_because_something_cannot_be_read_is_not_known_to_be_served() {
        let mut world = world(&[("a", true, Some(&[1]))]);
        let subnet = crate::model::ObjectKey::Subnet("s".into());
        let gaps = crate::model::Gaps { objects: [(subnet, None)].into(), ..Default::default() };
        world.apply(Change::Gaps(gaps));
        let said = served(&world, &Silent::new(), &Outcome { kept: true, ..outcome(true) }, None).unwrap();
        assert_eq!((said.status, &*said.reason), (Status::Unknown, "Unread"));
        assert!(said.message.contains("since Subnet s cannot be read"), "{}", said.message);
    }

    #[test]
    fn of_a_vlan_that_cannot_be_read_no_number_is_told() {
        let mut world = world(&[("a", true, Some(&[1]))]);
        let differs = Refusal::VlanDiffers {
            vlan: "v".into(),
            id: crate::model::VlanId::new(5),
            port: "localnet.s".into(),
            tag: None,
        };
        assert_eq!(verdict(&world, true, std::slice::from_ref(&differs)).1, "VlanDiffers");
        let gaps = crate::model::Gaps {
            objects: [(ObjectKey::Vlan("v".into()), None)].into(),
            ..Default::default()
        };
        world.apply(Change::Gaps(gaps));
        let (status, reason, message) = verdict(&world, true, &[differs]);
        assert_eq!((status, &*reason), ("Unknown", "Unread"));
        assert!(message.contains("since Vlan v cannot be read") && !message.contains("number"), "{message}");
    }

    #[test]
    fn what_others_announce_is_not_ours_to_know() {
        let status = crate::model::L2StatusKey::new("metallb-system", "l2-x");
        let others = Refusal::AnnouncedByOthers { vip: VIP, node: "a".into(), status };
        let found = verdict(&world(&[("a", true, Some(&[]))]), true, &[others]);
        assert_eq!((found.0, &*found.1), ("Unknown", "AnnouncedByOthers"));
    }

    #[test]
    fn a_doubt_is_told_once_it_lasts() {
        let (mut truth, start) = (Truth::default(), Instant::now());
        let key = ServiceKey::new("d", "web");
        let dark = served(&world(&[("a", true, Some(&[]))]), &Silent::new(), &outcome(true), None);
        let mut tells = |milliseconds, served: Option<&Served>| {
            truth.begin(start + Duration::from_millis(milliseconds));
            (truth.tell(&key, served), truth.due())
        };
        assert_eq!(tells(0, dark.as_ref()), (false, Some(start + LASTS)));
        assert_eq!(tells(2_999, dark.as_ref()), (false, Some(start + LASTS)));
        assert_eq!(tells(3_000, dark.as_ref()), (true, None));
        let light = served(&world(&[("a", true, Some(&[1]))]), &Silent::new(), &outcome(true), None);
        assert_eq!(tells(3_100, light.as_ref()), (true, None));
        assert!(!tells(3_200, dark.as_ref()).0);
    }
}
