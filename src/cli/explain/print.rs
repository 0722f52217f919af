//! What was found, for people and machines.

use std::fmt::Write;

use serde_json::{Value, json};

use super::steps::{Explained, Mark, Step, Verdict, Wrong};

/// The shape of what is printed as JSON: what is there keeps its name and meaning within a version.
const SCHEMA: &str = "ovn-vip.io/explain/v1";

/// Each way, to its first wrong step.
pub fn text(explained: &[Explained]) -> String {
    let mut text = String::new();
    for (index, found) in explained.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let vip = found.vip.map(|vip| format!(", VIP {vip}")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Service {}{vip}", found.service);
        for step in &found.steps {
            put(&mut text, step);
            if step.mark == Mark::Wrong {
                break;
            }
        }
        let verdict = match found.verdict {
            Verdict::Served => "served".to_owned(),
            Verdict::SaidToBeServed => said_to_be_served(&found.unasked),
            Verdict::NotServed => "not served".to_owned(),
            Verdict::LeftUnseen => {
                "left to another, and nobody looked whether that serves it; --ovn-sb looks".to_owned()
            }
            Verdict::LeftToOthers => "left to others, who announce it".to_owned(),
            Verdict::Unknown => {
                "nothing was found that darkens it; whether it is served is not known".to_owned()
            }
        };
        let is_doubtful = found.steps.iter().any(|step| step.mark == Mark::Doubtful);
        let look =
            if is_doubtful && found.verdict != Verdict::NotServed { "; see what is marked !" } else { "" };
        let _ = writeln!(text, "= {verdict}{look}");
    }
    text
}

/// Names what was not given only.
fn said_to_be_served(unasked: &[&str]) -> String {
    let further = match unasked {
        [] => "not all of it could be looked at".to_owned(),
        [flag] => format!("{flag} looks"),
        [flags @ .., last] => format!("{} and {last} look", flags.join(", ")),
    };
    format!("served, by what controller and speakers have said; {further}")
}

fn put(text: &mut String, Step { step, mark, says, reasons: _, wrongs }: &Step) {
    let sign = match mark {
        Mark::Right => '✓',
        Mark::Wrong => '✗',
        Mark::Doubtful => '!',
        Mark::Unknown => '?',
    };
    let wrongs = wrongs.iter().flat_map(|Wrong { is, cure }| [is.clone(), format!("cure: {cure}")]);
    let lines: Vec<String> = says.iter().cloned().chain(wrongs).collect();
    let mut lines = lines.iter().flat_map(|line| line.lines());
    let _ =
        writeln!(text, "{}", format!("{sign} {step:10}  {}", lines.next().unwrap_or_default()).trim_end());
    for line in lines {
        let _ = writeln!(text, "{:14}{line}", "");
    }
}

/// All steps.
pub fn as_json(explained: &[Explained]) -> Value {
    json!({ "schema": SCHEMA, "explained": explained })
}
