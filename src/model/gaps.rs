//! What is there and cannot be read, or not whole. It is not gone: nothing that could be its is deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::{ObjectKey, ServiceKey, SubnetName};

/// The objects that a source has, and that could not be understood. The world may have an older version of one, or a
/// part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Something of which neither kind nor name is known.
    pub anything: bool,
    /// What that is may be an EndpointSlice.
    pub slices: bool,
    /// These; of an EndpointSlice, the Service that it says it belongs to.
    pub objects: BTreeMap<ObjectKey, Option<ServiceKey>>,
    /// IPAddressPools of which nothing was ever read, by name: no load balancer stands on them, but addresses may be of them.
    pub pools: BTreeSet<Arc<str>>,
}

impl Gaps {
    /// Nothing of any kind was read: all of it may be there.
    pub fn everything() -> Self {
        Self { anything: true, slices: true, ..Self::default() }
    }

    /// All was understood.
    pub fn is_empty(&self) -> bool {
        let Self { anything, slices: _, objects, pools: _ } = self;
        !anything && objects.is_empty()
    }

    /// Whether decisions on load balancers stand on this kind. What else cannot be read costs nobody a VIP.
    pub fn counts(key: &ObjectKey) -> bool {
        match key {
            ObjectKey::Service(_)
            | ObjectKey::EndpointSlice(_)
            | ObjectKey::Node(_)
            | ObjectKey::Subnet(_)
            | ObjectKey::Vlan(_)
            | ObjectKey::ProviderNetwork(_) => true,
            ObjectKey::Allocation(_)
            | ObjectKey::AddressPool(_)
            | ObjectKey::Advertisement(_)
            | ObjectKey::L2Status(_)
            | ObjectKey::Report(_)
            | ObjectKey::Namespace(_) => false,
        }
    }

    /// Whether this object may be among them.
    pub fn cover(&self, key: &ObjectKey) -> bool {
        self.anything || self.objects.contains_key(key)
    }

    /// Whether any Subnet is.
    pub fn cover_a_subnet(&self) -> bool {
        self.anything || self.objects.keys().any(|key| matches!(key, ObjectKey::Subnet(_)))
    }

    /// Whether this Subnet may be.
    pub fn cover_subnet(&self, name: &SubnetName) -> bool {
        self.cover(&ObjectKey::Subnet(name.clone()))
    }

    /// Whether a Service may be, that nobody knows.
    pub fn cover_a_service(&self) -> bool {
        self.anything || self.objects.keys().any(|key| matches!(key, ObjectKey::Service(_)))
    }

    /// Whether an EndpointSlice of this Service may be, or one that does not say whose it is.
    pub fn cover_slices_of(&self, service: &ServiceKey) -> bool {
        let is_its = |(key, of): (&ObjectKey, &Option<ServiceKey>)| {
            matches!(key, ObjectKey::EndpointSlice(_)) && of.as_ref().is_none_or(|of| of == service)
        };
        self.slices || self.objects.iter().any(is_its)
    }
}

/// For people, in one line.
impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = self.objects.keys().take(MOST).map(ToString::to_string).collect();
        if self.objects.len() > MOST {
            words.push(format!("{} more", self.objects.len() - MOST));
        }
        if self.anything {
            words.push("a file, a document of one, or all of a kind".to_owned());
        }
        f.write_str(&words.join(", "))
    }
}

/// Objects that are named.
const MOST: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SliceKey;

    #[test]
    fn a_slice_that_does_not_say_whose_it_is_may_be_anybodys() {
        let (web, dns) = (ServiceKey::new("d", "web"), ServiceKey::new("d", "dns"));
        let slice = ObjectKey::EndpointSlice(SliceKey::new("d", "web-1"));
        let named = Gaps { objects: [(slice.clone(), Some(web.clone()))].into(), ..Gaps::default() };
        assert!(named.cover_slices_of(&web) && !named.cover_slices_of(&dns));
        let nameless = Gaps { objects: [(slice, None)].into(), ..Gaps::default() };
        assert!(nameless.cover_slices_of(&dns) && !nameless.cover_a_subnet());
        assert!(Gaps::everything().cover_slices_of(&dns) && Gaps::everything().cover_a_subnet());
        let no_slice = Gaps { anything: true, ..Gaps::default() };
        assert!(!no_slice.cover_slices_of(&dns) && no_slice.cover_a_subnet());
    }

    #[test]
    fn many_are_told_shortly() {
        let key = |number: usize| ObjectKey::Node(format!("n{number}").as_str().into());
        let gaps = Gaps {
            objects: (0..7).map(|number| (key(number), None)).collect(),
            anything: true,
            ..Gaps::default()
        };
        assert_eq!(
            gaps.to_string(),
            "Node n0, Node n1, Node n2, Node n3, Node n4, 2 more, a file, a document of one, or all of a kind"
        );
    }
}
