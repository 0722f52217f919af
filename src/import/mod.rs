//! Configurations of other load balancers, brought over into MetalLB's kinds.
//!
//! Given the parsed text of a file, or, for Kube-OVN's own way, a cluster. Each reader gives manifests for `kubectl apply`, and a finding for whatever it
//! could not bring over: nothing is lost in silence. It never reads a file, and never guesses a value.

mod addresses;
mod bgp;
mod fields;
mod gdcv;
mod kube_ovn;
mod metallb;
mod name;

use serde_json::Value;

use crate::plan::{Finding, Severity};

pub use gdcv::gdcv;
pub use kube_ovn::{Native, kube_ovn};
pub use metallb::metallb_configmap;

/// The namespace that MetalLB's objects are in, where the source does not say another one.
pub const METALLB_NAMESPACE: &str = "metallb-system";

/// What a configuration comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// The objects, in the order in which they are to be applied.
    pub manifests: Vec<Manifest>,
    /// What was not brought over as it stood, the worst first.
    pub findings: Vec<Finding>,
}

/// One object, with what a reader of it should know; or words alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Lines that stand above it as comments.
    pub comments: Vec<String>,
    /// The object itself.
    pub object: Option<Value>,
}

impl Manifest {
    fn new(object: Value) -> Self {
        Self { comments: Vec::new(), object: Some(object) }
    }

    fn words(comments: Vec<String>) -> Self {
        Self { comments, object: None }
    }
}

impl Imported {
    /// The fields of the source that no object has, in words: they stand above the objects as comments.
    pub fn left_out(&self) -> impl Iterator<Item = String> {
        let left_out = self.findings.iter().filter(|finding| fields::LEFT_OUT.contains(&finding.reason));
        left_out.map(|Finding { object, field, message, .. }| format!("{object}: {field} {message}"))
    }

    /// Whether something is wrong with the source: its manifests are not to be trusted as a whole.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}
