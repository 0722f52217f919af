//! The stream cut into messages, and JSON as values.

use std::mem::{Discriminant, discriminant};

use ovn_vip::ovsdb::framing::{Framer, FramingError};
use ovn_vip::ovsdb::message::{Message, error_text};
use ovn_vip::ovsdb::schema::{AtomType, BaseType, ColumnType};
use ovn_vip::ovsdb::{Datum, Schema};
use serde_json::Value;
use serde_json::value::RawValue;

use super::pieces;

/// What came of a stream: its messages, and whether one of them has begun at its end or it could not go on.
#[derive(Debug, PartialEq)]
struct Cut {
    messages: Vec<Vec<u8>>,
    end: Result<bool, Discriminant<FramingError>>,
}

/// Two lengths of pieces, the limit (0: 64 bytes, else 64 KiB), then the stream. However it is split, the messages are
/// the same, and they are those that a JSON parser finds.
pub fn ovsdb_framing(data: &[u8]) {
    let Some((&[first, second, limit], stream)) = data.split_first_chunk() else { return };
    let limit = if limit == 0 { 64 } else { 1 << 16 };
    let whole = cut(limit, &[stream], Framer::take_message);
    let borrowed = |framer: &mut Framer| framer.next_message().map(|found| found.map(<[u8]>::to_vec));
    assert_eq!(whole, cut(limit, &pieces(first, second, stream), Framer::take_message));
    assert_eq!(whole, cut(limit, &pieces(second, first, stream), borrowed));
    let parsed = serde_json::Deserializer::from_slice(stream).into_iter::<&RawValue>();
    let objects = parsed.map_while(Result::ok).map(|raw| raw.get().as_bytes());
    let fitting = objects.take_while(|text| text.starts_with(b"{") && text.len() <= limit);
    for (number, object) in fitting.enumerate() {
        assert_eq!(whole.messages.get(number).map(Vec::as_slice), Some(object));
    }
    for message in &whole.messages {
        if let Ok(Message::Reply { result: Err(error), .. }) = Message::parse(message) {
            error_text(&error);
        }
    }
}

type Take = fn(&mut Framer) -> Result<Option<Vec<u8>>, FramingError>;

fn cut(limit: usize, pieces: &[&[u8]], take: Take) -> Cut {
    let mut framer = Framer::new(limit);
    let mut messages = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match take(&mut framer) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return Cut { messages, end: Err(discriminant(&error)) },
            }
        }
    }
    Cut { messages, end: Ok(framer.is_within_message()) }
}

/// JSON text. What reads as a value, with or without a type, is written so that it reads as the same.
pub fn ovsdb_value(data: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Value>(data) else { return };
    let _ = Schema::from_json(&json);
    if let Ok(datum) = Datum::from_json(&json) {
        let written = datum.to_json();
        assert_eq!(Datum::from_json(&written).as_ref(), Ok(&datum));
        let read: Value = serde_json::from_str(&written.to_string()).unwrap();
        assert_eq!(Datum::from_json(&read), Ok(datum));
    }
    let atoms = [AtomType::Integer, AtomType::Real, AtomType::Boolean, AtomType::String, AtomType::Uuid];
    for kind in atoms.into_iter().flat_map(|atom| [column(atom, false), column(atom, true)]) {
        if let Ok(datum) = Datum::from_json_typed(&json, &kind) {
            assert_eq!(matches!(datum, Datum::Map(_)), kind.is_map());
            assert_eq!(Datum::from_json_typed(&datum.to_json(), &kind), Ok(datum));
        }
    }
}

fn column(atom: AtomType, is_map: bool) -> ColumnType {
    let base = || BaseType { atom, allowed: None, refers_to: None };
    ColumnType { key: base(), value: is_map.then(base), min: 0, max: None }
}
