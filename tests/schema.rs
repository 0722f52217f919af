//! `ovsdb-schemas/` against what the code asks for, and against the schemas of real servers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ovn_vip::nb::rows::{needed_release, northbound_tables, southbound_tables};
use ovn_vip::node::bridge;
use ovn_vip::ovsdb::{Schema, TablesWanted};
use serde_json::Value;

fn files() -> [(&'static str, TablesWanted); 3] {
    [("ovn-nb", northbound_tables()), ("ovn-sb", southbound_tables()), ("vswitch", bridge::tables())]
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn ours(file: &str) -> Value {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("ovsdb-schemas/{file}.ovsschema")))
}

/// `table.column` to whether it may be missing.
type Columns = BTreeMap<String, bool>;

#[test]
fn the_code_asks_for_exactly_the_columns_that_are_written_down() {
    for (file, wanted) in files() {
        let mut asked = Columns::new();
        for (table, columns) in wanted.tables() {
            asked.extend(columns.required.iter().map(|column| (format!("{table}.{column}"), false)));
            asked.extend(columns.optional.iter().map(|column| (format!("{table}.{column}"), true)));
        }
        let mut written = Columns::new();
        for (table, content) in ours(file)["tables"].as_object().unwrap() {
            for (column, entry) in content["columns"].as_object().unwrap() {
                assert!(
                    entry["since"].is_string(),
                    "{file}: {table}.{column} says not since when it is there"
                );
                written.insert(format!("{table}.{column}"), entry["optional"] == true);
            }
        }
        assert_eq!(asked, written, "{file}");
    }
}

#[test]
fn a_missing_column_is_named_with_the_release_that_has_it() {
    let mut json = ours("ovn-nb");
    json["tables"]["Logical_Switch"]["columns"].as_object_mut().unwrap().remove("load_balancer_group");
    let missing = Schema::from_json(&json).unwrap().check(&northbound_tables()).unwrap_err();
    assert!(missing.to_string().contains("Logical_Switch.load_balancer_group"), "{missing}");
    assert_eq!(needed_release(&missing), "21.12");
}

#[test]
fn a_missing_optional_column_is_no_reason_to_refuse() {
    let mut json = ours("ovn-nb");
    json["tables"]["Load_Balancer"]["columns"].as_object_mut().unwrap().remove("selection_fields");
    let missing = Schema::from_json(&json).unwrap().check(&northbound_tables()).unwrap();
    let named: BTreeSet<String> = missing.0.iter().map(ToString::to_string).collect();
    assert_eq!(named, BTreeSet::from(["Load_Balancer.selection_fields".to_owned()]));
}

#[cfg(feature = "lab")]
mod installed {
    use super::*;
    use std::process::Command;

    fn tree(which: &[&str]) -> std::path::PathBuf {
        let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/lab.sh");
        let output = Command::new(lab).arg("tree").args(which).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().into()
    }

    /// The file in the tree, wherever its layout has it.
    fn installed(tree: &Path, file: &str) -> Option<Value> {
        let folder = if file.starts_with("ovn") { "ovn" } else { "openvswitch" };
        let places = ["usr/share", "usr/local/share", "share"];
        let found = places.map(|place| tree.join(place).join(folder).join(format!("{file}.ovsschema")));
        found.iter().find(|path| path.exists()).map(|path| read(path))
    }

    #[test]
    fn what_is_written_down_is_what_the_installed_servers_have() {
        for (file, wanted) in files() {
            let theirs = installed(&tree(&[]), file).expect("the lab's tree has its schemas");
            for (table, content) in ours(file)["tables"].as_object().unwrap() {
                for (column, entry) in content["columns"].as_object().unwrap() {
                    let type_there = &theirs["tables"][table]["columns"][column]["type"];
                    assert_eq!(&entry["type"], type_there, "{file}: {table}.{column}");
                }
            }
            assert_eq!(Schema::from_json(&theirs).unwrap().check(&wanted).unwrap().0, BTreeSet::new());
        }
    }

    #[test]
    fn the_oldest_servers_here_have_what_is_required() {
        for (file, wanted) in files() {
            let Some(theirs) = installed(&tree(&["old"]), file) else { continue };
            let missing = Schema::from_json(&theirs).unwrap().check(&wanted);
            assert!(missing.is_ok(), "{file}: {missing:?}");
        }
    }
}
