//! `docs/reference.md` against the code: commands, flags and metrics are rendered from it. `UPDATE_GOLDEN=1` writes the file.
//! `docs/annotations.md`, written by hand, must name each mark of ours.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory};
use ovn_vip::settings::CommandLine;
use ovn_vip::telemetry::metrics::{ControllerMetrics, Known, SpeakerMetrics};

const INTRODUCTION: &str = "\
# Reference

Made from the code by `UPDATE_GOLDEN=1 cargo test --features lab --test reference`, which holds it: do not edit. Elsewhere:
[annotations and labels](annotations.md), [every \"no\" with its cause and cure](refusals.md), [the chart's values](../deploy/chart/values.yaml).

A flag that has an environment variable may be given by either; the flag counts more.
";

/// A flag, as often as its help differs: what it says, and which commands have it.
type Flags = BTreeMap<(String, String), Vec<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn command_line() -> Command {
    let mut command = CommandLine::command();
    command.build();
    command
}

/// Those that are shown in `--help`, with the commands within them: `import gdcv`.
fn commands() -> Vec<(String, Command)> {
    let mut all = Vec::new();
    let is_shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for command in command_line().get_subcommands().filter(is_shown) {
        all.push((command.get_name().to_owned(), command.clone()));
        for within in command.get_subcommands().filter(is_shown) {
            all.push((format!("{} {}", command.get_name(), within.get_name()), within.clone()));
        }
    }
    all
}

/// One line, fit for a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// What is said of an argument, its values with it.
fn help(argument: &Arg) -> String {
    let text = argument.get_long_help().or(argument.get_help()).map(ToString::to_string);
    let mut text = cell(&text.unwrap_or_default());
    let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
    for value in argument.get_possible_values().iter().filter(|_| !is_switch) {
        if let Some(help) = value.get_help() {
            let _ = write!(text, "<br>`{}`: {}", value.get_name(), cell(&help.to_string()));
        }
    }
    text
}

/// `--name VALUE`, or `VALUE` alone.
fn written(argument: &Arg) -> String {
    let takes_value = argument.get_action().takes_values();
    let values: Vec<String> =
        argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let value = if takes_value { values.join(" ") } else { String::new() };
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    match argument.get_long() {
        Some(long) => format!("`{}`", format!("{short}--{long} {value}").trim_end()),
        None => format!("`{}`", value.replace('|', "\\|")),
    }
}

fn row(argument: &Arg) -> (String, String) {
    let variable = argument.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
    let default =
        if defaults.is_empty() || is_switch { String::new() } else { format!("`{}`", defaults.join(" ")) };
    (written(argument), format!("{variable} | {default} | {}", help(argument)))
}

fn flags() -> Flags {
    let mut flags = Flags::new();
    let commands = commands();
    for (name, command) in &commands {
        for argument in command.get_arguments() {
            if !matches!(argument.get_id().as_str(), "help" | "version") {
                flags.entry(row(argument)).or_default().push(name.clone());
            }
        }
    }
    for named in flags.values_mut().filter(|named| named.len() == commands.len()) {
        *named = vec!["all".to_owned()];
    }
    flags
}

/// Each with those that serve it.
fn all_metrics() -> BTreeMap<Known, Vec<&'static str>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for (of, health) in [("controller", ControllerMetrics::new().1), ("speaker", SpeakerMetrics::new().1)] {
        health.known().iter().for_each(|metric| all.entry(metric.clone()).or_default().push(of));
    }
    all
}

fn rendered() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n## Commands\n");
    for (name, mut command) in commands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let usage = command.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        let _ =
            write!(text, "\n### ovn-vip {name}\n\n{}.\n\n```\n{usage}\n", cell(&about).trim_end_matches('.'));
        if let Some(after) = command.get_after_long_help() {
            let _ = write!(text, "\n{}\n", after.to_string().trim_end());
        }
        text.push_str("```\n");
    }
    text.push_str("\n## Flags\n\n| flag | of | environment | default | |\n|---|---|---|---|---|\n");
    let mut flags: Vec<_> = flags().into_iter().collect();
    flags.sort_by_key(|((flag, _), _)| flag.rsplit("--").next().map(str::to_owned));
    for ((flag, rest), of) in flags {
        let _ = writeln!(text, "| {flag} | {} | {rest} |", of.join(", "));
    }
    text.push_str("\n## Metrics\n\n`controller` serves them on port 10685, `speaker` on 10686 of its node. Times are in seconds. “By reason” names the label.\n\n");
    text.push_str("| metric | type | of | |\n|---|---|---|---|\n");
    for (Known { name, kind, help }, of) in all_metrics() {
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {} |", of.join(", "), cell(&help));
    }
    text
}

#[test]
fn the_reference_says_what_the_code_does() {
    let path = root().join("docs/reference.md");
    let wanted = rendered();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = wanted.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    assert!(wanted == found, "docs/reference.md is stale at {differs:?} (UPDATE_GOLDEN=1 writes it)");
}

/// The names in a text that is written by hand.
fn missing(names: impl IntoIterator<Item = String>, page: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    names.into_iter().filter(|name| !text.contains(name.as_str())).collect()
}

/// Every name under our domain that stands in the code: annotations, labels, conditions, marks of rows.
#[test]
fn every_mark_is_documented() {
    let mut names = BTreeSet::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                names.extend(marks(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(names.len() > 10, "the search finds {names:?}");
    assert_eq!(missing(names, "docs/annotations.md"), BTreeSet::new(), "docs/annotations.md lacks them");
}

fn marks(source: &str) -> BTreeSet<String> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '/');
    let after = source.split("\"ovn-vip.io/").skip(1);
    let names = after.map(|rest| rest.split(ends).next().unwrap_or_default());
    names.filter(|name| !name.is_empty()).map(|name| format!("ovn-vip.io/{name}")).collect()
}
