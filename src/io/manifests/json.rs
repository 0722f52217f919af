//! A file of JSON values one behind the other, as `kubectl get -o json` prints them for several objects, or `jq` one a line.

use serde_json::{Deserializer, Value};

use super::document::Document;

/// The values that a text begins with, each with the line where it begins, and what is left, which is no JSON. A text that does
/// not begin as an object is left as it is.
pub(super) fn values(text: &str) -> (Vec<(usize, Value)>, Document<'_>) {
    let mut values = Vec::new();
    let mut rest = Document { line: 1, text };
    while rest.text.trim_start().starts_with('{') {
        let space = rest.text.len() - rest.text.trim_start().len();
        rest = behind(rest, space);
        let mut stream = Deserializer::from_str(rest.text).into_iter::<Value>();
        let Some(Ok(value)) = stream.next() else { break };
        let end = stream.byte_offset();
        values.push((rest.line, value));
        rest = behind(rest, end);
    }
    (values, rest)
}

fn behind(document: Document<'_>, count: usize) -> Document<'_> {
    let (before, text) = document.text.split_at(count);
    Document { line: document.line + before.matches('\n').count(), text }
}
