//! A file of JSON values one behind the other, as `kubectl get -o json` prints them for several objects, or `jq` one a line.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::document::Document;
use super::yaml::Pieces;

/// The values that a text begins with, each with the line where it begins, and what is no JSON: a damaged value between
/// others, and what is behind them all. A text that does not begin as an object is left as it is.
pub(super) fn values(text: &str) -> (Vec<(usize, Value)>, Vec<Document<'_>>) {
    let (mut values, mut others) = (Vec::new(), Vec::new());
    let mut rest = Document { line: 1, text };
    loop {
        if !rest.text.trim_start().starts_with('{') {
            // Something else between values: what a command said, or the mark of a conflict.
            let Some(end) = rest.text.find("\n{").filter(|_| !values.is_empty()).map(|end| end + 1) else {
                break;
            };
            others.push(Document { text: &rest.text[..end], ..rest });
            rest = behind(rest, end);
        }
        let space = rest.text.len() - rest.text.trim_start().len();
        rest = behind(rest, space);
        let mut stream = serde_json::Deserializer::from_str(rest.text).into_iter::<Once>();
        if let Some(Ok(Once(value))) = stream.next() {
            let end = stream.byte_offset();
            values.push((rest.line, value));
            rest = behind(rest, end);
        } else if let Some(end) = next_value(rest.text).filter(|_| take_apart(rest.text).is_none()) {
            others.push(Document { text: &rest.text[..end], ..rest });
            rest = behind(rest, end);
        } else {
            break;
        }
    }
    others.push(rest);
    (values, others)
}

/// A value in which no key stands twice: of two, one is a lost neighbour (RFC 8259 §4 leaves open which counts).
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Once)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Once(value))) = entries.next_entry::<String, Once>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(super::yaml::twice(&key)));
            }
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

/// Why a text is no JSON, and in which line, counted from 0.
pub(super) fn fault(text: &str) -> Option<(usize, String)> {
    let error = serde_json::from_str::<Once>(text).err()?;
    let said = error.to_string();
    let why = said.split(" at line ").next().unwrap_or_default().to_owned();
    Some((error.line().saturating_sub(1), why))
}

/// Takes a list that is no JSON as a whole apart: printers begin each item with a brace on a line of its own, all as far to
/// the right. `None` where it does not look like one.
pub(super) fn take_apart(text: &str) -> Option<Pieces> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_items = |line: &str| {
        let line = line.trim_end();
        line.ends_with("\"items\": [") || line.ends_with("\"items\":[")
    };
    let items = lines.iter().position(|line| is_items(line))?;
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let first = lines.get(items + 1).filter(|line| line.trim() == "{")?;
    let depth = indent(first);
    let mut pieces = Pieces { head: "kind: List\n".to_owned(), items: Vec::new() };
    for (number, line) in lines.iter().enumerate().skip(items + 1) {
        if line.trim() == "{" && indent(line) == depth {
            pieces.items.push((number, String::new()));
        }
        let is_end = indent(line) <= depth && line.trim_start().starts_with(']');
        if is_end {
            break;
        }
        let (_, item) = pieces.items.last_mut()?;
        item.push_str(if indent(line) == depth && line.trim() == "}," { "}\n" } else { line });
    }
    Some(pieces)
}

/// Where the value behind a damaged one begins: printers begin each on a line of its own, and only those at the first column.
fn next_value(text: &str) -> Option<usize> {
    let is_json = text[1..].trim_start().starts_with('"');
    text.find("\n{").filter(|_| is_json).map(|end| end + 1)
}

fn behind(document: Document<'_>, count: usize) -> Document<'_> {
    let (before, text) = document.text.split_at(count);
    Document { line: document.line + before.matches('\n').count(), text }
}
