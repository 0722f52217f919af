//! What kube-ovn-controller is started with (its `pkg/controller/config.go` has flags and defaults).

use ipnet::IpNet;
use serde_json::Value;

use crate::import::fields::Findings;
use crate::plan::Severity;

/// Kube-OVN's own way to balance VIPs.
pub(super) const NATIVE: &str = "--enable-ovn-lb-prefer-local";
/// Whether what is addressed to a subnet's own addresses is kept from conntrack.
pub(super) const SKIPS: &str = "--ls-ct-skip-dst-lport-ips";
/// Whether OVN rewrites the MAC of what it translates.
pub(super) const REWRITES: &str = "--ls-dnat-mod-dl-dst";
/// Networks that are kept from conntrack.
pub(super) const SKIPPED: &str = "--skip-conntrack-dst-cidrs";
const BALANCES: &str = "--enable-lb";
const LB_SVC: &str = "--enable-lb-svc";

/// The flags that matter here.
#[derive(Debug)]
pub(super) struct Flags {
    /// Kube-OVN balances the VIPs of LoadBalancer Services itself.
    pub native: bool,
    /// OVN balances nothing for a subnet's own addresses.
    pub skips_subnet_addresses: bool,
    /// OVN rewrites the MAC of what it translates.
    pub rewrites_mac: bool,
    /// OVN balances nothing for these.
    pub skipped: Vec<IpNet>,
    /// The Deployment, for findings.
    pub object: String,
    place: Place,
}

/// Where the flags stand.
#[derive(Debug)]
struct Place {
    namespace: String,
    /// The path of the list in the Deployment.
    list: String,
    arguments: Vec<String>,
}

impl Flags {
    /// Reads a Deployment; what cannot be read of it is a finding, and counts as the default.
    pub fn read(deployment: &Value, findings: &Findings) -> Option<Self> {
        let namespace = deployment["metadata"]["namespace"].as_str().unwrap_or("kube-system").to_owned();
        let object = format!("Deployment {namespace}/kube-ovn-controller");
        let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
        let index = containers.into_iter().flatten().position(|found| found["name"] == "kube-ovn-controller");
        let index = index.unwrap_or_default();
        let container = containers.and_then(|containers| containers.get(index));
        let has_flags =
            |list: &&str| !texts(container.map_or(&Value::Null, |found| &found[*list])).is_empty();
        let Some(list) = ["args", "command"].into_iter().find(has_flags) else {
            let cure =
                "give it as `kubectl -n kube-system get deployment kube-ovn-controller -o yaml` prints it";
            let field = "spec.template.spec.containers";
            findings.add(Severity::Error, "BadField", (&object, field), "has no arguments", cure);
            return None;
        };
        let arguments = texts(container.map_or(&Value::Null, |found| &found[list]));
        let list = format!("/spec/template/spec/containers/{index}/{list}");
        let place = Place { namespace, list, arguments };
        let flag = |name, default| place.flag(name, default, &object, findings);
        let native = flag(NATIVE, false) && flag(BALANCES, true);
        let (skips_subnet_addresses, rewrites_mac) = (flag(SKIPS, true), flag(REWRITES, true));
        if flag(LB_SVC, false) {
            let what = "Kube-OVN makes a Pod with an address of its own for each Service that asks for one: those Services are not brought over";
            let cure = "leave the flag as it is, and give those Services a loadBalancerClass of their own";
            findings.add(Severity::Warning, "NoCounterpart", (&object, LB_SVC), what, cure);
        }
        let skipped = place.networks(SKIPPED, &object, findings);
        Some(Self { native, skips_subnet_addresses, rewrites_mac, skipped, object, place })
    }

    /// The command that gives a flag another value.
    pub fn command(&self, name: &str, value: &str) -> String {
        let Place { namespace, list, arguments } = &self.place;
        let (operation, at) = match arguments.iter().rposition(|found| key(found) == name) {
            Some(at) => ("replace", at.to_string()),
            None => ("add", "-".to_owned()),
        };
        let patch = format!(r#"[{{"op":"{operation}","path":"{list}/{at}","value":"{name}={value}"}}]"#);
        format!("kubectl -n {namespace} patch deployment kube-ovn-controller --type=json -p '{patch}'")
    }
}

impl Place {
    /// The last word counts, as for Kube-OVN.
    fn value(&self, name: &str) -> Option<Option<&str>> {
        let found = self.arguments.iter().rfind(|found| key(found) == name)?;
        Some(found.split_once('=').map(|(_, value)| value))
    }

    /// `--flag` alone is true; else what Go's `strconv.ParseBool` takes.
    fn flag(&self, name: &str, default: bool, object: &str, findings: &Findings) -> bool {
        match self.value(name) {
            None => default,
            Some(None | Some("1" | "t" | "T" | "true" | "TRUE" | "True")) => true,
            Some(Some("0" | "f" | "F" | "false" | "FALSE" | "False")) => false,
            Some(Some(other)) => {
                let what = format!("is {other:?}, with which kube-ovn-controller does not start");
                findings.add(Severity::Error, "BadField", (object, name), what, "write true or false");
                default
            }
        }
    }

    fn networks(&self, name: &str, object: &str, findings: &Findings) -> Vec<IpNet> {
        let text = self.value(name).flatten().unwrap_or_default();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let network = |entry: &str| {
            let network = entry.parse().ok();
            if network.is_none() {
                let what = format!("{entry:?} is no CIDR");
                findings.add(
                    Severity::Error,
                    "BadField",
                    (object, name),
                    what,
                    "write networks, as 10.0.0.0/8",
                );
            }
            network
        };
        entries.filter_map(network).collect()
    }
}

fn key(argument: &str) -> &str {
    argument.split_once('=').map_or(argument, |(key, _)| key)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(arguments: &[&str]) -> Value {
        let container = json!({ "name": "kube-ovn-controller", "args": arguments });
        let containers = json!([{ "name": "sidecar" }, container]);
        json!({ "metadata": { "namespace": "kube-ovn" }, "spec": { "template": { "spec": { "containers": containers } } } })
    }

    fn read(arguments: &[&str]) -> (Flags, Vec<String>) {
        let findings = Findings::default();
        let flags = Flags::read(&deployment(arguments), &findings).unwrap();
        (flags, findings.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_not_written_is_kube_ovns_default_and_the_last_word_counts() {
        let (flags, findings) = read(&["/kube-ovn/start-controller.sh"]);
        assert_eq!((flags.native, flags.skips_subnet_addresses, flags.rewrites_mac), (false, true, true));
        assert_eq!(findings, Vec::<String>::new());
        let (flags, _) = read(&["--enable-ovn-lb-prefer-local=false", "--enable-ovn-lb-prefer-local"]);
        assert!(flags.native);
        assert!(
            flags
                .command(NATIVE, "false")
                .contains(r#""replace","path":"/spec/template/spec/containers/1/args/1""#)
        );
        assert!(
            flags
                .command(SKIPS, "false")
                .contains(r#"{"op":"add","path":"/spec/template/spec/containers/1/args/-""#)
        );
        let (flags, _) = read(&["--enable-ovn-lb-prefer-local=true", "--enable-lb=false"]);
        assert!(!flags.native);
    }

    #[test]
    fn a_value_that_kube_ovn_does_not_take_is_told() {
        let (flags, findings) =
            read(&["--enable-ovn-lb-prefer-local=yes", "--skip-conntrack-dst-cidrs=10.0.0.0/8,ten"]);
        assert_eq!(flags.skipped, ["10.0.0.0/8".parse::<IpNet>().unwrap()]);
        let [flag, network] = &findings[..] else { panic!("{findings:?}") };
        assert!(flag.contains("\"yes\"") && network.contains("\"ten\" is no CIDR"), "{findings:?}");
    }
}
