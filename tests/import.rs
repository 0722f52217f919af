//! `ovn-vip import`, run as a user runs it: a configuration in, objects and findings out, held against a file beside it.
//! `UPDATE_GOLDEN=1` writes what comes out.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn import(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ovn-vip")).arg("import").args(arguments).output().unwrap()
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name)
}

/// Runs it on `NAME.yaml` and holds exit code, output and findings against `NAME.out`.
fn golden(kind: &str, name: &str, more: &[&str]) {
    let input = file(&format!("{name}.yaml"));
    let output = import(&[&[kind, input.to_str().unwrap()], more].concat());
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
