//! What single values of the command line may be. Each refusal says what to write.

use std::net::IpAddr;

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

/// The longest time that can be given, in seconds: a day.
const LONGEST: u64 = 86_400;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// `--cluster-name`: one word, so that no two names read the same.
pub(super) fn cluster_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err("give one word, without spaces, such as kubernetes".to_owned());
    }
    Ok(text.to_owned())
}

/// `--node`: a name that a Node can have (RFC 1123 subdomain).
pub(super) fn node_name(text: &str) -> Result<String, String> {
    let is_inner =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
    let ends = [text.chars().next(), text.chars().last()];
    let ends_well = ends.iter().all(|letter| letter.is_some_and(|letter| letter.is_ascii_alphanumeric()));
    if !ends_well || !text.chars().all(is_inner) {
        return Err("no Node has such a name: write it as `kubectl get nodes` prints it".to_owned());
    }
    Ok(text.to_owned())
}

/// A network. A lone address is none.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => format!("it is an address: write the network, such as {text}/24"),
        Ok(IpAddr::V6(_)) => format!("it is an address: write the network, such as {text}/64"),
        Err(_) => "write a network, such as 10.180.204.0/24".to_owned(),
    })
}

/// A number of seconds, at least one.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let given = text.parse().ok().filter(|seconds| (1..=LONGEST).contains(seconds));
    given.ok_or_else(|| format!("write whole seconds, from 1 to {LONGEST}, such as 30"))
}

/// The same, and 0 is no time at all.
pub(super) fn seconds_or_none(text: &str) -> Result<u32, String> {
    let given = text.parse().ok().filter(|seconds| u64::from(*seconds) <= LONGEST);
    given.ok_or_else(|| format!("write whole seconds, from 0 to {LONGEST}, such as 30"))
}

/// `--log`. A lone word that is no level would be a module's name, and switch all others off.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let is_level = LEVELS.iter().any(|level| part.eq_ignore_ascii_case(level))
            || part.parse::<u8>().is_ok_and(|number| number <= 5);
        let is_ours = part == "ovn_vip" || part.starts_with("ovn_vip::");
        if !is_level && !is_ours && !part.contains(['=', '[']) {
            return Err(format!(
                "{part:?} is no level: write {}, or MODULE=LEVEL, such as ovn_vip::ovsdb=trace",
                LEVELS.join(", ")
            ));
        }
        if EnvFilter::try_new(part).is_err() {
            return Err(format!(
                "{part:?} is no filter: write MODULE=LEVEL, such as ovn_vip::ovsdb=trace, or a level: {}",
                LEVELS.join(", ")
            ));
        }
    }
    Ok(text.to_owned())
}

/// Kube-OVN's environment does not say where the databases are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabasesError {
    /// No northbound was named.
    #[error(
        "no northbound: give --ovn-nb ADDR (unix:PATH or tcp:HOST:PORT), or set OVN_NB_DB, or Kube-OVN's OVN_DB_IPS"
    )]
    NoNorthbound,
    /// `OVN_DB_IPS`.
    #[error(
        "OVN_DB_IPS: {0:?} is no IP address; write addresses with commas between, such as 10.0.0.1,10.0.0.2, without tcp: and without ports"
    )]
    Ips(String),
    /// `ENABLE_SSL`.
    #[error("ENABLE_SSL: {0:?} is neither true nor false; write true where the databases want TLS")]
    Ssl(String),
}

/// Kube-OVN's own list, as addresses with this port; nothing where there is no list.
pub(super) fn listed(
    ips: Option<&str>,
    ssl: Option<&str>,
    port: u16,
) -> Result<Option<String>, DatabasesError> {
    let ips = ips.unwrap_or_default().split(',').map(str::trim).filter(|ip| !ip.is_empty());
    let ips: Vec<&str> = ips.collect();
    if ips.is_empty() {
        return Ok(None);
    }
    if let Some(bad) = ips.iter().find(|ip| ip.parse::<IpAddr>().is_err()) {
        return Err(DatabasesError::Ips((*bad).to_owned()));
    }
    let scheme = match ssl.unwrap_or_default() {
        "true" => "ssl",
        "false" | "" => "tcp",
        other => return Err(DatabasesError::Ssl(other.to_owned())),
    };
    let addresses = ips.iter().map(|ip| format!("{scheme}:[{ip}]:{port}"));
    Ok(Some(addresses.collect::<Vec<_>>().join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clusters_name_is_one_word() {
        assert_eq!(cluster_name("kubernetes").as_deref(), Ok("kubernetes"));
        for bad in ["", "a b", "a\n", "\t"] {
            assert!(cluster_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_nodes_name_is_one_that_kubernetes_takes() {
        for good in ["node1", "a", "10.0.0.1", "n-1.example.com"] {
            assert_eq!(node_name(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "Node1", "-a", "a-", "a/b", "$(NODE_NAME)", "."] {
            assert!(node_name(bad).unwrap_err().contains("kubectl get nodes"), "{bad:?}");
        }
    }

    #[test]
    fn seconds_are_whole_and_no_more_than_a_day() {
        assert_eq!((seconds("1"), seconds("86400"), seconds_or_none("0")), (Ok(1), Ok(86_400), Ok(0)));
        for bad in ["", "0", "-1", "5s", "1e3", "1.5", "86401", "18446744073709551615"] {
            assert!(seconds(bad).unwrap_err().contains("whole seconds"), "{bad:?}");
        }
        assert!(seconds_or_none("4294967295").is_err());
    }

    #[test]
    fn a_word_that_is_no_level_does_not_silence_the_program() {
        for good in ["", "info", "DEBUG", "3", "off", "ovn_vip", "ovn_vip::ovsdb=trace", "warn,hyper=debug"] {
            assert_eq!(log_filter(good).as_deref(), Ok(good));
        }
        for bad in ["verbose", "infoo", "9", "true", "debug,all", "foo=bar=1", "ovn_vip=loud"] {
            let error = log_filter(bad).unwrap_err();
            assert!(error.contains("debug") && error.contains("ovn_vip::ovsdb=trace"), "{bad}: {error}");
        }
    }

    #[test]
    fn kube_ovns_environment_is_read_as_it_is_written_or_named() {
        fn read(ips: &str, ssl: Option<&str>) -> Result<Option<String>, DatabasesError> {
            listed(Some(ips), ssl, 6641)
        }
        assert_eq!(
            read("10.0.0.1, fd00::2,", None),
            Ok(Some("tcp:[10.0.0.1]:6641,tcp:[fd00::2]:6641".into()))
        );
        assert_eq!(read("10.0.0.1", Some("true")), Ok(Some("ssl:[10.0.0.1]:6641".into())));
        assert_eq!((read("", Some("maybe")), read(" , ", None)), (Ok(None), Ok(None)));
        for bad in ["garbage", "tcp:10.0.0.1:6641", "10.0.0.1:6641", "1.2.3.4.5", "[10.0.0.1]"] {
            let error = read(&format!("10.0.0.9,{bad}"), None).unwrap_err();
            assert_eq!(error, DatabasesError::Ips(bad.to_owned()));
        }
        for bad in ["maybe", "True", "1"] {
            assert_eq!(read("10.0.0.1", Some(bad)), Err(DatabasesError::Ssl(bad.to_owned())));
        }
    }
}
