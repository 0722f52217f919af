//! NB_Global: which OVN this is, and what it has been told to leave alone.

use ipnet::IpNet;

use crate::model::{Locality, Network};
use crate::ovsdb::Replica;

use super::rows::{NB_GLOBAL, map};

/// Reads NB_Global's options into the network; whether that altered it.
pub(super) fn read(replica: &Replica, network: &mut Network) -> bool {
    let options = replica.rows(NB_GLOBAL).next().map(|(_, row)| map(row, "options")).unwrap_or_default();
    let northd_version = options.get("northd_internal_version").cloned();
    let is = |key: &str, value: &str| options.get(key).is_some_and(|found| found == value);
    let cidrs = options.get("skip_conntrack_dst_cidrs").map(String::as_str).unwrap_or_default();
    let skipped_cidrs: Vec<IpNet> = cidrs.split(',').filter_map(|cidr| cidr.trim().parse().ok()).collect();
    let skips_subnet_addresses = is("ls_ct_skip_dst_lport_ips", "true");
    // Kube-OVN mirrors its flags into the options of the OVN that it ships, whatever their values.
    let locality = if options.contains_key("ls_dnat_mod_dl_dst") {
        Some(Locality::PreferLocal)
    } else {
        northd_version.as_deref().and_then(upstream_locality)
    };
    let altered = network.locality != locality
        || network.northd_version != northd_version
        || network.skips_subnet_addresses != skips_subnet_addresses
        || network.skipped_cidrs != skipped_cidrs;
    network.locality = locality;
    network.northd_version = northd_version;
    network.skips_subnet_addresses = skips_subnet_addresses;
    network.skipped_cidrs = skipped_cidrs;
    altered
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
            assert_eq!(upstream_locality(version), wanted, "{version}");
        }
    }
}
