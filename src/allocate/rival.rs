//! Whether MetalLB's controller gives out addresses in this cluster: two that do so from the same pools give one address
//! to two Services.
//!
//! It is seen by what is watched anyway, so that no right is needed for it: the EndpointSlices of the Service of its
//! webhooks, which selects its Pod in every way to install it; and a Service without an address that gets one, with
//! MetalLB's annotation, from a field manager of its name.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::{Change, EndpointSlice, Object, ObjectKey, Service, ServiceKey, SliceKey, World};

/// The Service of its webhooks (`config/webhook/service.yaml`, and the chart's).
const WEBHOOK: &str = "metallb-webhook-service";
/// The name of its program, which is its field manager's, too.
const MANAGER: &str = "controller";

/// What was seen of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sightings {
    pods: BTreeSet<SliceKey>,
    gave: Option<ServiceKey>,
}

/// That it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rival {
    /// Its Pod.
    Pod {
        /// Where.
        namespace: String,
    },
    /// It gave a Service its address.
    Gave(ServiceKey),
}

impl Sightings {
    /// Looks at a change before the world takes it in.
    pub fn note(&mut self, world: &World, change: &Change) {
        match change {
            Change::Apply(Object::EndpointSlice(slice)) if &*slice.service.name == WEBHOOK => {
                if has_pod(slice) {
                    self.pods.insert(slice.key.clone());
                } else {
                    self.pods.remove(&slice.key);
                }
            }
            Change::Remove(ObjectKey::EndpointSlice(key)) => drop(self.pods.remove(key)),
            Change::Apply(Object::Service(service)) if is_just_given(world, service) => {
                self.gave = Some(service.key.clone());
            }
            _ => {}
        }
    }

    pub fn rival(&self) -> Option<Rival> {
        let pod = self.pods.first().map(|key| Rival::Pod { namespace: key.namespace.to_string() });
        pod.or_else(|| self.gave.clone().map(Rival::Gave))
    }
}

fn has_pod(slice: &EndpointSlice) -> bool {
    slice.endpoints.iter().any(|endpoint| !endpoint.terminating)
}

fn is_just_given(world: &World, service: &Service) -> bool {
    let request = &service.request;
    let had_none = world.service(&service.key).is_some_and(|before| before.request.held.is_empty());
    had_none && !request.held.is_empty() && request.given_by.as_deref() == Some(MANAGER)
}

impl Rival {
    /// The same for one Service, with what helps it: nobody else gives an address to one of ovn-vip's own class.
    pub fn told(&self, service: &Service) -> String {
        let other = match service.class {
            Some(_) => {
                "make the Service anew without spec.loadBalancerClass: MetalLB gives it an address then"
            }
            None => "set --allocate=class: MetalLB gives it an address then",
        };
        format!("{}; or {other}", self.stop())
    }

    fn stop(&self) -> String {
        match self {
            Self::Pod { namespace } => format!(
                "MetalLB's controller runs in namespace {namespace} and gives out addresses of the same pools: stop it (`kubectl \
                 -n {namespace} scale deployment/controller --replicas=0`, metallb-controller where its chart was used) and \
                 delete its webhook (`kubectl delete validatingwebhookconfiguration metallb-webhook-configuration`)"
            ),
            Self::Gave(service) => format!(
                "MetalLB's controller gave Service {service} an address while ovn-vip was to give it one: stop MetalLB's \
                 controller and restart ovn-vip's"
            ),
        }
    }
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; or set --allocate=off", self.stop())
    }
}
