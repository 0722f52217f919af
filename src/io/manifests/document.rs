//! The text of one file to objects: documents, lists, and what is wrong with them.
//!
//! Documents are split before they are parsed, so that a broken one takes no other down. Markers of documents
//! stand at the first column and nowhere else (YAML 1.2 §9.1.2, `c-forbidden`), so lines suffice.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::ManifestProblem;
use super::json;
use super::yaml::{self, Fault, Pieces};
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
    /// How to bring over what others' objects say.
    pub to_import: Vec<&'static str>,
}

impl Contents {
    /// Nothing was read, and that is a problem.
    pub fn unreadable(path: &Path, why: impl Into<String>) -> Self {
        let problem = ManifestProblem::Unreadable { path: path.into(), why: why.into() };
        Self {
            objects: BTreeMap::new(),
            problems: vec![problem],
            intact: false,
            ignored: 0,
            to_import: vec![],
        }
    }

    /// Reads a file's text. `file` is only for what is said about it.
    pub fn read(file: &Path, text: &str) -> Self {
        let mut contents =
            Self { objects: BTreeMap::new(), problems: vec![], intact: true, ignored: 0, to_import: vec![] };
        // A mark of the byte order may stand before any document (YAML 1.2 §5.2): editors and shells leave them.
        let text = text.replace("\n\u{feff}", "\n");
        let (values, rest) = json::values(text.trim_start_matches('\u{feff}'));
        for (line, value) in values {
            contents.value(file, &Document { line, text: "" }, &value);
        }
        for part in rest {
            for document in split(part.text) {
                let line = part.line + document.line - 1;
                contents.take(file, &Document { line, ..document });
            }
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
        let head = yaml::parse(&pieces.head).ok().filter(|head| is_list(&head["kind"]));
        self.intact = true;
        let head = head.unwrap_or_else(|| json!({ "kind": "List" }));
        for (line, text) in &pieces.items {
            let line = document.line + line;
            match yaml::parse(text) {
                Ok(value) => {
                    let mut list = head.clone();
                    list["items"] = Value::Array(vec![value]);
                    self.value(file, &Document { line, text: "" }, &list);
                }
                Err(fault) => self.unparsed(file, line + fault.line, text, fault.why),
            }
        }
        if self.intact {
            // Every item is fine, the whole is not: perhaps an item lost its dash.
            self.broken(file, document.line + fault.line, None, fault.why);
        }
    }

    /// What cannot be parsed may hide its neighbour, whatever kind it says: a lost marker or dash joins the two.
    fn unparsed(&mut self, file: &Path, line: usize, text: &str, why: String) {
        self.broken(file, line, yaml::guess(text), why);
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
                self.to_import.extend(to_import(api_version, kind, value));
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

/// How to bring over a configuration that is not read: MetalLB's before its 0.13, or Google's.
fn to_import(api_version: &str, kind: &str, value: &Value) -> Option<&'static str> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if (api_version, kind) == ("v1", "ConfigMap") && text(&value["data"]["config"]).contains("address-pools")
    {
        return Some("ovn-vip import metallb-configmap");
    }
    let is_google = kind == "Cluster" && api_version.starts_with("baremetal.cluster.gke.io/");
    is_google.then_some("ovn-vip import gdcv")
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

fn is_list(kind: &Value) -> bool {
    kind.as_str().is_some_and(|kind| kind.ends_with("List"))
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
#[path = "document_tests.rs"]
mod tests;
