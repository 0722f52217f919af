//! Tests of reading a file's text.

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
    assert_eq!(read("kind: List\napiVersion: v1\nitems: []\n"), (vec![], vec![]));
    let (objects, problems) = read("kind: List\napiVersion: v1\nitems: null\n");
    assert!(objects.is_empty() && problems[0].contains("its items are no list"), "{problems:?}");
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
    let (_, problems) =
        read(&format!("kind: Pod\napiVersion: v1\nx: {}{}\n", "[".repeat(70), "]".repeat(70)));
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
        assert_eq!(objects, ["Node a", "Node b"], "{damage:?}");
        assert!(problems.len() == 1 && problems[0].contains("ConfigMap c cannot be read"), "{problems:?}");
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

/// A list as printers write it: `indent` stands before each item's dash.
fn listed(indent: &str) -> String {
    let item = |kind: &str, name: &str| {
        let text = format!(
            "- apiVersion: v1\nxx  kind: {kind}\nxx  metadata:\nxx    name: {name}\nxx    labels:\nxx      v: \"1\"\n\
             xx  spec:\nxx    ports:\nxx    - port: 80\nxx    type: LoadBalancer\n"
        );
        format!("{indent}{}", text.replace("xx", indent))
    };
    let items = [("Node", "a"), ("ConfigMap", "c"), ("Service", "s"), ("ConfigMap", "d"), ("Node", "b")];
    let items: String = items.iter().map(|(kind, name)| item(kind, name)).collect();
    format!("apiVersion: v1\nitems:\n{items}kind: List\nmetadata:\n  resourceVersion: \"\"\n")
}

proptest! {
    #[test]
    fn what_damage_hides_is_never_taken_for_gone(
        indent in prop_oneof![Just(""), Just("  ")],
        at in any::<prop::sample::Index>(),
        cut in 0..60_usize,
        junk in prop_oneof![Just(""), Just("\n"), Just("]"), Just("\""), Just("x: y: z"), Just("oops\n"), Just("- ")],
    ) {
        let text = listed(indent);
        let at = at.index(text.len());
        let damaged = format!("{}{junk}{}", &text[..at], &text[(at + cut).min(text.len())..]);
        // What still is YAML says something else; nobody can tell.
        if yaml::parse(&damaged).is_ok() {
            return Ok(());
        }
        let contents = Contents::read(Path::new("f.yaml"), &damaged);
        let found: Vec<_> = contents.objects.keys().map(ToString::to_string).collect();
        let all = ["Node a", "Node b", "Service default/s"].iter().all(|name| found.iter().any(|it| it == name));
        prop_assert!(all || !contents.intact, "{found:?} of:\n{damaged}");
        prop_assert!(contents.intact || !contents.problems.is_empty(), "silent:\n{damaged}");
    }
}

#[test]
fn an_object_behind_a_lost_marker_is_not_gone() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    let contents = Contents::read(Path::new("f.yaml"), &format!("{config}{NODE_A}"));
    assert!(!contents.intact && contents.problems.len() == 1);
}

#[test]
fn a_list_with_one_bad_item_loses_no_other_however_it_is_indented() {
    for indent in ["", "  "] {
        let bad = listed(indent).replacen("kind: Service\n", "kind: Service: x\n", 1);
        assert_eq!(read(&bad).0, ["Node a", "Node b"], "{indent:?}");
        let bad = bad.replacen("items:", "items: # all", 1);
        assert_eq!(read(&bad).0, ["Node a", "Node b"], "{indent:?}");
    }
    for dash in [" -", "    -", " "] {
        let (objects, _) = read(&listed("").replacen("items:\n-", &format!("items:\n{dash}"), 1));
        assert!(
            objects.ends_with(&["Node b".into()]) && objects[0] == "Service default/s",
            "{dash:?}: {objects:?}"
        );
    }
    // A dash that is lost or moved in the middle costs one.
    for (indent, dash) in [("", "  "), ("  ", "- "), ("  ", "    ")] {
        let from = format!("{indent}- apiVersion: v1\n{indent}  kind: Service");
        let to = format!("{dash}apiVersion: v1\n{indent}  kind: Service");
        let (objects, problems) = read(&listed(indent).replacen(&from, &to, 1));
        assert!(["Node a", "Node b"].iter().all(|it| objects.iter().any(|found| found == it)), "{objects:?}");
        assert!(!problems.is_empty(), "{to}");
    }
}

#[test]
fn no_text_before_a_list_stops_the_program() {
    for head in ["- oops\n", "oops\n", "5\n", "", "[]\n", "\"\n"] {
        let contents =
            Contents::read(Path::new("f"), &format!("{head}items:\n- kind: Node\n  apiVersion: v1\n"));
        assert!(!contents.intact && !contents.problems.is_empty(), "{head:?}");
    }
}

#[test]
fn one_bad_json_value_costs_no_other() {
    let node = |name: &str, more: &str| {
        format!(
            "{{\"kind\": \"Node\", \"apiVersion\": \"v1\", \"metadata\": {{\"name\": \"{name}\"{more}}}}}\n"
        )
    };
    let bad = node("m", ", \"x\": ]");
    let (objects, problems) = read(&[node("a", ""), bad, node("b", "")].concat());
    assert_eq!((objects, problems.len()), (vec!["Node a".into(), "Node b".into()], 1));
    let large = node("m", ", \"labels\": {\"v\": 1e4000}");
    let (objects, problems) = read(&[node("a", ""), large, node("b", "")].concat());
    assert_eq!((objects.len(), problems), (3, vec![]));
}

/// What a file is after an accident, and whether an EndpointSlice may be hidden in it.
#[test]
fn what_an_accident_leaves_of_a_file_says_that_it_is_not_whole() {
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  uid: u\nspec:\n  type: LoadBalancer\nstatus: {}\n";
    let cut = |at: &str| service.split(at).next().unwrap().to_owned();
    let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"services is forbidden","code":403}"#;
    let twice = r#"{"kind":"List","apiVersion":"v1","items":[{}],"items":[]}"#;
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: s\n  uid: u\naddressType: IPv4\nendpoints: []\n";
    for (text, words, hides_slices) in [
        (status.to_owned(), "services is forbidden", true),
        (twice.to_owned(), "the key items stands there twice", true),
        ("\n".to_owned(), "it says nothing", true),
        ("\u{feff}".to_owned(), "it says nothing", true),
        ("---\nnull\n".to_owned(), "it says nothing", true),
        ("Error from server (Forbidden): x\n".to_owned(), "what a command said", true),
        ("k\0i\0n\0d\0".to_owned(), "NUL characters", true),
        (cut("  type:"), "/spec/type is missing", true),
        (cut("status:"), "/status is missing", true),
        (cut(" {}"), "the last line does not end", true),
        (slice.to_owned(), "/ports is missing", true),
        (service.replace("apiVersion: v1\n", ""), "it has no apiVersion", false),
        (service.replace("kind: Service", "kind: Servce"), "looks like v1 Service", false),
        (service.replace("  name: web\n", "  name: web\n  namespace: [a]\n"), "namespace", false),
        (
            slice.replace("endpoints: []\n", "endpoints: [\n").replace("  uid: u\n", ""),
            "EndpointSlice s",
            true,
        ),
    ] {
        let contents = Contents::read(Path::new("f.yaml"), &text);
        let said: Vec<String> = contents.problems.iter().map(ToString::to_string).collect();
        assert!(!contents.intact && said.iter().any(|said| said.contains(words)), "{text}: {said:?}");
        assert_eq!(contents.hides_slices, hides_slices, "{text}");
        assert!(contents.objects.values().all(|entry| *entry == Entry::Unusable), "{text}");
    }
    for whole in [
        service.to_owned(),
        "# a comment\n[{\"apiVersion\": \"v1\", \"kind\": \"Node\", \"metadata\": {\"name\": \"a\"}}]"
            .to_owned(),
    ] {
        let contents = Contents::read(Path::new("f.yaml"), &whole);
        assert!(contents.intact && !contents.objects.is_empty(), "{whole}: {:?}", contents.problems);
    }
    assert!(Contents::read(Path::new("f.yaml"), "# on purpose\n").intact);
}

#[test]
fn what_stands_before_a_marker_in_the_middle_of_an_object_is_not_taken_as_a_whole() {
    let subnet = "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata:\n  name: u\nspec:\n  cidrBlock: 10.0.0.0/24\n---\n  vlan: v\n";
    for text in [subnet.to_owned(), format!("{subnet}  gateway: 10.0.0.1\nstatus: {{}}\n")] {
        let contents = Contents::read(Path::new("f.yaml"), &text);
        let entries: Vec<_> = contents.objects.values().collect();
        assert_eq!((contents.intact, &entries[..]), (false, &[&Entry::Unusable][..]), "{text}");
    }
}

#[test]
fn labels_and_names_are_strings_however_they_are_written() {
    let text = "apiVersion: v1\nkind: Node\nmetadata:\n  name: 1.10\n  labels: {a: 1.10, b: true, c: 0x1F, d: 1_000, e: yes, f: '0777', g: 0777}\n";
    let contents = Contents::read(Path::new("f.yaml"), text);
    let [Entry::Object(node)] = &contents.objects.values().collect::<Vec<_>>()[..] else {
        panic!("{contents:?}")
    };
    let Object::Node(node) = &**node else { panic!("{node:?}") };
    let labels = format!("{:?}", node.labels);
    assert_eq!(node.name.to_string(), "1.10");
    for (key, value) in
        [("a", "1.10"), ("b", "true"), ("c", "0x1F"), ("d", "1_000"), ("e", "yes"), ("g", "0777")]
    {
        assert!(labels.contains(&format!("\"{key}\": \"{value}\"")), "{key}: {labels}");
    }
}

#[test]
fn a_damaged_item_of_a_printed_json_list_costs_no_other() {
    let node = |name: &str| {
        format!(
            "        {{\n            \"apiVersion\": \"v1\",\n            \"kind\": \"Node\",\n            \"metadata\": {{\"name\": \"{name}\"}}\n        }}"
        )
    };
    let items = [node("a"), node("b").replace("\"Node\"", "\"Node"), node("c")].join(",\n");
    let text = format!(
        "{{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n{items}\n    ],\n    \"kind\": \"List\"\n}}\n"
    );
    let (objects, problems) = read(&text);
    assert_eq!(objects, ["Node a", "Node c"], "{problems:?}");
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_copy_opens_nothing_and_takes_nothing_away() {
    let service = |ranges: &str, kind: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: w}}\nspec: {{type: {kind}, loadBalancerSourceRanges: [{ranges}]}}\n"
        )
    };
    let closed = service("192.0.2.0/24", "LoadBalancer");
    let sources = |text: &str| match Contents::read(Path::new("f.yaml"), text).objects.into_values().next() {
        Some(Entry::Object(object)) => match *object {
            Object::Service(service) => service.sources.to_string(),
            other => panic!("{other:?}"),
        },
        other => format!("{other:?}"),
    };
    for (ranges, kind) in [
        ("", "LoadBalancer"),
        ("0.0.0.0/0", "LoadBalancer"),
        ("0.0.0.0/1, 128.0.0.0/1", "LoadBalancer"),
        ("192.0.2.0/24, 'fd00::/8'", "LoadBalancer"),
        ("", "ClusterIP"),
    ] {
        assert_eq!(
            sources(&format!("{closed}---\n{}", service(ranges, kind))),
            "192.0.2.0/24",
            "{ranges} {kind}"
        );
    }
    assert_eq!(sources(&format!("{closed}---\n{}", service("192.0.2.7/32", "LoadBalancer"))), "192.0.2.7/32");
}

#[test]
fn a_file_that_ends_within_a_broken_document_costs_none_before_it() {
    let printed = NODE_A.replace("name: a", "name: a\n  uid: u");
    let contents = Contents::read(Path::new("f.yaml"), &format!("{printed}---\nkind: Service\nmetadata: ["));
    let entries: Vec<_> = contents.objects.values().collect();
    assert!(matches!(entries[..], [Entry::Object(_)]) && !contents.intact, "{entries:?}");
    assert!(contents.hides_slices, "what followed is not known");
}
