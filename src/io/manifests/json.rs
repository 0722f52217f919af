//! A file of JSON values one behind the other, as `kubectl get -o json` prints them for several objects, or `jq` one a line.

use serde_json::{Deserializer, Value};

use super::document::Document;

/// The values that a text begins with, each with the line where it begins, and what is no JSON: a damaged value between
/// others, and what is behind them all. A text that does not begin as an object is left as it is.
pub(super) fn values(text: &str) -> (Vec<(usize, Value)>, Vec<Document<'_>>) {
    let (mut values, mut others) = (Vec::new(), Vec::new());
    let mut rest = Document { line: 1, text };
    while rest.text.trim_start().starts_with('{') {
        let space = rest.text.len() - rest.text.trim_start().len();
        rest = behind(rest, space);
        let mut stream = Deserializer::from_str(rest.text).into_iter::<Value>();
        if let Some(Ok(value)) = stream.next() {
            let end = stream.byte_offset();
            values.push((rest.line, value));
            rest = behind(rest, end);
        } else if let Some(end) = next_value(rest.text) {
            others.push(Document { text: &rest.text[..end], ..rest });
            rest = behind(rest, end);
        } else {
            break;
        }
    }
    others.push(rest);
    (values, others)
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
