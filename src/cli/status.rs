//! `ovn-vip status`: what the speakers of some nodes say of their VIPs.

use std::process::ExitCode;

use anyhow::Context;
use futures::future::join_all;
use serde_json::json;

use crate::io::http::fetch::fetch;
use crate::node::status::{State, Status, VipStatus};
use crate::settings::{Output, StatusArgs};

use super::table::Table;

/// Asks, prints, and says by its exit code whether every speaker answered.
pub async fn run(arguments: &StatusArgs) -> anyhow::Result<ExitCode> {
    let answers = join_all(arguments.speakers.iter().map(|address| ask(address))).await;
    let (statuses, errors): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let mut statuses: Vec<Status> = statuses.into_iter().filter_map(Result::ok).collect();
    let errors: Vec<String> =
        errors.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    statuses.sort_by(|a, b| a.node.cmp(&b.node));
    match arguments.output {
        Output::Table => print!("{}", table(&statuses)),
        Output::Json => println!("{:#}", json!({ "speakers": statuses, "errors": errors })),
    }
    errors.iter().for_each(|error| eprintln!("ovn-vip: {error}"));
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(address: &str) -> anyhow::Result<Status> {
    let page = fetch(address, "/status").await?;
    serde_json::from_str(&page).with_context(|| format!("http://{address}/status is no speaker's"))
}

fn table(statuses: &[Status]) -> String {
    let mut rows: Vec<(&str, &VipStatus)> = statuses
        .iter()
        .flat_map(|status| status.vips.iter().map(|vip| (status.node.as_str(), vip)))
        .collect();
    rows.sort_by_key(|(node, vip)| (vip.vip, vip.state == State::Standby, *node));
    if rows.is_empty() {
        return "no VIP has a backend on these nodes\n".to_owned();
    }
    let mut table = Table::new(&[
        "VIP",
        "NODE",
        "STATE",
        "SINCE",
        "MAC",
        "INTERFACE",
        "VLAN",
        "HERE",
        "ELSEWHERE",
        "PORTS",
    ]);
    for (node, vip) in rows {
        let VipStatus {
            vip: address,
            subnet: _,
            state,
            why,
            since,
            mac,
            interface,
            vlan,
            ports,
            local,
            elsewhere,
        } = vip;
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        let cells = [
            address.to_string(),
            node.to_owned(),
            state.as_str().to_owned(),
            since.clone().unwrap_or_else(|| "-".to_owned()),
            mac.clone(),
            interface.clone(),
            vlan.map_or_else(|| "-".to_owned(), |vlan| vlan.to_string()),
            local.len().to_string(),
            elsewhere.len().to_string(),
            ports.join(","),
        ];
        let says_why = matches!(state, State::Waiting | State::Yielded);
        let below = if says_why { vec![why.clone()] } else { Vec::new() };
        table.push(cells.into(), below);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(node: &str, state: State) -> Status {
        let vip = VipStatus {
            vip: [10, 0, 0, 9].into(),
            subnet: "underlay".into(),
            state,
            why: "OVN has no flow here".into(),
            since: None,
            mac: "02:00:00:00:00:01".into(),
            interface: "br-p".into(),
            vlan: Some(341),
            ports: ["tcp/80".into(), "udp/53".into()].into(),
            local: [[10, 0, 0, 1].into()].into(),
            elsewhere: [].into(),
        };
        Status { node: node.into(), vips: vec![vip] }
    }

    #[test]
    fn who_announces_comes_first_and_who_waits_says_for_what() {
        assert_eq!(
            table(&[status("a", State::Standby), status("b", State::Waiting)]),
            "VIP       NODE  STATE    SINCE  MAC                INTERFACE  VLAN  HERE  ELSEWHERE  PORTS\n\
             10.0.0.9  b     waiting  -      02:00:00:00:00:01  br-p       341   1     0          tcp/80,udp/53\n          \
             OVN has no flow here\n\
             10.0.0.9  a     standby  -      02:00:00:00:00:01  br-p       341   1     0          tcp/80,udp/53\n"
        );
    }
}
