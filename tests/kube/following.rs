//! The controller follows the API server, whatever happens to that.

use crate::stage::{
    DNS, DNS_ROW, NGINX, NGINX_ROW, NGINX_V4, NGINX_VIP, Stage, checkout, compact, signal, warnings,
};

const HAS_WRITTEN: &str = "the northbound has it";

#[test]
fn a_service_that_appears_is_programmed_and_one_that_goes_is_not() {
    let stage = Stage::empty();
    stage.install_neighbours();
    let cluster = &stage.server.cluster;
    for file in ["01-subnet.yaml", "02-nodes.yaml"] {
        cluster.apply(&std::fs::read_to_string(checkout("examples/underlay").join(file)).unwrap());
    }
    let mut controller = stage.controller("controller");
    controller.says("connected to the northbound");
    assert!(stage.northbound.rows().is_empty());

    stage.apply_example();
    stage.backends(NGINX_ROW, NGINX_VIP, &["10.180.204.111:80", "10.180.204.112:80", "10.180.204.121:80"]);
    stage.row(DNS_ROW);
    cluster.delete(DNS);
    stage.no_row(DNS_ROW);
    stage.row(NGINX_ROW);
    assert!(controller.terminate().success());
}

#[test]
fn an_endpoint_change_reaches_the_northbound_and_alters_one_row() {
    let stage = Stage::with_example();
    let _controller = stage.serving();
    let dns = stage.row(DNS_ROW);
    stage.set_endpoints(NGINX_V4, &["10.180.204.112"]);
    stage.backends(NGINX_ROW, NGINX_VIP, &["10.180.204.112:80"]);
    assert_eq!(stage.row(DNS_ROW), dns);
}

#[test]
fn a_service_that_loses_its_vip_or_moves_to_another_is_followed() {
    let stage = Stage::with_example();
    let _controller = stage.serving();
    stage.assign(NGINX, &["10.180.204.251"]);
    stage.backends(
        NGINX_ROW,
        "10.180.204.251:80",
        &["10.180.204.111:80", "10.180.204.112:80", "10.180.204.121:80"],
    );
    stage.backends(NGINX_ROW, NGINX_VIP, &[]);
    stage.assign(NGINX, &[]);
    stage.no_row(NGINX_ROW);
    stage.row(DNS_ROW);
}

#[test]
fn what_was_deleted_while_it_was_down_goes_with_its_next_start_and_nothing_else_is_touched() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    let nginx = stage.row(NGINX_ROW);
    assert!(controller.terminate().success());
    stage.server.cluster.delete(DNS);
    stage.row(DNS_ROW);

    let mut again = stage.controller("controller-again");
    again.says(HAS_WRITTEN);
    stage.no_row(DNS_ROW);
    assert_eq!(stage.row(NGINX_ROW), nginx);
}

#[test]
fn a_second_start_writes_nothing() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    assert!(controller.terminate().success());
    let before = stage.northbound.rows();

    let once = stage.controller_command("once").arg("--once").output().unwrap();
    assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
    assert_eq!(stage.northbound.rows(), before);
}

#[test]
fn kinds_that_appear_later_are_picked_up() {
    let stage = Stage::empty();
    let mut controller = stage.controller("controller");
    let missing = "the API server has no subnets.kubeovn.io";
    controller.says(missing);
    stage.install_neighbours();
    stage.apply_example();
    stage.row(NGINX_ROW);
    stage.row(DNS_ROW);
    controller.says(&format!("no longer so: {missing}"));
    assert_eq!(warnings(&controller, missing), 1);
}

#[test]
fn an_api_server_that_dies_and_comes_back_is_followed_again_and_nothing_is_lost() {
    let mut stage = Stage::with_example();
    let mut controller = stage.serving();
    let before = stage.northbound.rows();
    stage.server.kill();
    controller.says("the API server does not answer");
    assert_eq!(stage.northbound.rows(), before);

    stage.server.restart();
    stage.set_endpoints(NGINX_V4, &["10.180.204.111"]);
    stage.backends(NGINX_ROW, NGINX_VIP, &["10.180.204.111:80"]);
    assert_eq!(stage.row(DNS_ROW), before[DNS_ROW]);
    assert!(controller.is_running());
}

#[test]
fn what_happened_while_its_watches_expired_is_not_missed() {
    let mut stage = Stage::with_example();
    let mut controller = stage.serving();
    signal(&controller, "STOP");
    stage.server.cluster.delete(DNS);
    stage.set_endpoints(NGINX_V4, &["10.180.204.121"]);
    compact(&stage.server);
    stage.server.restart();
    signal(&controller, "CONT");
    stage.no_row(DNS_ROW);
    stage.backends(NGINX_ROW, NGINX_VIP, &["10.180.204.121:80"]);
    assert!(controller.is_running());
}
