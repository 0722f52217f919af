//! What is wrong, or worth knowing, as one line for people and machines.

use std::fmt;

use super::Refusal;
use crate::model::ServiceKey;

/// How bad it is. In order: the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something is not served, and stays so until somebody acts.
    Error,
    /// Somebody may want to act.
    Warning,
    /// Good to know.
    Info,
}

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Kind and name of the object, such as `Subnet underlay`.
    pub object: String,
    /// The field's path in it.
    pub field: String,
    /// A short, stable name.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub cure: String,
}

impl Finding {
    /// A refusal, as a finding.
    pub fn of(refusal: &Refusal, service: &ServiceKey) -> Self {
        let (object, field) = refusal.subject(service);
        let of_service = object.starts_with("Service ");
        let fault = refusal.fault();
        Self {
            severity: refusal.severity(),
            object,
            field: field.to_owned(),
            reason: refusal.reason(),
            // Where another object is at fault, whom it hurts would be left out.
            message: if of_service { fault } else { format!("Service {service}: {fault}") },
            cure: refusal.cure(),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, object, field, reason, message, cure } = self;
        write!(f, "{severity}: {object}: {field}: {reason}: {message}; {cure}")
    }
}
