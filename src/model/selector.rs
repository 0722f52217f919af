//! Labels, and what selects by them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `metadata.labels`.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// A label selector (Kubernetes API, LabelSelector v1): all of its requirements hold. Without any it selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// `matchLabels` and `matchExpressions`.
    pub requirements: Vec<Requirement>,
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The label is there with one of these values.
    In(Arc<str>, BTreeSet<Arc<str>>),
    /// The label is not there, or has none of these values.
    NotIn(Arc<str>, BTreeSet<Arc<str>>),
    /// The label is there.
    Exists(Arc<str>),
    /// The label is not there.
    DoesNotExist(Arc<str>),
}

impl Selector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => !labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::DoesNotExist(key) => !labels.contains_key(key),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_must_hold_and_none_selects_all() {
        let labels = Labels::from([("zone".into(), "a".into())]);
        let values = || BTreeSet::from(["a".into(), "b".into()]);
        let selects =
            |requirements: &[Requirement]| Selector { requirements: requirements.to_vec() }.matches(&labels);
        assert!(selects(&[]));
        assert!(selects(&[Requirement::In("zone".into(), values()), Requirement::Exists("zone".into())]));
        assert!(!selects(&[Requirement::In("zone".into(), values()), Requirement::Exists("rack".into())]));
        assert!(!selects(&[Requirement::NotIn("zone".into(), values())]));
        assert!(selects(&[Requirement::NotIn("rack".into(), values())]));
        assert!(selects(&[Requirement::DoesNotExist("rack".into())]));
    }
}
