//! Values as JSON (RFC 7047 §5.1).

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use super::{Atom, Datum, Real};
use crate::ovsdb::error::ProtocolError;
use crate::ovsdb::schema::{AtomType, ColumnType};

fn wrong(what: &'static str, found: &Value) -> ProtocolError {
    ProtocolError::unexpected(what, found)
}

/// `["tag", content]`, the form of everything that is not a plain JSON scalar.
fn tagged(value: &Value) -> Option<(&str, &Value)> {
    match value.as_array()?.as_slice() {
        [tag, content] => Some((tag.as_str()?, content)),
        _ => None,
    }
}

/// What is written of it. Nothing of OVSDB's has a key that is no text, and nothing else can fail.
pub(in crate::ovsdb) fn written(it: &impl Serialize) -> Value {
    serde_json::to_value(it).unwrap_or_default()
}

/// The `<atom>` of RFC 7047.
impl Serialize for Atom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Real(number) => serializer.serialize_f64(number.value()),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::String(text) => serializer.serialize_str(text),
            Self::Uuid(uuid) => ("uuid", uuid).serialize(serializer),
            Self::NamedUuid(name) => ("named-uuid", name.as_ref()).serialize(serializer),
        }
    }
}

/// The `<value>` of RFC 7047, always in the same order. A set of one is written as its atom.
impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(members) => match (members.len(), members.first()) {
                (1, Some(only)) => only.serialize(serializer),
                _ => ("set", members).serialize(serializer),
            },
            Self::Map(entries) => ("map", Pairs(entries)).serialize(serializer),
        }
    }
}

/// A map's entries as `<pair>`s: its keys are no JSON names.
struct Pairs<'d>(&'d BTreeMap<Atom, Atom>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0)
    }
}

impl Atom {
    /// Reads an `<atom>`. The JSON tells its type, except that a whole number may stand for a real.
    pub fn from_json(value: &Value, kind: Option<AtomType>) -> Result<Self, ProtocolError> {
        match value {
            Value::String(text) => Ok(Self::String(text.as_str().into())),
            Value::Bool(value) => Ok(Self::Boolean(*value)),
            Value::Number(number) => match (number.as_i64(), number.as_f64(), kind) {
                (Some(integer), _, None | Some(AtomType::Integer)) => Ok(Self::Integer(integer)),
                (_, Some(real), None | Some(AtomType::Real)) => Ok(Self::Real(Real::new(real))),
                (.., None | Some(AtomType::Integer | AtomType::Real)) => {
                    Err(wrong("a number of 64 bits", value))
                }
                (.., Some(AtomType::Boolean | AtomType::String | AtomType::Uuid)) => {
                    Err(wrong("what is no number", value))
                }
            },
            Value::Array(_) => match tagged(value) {
                Some(("uuid", Value::String(text))) => match Uuid::try_parse(text) {
                    Ok(uuid) => Ok(Self::Uuid(uuid)),
                    Err(_) => Err(wrong("a UUID", value)),
                },
                Some(("named-uuid", Value::String(name))) => Ok(Self::NamedUuid(name.as_str().into())),
                _ => Err(wrong("an atom", value)),
            },
            Value::Null | Value::Object(_) => Err(wrong("an atom", value)),
        }
    }
}

impl Datum {
    /// As it is written.
    pub fn to_json(&self) -> Value {
        written(self)
    }

    /// Reads a `<value>` whose type is not known; a whole number is an integer.
    pub fn from_json(value: &Value) -> Result<Self, ProtocolError> {
        Self::read(value, None, None)
    }

    /// Reads a `<value>` of a column of this type.
    pub fn from_json_typed(value: &Value, kind: &ColumnType) -> Result<Self, ProtocolError> {
        let datum = Self::read(value, Some(kind.key.atom), kind.value.as_ref().map(|base| base.atom))?;
        match (&datum, kind.is_map()) {
            (Self::Map(_), true) | (Self::Set(_), false) => Ok(datum),
            (Self::Set(_), true) => Err(wrong("a map", value)),
            (Self::Map(_), false) => Err(wrong("a set", value)),
        }
    }

    fn read(value: &Value, key: Option<AtomType>, mapped: Option<AtomType>) -> Result<Self, ProtocolError> {
        match tagged(value) {
            Some(("set", Value::Array(members))) => {
                members.iter().map(|member| Atom::from_json(member, key)).collect()
            }
            Some(("map", Value::Array(pairs))) => pairs
                .iter()
                .map(|pair| match pair.as_array().map(Vec::as_slice) {
                    Some([k, v]) => Ok((Atom::from_json(k, key)?, Atom::from_json(v, mapped)?)),
                    _ => Err(wrong("a pair", pair)),
                })
                .collect(),
            _ => Ok(Self::from(Atom::from_json(value, key)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn round(value: Value) {
        let datum = Datum::from_json(&value).unwrap();
        assert_eq!(datum.to_json(), value);
    }

    #[test]
    fn every_form_of_value_survives_a_round_trip() {
        round(json!("text \"with\" {braces}"));
        round(json!(-9_223_372_036_854_775_808_i64));
        round(json!(1.5));
        round(json!(false));
        round(json!(["uuid", "550e8400-e29b-41d4-a716-446655440000"]));
        round(json!(["named-uuid", "row1"]));
        round(json!(["set", []]));
        round(json!(["set", [1, 2, 3]]));
        round(json!(["map", []]));
        round(json!(["map", [["a", "1"], ["b", ["uuid", "550e8400-e29b-41d4-a716-446655440000"]]]]));
    }

    #[test]
    fn a_set_of_one_reads_like_its_atom() {
        assert_eq!(Datum::from_json(&json!(["set", ["x"]])).unwrap(), Datum::from("x"));
    }

    #[test]
    fn order_on_the_wire_does_not_matter() {
        let one = Datum::from_json(&json!(["set", ["b", "a"]])).unwrap();
        assert_eq!(one.to_json(), json!(["set", ["a", "b"]]));
    }

    #[test]
    fn a_whole_number_in_a_real_column_is_a_real() {
        let kind = ColumnType::scalar(AtomType::Real);
        assert_eq!(Datum::from_json_typed(&json!(3), &kind).unwrap(), Datum::from(3.0));
        assert_eq!(Datum::from_json(&json!(3)).unwrap(), Datum::from(3));
    }

    #[test]
    fn a_number_is_what_its_column_holds_to_the_last_digit() {
        for real in ["3.0000000000000003e30", "3e30", "1.7976931348623157e308", "5e-324"] {
            let value: Value = serde_json::from_str(real).unwrap();
            let datum = Datum::from_json_typed(&value, &ColumnType::scalar(AtomType::Real)).unwrap();
            assert_eq!(datum, Datum::from(real.parse::<f64>().unwrap()), "{real}");
        }
        let beyond: Value = serde_json::from_str("3000000000000000000001430642294").unwrap();
        for (number, atom) in
            [(&beyond, AtomType::Integer), (&json!(1.5), AtomType::Integer), (&json!(1), AtomType::String)]
        {
            let error = Datum::from_json_typed(number, &ColumnType::scalar(atom)).unwrap_err().to_string();
            assert!(error.contains("number"), "{error}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_the_value_named() {
        for bad in [json!(null), json!({}), json!([]), json!(["uuid", "nope"]), json!(["map", [["a"]]])] {
            let error = Datum::from_json(&bad).unwrap_err().to_string();
            assert!(error.contains("expected"), "{error}");
        }
        let map = Datum::from_json_typed(&json!(["map", []]), &ColumnType::scalar(AtomType::String));
        assert!(map.is_err());
    }
}
