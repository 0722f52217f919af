//! `ovn-vip status`: what the speakers of some nodes say of their VIPs.

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;

use crate::io::http::fetch::fetch;
use crate::io::kube::connect::KubeTarget;
use crate::node::status::{State, Status, VipStatus};
use crate::settings::{Output, StatusArgs};

use super::reported;
use super::table::Table;

/// Where a speaker's pages are, as `deploy/` has it.
const PORT: u16 = 10_686;

/// Asks, prints, and says by its exit code whether every speaker answered.
pub async fn run(arguments: &StatusArgs) -> anyhow::Result<ExitCode> {
    if arguments.whole_cluster || arguments.kubeconfig.is_some() || arguments.kube_context.is_some() {
        let target =
            KubeTarget { kubeconfig: arguments.kubeconfig.clone(), context: arguments.kube_context.clone() };
        return reported::run(target, arguments.output).await;
    }
    let speakers = match &arguments.speakers[..] {
        [] => vec!["127.0.0.1".to_owned()],
        given => given.to_vec(),
    };
    let (statuses, errors) = ask_all(&speakers, arguments.token_file.as_deref()).await?;
    match arguments.output {
        Output::Table if statuses.is_empty() => println!("no speaker answered"),
        Output::Table => print!("{}", table(&statuses, Timestamp::now())),
        Output::Json => println!("{:#}", json!({ "speakers": statuses, "errors": errors })),
    }
    errors.iter().for_each(|error| eprintln!("ovn-vip: {error}"));
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What speakers say of themselves, by node, and why those that did not answer did not.
pub(super) async fn ask_all(
    speakers: &[String],
    token_file: Option<&Path>,
) -> anyhow::Result<(Vec<Status>, Vec<String>)> {
    let token = token_file.map(std::fs::read_to_string).transpose().context("--token-file")?;
    let addresses: Vec<String> = speakers.iter().map(|address| with_port(address)).collect();
    let answers = join_all(addresses.iter().map(|address| ask(address, token.as_deref()))).await;
    let (statuses, errors): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let mut statuses: Vec<Status> = statuses.into_iter().filter_map(Result::ok).collect();
    statuses.sort_by(|a, b| a.node.cmp(&b.node));
    let errors = errors.into_iter().filter_map(Result::err).map(|error| format!("{error:#}"));
    Ok((statuses, errors.collect()))
}

/// An address with the port that speakers have, where none is given; IPv6 with or without brackets.
pub(super) fn with_port(address: &str) -> String {
    match (address.parse::<IpAddr>(), address.rsplit_once(':')) {
        (Ok(IpAddr::V6(address)), _) => format!("[{address}]:{PORT}"),
        (Err(_), Some((_, port))) if port.parse::<u16>().is_ok() => address.to_owned(),
        (Ok(IpAddr::V4(_)) | Err(_), _) => format!("{address}:{PORT}"),
    }
}

/// How long ago, as kubectl says it.
pub(super) fn age(since: &str, now: Timestamp) -> String {
    let Ok(since) = since.parse::<Timestamp>() else { return since.to_owned() };
    match now.duration_since(since).as_secs() {
        seconds if seconds < 120 => format!("{}s", seconds.max(0)),
        seconds if seconds < 120 * 60 => format!("{}m", seconds / 60),
        seconds if seconds < 48 * 3600 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

async fn ask(address: &str, token: Option<&str>) -> anyhow::Result<Status> {
    let page = fetch(address, "/status", token.map(str::trim)).await?;
    serde_json::from_str(&page).with_context(|| format!("http://{address}/status is no speaker's"))
}

fn table(statuses: &[Status], now: Timestamp) -> String {
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
        "AGE",
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
            since.as_deref().map_or_else(|| "-".to_owned(), |since| age(since, now)),
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
    fn a_port_that_is_left_out_is_the_speakers() {
        for (given, asked) in [
            ("10.0.0.11", "10.0.0.11:10686"),
            ("10.0.0.11:9", "10.0.0.11:9"),
            ("fd00::1", "[fd00::1]:10686"),
            ("[fd00::1]", "[fd00::1]:10686"),
            ("[fd00::1]:9", "[fd00::1]:9"),
            ("node1", "node1:10686"),
        ] {
            assert_eq!(with_port(given), asked);
        }
    }

    #[test]
    fn ages_read_as_kubectls() {
        let now: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        for (since, words) in [
            ("2026-01-02T23:58:30Z", "90s"),
            ("2026-01-02T23:50:00Z", "10m"),
            ("2026-01-02T20:00:00Z", "4h"),
            ("2026-01-01T00:00:00Z", "2d"),
        ] {
            assert_eq!(age(since, now), words);
        }
    }

    #[test]
    fn who_announces_comes_first_and_who_waits_says_for_what() {
        assert_eq!(
            table(&[status("a", State::Standby), status("b", State::Waiting)], Timestamp::UNIX_EPOCH),
            "VIP       NODE  STATE    AGE  MAC                INTERFACE  VLAN  HERE  ELSEWHERE  PORTS\n\
             10.0.0.9  b     waiting  -    02:00:00:00:00:01  br-p       341   1     0          tcp/80,udp/53\n          \
             OVN has no flow here\n\
             10.0.0.9  a     standby  -    02:00:00:00:00:01  br-p       341   1     0          tcp/80,udp/53\n"
        );
    }
}
