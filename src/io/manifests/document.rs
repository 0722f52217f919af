//! The text of one file to objects: documents, lists, and what is wrong with them.
//!
//! Documents are split before they are parsed, so that a broken one takes no other down. Markers of documents
//! stand at the first column and nowhere else (YAML 1.2 §9.1.2, `c-forbidden`), so lines suffice.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::ManifestProblem;
use super::json;
use super::yaml::{self, Fault, Guess, Pieces};
use crate::kube::{Converted, Kind};
use crate::model::{Object, ObjectKey};

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
        // A mark of the byte order may stand before any document (YAML 1.2 §5.2): editors and shells leave them.
        let text = text.replace("\n\u{feff}", "\n");
        let (values, rest) = json::values(text.trim_start_matches('\u{feff}'));
        for (line, value) in values {
            contents.value(file, &Document { line, text: "" }, &value);
        }
        for document in split(rest.text) {
            let line = rest.line + document.line - 1;
            contents.take(file, &Document { line, ..document });
        }
        contents
    }

    fn take(&mut self, file: &Path, document: &Document) {
        match yaml::parse(document.text) {
            Ok(Value::Null) => {}
            Ok(value) => self.value(file, document, &value),
            Err(fault) => match yaml::take_apart(document.text) {
                Some(pieces) => self.pieces(file, document, &pieces, fault),
                None => self.unparsed(file, document.line + fault.line, document.text, fault.why),
            },
        }
    }

    /// A list of which a part is no YAML: each item is read by itself.
    fn pieces(&mut self, file: &Path, document: &Document, pieces: &Pieces, fault: Fault) {
        let Ok(head) = yaml::parse(&pieces.head) else {
            return self.unparsed(file, document.line + fault.line, document.text, fault.why);
        };
        for (line, text) in &pieces.items {
            let line = document.line + line;
            match yaml::parse(text) {
                Ok(value) => {
                    let item = Value::Array(vec![value]);
                    let mut list = head.clone();
                    list["items"] = item;
                    self.value(file, &Document { line, text: "" }, &list);
                }
                Err(fault) => self.unparsed(file, line + fault.line, text, fault.why),
            }
        }
    }

    /// What cannot be parsed; it is none of ours where it says so.
    fn unparsed(&mut self, file: &Path, line: usize, text: &str, why: String) {
        let guess = Guess::of(text);
        let ours = |kind: &String| {
            let api_version = guess.api_version.as_deref().unwrap_or("v1");
            kind.ends_with("List") || guess.api_version.is_none() || Kind::of(api_version, kind).is_some()
        };
        if guess.kind.as_ref().is_none_or(ours) {
            return self.broken(file, line, guess.object(), why);
        }
        self.ignored += 1;
    }

    fn value(&mut self, file: &Path, document: &Document, value: &Value) {
        let item_lines = OnceCell::new();
        for Part { index, api_version, kind, value } in parts(value) {
            let line = || {
                let lines = || item_lines.get_or_init(|| yaml::lines_of_items(document.text));
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

/// One document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// What stands there.
    pub text: &'a str,
}

fn split(text: &str) -> Vec<Document<'_>> {
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
    use proptest::prelude::*;

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
    fn several_json_values_in_a_file_are_as_many_documents() {
        let node = |name: &str| {
            format!("{{\"kind\": \"Node\", \"apiVersion\": \"v1\",\n\"metadata\": {{\"name\": \"{name}\"}}}}")
        };
        for between in ["\n", "", "\n\n"] {
            let text = [node("a"), node("b")].join(between);
            assert_eq!(read(&text), (vec!["Node a".into(), "Node b".into()], vec![]), "{text}");
        }
        let (objects, problems) = read(&format!("{}\n{}\n{{\"kind\": ", node("a"), node("b")));
        assert_eq!(objects, ["Node a", "Node b"]);
        assert!(problems.len() == 1 && problems[0].starts_with("f.yaml:5: "), "{problems:?}");
    }

    #[test]
    fn a_mark_of_the_byte_order_may_stand_before_each_document() {
        let text = format!("\u{feff}{NODE_A}---\n\u{feff}{}", NODE_A.replace(": a", ": b"));
        assert_eq!(read(&text), (vec!["Node a".into(), "Node b".into()], vec![]));
        let text = format!("{NODE_A}\u{feff}---\n{}", NODE_A.replace(": a", ": b"));
        assert_eq!(read(&text).0, ["Node a", "Node b"]);
    }

    #[test]
    fn one_bad_item_of_a_list_costs_no_other_and_kinds_that_are_not_read_break_nothing() {
        let item = |kind: &str, name: &str| {
            format!(
                "- apiVersion: v1\n  kind: {kind}\n  metadata:\n    name: {name}\n    labels: {{v: 55e8921}}\n"
            )
        };
        let list = |middle: &str| {
            format!("apiVersion: v1\nitems:\n{}{middle}{}kind: List\n", item("Node", "a"), item("Node", "b"))
        };
        assert_eq!(read(&list("")).0, ["Node a", "Node b"]);
        for damage in ["    labels: {v: 1}\n", "  spec: [\n", "  x: y: z\n", "\t- tab\n", "  *nowhere\n"] {
            let (objects, problems) = read(&list(&(item("Service", "s") + damage)));
            assert_eq!(objects, ["Node a", "Node b"], "{damage:?}");
            assert!(problems.len() == 1 && problems[0].contains("Service s cannot be read"), "{problems:?}");
            let (objects, problems) = read(&list(&(item("ConfigMap", "c") + damage)));
            assert_eq!((objects.len(), problems), (2, vec![]), "{damage:?}");
        }
    }

    fn damaged() -> impl Strategy<Value = String> {
        let service = "- apiVersion: v1\n  kind: Service\n  metadata:\n    name: s\n    annotations:\n      a: \"x: {y}\"\n  \
                       spec:\n    ports: [{port: 80}]\n    type: LoadBalancer\n";
        let other = service.replace("Service", "ConfigMap");
        let text = prop_oneof![Just(service.to_owned()), Just(other)];
        let junk = prop_oneof![
            Just("1e4000"),
            Just("55e8921"),
            Just("]"),
            Just("{"),
            Just("\""),
            Just("'"),
            Just("*a"),
            Just("&a"),
            Just("!!float x"),
            Just(": :"),
            Just("|"),
            Just(">"),
            Just("%"),
            Just("@"),
            Just("\u{7}"),
            Just("\t"),
            Just("? "),
            Just("ünï")
        ];
        (text, any::<prop::sample::Index>(), 0..30_usize, junk).prop_map(|(text, at, cut, junk)| {
            let at = 2 + at.index(text.len() - 2);
            let end = (at + cut).min(text.len());
            let rest = if text[end..].ends_with('\n') { &text[end..] } else { "\n" };
            format!("{}{junk}{rest}", &text[..at])
        })
    }

    proptest! {
        #[test]
        fn whatever_becomes_of_one_item_of_a_list_the_others_are_read(damaged in damaged()) {
            // What is cut may join two lines, but begins no item of its own.
            prop_assume!(!damaged.lines().skip(1).any(|line| !line.starts_with(' ')));
            let node = |name: &str| NODE_A.replace(": a", &format!(": {name}")).replace('\n', "\n  ").trim_end().to_owned();
            let text = format!("apiVersion: v1\nkind: List\nitems:\n- {}\n{damaged}- {}\n", node("a"), node("b"));
            let (objects, _) = read(&text);
            prop_assert!(objects.iter().any(|name| name == "Node a"), "{text}");
            prop_assert!(objects.iter().any(|name| name == "Node b"), "{text}");
        }
    }

    #[test]
    fn an_object_written_twice_in_a_file_counts_as_written_last() {
        let (objects, problems) = read(&format!("{NODE_A}---\n{NODE_A}"));
        assert_eq!((objects.len(), problems.len()), (1, 1));
    }
}
