//! Plain scalars of YAML that are strings all the same: what fits no number, and the values of maps that hold strings only.

use std::borrow::Cow;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

/// Maps whose values are strings (Kubernetes API, ObjectMeta v1, LabelSelector v1, NodeSpec).
const MAPS: [&str; 5] = ["labels", "annotations", "matchLabels", "nodeSelector", "selector"];
/// Fields of `metadata` that are.
const NAMES: [&str; 3] = ["name", "namespace", "uid"];

/// Whether something is no string where one belongs.
pub(super) fn are_missing(value: &Value) -> bool {
    let is_scalar = |value: &Value| value.is_number() || value.is_boolean();
    match value {
        Value::Array(items) => items.iter().any(are_missing),
        Value::Object(map) => map.iter().any(|(key, value)| {
            let odd = |name: &&str| is_scalar(&value[*name]);
            let of_strings = MAPS.contains(&key.as_str())
                && value.as_object().is_some_and(|map| map.values().any(is_scalar));
            of_strings || (key == "metadata" && NAMES.iter().any(odd)) || are_missing(value)
        }),
        _ => false,
    }
}

/// The same text, in which such scalars stand in quotes, as they are written.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    let mut quoted = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    let mut place = Place::default();
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let is_string = place.take(&event);
        let Event::Scalar(scalar, ScalarStyle::Plain, _, None) = event else { continue };
        let (Some(start), Some(end)) = (span.start.byte_offset(), span.end.byte_offset()) else { continue };
        let is_one = is_no_number(&scalar) || (is_string && !is_null(&scalar));
        if !is_one || text.get(start..end).map(str::trim_end) != Some(&*scalar) {
            continue;
        }
        let end = start + scalar.len();
        let within = scalar.replace('\'', "''");
        for part in [text.get(copied..start).unwrap_or_default(), "'", &within, "'"] {
            quoted.push_str(part);
        }
        copied = end;
    }
    if copied == 0 {
        return text.into();
    }
    quoted.push_str(text.get(copied..).unwrap_or_default());
    quoted.into()
}

/// Where in a document the parser is.
#[derive(Default)]
struct Place {
    frames: Vec<Frame>,
}

#[derive(Default)]
struct Frame {
    is_map: bool,
    /// The key whose value comes next; none where a key does.
    key: Option<String>,
    /// The key that it is the value of.
    of: String,
}

impl Place {
    /// Goes on by an event; whether it is the value of something that is a string.
    fn take(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let of = self.frames.last_mut().and_then(|frame| frame.key.take()).unwrap_or_default();
                let is_map = matches!(event, Event::MappingStart(..));
                self.frames.push(Frame { is_map, key: None, of });
                false
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.frames.pop();
                false
            }
            Event::Scalar(scalar, ..) => {
                let Some(frame) = self.frames.last_mut().filter(|frame| frame.is_map) else { return false };
                let Some(key) = frame.key.take() else {
                    frame.key = Some(scalar.to_string());
                    return false;
                };
                MAPS.contains(&frame.of.as_str()) || (frame.of == "metadata" && NAMES.contains(&key.as_str()))
            }
            Event::Alias(..) => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.key = None;
                }
                false
            }
            _ => false,
        }
    }
}

fn is_null(scalar: &str) -> bool {
    matches!(scalar, "" | "~" | "null" | "Null" | "NULL")
}

/// Whether YAML 1.2's core schema (§10.3.2) takes it for a number that no computer holds: too large, infinite, or none.
fn is_no_number(scalar: &str) -> bool {
    let digits = scalar.trim_start_matches(['-', '+']);
    if matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && scalar.parse::<f64>().is_ok_and(|number| !number.is_finite())
}
