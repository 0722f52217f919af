//! What is served for probes and for Prometheus.

use crate::process::{Process, eventually, holds};
use crate::stage::{DNS_ROW, NGINX_ROW, NGINX_V4, Stage, page};

/// The value of one time series.
pub fn value(process: &mut Process, series: &str) -> Option<f64> {
    let text = page(process, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
    line.map(|line| line.parse().unwrap())
}

pub fn becomes(process: &mut Process, series: &str, wanted: f64) {
    eventually(&format!("{series} is {wanted}"), || {
        let found = value(process, series);
        holds(found == Some(wanted), found)
    });
}

#[test]
fn the_pages_tell_what_is_so() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    assert_eq!(page(&mut controller, "/healthz"), "ok\n");
    assert_eq!(page(&mut controller, "/readyz"), "ready\n");
    becomes(&mut controller, "ovn_vip_leader", 1.0);
    becomes(&mut controller, r#"ovn_vip_database_connected{database="OVN_Northbound"}"#, 1.0);
    becomes(&mut controller, r#"ovn_vip_database_connected{database="OVN_Southbound"}"#, 1.0);
    becomes(&mut controller, r#"ovn_vip_cluster_objects{kind="Subnet"}"#, 1.0);
    becomes(&mut controller, "ovn_vip_vips_served", 2.0);
    becomes(&mut controller, "ovn_vip_vips_without_holder", 0.0);

    stage.set_endpoints(NGINX_V4, &[]);
    becomes(&mut controller, r#"ovn_vip_refusals{reason="NoReadyBackend"}"#, 1.0);
}

#[test]
fn a_row_that_somebody_deletes_is_put_back_and_counted() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    assert_eq!(value(&mut controller, "ovn_vip_northbound_repairs_total"), Some(0.0));
    stage.northbound.nb(&format!("lb-del {NGINX_ROW}"));
    stage.row(NGINX_ROW);
    stage.row(DNS_ROW);
    eventually("it is counted", || {
        let repairs = value(&mut controller, "ovn_vip_northbound_repairs_total");
        holds(repairs > Some(0.0), repairs)
    });
}
