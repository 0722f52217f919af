//! The values of a column: atoms, sets and maps (RFC 7047 §5.1).
//!
//! Everything is ordered, so that equal content is equal JSON. A scalar is a set of one; an optional scalar that is
//! not there is the empty set. Sets and maps are trees: one member more costs the same in a set of twenty thousand
//! as in a set of twenty.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

mod wire;

pub(in crate::ovsdb) use wire::written;

/// A finite real number with a total order, so that it may stand in sets and keys.
#[derive(Debug, Clone, Copy)]
pub struct Real(f64);

impl Real {
    /// Takes the number as it is, except that `-0.0` becomes `0.0`: OVSDB makes no difference.
    pub fn new(number: f64) -> Self {
        Self(if number == 0.0 { 0.0 } else { number })
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Real {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// A 64-bit integer.
    Integer(i64),
    /// A real number.
    Real(Real),
    /// True or false.
    Boolean(bool),
    /// UTF-8 text.
    String(Arc<str>),
    /// The name of a row.
    Uuid(Uuid),
    /// A row that the same transaction inserts, by its `uuid-name`. Only in operations; a replica never holds one.
    NamedUuid(Arc<str>),
}

/// The value of one column of one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datum {
    /// A set; a scalar is a set of one.
    Set(BTreeSet<Atom>),
    /// A map.
    Map(BTreeMap<Atom, Atom>),
}

impl Datum {
    /// The set without a member.
    pub fn empty_set() -> Self {
        Self::Set(BTreeSet::new())
    }

    /// The map without an entry.
    pub fn empty_map() -> Self {
        Self::Map(BTreeMap::new())
    }

    /// A map of strings.
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        entries.into_iter().map(|(key, value)| (Atom::from(key), Atom::from(value))).collect()
    }

    /// A set of strings.
    pub fn strings<'a>(members: impl IntoIterator<Item = &'a str>) -> Self {
        members.into_iter().map(Atom::from).collect()
    }

    /// A set of references.
    pub fn uuids(members: impl IntoIterator<Item = Uuid>) -> Self {
        members.into_iter().map(Atom::from).collect()
    }

    /// A reference to the row that the same transaction inserts under this `uuid-name`.
    pub fn named_uuid(name: &str) -> Self {
        Self::from(Atom::NamedUuid(name.into()))
    }

    fn only(&self) -> Option<&Atom> {
        match self {
            Self::Set(members) if members.len() == 1 => members.first(),
            Self::Set(_) | Self::Map(_) => None,
        }
    }

    /// The text, if this is exactly one string.
    pub fn as_str(&self) -> Option<&str> {
        self.only().and_then(Atom::as_str)
    }

    /// The value, if this is exactly one boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.only()? {
            Atom::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if this is exactly one integer.
    pub fn as_integer(&self) -> Option<i64> {
        match self.only()? {
            Atom::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if this is exactly one real.
    pub fn as_real(&self) -> Option<f64> {
        match self.only()? {
            Atom::Real(value) => Some(value.value()),
            _ => None,
        }
    }

    /// The reference, if this is exactly one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        self.only().and_then(Atom::as_uuid)
    }

    /// The members of a set, in order; nothing for a map.
    pub fn members(&self) -> impl Iterator<Item = &Atom> {
        let set = match self {
            Self::Set(members) => Some(members),
            Self::Map(_) => None,
        };
        set.into_iter().flatten()
    }

    /// The entries of a map, in order of their keys; nothing for a set.
    pub fn entries(&self) -> impl Iterator<Item = (&Atom, &Atom)> {
        let map = match self {
            Self::Map(entries) => Some(entries),
            Self::Set(_) => None,
        };
        map.into_iter().flatten()
    }

    /// The strings of a set, in order.
    pub fn string_members(&self) -> impl Iterator<Item = &str> {
        self.members().filter_map(Atom::as_str)
    }

    /// The references of a set, in order.
    pub fn uuid_members(&self) -> impl Iterator<Item = Uuid> {
        self.members().filter_map(Atom::as_uuid)
    }

    /// The entries of a map from strings to strings, in order of their keys.
    pub fn string_map(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries().filter_map(|(key, value)| Some((key.as_str()?, value.as_str()?)))
    }

    /// Whether a set of references names this row: O(log n).
    pub fn contains_uuid(&self, uuid: &Uuid) -> bool {
        match self {
            Self::Set(members) => members.contains(&Atom::Uuid(*uuid)),
            Self::Map(_) => false,
        }
    }

    /// The text under a key of a map of strings: O(log n).
    pub fn map_get(&self, key: &str) -> Option<&str> {
        match self {
            Self::Map(entries) => entries.get(&Atom::from(key))?.as_str(),
            Self::Set(_) => None,
        }
    }

    /// Whether there is no member and no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many members or entries there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Set(members) => members.len(),
            Self::Map(entries) => entries.len(),
        }
    }
}

impl Atom {
    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The reference, if this is one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(uuid) => Some(*uuid),
            _ => None,
        }
    }
}

impl From<&str> for Atom {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Atom {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Arc<str>> for Atom {
    fn from(text: Arc<str>) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Atom {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Atom {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Atom {
    fn from(value: f64) -> Self {
        Self::Real(Real::new(value))
    }
}

impl From<Uuid> for Atom {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl<T: Into<Atom>> From<T> for Datum {
    fn from(value: T) -> Self {
        Self::Set(BTreeSet::from([value.into()]))
    }
}

impl FromIterator<Atom> for Datum {
    fn from_iter<I: IntoIterator<Item = Atom>>(members: I) -> Self {
        Self::Set(members.into_iter().collect())
    }
}

impl FromIterator<(Atom, Atom)> for Datum {
    fn from_iter<I: IntoIterator<Item = (Atom, Atom)>>(entries: I) -> Self {
        Self::Map(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_a_set_of_one_and_reads_back_as_what_it_is() {
        let uuid = Uuid::from_u128(7);
        assert_eq!(Datum::from("tcp").as_str(), Some("tcp"));
        assert_eq!(Datum::from(true).as_bool(), Some(true));
        assert_eq!(Datum::from(42).as_integer(), Some(42));
        assert_eq!(Datum::from(1.5).as_real(), Some(1.5));
        assert_eq!(Datum::from(uuid).as_uuid(), Some(uuid));
        assert_eq!(Datum::from("tcp").as_integer(), None);
    }

    #[test]
    fn a_set_of_two_and_an_empty_set_are_no_scalar() {
        assert_eq!(Datum::strings(["a", "b"]).as_str(), None);
        assert_eq!(Datum::empty_set().as_str(), None);
        assert_eq!(Datum::map([("a", "b")]).as_str(), None);
    }

    #[test]
    fn maps_and_sets_are_searched_by_key() {
        let map = Datum::map([("b", "2"), ("a", "1")]);
        assert_eq!(map.map_get("b"), Some("2"));
        assert_eq!(map.map_get("c"), None);
        assert_eq!(map.string_map().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        let set = Datum::uuids([Uuid::from_u128(2), Uuid::from_u128(1)]);
        assert!(set.contains_uuid(&Uuid::from_u128(1)));
        assert!(!set.contains_uuid(&Uuid::from_u128(3)));
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn zero_has_one_form_and_reals_have_an_order() {
        assert_eq!(Real::new(-0.0), Real::new(0.0));
        assert!(Real::new(-1.0) < Real::new(0.5));
    }
}
