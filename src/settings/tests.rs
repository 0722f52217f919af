//! What the command line comes to.

use super::*;

fn controller(arguments: &[&str]) -> ControllerArgs {
    let line = ["ovn-vip", "controller", "--cluster-dir", "x"].iter().chain(arguments);
    match CommandLine::parse_from(line).command {
        Command::Controller(arguments) => arguments,
        other => panic!("a controller was asked for, not {other:?}"),
    }
}

#[test]
fn kube_ovns_own_list_of_addresses_names_both_databases() {
    let databases = controller(&["--ovn-db-ips", "10.0.0.1,fd00::2"]).databases().unwrap();
    assert_eq!(databases.0, "tcp:[10.0.0.1]:6641,tcp:[fd00::2]:6641");
    assert_eq!(databases.1.as_deref(), Some("tcp:[10.0.0.1]:6642,tcp:[fd00::2]:6642"));
}

#[test]
fn an_address_that_was_given_goes_before_the_list() {
    let databases = controller(&["--ovn-db-ips", "10.0.0.1", "--ovn-nb", "unix:/nb"]).databases().unwrap();
    assert_eq!(databases.0, "unix:/nb");
}

#[test]
fn without_any_address_the_error_names_the_flag() {
    let error = controller(&[]).databases().unwrap_err().to_string();
    assert!(error.contains("--ovn-nb") && error.contains("OVN_NB_DB"), "{error}");
}

#[test]
fn ping_is_answered_unless_that_is_refused() {
    let answers = |arguments: &[&str]| {
        let line = ["ovn-vip", "speaker", "--cluster-dir", "x", "--node", "n"].iter().chain(arguments);
        match CommandLine::parse_from(line).command {
            Command::Speaker(arguments) => arguments.manner().answer_ping,
            other => panic!("a speaker was asked for, not {other:?}"),
        }
    };
    assert!(answers(&[]) && answers(&["--answer-ping=true"]) && !answers(&["--answer-ping=false"]));
}
