//! What a value of a file is: objects that say what they are, or something that only looks like one.
//!
//! What is taken for an object of another kind is passed over, and what is passed over is gone. So nothing is passed over
//! that a cut or a slip could have made of an object that is read: whoever prints objects writes `apiVersion` and `kind`.

use serde_json::Value;

use crate::kube::Kind;
use crate::model::ObjectKey;

/// The deepest nesting of lists that is followed.
const DEEPEST: usize = 8;

/// A part of a document: the document itself, or an item of its list.
#[derive(Debug)]
pub(super) struct Part<'v> {
    /// The item of the outermost list.
    pub index: Option<usize>,
    /// What it is.
    pub shape: Shape<'v>,
    /// It.
    pub value: &'v Value,
}

/// What a part is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape<'v> {
    /// An object that decisions are made of.
    Ours(Kind),
    /// Another one, by `apiVersion` and `kind`.
    Other(&'v str, &'v str),
    /// It may be one of ours, and cannot be taken as it stands.
    Suspect(String),
}

/// The parts of a document. Lists may be in lists, as `kubectl` has them; the items of a `ServiceList` need not say what
/// they are.
pub(super) fn parts(document: &Value) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    put(&mut parts, document, None, ("", ""), 0);
    parts
}

fn put<'v>(
    parts: &mut Vec<Part<'v>>,
    value: &'v Value,
    index: Option<usize>,
    inherited: (&'v str, &'v str),
    depth: usize,
) {
    if let Value::Array(items) = value
        && depth == 0
        && items.iter().any(|item| item["kind"].is_string())
    {
        items.iter().enumerate().for_each(|(at, item)| put(parts, item, Some(at), ("", ""), 1));
        return;
    }
    let said = |field: &str, inherited: &'v str| match &value[field] {
        Value::Null if value.get(field).is_none() => Some(inherited),
        found => found.as_str(),
    };
    let (api, kind) = (said("apiVersion", inherited.0), said("kind", inherited.1));
    let (api, kind) = (api.unwrap_or_default(), kind.unwrap_or_default());
    let shape = match (list(api, kind, value), depth < DEEPEST) {
        (List::Items(items), true) => {
            // A `List` holds anything: there each item says what it is.
            let item_kind = kind.strip_suffix("List").unwrap_or_default();
            let inherited = if item_kind.is_empty() { ("", "") } else { (api, item_kind) };
            for (at, item) in items.iter().enumerate() {
                put(parts, item, index.or(Some(at)), inherited, depth + 1);
            }
            return;
        }
        (List::Half(items), true) => {
            for (at, item) in items.iter().enumerate() {
                put(parts, item, index.or(Some(at)), ("", ""), depth + 1);
            }
            Shape::Suspect("it has items, and no kind: write `kind: List`".into())
        }
        (List::Items(_) | List::Half(_), false) => {
            Shape::Suspect("lists are nested too deeply: print the objects anew".into())
        }
        (List::Broken(why), _) => Shape::Suspect(why),
        (List::No, _) => object(api, kind, value),
    };
    parts.push(Part { index, shape, value });
}

enum List<'v> {
    No,
    Items(&'v [Value]),
    Broken(String),
    Half(&'v [Value]),
}

fn list<'v>(api: &str, kind: &str, value: &'v Value) -> List<'v> {
    let items = value.get("items");
    let ours = kind.strip_suffix("List").filter(|of| of.is_empty() || Kind::of(api, of).is_some());
    match (kind.ends_with("List"), items) {
        (true, Some(Value::Array(items))) => List::Items(items),
        (true, _) if ours.is_some() => {
            List::Broken("its items are no list: write `items: []` where there are none".into())
        }
        // The other half of a list that a marker has cut in two.
        (false, Some(Value::Array(items))) if kind.is_empty() => List::Half(items),
        (false, Some(Value::Array(_))) if !is_elsewhere(api) => {
            List::Broken(format!("it has items, and its kind {kind:?} is no List: print the objects anew"))
        }
        _ => List::No,
    }
}

fn object<'v>(api: &'v str, kind: &'v str, value: &Value) -> Shape<'v> {
    if !value.is_object() {
        let text: String = value.to_string().chars().take(80).collect();
        return Shape::Suspect(format!("{text} is no object: write apiVersion, kind and metadata"));
    }
    if kind.is_empty() || api.is_empty() {
        let what = if kind.is_empty() { "kind" } else { "apiVersion" };
        let why = "write a Kubernetes object with apiVersion, kind and metadata";
        return Shape::Suspect(format!("it has no {what}: {why}"));
    }
    if (api, kind) == ("v1", "Status") {
        let message = value["message"].as_str().unwrap_or_default();
        return Shape::Suspect(format!(
            "it is an API server's error and no object ({message}): print the objects anew"
        ));
    }
    if let Some(kind) = Kind::of(api, kind) {
        return Shape::Ours(kind);
    }
    match suspicion(api, kind) {
        Some(why) => Shape::Suspect(why),
        None => Shape::Other(api, kind),
    }
}

/// What an object is that says this of itself.
pub(super) fn of_words<'v>(api: &'v str, kind: &'v str) -> Shape<'v> {
    object(api, kind, &serde_json::json!({}))
}

/// Why something of another kind may be one of ours that a cut or a slip has altered.
fn suspicion(api: &str, kind: &str) -> Option<String> {
    let (group, version) = api.rsplit_once('/').unwrap_or(("", api));
    if is_elsewhere(api) {
        return None;
    }
    let is_version = version.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && rest.chars().all(|it| it.is_ascii_alphanumeric())
    });
    let is_group =
        group.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, '.' | '-'));
    if !is_version || !is_group {
        return Some(format!("apiVersion {api:?} is none: write GROUP/VERSION, such as kubeovn.io/v1"));
    }
    let is_kind = kind.starts_with(|first: char| first.is_ascii_uppercase())
        && kind.chars().all(|it| it.is_ascii_alphanumeric());
    if !is_kind {
        return Some(format!("kind {kind:?} is none: write one as Kubernetes names it, such as Service"));
    }
    let lists = std::iter::once(("v1", "List"));
    let known = Kind::ALL.into_iter().map(|known| (known.api_version(), known.name())).chain(lists);
    let near = known.into_iter().find(|(known_api, known_kind)| {
        let known_group = known_api.rsplit_once('/').map_or("", |(group, _)| group);
        let same_kind = kind == *known_kind;
        match (group == known_group, same_kind) {
            (true, true) => true,
            (true, false) => known_kind.starts_with(kind) || distance(kind, known_kind) == 1,
            // Two groups of one letter's difference are one that was mistyped, and one that is missing was lost; a core kind has
            // none to mistype.
            (false, true) => {
                !known_group.is_empty() && (group.is_empty() || distance(group, known_group) <= 2)
            }
            (false, false) => false,
        }
    });
    near.map(|(known_api, known_kind)| {
        format!("{api} {kind} is not read, and looks like {known_api} {known_kind}: print it as that, or remove it")
    })
}

/// Whether an object is of a group that is none of those that are read, and cannot be a slip of one.
fn is_elsewhere(api: &str) -> bool {
    let group = api.rsplit_once('/').map_or("", |(group, _)| group);
    let mut ours = Kind::ALL.iter().filter_map(|kind| kind.api_version().rsplit_once('/'));
    !group.is_empty() && ours.all(|(known, _)| distance(group, known) > 2)
}

/// Levenshtein's distance: how many letters to add, drop or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// What an object that an API server has printed lacks: then its end was cut off. One that was written by hand has no uid.
pub(super) fn missing(kind: Kind, value: &Value) -> Option<&'static str> {
    let has = |path: &str| value.pointer(path).is_some();
    let lacks = |paths: &[&'static str]| paths.iter().copied().find(|path| !has(path));
    // Nobody writes one by hand without what the API requires.
    if kind == Kind::EndpointSlice
        && let Some(missing) = lacks(&["/addressType", "/endpoints", "/ports"]).or_else(|| ownerless(value))
    {
        return Some(missing);
    }
    let has_no_network =
        kind == Kind::Subnet && value["spec"]["protocol"] != "Mac" && !has("/spec/cidrBlock");
    if matches!(kind, Kind::Service | Kind::Subnet) && !has("/spec") {
        return Some("/spec");
    }
    if has_no_network {
        return Some("/spec/cidrBlock");
    }
    value["metadata"]["uid"].as_str()?;
    match kind {
        // Without `status` it would have lost its VIP.
        Kind::Service => lacks(&["/spec/type", "/status"]),
        _ => None,
    }
}

/// The same of what ends a file, which may have been cut off at the end of a line.
pub(super) fn missing_at_the_end(kind: Kind, value: &Value) -> Option<&'static str> {
    value["metadata"]["uid"].as_str()?;
    let has = |path: &str| value.pointer(path).is_some();
    match kind {
        // Kube-OVN writes `status` soon; before it does, the last of `spec` shows that nothing was cut off.
        Kind::Subnet => (!has("/spec/vlan") && !has("/status")).then_some("/spec/vlan"),
        _ => None,
    }
}

/// The list of ranges at another place, in another spelling, or empty: it would leave open what was to be closed.
pub(super) fn misplaced_ranges(kind: Kind, value: &Value) -> Option<String> {
    const RANGES: &str = "loadBalancerSourceRanges";
    const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    if kind != Kind::Service {
        return None;
    }
    let is_like = |key: &&String| {
        let key: String =
            key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        key.contains("sourcerange")
    };
    let annotations = value["metadata"]["annotations"].as_object().into_iter().flat_map(|all| all.keys());
    let odd = annotations.filter(is_like).find(|key| *key != ANNOTATION && key.contains("kubernetes.io/"));
    if let Some(odd) = odd {
        return Some(format!(
            "the annotation {odd} is none that is read: write {ANNOTATION}, or spec.{RANGES}"
        ));
    }
    let places = [("", value), ("metadata.", &value["metadata"]), ("spec.", &value["spec"])];
    places.into_iter().find_map(|(place, object)| {
        let (key, found) = object.as_object()?.iter().find(|(key, _)| is_like(key))?;
        match (place == "spec." && key == RANGES, found.is_null()) {
            (true, false) => None,
            (true, true) => {
                Some(format!("spec.{RANGES} has nothing in it: name the networks, or write [] for everybody"))
            }
            (false, _) => Some(format!("{place}{key} is no field: write spec.{RANGES}")),
        }
    })
}

/// The label that a Service's own slice has lost.
fn ownerless(slice: &Value) -> Option<&'static str> {
    let owners = slice["metadata"]["ownerReferences"].as_array()?;
    let is_services = owners.iter().any(|owner| owner["kind"] == "Service");
    let label = &slice["metadata"]["labels"]["kubernetes.io/service-name"];
    (is_services && !label.is_string()).then_some("/metadata/labels/kubernetes.io~1service-name")
}

/// The key of a document that is one object of ours.
pub(super) fn name_of(document: &Value) -> Option<ObjectKey> {
    match &parts(document)[..] {
        [Part { shape: Shape::Ours(kind), value, index: None }] => kind.key_of(value),
        _ => None,
    }
}

/// Kind and name of something that cannot be taken, as it has them.
pub(super) fn words_for(value: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some(format!("{} {}", text(&value["kind"])?, text(&value["metadata"]["name"])?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shapes(value: &Value) -> Vec<String> {
        let told = |part: Part<'_>| match part.shape {
            Shape::Ours(kind) => kind.name().to_owned(),
            Shape::Other(..) => "other".to_owned(),
            Shape::Suspect(why) => format!("suspect: {why}"),
        };
        parts(value).into_iter().map(told).collect()
    }

    fn is_suspect(api: &str, kind: &str) -> bool {
        shapes(&json!({ "apiVersion": api, "kind": kind }))[0].starts_with("suspect")
    }

    #[test]
    fn what_a_cut_or_a_slip_makes_of_a_kind_that_is_read_is_not_passed_over() {
        for (api, kind) in [
            ("v1", "Servce"),
            ("v1", "Serv:ce"),
            ("v1", "Se"),
            ("v1", "Lis"),
            ("v1", "list"),
            ("", "Service"),
            ("2025-01-01", "Service"),
            ("v2", "Service"),
            ("discovery.k8s.io/v1beta1", "EndpointSlice"),
            ("kubeovn.io/v2", "Subnet"),
            ("kubeovn.i/v1", "Subnet"),
            ("kubeovn.io/v#", "Subnet"),
            ("v1", "="),
            ("kubeovn.io/v1", "Subnets"),
            ("v1", "Status"),
            ("v1", "Subnet"),
            ("v1", "EndpointSlice"),
        ] {
            assert!(is_suspect(api, kind), "{api} {kind}");
        }
        for (api, kind) in [
            ("v1", "ConfigMap"),
            ("v1", "Secret"),
            ("v1", "Pod"),
            ("v1", "ServiceAccount"),
            ("v1", "Endpoints"),
            ("serving.knative.dev/v1", "Service"),
            ("kubeovn.io/v1", "Vpc"),
            ("kubeovn.io/v1", "Vip"),
            ("kubeovn.io/v1", "IPPool"),
            ("kubeovn.io/v1", "OvnEip"),
            ("metallb.io/v1beta1", "BGPAdvertisement"),
            ("metallb.io/v1beta1", "ServiceBGPStatus"),
            ("metallb.io/v1beta2", "BGPPeer"),
            ("apps/v1", "Deployment"),
            ("ec2.aws.upbound.io/v1beta1", "Subnet"),
            ("example.com/v1", "AllowList"),
            ("events.k8s.io/v1", "Event"),
        ] {
            assert!(!is_suspect(api, kind), "{api} {kind}");
        }
    }

    #[test]
    fn lists_are_read_in_lists_and_items_that_are_no_list_are_suspect() {
        let node = || json!({ "apiVersion": "v1", "kind": "Node" });
        let list = |kind: &str, items: Value| json!({ "apiVersion": "v1", "kind": kind, "items": items });
        let nested =
            list("List", json!([node(), list("NodeList", json!([{}, node()])), list("List", json!([]))]));
        assert_eq!(shapes(&nested), ["Node", "Node", "Node"]);
        let lost = list("List", json!([{ "kind": "Subnet", "metadata": { "name": "u" } }]));
        assert!(shapes(&lost)[0].starts_with("suspect"), "its apiVersion is lost");
        for items in [json!(null), json!({}), json!(""), json!(7)] {
            assert!(shapes(&list("List", items.clone()))[0].starts_with("suspect"), "{items}");
            assert!(shapes(&list("ServiceList", items.clone()))[0].starts_with("suspect"), "{items}");
        }
        assert!(shapes(&json!({ "apiVersion": "v1", "kind": "List", "item": [] }))[0].starts_with("suspect"));
        assert!(shapes(&list("ConfigMap", json!([node()])))[0].starts_with("suspect"));
    }

    #[test]
    fn what_an_api_server_always_prints_is_missed_where_it_has_a_uid() {
        let service = |uid: bool, kind: Value, status: bool| {
            let mut service = json!({ "metadata": {}, "spec": { "type": kind } });
            if uid {
                service["metadata"]["uid"] = json!("u");
            }
            if status {
                service["status"] = json!({});
            }
            service
        };
        let load_balancer = || json!("LoadBalancer");
        assert_eq!(missing(Kind::Service, &service(true, load_balancer(), true)), None);
        assert_eq!(missing(Kind::Service, &service(true, load_balancer(), false)), Some("/status"));
        assert_eq!(missing(Kind::Service, &service(false, load_balancer(), false)), None);
        let subnet = json!({ "metadata": { "uid": "u" }, "spec": { "cidrBlock": "10.0.0.0/24" } });
        assert_eq!(missing_at_the_end(Kind::Subnet, &subnet), Some("/spec/vlan"));
    }
}
