//! One kind's objects: events of its watch in, changes of the model out. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::runtime::watcher::Event;

use super::raw::{Need, Raw, Watched};
use crate::kube::convert::slice_owner;
use crate::kube::marks::Marks;
use crate::kube::{Converted, Kind, Problem};
use crate::model::{Change, Gaps, Object, ObjectKey, ServiceKey};

/// How far a kind is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing was answered yet.
    NotYet,
    /// The API server does not have the kind, or does not show it to us.
    Absent,
    /// Every object was told once.
    All,
}

/// What is known of one kind. Of the objects themselves only the keys are kept: the model has the rest.
#[derive(Debug)]
pub(super) struct Feed {
    pub watched: &'static Watched,
    known: Known,
    /// What is known is of a state that is no more, and was not listed since.
    is_behind: bool,
    keys: BTreeSet<ObjectKey>,
    /// While a list is under way: it takes effect as a whole.
    list: Option<List>,
    problems: BTreeMap<ObjectKey, Vec<Problem>>,
    /// Of EndpointSlices with problems, whose they are.
    owners: BTreeMap<ObjectKey, ServiceKey>,
    /// What we said on objects ourselves, as it stands there.
    marks: BTreeMap<ObjectKey, Marks>,
    /// Speakers' reports as they were told: they are written again and again though they say the same.
    reports: BTreeMap<ObjectKey, Object>,
    /// The versions of Services, for whoever writes by them.
    versions: BTreeMap<ObjectKey, u64>,
}

#[derive(Debug, Default)]
struct List {
    keys: BTreeSet<ObjectKey>,
    changes: Vec<Change>,
}

impl Feed {
    pub fn new(watched: &'static Watched) -> Self {
        Self {
            watched,
            known: Known::NotYet,
            is_behind: false,
            keys: BTreeSet::new(),
            list: None,
            problems: BTreeMap::new(),
            owners: BTreeMap::new(),
            marks: BTreeMap::new(),
            reports: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    /// Whether decisions may stand on it.
    pub fn is_complete(&self) -> bool {
        match (self.known, self.watched.need) {
            (Known::All, _) | (Known::Absent, Need::Optional) => true,
            (Known::NotYet, _) | (Known::Absent, Need::Required) => false,
        }
    }

    /// Whether every object was told once.
    pub fn was_listed(&self) -> bool {
        self.known == Known::All
    }

    /// The version of a Service, as it was told last; also of one that is no LoadBalancer.
    pub fn version_of(&self, key: &ObjectKey) -> Option<u64> {
        self.versions.get(key).copied()
    }

    /// What stands on an object of what we say.
    pub fn marks(&self) -> &BTreeMap<ObjectKey, Marks> {
        &self.marks
    }

    /// How many objects are known.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The API server's state went back: a list is to come. Until then what was known stays.
    pub fn start_over(&mut self) {
        (self.is_behind, self.list) = (true, None);
    }

    /// Whether that list is still to come.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// The API server does not have the kind, or forbids it. What was known stays.
    pub fn absent(&mut self) {
        self.is_behind &= self.watched.need == Need::Required;
        if self.known == Known::NotYet {
            self.known = Known::Absent;
        }
    }

    /// What could not be understood, of all objects that are there.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.values().flatten()
    }

    /// The same of one object.
    pub fn problems_of(&self, key: &ObjectKey) -> Option<&[Problem]> {
        self.problems.get(key).map(Vec::as_slice)
    }

    /// The objects that could not be understood, or not whole.
    pub fn gaps(&self) -> impl Iterator<Item = (ObjectKey, Option<ServiceKey>)> {
        let keys = self.problems.keys().filter(|key| Gaps::counts(key));
        keys.map(|key| (key.clone(), self.owners.get(key).cloned()))
    }

    /// The pools of which nothing was ever read.
    pub fn unread_pools(&self) -> impl Iterator<Item = Arc<str>> {
        let never = self.problems.keys().filter(|key| !self.keys.contains(key));
        never.filter_map(|key| match key {
            ObjectKey::AddressPool(pool) => Some(pool.name.clone()),
            _ => None,
        })
    }

    /// Takes an event in, and adds what it alters.
    pub fn take(&mut self, event: Event<Raw>, changes: &mut Vec<Change>) {
        let mut told = Vec::new();
        self.read(event, &mut told);
        changes.extend(told.into_iter().filter(|change| self.is_news(change)));
    }

    fn read(&mut self, event: Event<Raw>, changes: &mut Vec<Change>) {
        match event {
            Event::Init => self.list = Some(List::default()),
            Event::InitApply(object) => {
                let mut list = self.list.take().unwrap_or_default();
                if let Some(key) = self.convert(&object, &mut list.changes) {
                    list.keys.insert(key);
                }
                self.list = Some(list);
            }
            Event::InitDone => self.list_done(changes),
            Event::Apply(object) => drop(self.convert(&object, changes)),
            Event::Delete(object) => {
                if let Some(key) = self.watched.kind.key_of(&object.body) {
                    self.remove(key, changes);
                }
            }
        }
    }

    /// What a list no longer has is gone: its deletion may have been missed.
    fn list_done(&mut self, changes: &mut Vec<Change>) {
        let list = self.list.take().unwrap_or_default();
        let gone: Vec<ObjectKey> = self.keys.difference(&list.keys).cloned().collect();
        for key in gone {
            self.remove(key, changes);
        }
        self.problems.retain(|key, _| list.keys.contains(key));
        self.marks.retain(|key, _| list.keys.contains(key));
        self.versions.retain(|key, _| list.keys.contains(key));
        changes.extend(list.changes);
        (self.known, self.is_behind) = (Known::All, false);
    }

    /// The object's key, where it has one.
    fn convert(&mut self, object: &Raw, changes: &mut Vec<Change>) -> Option<ObjectKey> {
        let mut problems = Vec::new();
        let converted = self.watched.kind.read(&object.body, &mut problems);
        let key = self.watched.kind.key_of(&object.body)?;
        if problems.is_empty() {
            self.problems.remove(&key);
        } else {
            self.problems.insert(key.clone(), problems);
            if let Some(owner) = slice_owner(&key, &object.body) {
                self.owners.insert(key.clone(), owner);
            }
        }
        if self.watched.kind == Kind::Service
            && let Some(version) = object.body["metadata"]["resourceVersion"].as_str()
        {
            self.versions.insert(key.clone(), version.parse().unwrap_or(0));
        }
        let marks = Marks::read(&object.body);
        // An Event on a Subnet needs its uid, and so does what belongs to a Node, and whoever takes a status of ours
        // away; a Service's is in the model. Of a report it counts when it was written.
        let always = matches!(self.watched.kind, Kind::Subnet | Kind::Node | Kind::L2Status | Kind::Report);
        if marks.is_empty() && !always {
            self.marks.remove(&key);
        } else {
            self.marks.insert(key.clone(), marks);
        }
        match converted {
            Converted::Object(object) => {
                self.keys.insert(key.clone());
                changes.push(Change::Apply(object));
            }
            Converted::NotOurs(_) => {
                if self.keys.remove(&key) {
                    changes.push(Change::Remove(key.clone()));
                }
            }
            // What was known of it before still stands.
            Converted::Unusable => {}
        }
        Some(key)
    }

    /// Whether it says anything that was not told already.
    fn is_news(&mut self, change: &Change) -> bool {
        match change {
            Change::Apply(object @ Object::Report(report)) => {
                let key = ObjectKey::Report(report.key.clone());
                self.reports.insert(key, object.clone()).as_ref() != Some(object)
            }
            Change::Remove(key) => {
                self.reports.remove(key);
                true
            }
            Change::Apply(_) | Change::Gaps(_) => true,
        }
    }

    fn remove(&mut self, key: ObjectKey, changes: &mut Vec<Change>) {
        self.problems.remove(&key);
        self.marks.remove(&key);
        self.versions.remove(&key);
        if self.keys.remove(&key) {
            changes.push(Change::Remove(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::WATCHED;
    use super::*;
    use serde_json::{Value, json};

    fn vlan(name: &str, id: Value) -> Raw {
        Raw::new(json!({ "metadata": { "name": name }, "spec": { "id": id, "provider": "p" } }))
    }

    fn vlans() -> Feed {
        Feed::new(WATCHED.iter().find(|watched| watched.name == "Vlan").unwrap())
    }

    fn tell(feed: &mut Feed, events: Vec<Event<Raw>>) -> Vec<String> {
        let mut changes = Vec::new();
        for event in events {
            feed.take(event, &mut changes);
        }
        let words = changes.iter().map(|change| match change {
            Change::Apply(object) => format!("+{}", object.key()),
            Change::Remove(key) => format!("-{key}"),
            Change::Gaps(gaps) => format!("?{gaps}"),
        });
        words.collect()
    }

    fn listed(objects: Vec<Raw>) -> Vec<Event<Raw>> {
        let objects = objects.into_iter().map(Event::InitApply);
        [Event::Init].into_iter().chain(objects).chain([Event::InitDone]).collect()
    }

    #[test]
    fn a_list_takes_effect_as_a_whole() {
        let mut feed = vlans();
        let mut events = listed(vec![vlan("a", json!(1)), vlan("b", json!(2))]);
        let end = events.split_off(3);
        assert!(tell(&mut feed, events).is_empty());
        assert!(!feed.is_complete());
        assert_eq!(tell(&mut feed, end), ["+Vlan a", "+Vlan b"]);
        assert!(feed.is_complete());
    }

    #[test]
    fn what_a_later_list_no_longer_has_is_gone() {
        let mut feed = vlans();
        tell(&mut feed, listed(vec![vlan("a", json!(1)), vlan("b", json!(2))]));
        assert_eq!(tell(&mut feed, listed(vec![vlan("b", json!(3))])), ["-Vlan a", "+Vlan b"]);
    }

    #[test]
    fn a_list_that_breaks_off_loses_nothing() {
        let mut feed = vlans();
        tell(&mut feed, listed(vec![vlan("a", json!(1)), vlan("b", json!(2))]));
        assert!(tell(&mut feed, vec![Event::Init, Event::InitApply(vlan("a", json!(1)))]).is_empty());
        assert_eq!(tell(&mut feed, listed(vec![vlan("a", json!(1)), vlan("b", json!(2))])).len(), 2);
    }

    #[test]
    fn while_it_is_listed_anew_what_was_known_stays() {
        let mut feed = vlans();
        tell(&mut feed, listed(vec![vlan("a", json!(1)), vlan("b", json!(2))]));
        feed.start_over();
        feed.absent();
        assert!(feed.is_behind() && feed.is_complete() && feed.count() == 2);
        assert_eq!(tell(&mut feed, listed(vec![vlan("b", json!(1))])), ["-Vlan a", "+Vlan b"]);
        assert!(!feed.is_behind());
    }

    #[test]
    fn an_object_that_became_unusable_stays_as_it_was() {
        let mut feed = vlans();
        tell(&mut feed, listed(vec![vlan("a", json!(1))]));
        assert!(tell(&mut feed, vec![Event::Apply(vlan("a", json!(5000)))]).is_empty());
        assert_eq!(feed.problems().count(), 1);
        assert!(tell(&mut feed, listed(vec![vlan("a", json!(5000))])).is_empty());
        assert_eq!(tell(&mut feed, vec![Event::Delete(vlan("a", json!(5000)))]), ["-Vlan a"]);
        assert_eq!(feed.problems().count(), 0);
    }

    #[test]
    fn the_uids_of_nodes_and_subnets_are_kept_for_what_is_said_of_them() {
        for (kind, known) in [(Kind::Node, true), (Kind::Subnet, true), (Kind::Vlan, false)] {
            let mut feed = Feed::new(WATCHED.iter().find(|watched| watched.kind == kind).unwrap());
            let object = Raw::new(json!({ "metadata": { "name": "a", "uid": "u" } }));
            tell(&mut feed, vec![Event::Apply(object)]);
            let uid = feed.marks().get(&kind.key("", "a")).map(|marks| marks.uid.as_str());
            assert_eq!(uid, known.then_some("u"), "{}", kind.name());
        }
    }

    #[test]
    fn a_report_that_is_written_again_is_no_change_and_its_time_is_known() {
        let mut feed = Feed::new(WATCHED.iter().find(|watched| watched.kind == Kind::Report).unwrap());
        let lease = |second: u8, text: &str| {
            let renewed = format!("2026-01-01T00:00:0{second}.000000Z");
            Raw::new(json!({
                "metadata": { "namespace": "ovn-vip", "name": "speaker.a",
                    "labels": { "app.kubernetes.io/managed-by": "ovn-vip" },
                    "annotations": { "ovn-vip.io/speaker": text } },
                "spec": { "holderIdentity": "a", "renewTime": renewed, "leaseDurationSeconds": 40 },
            }))
        };
        let empty = r#"{"subnets":{}}"#;
        let full = r#"{"subnets":{"s":{"mac":"02:00:00:00:00:01","ready":true,"vips":{}}}}"#;
        assert_eq!(tell(&mut feed, listed(vec![lease(1, empty)])).len(), 1);
        assert!(tell(&mut feed, vec![Event::Apply(lease(2, empty))]).is_empty());
        let pulse = feed.marks().values().next().and_then(|marks| marks.pulse.clone()).unwrap();
        assert_eq!(
            (&*pulse.renewed, pulse.lasts),
            ("2026-01-01T00:00:02.000000Z", Some(std::time::Duration::from_secs(40)))
        );
        assert_eq!(tell(&mut feed, vec![Event::Apply(lease(3, full))]).len(), 1);
        assert!(tell(&mut feed, listed(vec![lease(4, full)])).is_empty());
        tell(&mut feed, vec![Event::Delete(lease(4, full))]);
        assert_eq!(tell(&mut feed, vec![Event::Apply(lease(5, full))]).len(), 1);
    }

    #[test]
    fn without_a_required_kind_nothing_is_complete_and_without_an_optional_one_all_is() {
        const OPTIONAL: Watched = Watched { need: Need::Optional, ..WATCHED[4] };
        static WATCHED_OPTIONAL: Watched = OPTIONAL;
        let mut required = vlans();
        let mut optional = Feed::new(&WATCHED_OPTIONAL);
        assert!(!optional.is_complete());
        required.absent();
        optional.absent();
        assert!(!required.is_complete() && optional.is_complete());
        assert_eq!(tell(&mut optional, listed(vec![vlan("a", json!(1))])), ["+Vlan a"]);
    }
}
