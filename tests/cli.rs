//! `plan` and `check` as an operator runs them: what they print, and how they exit.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

#[path = "cli/explain.rs"]
mod explain;

/// Runs the program on a story's cluster.
fn run(story: &str, arguments: &[&str]) -> (i32, String, String) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = tempfile::tempdir().unwrap();
    for file in ["world.yaml", "topology.yaml"] {
        let own = golden.join(story).join(file);
        let file_of = if own.exists() { own } else { golden.join("base").join(file) };
        std::fs::copy(file_of, folder.path().join(file)).unwrap();
    }
    run_in(folder.path(), arguments)
}

fn run_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let (command, rest) = arguments.split_first().unwrap();
    let output: Output = Command::new(env!("CARGO_BIN_EXE_ovn-vip"))
        .args([command, "-f", folder.to_str().unwrap()])
        .args(rest)
        .env_remove("OVN_NB_DB")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_names_the_two_addresses_that_kube_ovns_own_example_forgets_and_the_line_to_add() {
    let (code, out, _) = run("230-pool-not-excluded", &["check"]);
    assert_eq!(code, 1);
    assert!(out.contains("2 addresses of IPAddressPool metallb-system/underlay-pool"), "{out}");
    assert!(out.contains(": 10.180.204.253, 10.180.204.254\n"), "{out}");
    assert!(
        out.contains("cure: add to spec.excludeIps:\n            - 10.180.204.253..10.180.204.254\n"),
        "{out}"
    );
    let (code, out, _) = run("230-pool-not-excluded", &["check", "--exclude-ips", "warn"]);
    assert!(code == 0 && out.contains("errors: 0, warnings: 2"), "{out}");
}

#[test]
fn check_finds_nothing_where_nothing_is_wrong() {
    let read = "read 1 EndpointSlice, 3 Nodes, 1 ProviderNetwork, 1 Service, 1 Subnet, 1 Vlan";
    assert_eq!(run("010-seed-example", &["check"]), (0, format!("{read}\nnothing found\n"), String::new()));
}

#[test]
fn check_speaks_json_and_names_what_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let subnet = "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata:\n  name: s\n  annotations: {ovn-vip.io/announce: maybe}\nspec: {cidrBlock: 10.0.0.0/24}\n";
    std::fs::write(folder.path().join("s.yaml"), subnet).unwrap();
    std::fs::write(folder.path().join("broken.yaml"), "kind: Service\nmetadata:\n  name: web\n   x: y\n")
        .unwrap();
    let (code, out, _) = run_in(folder.path(), &["check", "-o", "json"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    let object = |i: usize| json["findings"][i]["object"].as_str().unwrap();
    assert_eq!((code, &json["errors"], object(0), object(1)), (1, &2.into(), "Service web", "Subnet s"));
    assert_eq!(json["findings"][1]["field"], "metadata.annotations[ovn-vip.io/announce]");
    assert!(json["findings"][1]["cure"].as_str().unwrap().contains("\"true\" or \"false\""));
}

#[test]
fn plan_says_what_would_be_written_and_why_and_exits_with_2() {
    for ovn in ["kube-ovn", "upstream"] {
        let (code, out, _) = run("230-pool-not-excluded", &["plan", "--ovn", ovn]);
        assert_eq!(code, 2, "{out}");
        assert!(out.contains("Service default/in has VIPs, and no row yet"), "{out}");
        assert!(out.contains("+ vips 10.180.204.252:80: 10.180.204.111:80"), "{out}");
        assert!(out.contains("default/out  NotExcluded"), "{out}");
        assert_eq!(out.contains("needs a router port on this OVN"), ovn == "upstream");
    }
}

#[test]
fn plan_speaks_json() {
    let (code, out, _) = run("230-pool-not-excluded", &["plan", "-o", "json"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 2);
    let changes = json["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| change["action"] == "insert" && change["name"] == "default/in/tcp"));
    assert_eq!(json["refusals"][0]["reason"], "NotExcluded");
}

#[test]
fn without_a_subnet_that_takes_vips_there_is_nothing_to_plan() {
    let (code, out, _) = run("110-subnet-takes-no-vips", &["plan"]);
    assert!(code == 0 && out.starts_with("nothing would change"), "{out}");
}

#[test]
fn a_northbound_that_does_not_answer_is_an_error_in_time_that_says_what_to_look_at() {
    let (code, out, error) =
        run("010-seed-example", &["plan", "--ovn-nb", "unix:/nowhere/nb.sock", "--timeout", "1"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("unix:/nowhere/nb.sock") && error.contains("--ovn-nb"), "{error}");
}

#[test]
fn a_folder_that_is_not_there_or_a_flag_that_is_none_is_an_error() {
    let (code, _, error) = run_in(Path::new("/nowhere"), &["check"]);
    assert!(code == 1 && error.contains("cannot read the cluster folder /nowhere"), "{error}");
    let (code, _, error) = run_in(Path::new("/nowhere"), &["plan", "--exclude-ips", "maybe"]);
    assert!(code == 1 && error.contains("enforce, warn, fix"), "{error}");
}

#[test]
fn what_was_not_read_is_no_all_clear() {
    let subnet =
        "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: s}\nspec: {cidrBlock: 10.0.0.0/24}\n";
    let (utf16, cut) = (b"\xff\xfek\x00i\x00".as_slice(), &subnet.as_bytes()[..30]);
    for (name, content, told) in [
        ("ALL.TXT", subnet.as_bytes(), "its name ends in none of"),
        ("all", subnet.as_bytes(), "its name ends in none of"),
        ("empty.yaml", b"", "it is empty"),
        ("utf16.yaml", utf16, "it is UTF-16"),
        ("error.yaml", b"Unable to connect to the server: EOF\n", "it is what a command said instead"),
        ("cut.yaml", cut, "CannotBeRead"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), content).unwrap();
        let (code, out, _) = run_in(folder.path(), &["check"]);
        assert!(
            code == 1 && out.starts_with("read nothing\n") && out.contains("NothingRead"),
            "{name}: {out}"
        );
        assert!(out.contains(told), "{name}: {out}");
        let (code, _, error) = run_in(folder.path(), &["plan"]);
        assert!(code == 1 && error.contains("not the whole plan: read nothing"), "{name}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("more")).unwrap();
    std::fs::write(folder.path().join("S.YAML"), subnet).unwrap();
    let (code, out, _) = run_in(folder.path(), &["check"]);
    assert!(code == 1 && out.starts_with("read 1 Subnet\n"), "{out}");
    assert_eq!(out.matches("KindMissing").count(), 3, "no Service, EndpointSlice and Node: {out}");
    assert!(out.contains("only files right in the folder are read"), "{out}");
}

#[test]
fn what_is_anothers_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: d}\nspec: {type: LoadBalancer, loadBalancerClass: other/lb}\n";
    let legacy = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata:\n  config: |\n    address-pools: []\n";
    let google = "apiVersion: baremetal.cluster.gke.io/v1\nkind: Cluster\nmetadata: {name: c}\n";
    std::fs::write(folder.path().join("all.yaml"), [service, legacy, google].join("---\n")).unwrap();
    let (code, out, _) = run_in(folder.path(), &["check"]);
    assert_eq!((code, out.matches("error ").count()), (1, 3), "only what is missing: {out}");
    for told in ["its class is other/lb", "ovn-vip import metallb-configmap", "ovn-vip import gdcv"] {
        assert_eq!(out.matches(told).count(), 1, "{told}: {out}");
    }
}

/// The program without a cluster's folder.
fn plainly(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ovn-vip")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_version_is_the_packages_for_people_and_for_programs() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(plainly(&["version"]).starts_with(&format!("ovn-vip {version} (")));
    let said: Value = serde_json::from_str(&plainly(&["version", "-o", "json"])).unwrap();
    assert_eq!(said["version"], version);
    assert!(said["commit"].is_string() && said["platform"].as_str().unwrap().starts_with("linux/"), "{said}");
}

/// A shell itself says whether it takes the script.
#[test]
fn bash_completes_commands_and_flags() {
    let asked = r#"
registered=$(complete -p ovn-vip); registered=${registered#*-F }; complete=${registered%% *}
COMP_WORDS=(ovn-vip ch) COMP_CWORD=1; "$complete" ovn-vip ch ovn-vip; echo "${COMPREPLY[@]}"
COMP_WORDS=(ovn-vip speaker --announce) COMP_CWORD=2; "$complete" ovn-vip --announce speaker; echo "${COMPREPLY[@]}"
"#;
    let script = plainly(&["completions", "bash"]) + asked;
    let output = Command::new("bash").args(["-euc", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "check\n--announce-every\n", "{output:?}");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(plainly(&["completions", shell]).contains("announce-every"), "{shell}");
    }
}

#[test]
fn every_command_that_help_shows_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    plainly(&["man", folder.path().to_str().unwrap()]);
    let help = plainly(&["--help"]);
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let shown = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let shown: Vec<&str> = shown.filter(|name| *name != "help").collect();
    assert!(
        shown.contains(&"controller") && shown.contains(&"version") && !shown.contains(&"man"),
        "{shown:?}"
    );
    for name in shown {
        let page = std::fs::read_to_string(folder.path().join(format!("ovn-vip-{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    assert!(folder.path().join("ovn-vip.1").exists());
}

#[test]
fn a_vlan_that_cannot_be_read_is_not_called_missing() {
    let folder = tempfile::tempdir().unwrap();
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/130-tagged-vlan");
    std::fs::copy(story.join("world.yaml"), folder.path().join("world.yaml")).unwrap();
    let topology = std::fs::read_to_string(story.join("topology.yaml")).unwrap();
    let topology = topology.replace("id: 341", "id: 4095");
    assert!(topology.contains("4095"));
    std::fs::write(folder.path().join("topology.yaml"), topology).unwrap();
    let (code, out, _) = run_in(folder.path(), &["check", "-o", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    let reasons = found["findings"].as_array().unwrap().iter().map(|finding| finding["reason"].clone());
    assert_eq!(
        (code, reasons.collect::<Vec<_>>()),
        (1, ["NobodyMayAnnounce", "CannotBeRead"].map(Value::from).to_vec())
    );
    assert!(out.contains("does not exist, or cannot be read"), "{out}");
}

#[test]
fn plan_says_whom_a_service_lets_in() {
    let (_, out, _) = run("310-source-ranges", &["plan"]);
    let line = "default/web  10.180.204.112/32, 192.0.2.0/24, fd00:2::/64, fd00:180:204::112/128\n";
    assert!(out.contains("OPEN TO THESE CLIENTS ONLY") && out.contains(line), "{out}");
    let (_, out, _) = run("010-seed-example", &["plan"]);
    assert!(!out.contains("OPEN TO"), "{out}");
}

#[test]
fn support_gathers_and_no_secret_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for file in [golden.join("010-seed-example/world.yaml"), golden.join("base/topology.yaml")] {
        std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJwbGFudGVkIjoxfQ.c2VjcmV0";
    let planted = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: planted-password}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: leaky, namespace: default}}\nspec:\n  type: LoadBalancer\n  \
         loadBalancerSourceRanges: [\"{token}\"]\n  ports: [{{port: 80}}]\nstatus: {{loadBalancer: {{ingress: [{{ip: 10.180.204.253}}]}}}}\n"
    );
    std::fs::write(folder.path().join("planted.yaml"), planted).unwrap();
    let made = folder.path().join("support");
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
        command.arg("support").arg(&made).arg("-f").arg(folder.path());
        command.env_remove("OVN_NB_DB").env_remove("OVN_SB_DB").output().unwrap()
    };
    let ran = run();
    assert!(ran.status.success(), "{ran:?}");
    let read = |name: &str| std::fs::read_to_string(made.join(name)).unwrap();
    assert!(read("version.txt").starts_with("ovn-vip "));
    assert!(read("explain.txt").contains("Service default/leaky, VIP 10.180.204.253"));
    // The range is named, without what it is.
    assert!(read("check.txt").contains("source range \"(redacted)\""), "{}", read("check.txt"));
    for file in std::fs::read_dir(&made).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("planted-password") && !text.contains(token), "{text}");
    }
    assert!(
        read("Service.json").contains("leaky") && read("missing.txt") == "nothing\n",
        "{}",
        read("missing.txt")
    );
    assert!(!made.join("Secret.json").exists());
    assert!(!run().status.success(), "a folder that is there is left alone");
}

#[test]
fn support_is_one_archive_where_it_is_asked_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::copy(golden.join("010-seed-example/world.yaml"), folder.path().join("world.yaml")).unwrap();
    let support = |target: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
        let command = command.arg("support").arg(target).arg("-f").arg(folder.path());
        command.env_remove("OVN_NB_DB").env_remove("OVN_SB_DB").output().unwrap()
    };
    let names = |archive: &[u8]| {
        let mut archive = tar::Archive::new(archive);
        let names =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
        names.collect::<Vec<_>>()
    };
    let file = folder.path().join("made.tar");
    assert!(support(&file).status.success());
    let found = names(&std::fs::read(&file).unwrap());
    assert!(
        found.contains(&"made/Service.json".to_owned()) && found.contains(&"made/missing.txt".to_owned()),
        "{found:?}"
    );
    assert!(!support(&file).status.success(), "an archive that is there is left alone");
    let found = names(&support(Path::new("-")).stdout);
    assert!(found.contains(&"ovn-vip-support/check.txt".to_owned()), "{found:?}");
}

#[test]
fn as_a_plugin_of_kubectl_it_is_about_the_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-ovn_vip");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ovn-vip"), &plugin).unwrap();
    let says = |arguments: &[&str]| {
        let output = Command::new(&plugin).args(arguments).env("KUBECONFIG", "/nowhere").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    assert!(says(&["status", "--help"]).contains("Usage: kubectl ovn-vip status"));
    assert!(says(&["status"]).contains("/nowhere"), "{}", says(&["status"]));
}
