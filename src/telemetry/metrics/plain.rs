//! OpenMetrics as Prometheus' older text format, for scrapers that know no other.

use std::collections::BTreeSet;

/// The same in the text format 0.0.4: a counter is described by the name that its samples have, and nothing marks the end.
pub fn text(open: &str) -> String {
    let counters: BTreeSet<&str> =
        open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(open.len() + 64 * counters.len());
    for line in open.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let described = ["# HELP ", "# TYPE "].iter().find_map(|word| Some((word, line.strip_prefix(word)?)));
        match described.and_then(|(word, rest)| Some((word, rest.split_once(' ')?))) {
            Some((word, (name, rest))) if counters.contains(name) => {
                text.extend([word, name, "_total ", rest]);
            }
            Some(_) | None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_by_their_samples_names() {
        let open = "# HELP a_rows Rows.\n# TYPE a_rows counter\na_rows_total{x=\"y\"} 1\n# HELP b B.\n# TYPE b gauge\nb 2\n# EOF\n";
        let plain = "# HELP a_rows_total Rows.\n# TYPE a_rows_total counter\na_rows_total{x=\"y\"} 1\n# HELP b B.\n# TYPE b gauge\nb 2\n";
        assert_eq!(text(open), plain);
    }
}
