//! `ovn-vip import`, run as a user runs it: a configuration in, objects and findings out, held against a file beside it.
//! `UPDATE_GOLDEN=1` writes what comes out.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use ovn_vip::import::{Native, kube_ovn};
use ovn_vip::io::manifests::ManifestFolder;
use ovn_vip::model::{Holder, NativeRow, Network, Protocol, SubnetName, Switch, World};
use ovn_vip::plan::Policy;
use uuid::Uuid;

fn import(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ovn-vip")).arg("import").args(arguments).output().unwrap()
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name)
}

/// Runs it on `NAME.yaml` and holds exit code, output and findings against `NAME.out`.
fn golden(kind: &str, name: &str, more: &[&str]) {
    let input = file(&format!("{name}.yaml"));
    hold(name, import(&[&[kind, input.to_str().unwrap()], more].concat()));
}

fn hold(name: &str, output: Output) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let got = format!(
        "{}# exit code {}\n{}",
        text(output.stdout),
        output.status.code().unwrap(),
        text(output.stderr).lines().map(|line| format!("# {line}\n")).collect::<String>()
    );
    let expected = file(&format!("{name}.out"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&expected, &got).unwrap();
    }
    let want = fs::read_to_string(&expected).unwrap_or_default();
    assert!(got == want, "{name}: got\n{got}\nwant\n{want}");
}

#[test]
fn a_whole_configmap_of_metallb_comes_over_and_a_password_goes_into_a_secret() {
    golden("metallb-configmap", "metallb-whole", &[]);
}

#[test]
fn each_wrong_field_of_a_configmap_is_named() {
    golden("metallb-configmap", "metallb-wrong", &[]);
}

#[test]
fn what_metallb_refused_of_bgp_is_refused() {
    golden("metallb-configmap", "metallb-bgp-wrong", &[]);
}

#[test]
fn a_bundled_load_balancer_that_speaks_bgp_is_not_brought_over() {
    golden("gdcv", "gdcv-bgp", &[]);
}

#[test]
fn without_the_nodes_subnet_the_rest_of_the_rules_is_held() {
    golden("gdcv", "gdcv-odd", &[]);
}

#[test]
fn a_bundled_load_balancer_comes_over() {
    golden("gdcv", "gdcv-whole", &["--node-subnet", "10.180.204.0/24"]);
}

#[test]
fn the_rules_of_a_bundled_load_balancer_are_held_against_it() {
    golden("gdcv", "gdcv-wrong", &["--node-subnet", "10.180.204.0/24"]);
}

#[test]
fn a_load_balancer_of_another_mode_is_not_brought_over() {
    golden("gdcv", "gdcv-manual", &[]);
}

#[test]
fn from_kube_ovns_own_way_it_is_said_what_changes_hands_and_in_which_order() {
    for name in ["kube-ovn-native", "kube-ovn-off", "kube-ovn-wrong"] {
        hold(name, import(&["kube-ovn", "-f", file(name).to_str().unwrap()]));
    }
    let folder = file("kube-ovn-native");
    let output = import(&["kube-ovn", "-f", folder.to_str().unwrap(), "-o", "json"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["steps"].as_array().map(Vec::len), Some(8));
}

#[test]
fn rows_of_kube_ovns_are_named_and_a_strangers_stays_in_the_way() {
    let mut world = World::default();
    let reading = ManifestFolder::open(&file("kube-ovn-off")).unwrap().reread();
    reading.changes.into_iter().for_each(|change| drop(world.apply(change)));
    let key = (Protocol::Tcp, "10.180.204.252:80".parse().unwrap());
    let with = |holder| {
        let row = NativeRow { holder, uuid: Uuid::nil(), name: "a-row".into() };
        let switches = [(SubnetName::from("underlay"), Switch::default())].into();
        let network = Network {
            native: [(key, [("underlay".into(), row)].into())].into(),
            switches,
            ..Network::default()
        };
        let policy = Policy::default();
        let native = Native { world: &world, network: Some(&network), policy: &policy, deployment: None };
        let imported = kube_ovn(native);
        let words = imported.manifests.iter().flat_map(|manifest| &manifest.comments);
        let named = words
            .into_iter()
            .any(|line| line.contains("default/nginx: 10.180.204.252, of Load_Balancer a-row"));
        let reasons = imported.findings.iter().map(|finding| finding.reason).collect::<Vec<_>>();
        (named, reasons.contains(&"NativeOwner"))
    };
    for holder in [Holder::KubeOvn, Holder::Idle, Holder::Leftover, Holder::Template] {
        assert_eq!(with(holder), (true, false), "{holder:?}");
    }
    assert_eq!(with(Holder::Stranger), (false, true));
}

#[test]
fn standard_input_is_read_and_what_is_no_configuration_is_told() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ovn-vip"))
        .args(["import", "metallb-configmap", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(file("metallb-whole.yaml")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        output.stdout,
        import(&["metallb-configmap", file("metallb-whole.yaml").to_str().unwrap()]).stdout
    );
    for (kind, text, want) in [
        ("metallb-configmap", "", "is empty"),
        ("metallb-configmap", "apiVersion: v1\nkind: Service\n", "no ConfigMap with data.config"),
        ("metallb-configmap", "kind: ConfigMap\ndata: {config: \"a: [\"}", "is no YAML"),
        ("gdcv", "a: b\n", "no object of kind Cluster"),
        ("gdcv", "a: [", "is no YAML"),
    ] {
        let path = tempfile::NamedTempFile::new().unwrap();
        fs::write(path.path(), text).unwrap();
        let output = import(&[kind, path.path().to_str().unwrap()]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && error.contains(want), "{text}: {error}");
    }
}
