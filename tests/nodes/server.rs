//! The API server: objects, and all that was ever written, in order.

use std::collections::BTreeMap;

use ovn_vip::model::{Change, Object, ObjectKey};

#[derive(Default)]
pub struct Server {
    objects: BTreeMap<ObjectKey, Object>,
    log: Vec<Change>,
    reports: BTreeMap<ObjectKey, Vec<Object>>,
}

impl Server {
    /// Writes an object; whether it is another.
    pub fn put(&mut self, object: Object) -> bool {
        let key = object.key();
        if self.objects.get(&key) == Some(&object) {
            return false;
        }
        if matches!(object, Object::Report(_)) {
            self.reports.entry(key.clone()).or_default().push(object.clone());
        }
        self.objects.insert(key, object.clone());
        self.log.push(Change::Apply(object));
        true
    }

    /// etcd is restored: each report is as it was that many writes ago.
    pub fn restore(&mut self, back: usize) {
        for (key, versions) in &self.reports {
            let old = versions.len().checked_sub(1 + back).and_then(|at| versions.get(at)).cloned();
            match old {
                Some(old) => {
                    self.objects.insert(key.clone(), old.clone());
                    self.log.push(Change::Apply(old));
                }
                None => {
                    self.objects.remove(key);
                    self.log.push(Change::Remove(key.clone()));
                }
            }
        }
    }

    /// All objects, and where the log ends.
    pub fn list(&self) -> (Vec<Change>, usize) {
        (self.objects.values().cloned().map(Change::Apply).collect(), self.log.len())
    }

    /// What was written since.
    pub fn since(&self, read: usize) -> (Vec<Change>, usize) {
        (self.log[read..].to_vec(), self.log.len())
    }
}
