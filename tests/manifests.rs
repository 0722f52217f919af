//! Real folders: what a cluster's operator, an editor, kubectl and a ConfigMap volume do to them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use ovn_vip::io::manifests::{ManifestFolder, Reading};
use ovn_vip::model::{Change, World};

#[path = "manifests/cluster.rs"]
mod cluster;
use cluster::{Cluster, cordoned, node, nodes};

#[test]
fn a_folder_that_is_not_there_is_refused_with_its_name_and_what_to_give() {
    let error = ManifestFolder::open(Path::new("/nowhere/at/all")).err().unwrap().to_string();
    assert!(error.contains("/nowhere/at/all") && error.contains("give a folder"), "{error}");
}

#[test]
fn files_are_read_in_order_and_only_differences_are_told() {
    let mut cluster = Cluster::new(&[]);
    cluster.write("b.yml", node("b"));
    cluster.write("a.yaml", nodes(&["a", "c"]));
    cluster.write("c.json", r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "d"}}"#);
    cluster.write("notes.txt", "not: [yaml");
    cluster.write(".hidden.yaml", "not: [yaml");
    fs::create_dir(cluster.path("deeper.yaml")).unwrap();
    assert_eq!(cluster.reread(), ["+Node a", "+Node b", "+Node c", "+Node d"]);
    assert_eq!(cluster.reread(), [""; 0]);
    assert_eq!(cluster.problems, [""; 0]);
}

#[test]
fn an_edit_a_removed_document_and_a_removed_file_are_told() {
    let mut cluster = Cluster::new(&[("a.yaml", nodes(&["a", "b"])), ("c.yaml", node("c"))]);
    // Same length, within the same tick of the clock: only the content tells.
    cluster.write("a.yaml", nodes(&["a", "x"]));
    assert_eq!(cluster.reread(), ["-Node b", "+Node x"]);
    cluster.write("a.yaml", cordoned("a"));
    assert_eq!(cluster.reread(), ["-Node x", "+Node a"]);
    fs::remove_file(cluster.path("c.yaml")).unwrap();
    assert_eq!(cluster.reread(), ["-Node c"]);
}

#[test]
fn what_a_damaged_neighbour_of_another_kind_hides_is_not_gone() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    let mut cluster = Cluster::new(&[("a.yaml", format!("{config}---\n{}", node("a")))]);
    cluster.write("a.yaml", format!("{config}{}", node("a")));
    assert_eq!(cluster.reread(), [""; 0]);
    assert_eq!(cluster.problems.len(), 1);
    assert_eq!(cluster.world.nodes().count(), 1);
}

#[test]
fn a_service_that_stops_being_a_load_balancer_is_gone() {
    let service = |kind: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {{type: {kind}, ports: [{{port: 1}}]}}\n"
        )
    };
    let mut cluster = Cluster::new(&[("a.yaml", service("LoadBalancer"))]);
    assert_eq!(cluster.world.services().count(), 1);
    cluster.write("a.yaml", service("ClusterIP"));
    assert_eq!(cluster.reread(), ["-Service default/s"]);
}

#[test]
fn while_a_document_is_broken_what_was_read_of_its_file_stays_and_the_rest_counts() {
    let mut cluster = Cluster::new(&[("a.yaml", nodes(&["a", "b"])), ("z.yaml", node("z"))]);
    let broken = "kind: Node\nmetadata:\n  name: b\n   x: y\n";
    cluster.write("a.yaml", format!("{}---\n{broken}---\n{}", cordoned("a"), node("c")));
    fs::remove_file(cluster.path("z.yaml")).unwrap();
    assert_eq!(cluster.reread(), ["-Node z", "+Node a", "+Node c"]);
    assert_eq!(cluster.problems.len(), 1);
    assert!(cluster.problems[0].contains("a.yaml:11: Node b cannot be read: "), "{:?}", cluster.problems);
    assert_eq!(cluster.reread(), [""; 0]);
    assert_eq!(cluster.problems.len(), 1, "said for as long as it is so");
    cluster.write("a.yaml", nodes(&["a", "c"]));
    assert_eq!(cluster.reread(), ["-Node b", "+Node a"]);
    assert_eq!(cluster.problems, [""; 0]);
}

#[test]
fn an_object_that_cannot_be_used_stays_as_it_was_and_costs_no_other() {
    let subnet = |cidr: &str| {
        format!(
            "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {{name: u}}\nspec: {{cidrBlock: {cidr}}}\n---\n"
        )
    };
    let mut cluster = Cluster::new(&[("a.yaml", subnet("10.0.0.0/24") + &nodes(&["a", "b"]))]);
    for bad in ["10.0.0.0/99", "[10]"] {
        cluster.write("a.yaml", subnet(bad) + &node("a"));
        cluster.reread();
        assert_eq!(cluster.world.subnets().next().unwrap().cidrs[0].to_string(), "10.0.0.0/24");
        assert_eq!(cluster.world.nodes().count(), 1);
        assert!(cluster.problems[0].contains("a.yaml:1: Subnet u: spec.cidrBlock"), "{:?}", cluster.problems);
    }
    cluster.write("a.yaml", node("a"));
    assert_eq!(cluster.reread(), ["-Subnet u"]);
}

#[test]
fn an_empty_file_and_one_that_is_no_utf8_keep_what_they_had() {
    let mut cluster = Cluster::new(&[("a.yaml", node("a"))]);
    for bytes in [&b""[..], b"kind: Node\nmetadata: \xff\n"] {
        cluster.write("a.yaml", bytes);
        assert_eq!(cluster.reread(), [""; 0]);
        assert_eq!(cluster.problems.len(), 1);
    }
    assert!(cluster.problems[0].contains("line 2 is not UTF-8"), "{:?}", cluster.problems);
    cluster.write("a.yaml", "# nothing here any more\n");
    assert_eq!(cluster.reread(), ["-Node a"]);
}

/// What cannot be read, as the world has it.
fn gaps(cluster: &mut Cluster) -> String {
    cluster.reread();
    cluster.world.gaps().to_string()
}

const UNKNOWN: &str = "a file, a document of one, or all of a kind";

#[test]
fn a_file_that_was_never_read_whole_is_a_gap_and_one_that_was_is_none() {
    for bad in [
        &b""[..],
        b"\xff\xfek\0i\0n\0d\0",
        b"kind: Node\n  name: a\n",
        b"items:\n- kind: Node\n",
        b"error: forbidden\n",
    ] {
        let mut cluster = Cluster::new(&[("a.yaml", node("a"))]);
        assert_eq!(gaps(&mut cluster), "");
        cluster.write("b.yaml", bad);
        assert_eq!(gaps(&mut cluster), UNKNOWN, "{bad:?}");
        assert_eq!(gaps(&mut cluster), UNKNOWN, "{bad:?}");
        cluster.write("b.yaml", node("b"));
        assert_eq!(gaps(&mut cluster), "");
        cluster.write("b.yaml", bad);
        assert_eq!(gaps(&mut cluster), "", "what it said before is known");
        fs::remove_file(cluster.path("b.yaml")).unwrap();
        assert_eq!(gaps(&mut cluster), "");
    }
}

#[test]
fn a_folder_without_an_object_tells_nothing_and_takes_nothing_away() {
    let mut cluster =
        Cluster::new(&[("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n".into())]);
    assert_eq!(gaps(&mut cluster), UNKNOWN);
    cluster.write("a.yaml", node("a"));
    assert_eq!(gaps(&mut cluster), "");
    fs::remove_file(cluster.path("a.yaml")).unwrap();
    assert_eq!(gaps(&mut cluster), UNKNOWN);
}

#[test]
fn an_object_that_cannot_be_used_or_not_whole_is_a_gap_by_name() {
    let subnet =
        "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: u}\nspec: {cidrBlock: 10.0.0.0/240}\n";
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: w-1, namespace: d, labels: \
                 {kubernetes.io/service-name: w}}\naddressType: IPv4\nports: []\nendpoints: [{addresses: [10.0.0]}]\n";
    let mut cluster = Cluster::new(&[("a.yaml", node("a") + "---\n" + subnet + "---\n" + slice)]);
    assert_eq!(gaps(&mut cluster), "EndpointSlice d/w-1, Subnet u");
    let of = |name: &str| cluster.world.gaps().cover_slices_of(&ovn_vip::model::ServiceKey::new("d", name));
    assert!(of("w") && !of("x"));
    cluster.write("a.yaml", node("a"));
    assert_eq!(gaps(&mut cluster), "");
}

#[test]
fn an_object_in_two_files_counts_as_the_later_file_has_it() {
    let mut cluster = Cluster::new(&[("a.yaml", node("a")), ("b.yaml", cordoned("a"))]);
    assert!(cluster.world.nodes().next().unwrap().cordoned);
    assert!(cluster.problems.len() == 1 && cluster.problems[0].contains("b.yaml: Node a also stands in "));
    // What a file that is broken by now said earlier is no second opinion.
    cluster.write("a.yaml", "broken: [\n");
    assert_eq!(cluster.reread(), [""; 0]);
    assert!(cluster.problems.len() == 1 && cluster.problems[0].contains("a.yaml:1: cannot be read"));
    fs::remove_file(cluster.path("b.yaml")).unwrap();
    assert_eq!(cluster.reread(), ["+Node a"], "as a.yaml last had it");
}

#[test]
fn a_folder_that_goes_away_takes_nothing_with_it() {
    let mut cluster = Cluster::new(&[("a.yaml", node("a"))]);
    let aside = cluster.temp.path().with_extension("aside");
    fs::rename(cluster.temp.path(), &aside).unwrap();
    assert_eq!(cluster.reread(), [""; 0]);
    assert!(cluster.problems[0].contains("the folder cannot be read"), "{:?}", cluster.problems);
    fs::rename(&aside, cluster.temp.path()).unwrap();
    assert_eq!((cluster.reread(), cluster.problems), (vec![], vec![]));
}

#[test]
fn a_link_to_a_file_is_read_and_one_to_nowhere_is_a_problem() {
    let elsewhere = Cluster::new(&[("real.yaml", node("a"))]);
    let mut cluster = Cluster::new(&[]);
    symlink(elsewhere.path("real.yaml"), cluster.path("a.yaml")).unwrap();
    symlink("/nowhere.yaml", cluster.path("b.yaml")).unwrap();
    assert_eq!(cluster.reread(), ["+Node a"]);
    assert!(cluster.problems.len() == 1 && cluster.problems[0].contains("b.yaml: cannot be read"));
}

#[tokio::test]
async fn a_change_of_any_kind_wakes() {
    let mut cluster = Cluster::new(&[("a.yaml", node("a"))]);
    cluster.write("b.yaml", node("b"));
    cluster.nodes_become(&["a", "b"]).await;
    cluster.write("b.yaml", node("c"));
    cluster.nodes_become(&["a", "c"]).await;
    cluster.write("new", node("d"));
    fs::rename(cluster.path("new"), cluster.path("b.yaml")).unwrap();
    cluster.nodes_become(&["a", "d"]).await;
    fs::remove_file(cluster.path("b.yaml")).unwrap();
    cluster.nodes_become(&["a"]).await;
    cluster.write("a.yaml", "broken: [");
    while cluster.problems.is_empty() {
        cluster.settle().await;
    }
    cluster.write("a.yaml", node("e"));
    cluster.nodes_become(&["e"]).await;
}

#[tokio::test]
async fn a_change_is_not_forgotten_by_a_wait_that_was_dropped() {
    let mut cluster = Cluster::new(&[]);
    cluster.settle().await;
    cluster.write("a.yaml", node("a"));
    for _ in 0..100 {
        cluster.wakes_within(Duration::from_micros(100)).await;
    }
    cluster.nodes_become(&["a"]).await;
}

#[tokio::test]
async fn an_editor_that_moves_the_old_file_aside_first_removes_nothing() {
    let mut cluster = Cluster::new(&[("a.yaml", node("a"))]);
    cluster.settle().await;
    fs::rename(cluster.path("a.yaml"), cluster.path("a.yaml~")).unwrap();
    assert!(!cluster.wakes_within(Duration::from_millis(50)).await, "read while the file was aside");
    cluster.write("a.yaml", cordoned("a"));
    cluster.folder.changed().await;
    assert_eq!(cluster.reread(), ["+Node a"]);
}

#[tokio::test]
async fn a_file_is_read_only_once_its_writer_has_closed_it() {
    let mut cluster = Cluster::new(&[("a.yaml", nodes(&["a", "b"]))]);
    cluster.settle().await;
    let mut file = fs::File::create(cluster.path("a.yaml")).unwrap();
    file.write_all(node("a").as_bytes()).unwrap();
    assert!(!cluster.wakes_within(Duration::from_millis(200)).await, "read half a file");
    file.write_all(format!("---\n{}", cordoned("b")).as_bytes()).unwrap();
    drop(file);
    cluster.folder.changed().await;
    assert_eq!(cluster.reread(), ["+Node b"]);
}

/// As the kubelet makes it: `a.yaml -> ..data/a.yaml`, `..data -> ..1`, swapped by a rename.
#[tokio::test]
async fn a_config_map_volume_is_followed_through_its_swaps() {
    let swap = |dir: &Path, number: &str, names: &[&str]| {
        fs::create_dir(dir.join(number)).unwrap();
        fs::write(dir.join(number).join("a.yaml"), nodes(names)).unwrap();
        symlink(number, dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    };
    let temp = tempfile::tempdir().unwrap();
    swap(temp.path(), "..1", &["a"]);
    symlink("..data/a.yaml", temp.path().join("a.yaml")).unwrap();
    let mut cluster = Cluster::open(temp, "");
    cluster.nodes_become(&["a"]).await;
    swap(cluster.temp.path(), "..2", &["b"]);
    cluster.nodes_become(&["b"]).await;
    fs::remove_dir_all(cluster.path("..1")).unwrap();
    swap(cluster.temp.path(), "..3", &["b", "c"]);
    cluster.nodes_become(&["b", "c"]).await;
}

#[tokio::test]
async fn a_folder_that_is_itself_a_link_is_followed_when_it_is_swapped() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(temp.path().join(name)).unwrap();
        fs::write(temp.path().join(name).join("n.yaml"), node(name)).unwrap();
    }
    symlink("a", temp.path().join("current")).unwrap();
    let mut cluster = Cluster::open(temp, "current");
    cluster.nodes_become(&["a"]).await;
    symlink("b", cluster.path("next")).unwrap();
    fs::rename(cluster.path("next"), cluster.path("current")).unwrap();
    cluster.nodes_become(&["b"]).await;
    cluster.write("b/n.yaml", node("c"));
    cluster.nodes_become(&["c"]).await;
}

#[tokio::test]
async fn a_linked_file_that_changes_elsewhere_wakes() {
    let elsewhere = Cluster::new(&[("real.yaml", node("a"))]);
    let mut cluster = Cluster::new(&[]);
    symlink(elsewhere.path("real.yaml"), cluster.path("a.yaml")).unwrap();
    cluster.nodes_become(&["a"]).await;
    elsewhere.write("real.yaml", node("b"));
    cluster.nodes_become(&["b"]).await;
}

#[test]
fn the_examples_are_read_without_a_problem_and_fit_together() {
    for (name, tag) in [("underlay", None), ("underlay-vlan341", Some(341))] {
        let mut folder = ManifestFolder::open(&Path::new("examples").join(name)).unwrap();
        let Reading { changes, problems, .. } = folder.reread();
        assert_eq!(problems, [], "{name}");
        let mut world = World::default();
        for change in changes {
            world.apply(change);
        }
        let subnet = world.subnets().next().unwrap();
        assert!(subnet.external_lb && subnet.ovn_provided && subnet.exclude_ips.len() == 4);
        let vlan = world.vlan(subnet.vlan.as_ref().unwrap()).unwrap();
        assert_eq!(vlan.id.map(|id| id.get()), tag);
        assert!(world.provider(&vlan.provider).is_some());
        assert_eq!((world.vips().count(), world.services().count(), world.nodes().count()), (2, 2, 3));
        for vip in world.vips() {
            assert!(
                subnet.contains(vip) && subnet.exclude_ips.iter().any(|range| range.contains(vip)),
                "{vip}"
            );
            assert_eq!(world.services_at(vip).count(), 2);
        }
        let slices = world.services().flat_map(|service| world.slices_of(&service.key));
        let endpoints: Vec<_> = slices.flat_map(|slice| &slice.endpoints).collect();
        assert_eq!(endpoints.len(), 2 * 2 * 3);
        for endpoint in endpoints {
            assert!(subnet.contains(endpoint.address) && endpoint.ready);
            assert!(world.node(endpoint.node.as_ref().unwrap()).unwrap().chassis.is_some());
        }
    }
}

/// Its file was renamed, or moved away.
#[test]
fn a_folder_without_a_kind_that_every_cluster_has_is_not_whole() {
    let cluster = Cluster::new(&[("all.yaml", node("a"))]);
    let told = |folder: &mut ManifestFolder| {
        let reading = folder.reread();
        let gaps = reading.changes.into_iter().find_map(|change| match change {
            Change::Gaps(gaps) => Some(gaps.anything),
            _ => None,
        });
        (gaps, reading.tally.missing)
    };
    let mut folder = ManifestFolder::open(cluster.temp.path()).unwrap().as_cluster();
    assert_eq!(told(&mut folder), (Some(true), vec!["Service", "EndpointSlice", "Subnet"]));
    let subnet =
        "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: s}\nspec: {cidrBlock: 10.0.0.0/24}\n";
    cluster.write("b.yaml", subnet);
    fs::rename(cluster.path("all.yaml"), cluster.path("all.yaml.bak")).unwrap();
    let reading = folder.reread();
    assert!(
        !reading.changes.iter().any(|change| matches!(change, Change::Remove(_))),
        "{:?}",
        reading.changes
    );
    assert_eq!(reading.tally.missing, ["Service", "EndpointSlice", "Node"]);
    fs::rename(cluster.path("all.yaml.bak"), cluster.path("all.yaml")).unwrap();
    cluster.write("all.yaml", node("b"));
    let gone = folder.reread().changes;
    assert!(
        gone.iter().any(|change| matches!(change, Change::Remove(_))),
        "a is gone, another Node is there"
    );
    fs::remove_file(cluster.path("b.yaml")).unwrap();
    let mut alone = ManifestFolder::open(cluster.temp.path()).unwrap();
    assert_eq!(told(&mut alone), (None, vec![]));
}
