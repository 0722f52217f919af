//! Names that Kubernetes takes.

/// The longest name that MetalLB's own converter leaves, and that fits a label (RFC 1123 §2.1).
const LONGEST: usize = 63;

/// The name as Kubernetes takes it (a label of RFC 1123 §2.1): small letters, digits and `-`, a letter or digit at both
/// ends. `None` where nothing of it is left.
pub(super) fn object_name(name: &str) -> Option<String> {
    let small = name.to_lowercase();
    let fit: String = small.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let fit = fit.trim_matches('-');
    let fit = fit.get(..LONGEST).unwrap_or(fit).trim_end_matches('-');
    (!fit.is_empty()).then(|| fit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_name_stays_and_another_is_made_to_fit() {
        for (name, want) in [
            ("my-pool-1", Some("my-pool-1")),
            ("01-numbered", Some("01-numbered")),
            ("Capital_Pool", Some("capital-pool")),
            ("-a.b-", Some("a-b")),
            ("池", None),
            ("", None),
        ] {
            assert_eq!(object_name(name).as_deref(), want, "{name}");
        }
        assert_eq!(object_name(&format!("{}-tail", "a".repeat(62))).map(|name| name.len()), Some(62));
    }
}
