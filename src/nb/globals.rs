//! NB_Global: which OVN this is, and what it has been told to leave alone.

use ipnet::IpNet;

use crate::model::{Locality, Network};
use crate::ovsdb::Replica;

use super::rows::{NB_GLOBAL, map};
use super::seen::instead;

/// Reads NB_Global's options into the network; whether that altered it.
pub(super) fn read(replica: &Replica, network: &mut Network) -> bool {
    let options = replica.rows(NB_GLOBAL).next().map(|(_, row)| map(row, "options")).unwrap_or_default();
    let northd_version = options.get("northd_internal_version").cloned();
    let is = |key: &str, value: &str| options.get(key).is_some_and(|found| found == value);
    let cidrs = options.get("skip_conntrack_dst_cidrs").map(String::as_str).unwrap_or_default();
    let skipped_cidrs: Vec<IpNet> = cidrs.split(',').filter_map(|cidr| cidr.trim().parse().ok()).collect();
    let skips_subnet_addresses = is("ls_ct_skip_dst_lport_ips", "true");
    let kube_ovn = options.contains_key("ls_dnat_mod_dl_dst");
    let keeps_destination_mac = options.get("ls_dnat_mod_dl_dst").is_some_and(|value| value != "true");
    let locality = locality(northd_version.as_deref().unwrap_or_default(), kube_ovn);
    let locality = instead(locality, northd_version.as_ref(), &network.given_up);
    let altered = network.locality != locality
        || network.northd_version != northd_version
        || network.skips_subnet_addresses != skips_subnet_addresses
        || network.keeps_destination_mac != keeps_destination_mac
        || network.skipped_cidrs != skipped_cidrs;
    network.locality = locality;
    network.northd_version = northd_version;
    network.skips_subnet_addresses = skips_subnet_addresses;
    network.keeps_destination_mac = keeps_destination_mac;
    network.skipped_cidrs = skipped_cidrs;
    altered
}

/// The release decides first: Kube-OVN's build of 26.03 has no `prefer_local_backend` any more, its builds of older ones have.
/// Kube-OVN mirrors its flags into the options of the OVN that it ships, whatever their values: that tells its builds.
fn locality(northd_version: &str, kube_ovn: bool) -> Option<Locality> {
    upstream_locality(northd_version).or(kube_ovn.then_some(Locality::PreferLocal))
}

/// `options:distributed` is in OVN 26.03 and newer (its NEWS); the version reads `26.03.1-21.8.0-82.14`.
fn upstream_locality(northd_version: &str) -> Option<Locality> {
    let mut parts = northd_version.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    let release = (parts.next()??, parts.next()??);
    (release >= (26, 3)).then_some(Locality::Distributed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ovn_26_03_and_newer_distributes() {
        for (version, wanted) in [
            ("26.03.1-21.8.0-82.14", Some(Locality::Distributed)),
            ("26.03.0-1.1.0-1.1", Some(Locality::Distributed)),
            ("27.09.0-1.1.0-1.1", Some(Locality::Distributed)),
            ("25.09.2-20.41.0-78.8", None),
            ("23.03.1-20.27.1-70.6", None),
            ("", None),
            ("main", None),
        ] {
            assert_eq!(locality(version, false), wanted, "{version}");
        }
    }

    #[test]
    fn kube_ovns_builds_prefer_local_backends_until_they_too_distribute() {
        for (version, wanted) in [
            ("24.03.8-20.33.0-76.0", Locality::PreferLocal),
            ("25.03.4-20.41.0-78.8", Locality::PreferLocal),
            ("", Locality::PreferLocal),
            ("26.03.3-21.8.0-82.14", Locality::Distributed),
        ] {
            assert_eq!(locality(version, true), Some(wanted), "{version}");
        }
    }
}
