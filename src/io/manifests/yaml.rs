//! YAML as Kubernetes writes it, to plain values; and what to save of a document that is no YAML as a whole.
//!
//! Kubernetes' own printer leaves a string without quotes that YAML 1.2 reads as a number too large to be one: a label
//! `55e8921`, a commit's hash. What fits no number is the string that stands there.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_saphyr::{Error, Options, Spanned};

use super::shape::{self, Shape};
use super::strings;
use crate::kube::Kind;

/// Deepest nesting that is followed: custom resource definitions reach about 40, and an unoptimised build of the
/// parser needs 20 kB of stack a level, of the 2 MiB that a thread has.
const DEEPEST: usize = 80;

/// Why a document cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line, counted from 0.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Value, Fault> {
    let parse = |text: &str| serde_saphyr::from_str_with_options::<Value>(text, options());
    let mut read = parse(text);
    if matches!(read, Err(Error::NonFiniteFloat { .. })) {
        read = parse(&strings::quoted(text));
    }
    if read.as_ref().is_ok_and(strings::are_missing) {
        read = parse(&strings::quoted(text));
    }
    read.map_err(|error| fault(&error))
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

/// The library's word, without the place and without cures for programmers.
fn fault(error: &Error) -> Fault {
    let line = error.location().map_or(0, |location| location.line().saturating_sub(1));
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    let why = match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => twice(key),
        Error::DuplicateMappingKey { key: None, .. } => {
            "a key stands there twice: remove one of the two".to_owned()
        }
        error => {
            let message = error.to_string();
            if message.starts_with("budget breached") {
                let why =
                    format!("it is nested deeper than {DEEPEST}, or has aliases without end: print it anew");
                return Fault { line, why };
            }
            message.rsplit_once(" at line ").map_or(message.as_str(), |(why, _)| why).to_owned()
        }
    };
    Fault { line, why }
}

/// What to do about a key that stands twice. Each object has one of these, so that a second one is another object's.
pub(super) fn twice(key: &str) -> String {
    match key {
        "apiVersion" | "kind" | "metadata" => {
            format!(
                "the key {key} stands there twice: is a line --- missing between two objects? Else remove one of the two"
            )
        }
        key => format!("the key {key} stands there twice: remove one of the two"),
    }
}

/// Whether a document that is no YAML is a whole one of a kind that is not read, and hides no other: it says once what it is, in
/// lines of its own, and nowhere speaks of a kind that is read.
pub(super) fn is_of_another_kind(text: &str) -> bool {
    let value = |line: &str, key: &str| {
        Some(line.strip_prefix(key)?.split(" #").next()?.trim().trim_matches(['"', '\'']).to_owned())
    };
    let own = |key: &str| {
        let mut found = text.lines().filter_map(|line| value(line, key));
        found.next().filter(|_| found.next().is_none())
    };
    let (Some(api), Some(kind), Some(_)) = (own("apiVersion:"), own("kind:"), own("metadata:")) else {
        return false;
    };
    let keys = text.lines().filter_map(|line| line.split_once(':'));
    let keys: Vec<&str> =
        keys.map(|(key, _)| key).filter(|key| !key.starts_with([' ', '\t', '#', '-'])).collect();
    let distinct: std::collections::BTreeSet<&&str> = keys.iter().collect();
    let speaks = |line: &str| {
        let words =
            line.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let is_read = |word: &str| word == "List" || Kind::ALL.iter().any(|kind| kind.name() == word);
        line.contains("kind") && words.into_iter().any(is_read)
    };
    let (api, kind) = (api.as_str(), kind.as_str());
    keys.len() == distinct.len()
        && !text.lines().any(speaks)
        && matches!(shape::of_words(api, kind), Shape::Other(..))
}

/// Where a list's items begin, counted from 0. A second parse, for documents with a problem only.
pub(super) fn lines_of_items(text: &str) -> Vec<usize> {
    #[derive(Deserialize)]
    struct Items {
        items: Vec<Spanned<IgnoredAny>>,
    }
    let items = serde_saphyr::from_str_with_options::<Items>(text, options()).map(|list| list.items);
    let lines = items.unwrap_or_default();
    let lines = lines.iter().map(|item| usize::try_from(item.referenced.line()).unwrap_or(1));
    lines.map(|line| line.saturating_sub(1)).collect()
}

/// A list that is no YAML as a whole, taken apart by its lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    /// What is not an item: the list's own `apiVersion` and `kind`.
    pub head: String,
    /// Each item as a document of its own, with the line where it begins, counted from 0.
    pub items: Vec<(usize, String)>,
}

/// Takes a list apart: items begin at the dashes that stand furthest to the left under `items:` (YAML 1.2 §8.2.1), and
/// nothing within an item can stand there. `None` where it does not look like one.
pub(super) fn take_apart(text: &str) -> Option<Pieces> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // What a marker in the middle of a list has left behind begins with the rest of an item.
    let is_item = |line: &&str| ["- apiVersion:", "- kind:"].into_iter().any(|start| line.starts_with(start));
    let first = match lines.iter().position(|line| is_items(line)) {
        Some(items) => items + 1,
        None if lines.iter().any(is_item) => 0,
        None => return None,
    };
    let dash = dash(&lines[first..])?;
    let mut pieces = Pieces { head: lines[..first.saturating_sub(1)].concat(), items: Vec::new() };
    let mut in_head = false;
    for (number, line) in lines.iter().enumerate().skip(first) {
        // A blank more or less is damage of that item, and what stands in an item is two further to the right.
        if dash_of(line).is_some_and(|indent| indent <= dash + 1) {
            pieces.items.push((number, line.replacen('-', " ", 1)));
            in_head = false;
            continue;
        }
        // What stands further left than an item's own lines is none of it.
        let indent = line.len() - line.trim_start_matches(' ').len();
        if indent <= dash
            && !line.starts_with('\t')
            && !in_head
            && !is_key(line)
            && !line.trim().is_empty()
            && !pieces.items.is_empty()
        {
            pieces.items.push((number, (*line).to_owned()));
            continue;
        }
        // The list's own keys again, behind its items.
        in_head |= is_key(line);
        match pieces.items.last_mut() {
            _ if in_head => pieces.head.push_str(line),
            Some((_, item)) => item.push_str(line),
            None => pieces.items.push((number, (*line).to_owned())),
        }
    }
    Some(pieces)
}

fn is_items(line: &str) -> bool {
    let rest = line.strip_prefix("items:").map(str::trim);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// How far to the right a line's dash stands.
fn dash_of(line: &str) -> Option<usize> {
    let item = line.trim_start_matches(' ');
    (item.starts_with("- ") || item.trim_end() == "-").then_some(line.len() - item.len())
}

/// Where the items' dashes stand: furthest to the left, but for a single one that is damaged.
fn dash(lines: &[&str]) -> Option<usize> {
    let dashes: Vec<usize> = lines.iter().filter_map(|line| dash_of(line)).collect();
    let (first, least) = (*dashes.first()?, *dashes.iter().min()?);
    let count = |indent| dashes.iter().filter(|dash| **dash == indent).count();
    Some(if count(least) == 1 && count(first) > 1 { first } else { least })
}

fn is_key(line: &str) -> bool {
    ["apiVersion:", "kind:", "metadata:"].into_iter().any(|key| line.starts_with(key))
}

/// What an object that cannot be parsed seems to be, kind and name, from the lines where those usually stand.
pub(super) fn guess(text: &str) -> Option<String> {
    let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let says =
        |line: &&str| !line.trim().is_empty() && !line.trim_start_matches(' ').starts_with(['#', '\t']);
    let own = text.lines().filter(says).map(depth).min()?;
    let value = |line: &str, field: &str| {
        let value = line.trim_start().strip_prefix(field)?.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    };
    let kind = text.lines().filter(|line| depth(line) == own).find_map(|line| value(line, "kind:"))?;
    let is_metadata = |line: &&str| depth(line) == own && line.trim() == "metadata:";
    let metadata: Vec<&str> = text.lines().skip_while(|line| !is_metadata(line)).skip(1).collect();
    let metadata = metadata.iter().take_while(|line| depth(line) > own || line.trim().is_empty());
    let nested = metadata.clone().filter(|line| says(line)).map(|line| depth(line)).min();
    let name = metadata.filter(|line| Some(depth(line)) == nested).find_map(|line| value(line, "name:"))?;
    Some(format!("{kind} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_fits_no_number_is_a_string_and_numbers_are_numbers() {
        let text = "a: 55e8921\nb: [1e4000, -1e999, .inf, -.NaN]\nc: {d: 1e400, e: '55e8921'}\nf: 1e3\ng: 7\n\
                    h: |\n  x: 55e8921\n55e8921: key\ni: 55e8921 # a comment\nj: ünï\nk: 12e3456\n";
        let wanted = json!({
            "a": "55e8921", "b": ["1e4000", "-1e999", ".inf", "-.NaN"], "c": { "d": "1e400", "e": "55e8921" },
            "f": 1000.0, "g": 7, "h": "x: 55e8921\n", "55e8921": "key", "i": "55e8921", "j": "ünï", "k": "12e3456",
        });
        assert_eq!(parse(text), Ok(wanted));
    }

    #[test]
    fn a_fault_has_a_line_and_a_cure_for_people() {
        let Fault { line, why } = parse("a: 1\nb:\n  c: 1\n  c: 2\n").unwrap_err();
        assert_eq!((line, &*why), (3, "the key c stands there twice: remove one of the two"));
    }

    #[test]
    fn a_list_is_taken_apart_where_its_items_begin() {
        let text = "apiVersion: v1\nitems:\n- a: 1\n  b:\n  - c\n  - d: |\n      - e\n\n- f: 2\nkind: List\n";
        let pieces = take_apart(text).unwrap();
        assert_eq!(pieces.head, "apiVersion: v1\nkind: List\n");
        let read: Vec<_> = pieces.items.iter().map(|(line, item)| (*line, parse(item).unwrap())).collect();
        assert_eq!(read, [(2, json!({ "a": 1, "b": ["c", { "d": "- e\n" }] })), (8, json!({ "f": 2 }))]);
        assert_eq!(take_apart("kind: Service\nspec:\n  ports:\n  - port: 80\n"), None);
    }

    #[test]
    fn a_whole_document_of_another_kind_that_is_no_yaml_hides_nothing() {
        let odd = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: x\n  labels: {app: a, app: a}\nspec: {}\n";
        assert!(parse(odd).is_err() && is_of_another_kind(odd));
        assert!(is_of_another_kind(
            "kind: ConfigMap\napiVersion: v1\ndata:\n  null: q\nmetadata:\n  name: x\n"
        ));
        let joined = format!("{odd}apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n");
        let cut = odd.replace("apiVersion: apps/v1\n", "");
        let item = format!("{odd}  da- apiVersion: kubeovn.io/v1\n    kind: Subnet\n");
        let slip = odd.replace("Deployment", "Servce").replace("apps/v1", "v1");
        let key_twice = format!("{odd}spec: {{}}\n");
        for text in [joined, cut, item, slip, key_twice] {
            assert!(!is_of_another_kind(&text), "{text}");
        }
    }

    #[test]
    fn a_second_object_without_a_marker_is_told_so() {
        let Fault { why, .. } = parse("apiVersion: v1\nkind: A\nmetadata: {}\napiVersion: v1\n").unwrap_err();
        assert!(why.contains("is a line --- missing"), "{why}");
    }

    #[test]
    fn an_object_is_guessed_from_its_own_lines() {
        let text = "  apiVersion: v1\n  kind: Service\n  metadata:\n    labels:\n      name: no\n    name: web\n  spec: [\n";
        assert_eq!(guess(text).as_deref(), Some("Service web"));
        assert_eq!(guess(""), None);
    }
}
