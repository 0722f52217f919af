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
use super::shape::{self, Part, Shape, parts};
use super::spelling;
use super::yaml::{self, Fault, Pieces};
use crate::kube::{Converted, Kind};
use crate::model::{Family, Object, ObjectKey, Sources};

/// Why a file without any document is none.
const EMPTY: &str = "it says nothing, as if a write were under way: remove the file to remove its objects";

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

/// What ends a file, as far as it was read.
#[derive(Debug, Default)]
struct Last {
    /// The object, if it is one of ours.
    object: Option<ObjectKey>,
    /// What it lacks that may have been cut off.
    lacks: Option<&'static str>,
    /// A program has printed it.
    printed: bool,
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
    /// What could not be named may be an EndpointSlice.
    pub hides_slices: bool,
    /// Objects of other kinds.
    pub ignored: usize,
    /// How to bring over what others' objects say.
    pub to_import: Vec<&'static str>,
    /// What was read last.
    last: Last,
}

impl Contents {
    /// Nothing was read, and that is a problem.
    pub fn unreadable(path: &Path, why: impl Into<String>) -> Self {
        let problem = ManifestProblem::Unreadable { path: path.into(), why: why.into() };
        Self {
            objects: BTreeMap::new(),
            problems: vec![problem],
            intact: false,
            hides_slices: true,
            ignored: 0,
            to_import: vec![],
            last: Last::default(),
        }
    }

    /// Reads a file's text. `file` is only for what is said about it.
    pub fn read(file: &Path, text: &str) -> Self {
        let mut contents = Self {
            objects: BTreeMap::new(),
            problems: vec![],
            intact: true,
            hides_slices: false,
            ignored: 0,
            to_import: vec![],
            last: Last::default(),
        };
        if let Some(why) = no_text(text) {
            return Self::unreadable(file, why);
        }
        // A mark of the byte order may stand before any document (YAML 1.2 §5.2): editors and shells leave them.
        let text = text.replace("\n\u{feff}", "\n");
        let (values, rest) = json::values(text.trim_start_matches('\u{feff}'));
        let mut says = !values.is_empty();
        for (line, value) in values {
            contents.value(file, &Document { line, text: "" }, &value);
        }
        for part in rest {
            let mut before = None;
            for document in split(part.text) {
                let line = part.line + document.line - 1;
                says |= contents.take(file, &Document { line, ..document }, &mut before);
            }
            contents.end(file, &part);
        }
        // A comment is a deliberate nothing; a command that failed leaves a line end, or a mark of the byte order.
        if !says && !text.lines().any(|line| line.trim_start().starts_with('#')) {
            return Self::unreadable(file, EMPTY);
        }
        contents
    }

    /// Where the last line has no end, more may have followed.
    fn end(&mut self, file: &Path, part: &Document) {
        let text = part.text;
        let begins = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        // A cut would leave its braces open.
        let is_json = begins.is_some_and(|line| line.starts_with(['{', '[']));
        let Last { object, lacks, printed } = std::mem::take(&mut self.last);
        if text.trim().is_empty() || is_json || !printed {
            return;
        }
        let why = match (text.ends_with('\n'), lacks) {
            (true, None) => return,
            (false, _) => {
                "the last line does not end: the file may have been cut off; write it anew, or end the line"
                    .to_owned()
            }
            (true, Some(missing)) => {
                format!("{missing} is missing at the end of the file, as if it was cut off: print it anew")
            }
        };
        self.hides_slices = true;
        let words = object.as_ref().map(ToString::to_string);
        // Its own end may be what is missing.
        if let Some(object) = object {
            self.objects.insert(object, Entry::Unusable);
        }
        if self.intact {
            let line = part.line + text.lines().count().saturating_sub(1);
            self.broken(file, line, words, why, None);
        }
    }

    /// Reads a document; whether it says anything. `before` is the object right before it: what follows a marker and begins no
    /// object is the rest of that one.
    fn take(&mut self, file: &Path, document: &Document, before: &mut Option<ObjectKey>) -> bool {
        let suspect = before.take().filter(|_| is_rest(document.text));
        let known = self.objects.len();
        let intact = std::mem::replace(&mut self.intact, true);
        if let Some(said) = said_instead(document.text) {
            let why = format!("it is what a command said instead ({said}): print the objects anew");
            self.broken(file, document.line, None, why, None);
            return true;
        }
        match yaml::parse(document.text) {
            Ok(Value::Null) => {
                self.intact &= intact;
                return false;
            }
            Ok(value) => {
                self.value(file, document, &value);
                if self.objects.len() == known + 1 && self.intact {
                    *before = shape::name_of(&value);
                }
            }
            Err(fault) => match yaml::take_apart(document.text).or_else(|| json::take_apart(document.text)) {
                Some(pieces) => self.pieces(file, document, &pieces, fault),
                // What it says besides is nobody's here.
                None if yaml::is_of_another_kind(document.text) => self.ignored += 1,
                None => {
                    let (line, why) = json::fault(document.text)
                        .filter(|_| document.text.trim_start().starts_with('{'))
                        .unwrap_or((fault.line, fault.why));
                    self.unparsed(file, document.line + line, document.text, why);
                }
            },
        }
        if let Some(key) = suspect.filter(|_| !self.intact) {
            self.objects.insert(key, Entry::Unusable);
        }
        self.intact &= intact;
        true
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
            self.broken(file, document.line + fault.line, None, fault.why, None);
        }
    }

    /// What cannot be parsed may hide its neighbour, whatever kind it says: a lost marker or dash joins the two.
    fn unparsed(&mut self, file: &Path, line: usize, text: &str, why: String) {
        // Where the file ends within it, no object before it was cut.
        self.last = Last { printed: true, ..Last::default() };
        self.broken(file, line, yaml::guess(text), why, Some(text));
    }

    fn value(&mut self, file: &Path, document: &Document, value: &Value) {
        let item_lines = OnceCell::new();
        for Part { index, shape, value } in parts(value) {
            let line = || {
                let lines = || item_lines.get_or_init(|| yaml::lines_of_items(document.text));
                document.line + index.and_then(|index| lines().get(index).copied()).unwrap_or(0)
            };
            // Printers give each object a uid, end their lines, and print lists; who writes by hand need not.
            let printed = index.is_some() || value["metadata"]["uid"].is_string();
            self.last = Last { printed, ..Last::default() };
            match shape {
                Shape::Ours(kind) => self.object(file, kind, value, &line),
                Shape::Other(api_version, kind) => {
                    self.ignored += 1;
                    self.to_import.extend(to_import(api_version, kind, value));
                }
                Shape::Suspect(why) => {
                    let is_whole = value.is_object() && value["kind"] != "Status" && !is_list(&value["kind"]);
                    let text = is_whole.then(|| value.to_string());
                    self.broken(file, line(), shape::words_for(value), why, text.as_deref());
                }
            }
        }
    }

    fn object(&mut self, file: &Path, kind: Kind, value: &Value, line: &dyn Fn() -> usize) {
        let missing = shape::missing(kind, value).map(|missing| {
            format!("{missing} is missing: write it, or print the object anew if it was cut off")
        });
        let wrong = missing.or_else(|| shape::misplaced_ranges(kind, value));
        if let (Some(why), Some(key)) = (wrong, kind.key_of(value)) {
            self.broken(file, line(), Some(key.to_string()), why, None);
            self.objects.insert(key, Entry::Unusable);
            return;
        }
        let mut problems = Vec::new();
        let entry = match kind.read(value, &mut problems) {
            Converted::Object(object) => Entry::Object(Box::new(object)),
            Converted::NotOurs(_) => Entry::NotOurs,
            Converted::Unusable => Entry::Unusable,
        };
        problems.extend(spelling::misspelt(kind, value));
        for problem in problems {
            self.problems.push(ManifestProblem::Field { file: file.into(), line: line(), problem });
        }
        let Some(key) = kind.key_of(value) else {
            self.intact = false;
            self.hides_slices |= kind == Kind::EndpointSlice;
            return;
        };
        let object = key.to_string();
        self.last.object = Some(key.clone());
        self.last.lacks = shape::missing_at_the_end(kind, value);
        let former = self.objects.insert(key.clone(), entry);
        let is_twice = former.is_some();
        if let Some(former) = former
            && self.objects.get(&key).is_some_and(|later| opens(&former, later))
        {
            self.objects.insert(key, former);
        }
        if is_twice {
            self.problems.push(ManifestProblem::Twice { file: file.into(), object, other: file.into() });
        }
    }

    /// Something cannot be taken. `text`: all that it may hide; without, nobody knows.
    fn broken(&mut self, file: &Path, line: usize, object: Option<String>, why: String, text: Option<&str>) {
        self.intact = false;
        self.hides_slices |= text.is_none_or(may_hold_a_slice);
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

/// Whether the later of two takes a Service away, or lets anybody in whom the former does not: a copy that was left lying
/// does neither.
pub(super) fn opens(former: &Entry, later: &Entry) -> bool {
    let sources = |entry: &Entry| match entry {
        Entry::Object(object) => match &**object {
            Object::Service(service) => Some(service.sources.clone()),
            _ => None,
        },
        Entry::NotOurs | Entry::Unusable => None,
    };
    let Some(former) = sources(former) else { return false };
    let Some(later) = sources(later) else { return *later == Entry::NotOurs };
    [Family::V4, Family::V6].into_iter().any(|family| match (former.of(family), later.of(family)) {
        (Sources::Everybody, _) => false,
        (Sources::Only(_), Sources::Everybody) => true,
        (former @ Sources::Only(_), Sources::Only(later)) => {
            later.into_iter().any(|network| !former.refused_of(network).is_empty())
        }
    })
}

/// What a command that failed wrote where objects were to be.
fn said_instead(text: &str) -> Option<&str> {
    let first = text.trim_start_matches("---").trim_start().lines().next()?;
    let starts = ["Error from ", "Error: ", "error: ", "No resources found", "Unable to connect"];
    starts.into_iter().any(|start| first.starts_with(start)).then_some(first)
}

/// Why a file's bytes are no text that was meant.
fn no_text(text: &str) -> Option<&'static str> {
    let count = text.bytes().filter(|byte| *byte == 0).count();
    (count * 4 > text.len()).then_some(
        "it has NUL characters: save it as UTF-8 without them (PowerShell: Out-File -Encoding utf8), or print it anew",
    )
}

/// Whether a damaged text may be, or hold, an EndpointSlice. More than one of its words, so that damage to one shows.
fn may_hold_a_slice(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["endpoint", "slice", "addresstype", "kubernetes.io/service-name", "items"]
        .into_iter()
        .any(|word| text.contains(word))
}

/// Whether a document begins no object: a marker in the middle of one left it behind.
fn is_rest(text: &str) -> bool {
    let begins = |line: &str| {
        let line = line.strip_prefix("- ").unwrap_or(line);
        ["apiVersion:", "kind:", "items:", "{"].into_iter().any(|key| line.starts_with(key))
    };
    !text.lines().any(begins)
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
