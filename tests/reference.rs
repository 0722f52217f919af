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

const ENGLISH: &str = "\
# Reference

Made from the code by `UPDATE_GOLDEN=1 cargo test --features lab --test reference`, which holds it: do not edit. Elsewhere:
[annotations and labels](annotations.md), [every \"no\" with its cause and cure](refusals.md), [the chart's values](../deploy/chart/values.yaml).

A flag that has an environment variable may be given by either; the flag counts more.
";

const CHINESE: &str = "\
# 参考

由代码和 `tests/reference/chinese.txt` 生成，并由测试保证与代码一致：`UPDATE_GOLDEN=1 cargo test --features lab --test reference`，请勿手工修改。其他参考：
[注解与标签](../annotations.md)、[所有拒绝原因及解决办法](../refusals.md)（英文）、[chart 的 values](../../deploy/chart/values.yaml)。

带有环境变量的参数可以用任意一种方式给出，命令行参数优先。
";

/// A flag, or a value without one, as it stands in the table; as often as its help differs.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flag {
    written: String,
    environment: String,
    default: String,
    help: String,
}

/// Which commands have it.
type Flags = BTreeMap<Flag, Vec<String>>;

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

fn row(argument: &Arg) -> Flag {
    let environment =
        argument.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
    let default =
        if defaults.is_empty() || is_switch { String::new() } else { format!("`{}`", defaults.join(" ")) };
    Flag { written: written(argument), environment, default, help: help(argument) }
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

/// What differs from one language to the other.
struct Page {
    introduction: &'static str,
    commands: &'static str,
    flags: &'static str,
    flag_columns: &'static str,
    metrics: &'static str,
    metric_columns: &'static str,
    /// The words for a command, a flag or a metric, where they are not the code's own.
    words: BTreeMap<String, String>,
}

fn english() -> Page {
    Page {
        introduction: ENGLISH,
        commands: "Commands",
        flags: "Flags",
        flag_columns: "| flag | of | environment | default | |",
        metrics: "Metrics\n\n`controller` serves them on port 10685, `speaker` on 10686 of its node. Times are in seconds. “By reason” names the label.",
        metric_columns: "| metric | type | of | |",
        words: BTreeMap::new(),
    }
}

fn chinese() -> Page {
    let words = fs::read_to_string(root().join("tests/reference/chinese.txt")).unwrap();
    let words = words.lines().filter(|line| !line.starts_with('#'));
    Page {
        introduction: CHINESE,
        commands: "命令",
        flags: "启动参数",
        flag_columns: "| 参数 | 命令 | 环境变量 | 默认值 | |",
        metrics: "监控指标\n\n`controller` 在 10685 端口、`speaker` 在其节点的 10686 端口提供。时间以秒为单位。“按 reason”指标签名。",
        metric_columns: "| 指标 | 类型 | 组件 | |",
        words: words
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, words)| (name.into(), words.into()))
            .collect(),
    }
}

/// Renders a page. Words for what is no more, or none for what is, are collected.
struct Rendering {
    page: Page,
    used: BTreeSet<String>,
    missing: BTreeSet<String>,
}

impl Rendering {
    /// The page's words for a name, or those of the code.
    fn words(&mut self, name: &str, of_the_code: &str) -> String {
        if self.page.words.is_empty() {
            return of_the_code.to_owned();
        }
        self.used.insert(name.to_owned());
        let words = self.page.words.get(name).cloned();
        words.unwrap_or_else(|| {
            self.missing.insert(name.to_owned());
            String::new()
        })
    }

    fn commands(&mut self, text: &mut String) {
        let _ = write!(text, "\n## {}\n", self.page.commands);
        for (name, mut command) in commands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let about = self.words(&name, cell(&about).trim_end_matches('.'));
            let end = if self.page.words.is_empty() { "." } else { "。" };
            let usage = command.render_usage().to_string();
            let usage = usage.trim_start_matches("Usage: ");
            let _ = write!(text, "\n### ovn-vip {name}\n\n{about}{end}\n\n```\n{usage}\n");
            if let Some(after) = command.get_after_long_help() {
                let _ = write!(text, "\n{}\n", after.to_string().trim_end());
            }
            text.push_str("```\n");
        }
    }

    fn flags(&mut self, text: &mut String) {
        let _ =
            write!(text, "\n## {}\n\n{}\n|---|---|---|---|---|\n", self.page.flags, self.page.flag_columns);
        let mut rows = BTreeMap::<_, BTreeSet<String>>::new();
        for (Flag { written, environment, default, help }, of) in flags() {
            let name = written.trim_matches('`').split("--").last().unwrap_or_default();
            let name = if written.contains("--") {
                format!("--{}", name.split(' ').next().unwrap_or_default())
            } else {
                name.replace('\\', "")
            };
            let help = self.words(&name, &help);
            rows.entry((name, written, environment, default, help)).or_default().extend(of);
        }
        for ((_, written, environment, default, help), of) in rows {
            let of = of.into_iter().collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "| {written} | {of} | {environment} | {default} | {help} |");
        }
    }

    fn metrics(&mut self, text: &mut String) {
        let _ =
            write!(text, "\n## {}\n\n{}\n|---|---|---|---|\n", self.page.metrics, self.page.metric_columns);
        for (Known { name, kind, help }, of) in all_metrics() {
            let help = self.words(&name, &cell(&help));
            let _ = writeln!(text, "| `{name}` | {kind} | {} | {help} |", of.join(", "));
        }
    }
}

fn hold(path: &str, page: Page) {
    let mut rendering = Rendering { page, used: BTreeSet::new(), missing: BTreeSet::new() };
    let mut wanted = rendering.page.introduction.to_owned();
    rendering.commands(&mut wanted);
    rendering.flags(&mut wanted);
    rendering.metrics(&mut wanted);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(root().join(path), &wanted).unwrap();
    }
    let found = fs::read_to_string(root().join(path)).unwrap_or_default();
    let differs = wanted.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    assert!(wanted == found, "{path} is stale at {differs:?} (UPDATE_GOLDEN=1 writes it)");
    let Rendering { page, used, missing } = rendering;
    let left: BTreeSet<_> = page.words.into_keys().filter(|name| !used.contains(name)).collect();
    assert!(
        missing.is_empty() && left.is_empty(),
        "{path}: no words for {missing:?}; words for nothing: {left:?}"
    );
}

#[test]
fn the_reference_says_what_the_code_does() {
    hold("docs/reference.md", english());
}

#[test]
fn the_chinese_reference_says_what_the_code_does() {
    hold("docs/zh/reference.md", chinese());
}

/// The names in a text that is written by hand.
fn missing(names: impl IntoIterator<Item = String>, page: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    names.into_iter().filter(|name| !text.contains(name.as_str())).collect()
}

/// Every source file's text below a folder.
fn sources(folder: &str) -> Vec<String> {
    let (mut texts, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

/// What a condition or an Event may have as its reason and is no refusal's name (`tests/refusals.rs` holds those).
#[test]
fn every_reason_of_a_condition_or_event_is_documented_in_both_languages() {
    let says = |source: &&str| source.contains("Saying::Event {") || source.contains("Status::Unknown,");
    let sources = [sources("src/controller"), sources("src/node")].concat();
    let code = sources.iter().map(|source| source.split("#[cfg(test)]").next().unwrap());
    let is_reason = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.len() > 3
            && word.chars().all(|c| c.is_ascii_alphabetic())
    };
    let words = code.filter(says).flat_map(|source| source.split('"').skip(1).step_by(2).filter(is_reason));
    let names: BTreeSet<String> = words.map(|word| format!("`{word}`")).collect();
    assert!(names.contains("`PartlyServed`") && names.contains("`AllocationFailed`"), "found {names:?}");
    for page in ["docs/troubleshoot.md", "docs/zh/troubleshoot.md"] {
        assert_eq!(missing(names.iter().cloned(), page), BTreeSet::new(), "{page} lacks them");
    }
}

/// Every name under our domain that stands in the code: annotations, labels, conditions, marks of rows.
#[test]
fn every_mark_is_documented() {
    let names: BTreeSet<String> = sources("src").iter().flat_map(|source| marks(source)).collect();
    assert!(names.len() > 10, "the search finds {names:?}");
    assert_eq!(missing(names, "docs/annotations.md"), BTreeSet::new(), "docs/annotations.md lacks them");
}

fn marks(source: &str) -> BTreeSet<String> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '/');
    let after = source.split("\"ovn-vip.io/").skip(1);
    let names = after.map(|rest| rest.split(ends).next().unwrap_or_default());
    names.filter(|name| !name.is_empty()).map(|name| format!("ovn-vip.io/{name}")).collect()
}
