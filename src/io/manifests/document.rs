//! The text of one file to objects: documents, lists, and what is wrong with them.
//!
//! Documents are split before they are parsed, so that a broken one takes no other down. Markers of documents
//! stand at the first column and nowhere else (YAML 1.2 §9.1.2, `c-forbidden`), so lines suffice.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_saphyr::{Options, Spanned};

use super::ManifestProblem;
use crate::kube::{Converted, Kind};
use crate::model::{Object, ObjectKey};

/// Deepest nesting that is followed: custom resource definitions reach about 40, and an unoptimised build of the
/// parser needs 20 kB of stack a level, of the 2 MiB that a thread has.
const DEEPEST: usize = 80;

/// What a file says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It looks like this.
    Object(Box<Object>),
    /// It is none of ours.
    NotOurs,
    /// It is there, but cannot be used as it stands.
    Unusable,
}

/// What a file says.
#[derive(Debug)]
pub(super) struct Contents {
    /// The objects of kinds that we read.
    pub objects: BTreeMap<ObjectKey, Entry>,
    /// What could not be taken.
    pub problems: Vec<ManifestProblem>,
    /// Whether every object could be named: only then is one that is not here really gone.
    pub intact: bool,
    /// Objects of other kinds.
    pub ignored: usize,
}

impl Contents {
    /// Nothing was read, and that is a problem.
    pub fn unreadable(path: &Path, why: impl Into<String>) -> Self {
        let problem = ManifestProblem::Unreadable { path: path.into(), why: why.into() };
        Self { objects: BTreeMap::new(), problems: vec![problem], intact: false, ignored: 0 }
    }

    /// Reads a file's text. `file` is only for what is said about it.
    pub fn read(file: &Path, text: &str) -> Self {
        let mut contents = Self { objects: BTreeMap::new(), problems: vec![], intact: true, ignored: 0 };
        for document in split(text) {
            contents.take(file, &document);
        }
        contents
    }

    fn take(&mut self, file: &Path, document: &Document) {
        let value = match serde_saphyr::from_str_with_options::<Value>(document.text, options()) {
            Ok(Value::Null) => return,
            Ok(value) => value,
            Err(error) => {
                let (line, why) = place(&error);
                return self.broken(file, document.line + line, sniff(document.text), why);
            }
        };
        let item_lines = OnceCell::new();
        for Part { index, api_version, kind, value } in parts(&value) {
            let line = || {
                let lines = || item_lines.get_or_init(|| lines_of_items(document.text));
                document.line + index.and_then(|index| lines().get(index).copied()).unwrap_or(0)
            };
            if kind.is_empty() {
                let why = "it has no kind: write a Kubernetes object with apiVersion, kind and metadata";
                self.broken(file, line(), None, why.into());
                continue;
            }
            let Some(kind) = Kind::of(api_version, kind) else {
                self.ignored += 1;
                continue;
            };
            self.object(file, kind, value, &line);
        }
    }

    fn object(&mut self, file: &Path, kind: Kind, value: &Value, line: &dyn Fn() -> usize) {
        let mut problems = Vec::new();
        let entry = match kind.read(value, &mut problems) {
            Converted::Object(object) => Entry::Object(Box::new(object)),
            Converted::NotOurs(_) => Entry::NotOurs,
            Converted::Unusable => Entry::Unusable,
        };
        for problem in problems {
            self.problems.push(ManifestProblem::Field { file: file.into(), line: line(), problem });
        }
        let Some(key) = kind.key_of(value) else {
            self.intact = false;
            return;
        };
        let object = key.to_string();
        if self.objects.insert(key, entry).is_some() {
            self.problems.push(ManifestProblem::Twice { file: file.into(), object, other: file.into() });
        }
    }

    fn broken(&mut self, file: &Path, line: usize, object: Option<String>, why: String) {
        self.intact = false;
        self.problems.push(ManifestProblem::Broken { file: file.into(), line, object, why });
    }
}

/// An object of a document: the document itself, or an item of its list.
struct Part<'a> {
    index: Option<usize>,
    api_version: &'a str,
    kind: &'a str,
    value: &'a Value,
}

/// A `List` has items that say what they are; those of a `ServiceList` need not.
fn parts(document: &Value) -> Vec<Part<'_>> {
    let api_version = document["apiVersion"].as_str().unwrap_or_default();
    let kind = document["kind"].as_str().unwrap_or_default();
    let items = match &document["items"] {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    };
    match kind.strip_suffix("List") {
        Some(item_kind) => items
            .iter()
            .enumerate()
            .map(|(index, value)| Part {
                index: Some(index),
                api_version: value["apiVersion"].as_str().unwrap_or(api_version),
                kind: value["kind"].as_str().unwrap_or(item_kind),
                value,
            })
            .collect(),
        None => vec![Part { index: None, api_version, kind, value: document }],
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        // A cluster of thousands of Services is no attack: only depth and aliases are bounded.
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_total_comment_bytes: usize::MAX,
            max_depth: DEEPEST,
        },
        with_snippet: false,
    }
}

/// The line of an error, counted from 0, and its message without the place.
fn place(error: &serde_saphyr::Error) -> (usize, String) {
    let line = error.location().map_or(0, |location| location.line().saturating_sub(1));
    let message = error.to_string();
    let why = message.rsplit_once(" at line ").map_or(message.as_str(), |(why, _)| why).to_owned();
    (usize::try_from(line).unwrap_or(usize::MAX), why)
}

/// Where a list's items begin, counted from 0. A second parse, for documents with a problem only.
fn lines_of_items(text: &str) -> Vec<usize> {
    #[derive(Deserialize)]
    struct Items {
        items: Vec<Spanned<IgnoredAny>>,
    }
    let items = serde_saphyr::from_str_with_options::<Items>(text, options()).map(|list| list.items);
    let lines = items.unwrap_or_default();
    let lines = lines.iter().map(|item| usize::try_from(item.referenced.line()).unwrap_or(1));
    lines.map(|line| line.saturating_sub(1)).collect()
}

/// Kind and name of a document that cannot be parsed, from the lines where they usually stand.
fn sniff(text: &str) -> Option<String> {
    let value = |line: &str, field: &str| {
        let value = line.strip_prefix(field)?.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    };
    let kind = text.lines().find_map(|line| value(line, "kind:"))?;
    let metadata = text.lines().skip_while(|line| !line.starts_with("metadata:")).skip(1);
    let mut metadata = metadata.take_while(|line| line.starts_with([' ', '#']) || line.is_empty());
    let name = metadata.find_map(|line| value(line, "  name:"))?;
    Some(format!("{kind} {name}"))
}

/// One document of a file.
#[derive(Debug, PartialEq, Eq)]
struct Document<'a> {
    /// Where it begins, counted from 1.
    line: usize,
    text: &'a str,
}

fn split(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let (mut start, mut line, mut offset, mut says) = (0, 1, 0, false);
    for (index, content) in text.split_inclusive('\n').enumerate() {
        if is_marker(content, "---") || is_marker(content, "...") {
            if says {
                documents.push(Document { line, text: &text[start..offset] });
            }
            let ends = content.starts_with('.');
            (start, line) = if ends { (offset + content.len(), index + 2) } else { (offset, index + 1) };
            says = !ends && has_content(content.get(3..).unwrap_or_default());
        } else {
            says |= !content.starts_with('%') && has_content(content);
        }
        offset += content.len();
    }
    if says {
        documents.push(Document { line, text: &text[start..] });
    }
    documents
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

fn has_content(line: &str) -> bool {
    !line.trim_start().is_empty() && !line.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let contents = Contents::read(Path::new("f.yaml"), text);
        let problems = contents.problems.iter().map(ToString::to_string).collect();
        (contents.objects.keys().map(ToString::to_string).collect(), problems)
    }

    const NODE_A: &str = "kind: Node\napiVersion: v1\nmetadata:\n  name: a\n";

    #[test]
    fn documents_are_split_at_markers_of_the_first_column_only() {
        let text = "# only a comment\n--- # start\nkind: A\ndata: |\n  ---\n  x\n---x: y\n---\n\n...\nb: 1\n";
        let found = split(text);
        assert_eq!(found.iter().map(|document| document.line).collect::<Vec<_>>(), [2, 11]);
        assert_eq!(found[1].text, "b: 1\n");
        assert_eq!(split("%YAML 1.2\n---\r\na: 1\r\n--- {b: 2}").len(), 2);
    }

    #[test]
    fn a_broken_document_is_named_with_its_line_in_the_file_and_costs_no_other() {
        let text = format!(
            "{NODE_A}---\nkind: Service\nmetadata:\n  name: web\n   x: y\n---\n{}",
            NODE_A.replace(": a", ": b")
        );
        let (objects, problems) = read(&text);
        assert_eq!(objects, ["Node a", "Node b"]);
        assert!(
            problems.len() == 1 && problems[0].starts_with("f.yaml:9: Service web cannot be read: "),
            "{problems:?}"
        );
        assert!(!problems[0].contains(" at line "));
    }

    #[test]
    fn a_bad_item_of_a_list_is_named_with_the_line_where_it_begins() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- kind: Node\n  apiVersion: v1\n  metadata: {name: a}\n\
                    - apiVersion: v1\n  kind: Service\n  metadata: {name: s}\n  spec: {ports: [{port: x}]}\n";
        let (objects, problems) = read(text);
        assert_eq!(objects, ["Service default/s", "Node a"]);
        assert!(
            problems.len() == 1 && problems[0].starts_with("f.yaml:7: Service default/s: spec.ports[0].port")
        );
    }

    #[test]
    fn a_typed_list_says_once_what_its_items_are() {
        let json = r#"{"kind":"NodeList","apiVersion":"v1","items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#;
        assert_eq!(read(json), (vec!["Node a".into(), "Node b".into()], vec![]));
        assert_eq!(read("kind: List\napiVersion: v1\nitems: null\n"), (vec![], vec![]));
    }

    #[test]
    fn what_is_no_kubernetes_object_is_a_problem_and_other_kinds_are_none() {
        let pod = "apiVersion: v1\nkind: Pod\nitems: {a: 1}\n";
        assert_eq!(read(pod), (vec![], vec![]));
        for text in ["just text", "- a\n- b", "kin: Service", "kind: List\nitems: [{metadata: {name: a}}]"] {
            let contents = Contents::read(Path::new("f"), text);
            assert!(!contents.intact && contents.problems.len() == 1, "{text}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused_and_not_followed() {
        let (_, problems) = read(&"[".repeat(100_000));
        assert_eq!(problems.len(), 1);
        let (_, problems) = read(&format!("kind: Pod\nx: {}{}", "[".repeat(70), "]".repeat(70)));
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn an_object_written_twice_in_a_file_counts_as_written_last() {
        let (objects, problems) = read(&format!("{NODE_A}---\n{NODE_A}"));
        assert_eq!((objects.len(), problems.len()), (1, 1));
    }
}
