//! The documents against each other: no link leads nowhere, every command is one, and the Chinese pages have what the English have.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// A document without its fenced blocks, and these.
struct Document {
    prose: Vec<String>,
    blocks: Vec<Block>,
}

/// A fenced block, or an indented one, which is shell.
#[derive(Debug)]
struct Block {
    /// What stands behind the fence: `sh`, `sh run`.
    language: String,
    lines: Vec<String>,
}

fn read(path: &Path) -> Document {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut prose, mut blocks, mut inside) = (Vec::new(), Vec::<Block>::new(), false);
    let (mut follows_blank, mut indented) = (true, false);
    for line in text.lines() {
        if !inside && line.starts_with("    ") && (follows_blank || indented) {
            if !indented {
                blocks.push(Block { language: "sh".to_owned(), lines: Vec::new() });
            }
            indented = true;
            blocks.last_mut().unwrap().lines.push(line.trim().to_owned());
            continue;
        }
        (follows_blank, indented) = (line.is_empty(), false);
        match (line.trim_start().strip_prefix("```"), inside) {
            (Some(language), false) => {
                blocks.push(Block { language: language.trim().to_owned(), lines: Vec::new() });
                inside = true;
            }
            (Some(_), true) => inside = false,
            (None, true) => blocks.last_mut().unwrap().lines.push(line.trim().to_owned()),
            (None, false) => prose.push(line.to_owned()),
        }
    }
    assert!(!inside, "{}: a fence is not closed", path.display());
    Document { prose, blocks }
}

fn documents() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join("docs")]);
    let is_document = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "md");
    let listed = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    found.extend(listed(&root()).into_iter().filter(is_document));
    while let Some(folder) = folders.pop() {
        for path in listed(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if is_document(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(document: &Document) -> BTreeSet<String> {
    let headings = document
        .prose
        .iter()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let mut seen = BTreeMap::<String, usize>::new();
    let mut found = BTreeSet::new();
    for heading in headings {
        let heading = heading.trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let times = seen.entry(slug.clone()).or_default();
        found.insert(if *times == 0 { slug } else { format!("{slug}-{times}") });
        *times += 1;
    }
    found
}

/// Where the links of a document lead to, those within the project.
fn links(document: &Document) -> Vec<String> {
    let prose = document.prose.iter();
    let targets = prose.flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split_once(')')));
    let targets = targets.map(|(target, _)| target.to_owned());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for path in documents() {
        for link in links(&read(&path)) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let is_there = target.exists() && (anchor.is_empty() || anchors(&read(&target)).contains(anchor));
            if !is_there {
                dead.push(format!("{}: {link}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(dead.is_empty(), "these links lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn every_command_is_shell() {
    let mut wrong = Vec::new();
    for path in documents() {
        for block in read(&path).blocks.iter().filter(|block| block.language.split(' ').next() == Some("sh"))
        {
            let said = Command::new("bash").args(["-n", "-c", &block.lines.join("\n")]).output().unwrap();
            if !said.status.success() {
                wrong.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&said.stderr)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The pages that both languages have. `docs/reference.md` is held by `tests/reference.rs` besides.
const BOTH: [&str; 8] = [
    "install",
    "migrate",
    "troubleshoot",
    "operate",
    "reference",
    "compatibility",
    "security",
    "architecture",
];

/// What a block says, without its comments: they may be translated.
fn said(block: &Block) -> (String, Vec<String>) {
    let without = |line: &String| match line.split_once(" # ") {
        _ if line.starts_with("# ") => String::new(),
        Some((command, _)) => command.trim_end().to_owned(),
        None => line.clone(),
    };
    (block.language.clone(), block.lines.iter().map(without).filter(|line| !line.is_empty()).collect())
}

/// How deep each heading lies, in order.
fn levels(document: &Document) -> Vec<usize> {
    let headings = document.prose.iter().filter(|line| line.starts_with('#'));
    headings.map(|line| line.chars().take_while(|c| *c == '#').count()).collect()
}

#[test]
fn both_languages_have_the_same_commands_and_headings() {
    let mut differing = Vec::new();
    let mut pages = vec![("README.md".to_owned(), "README.zh.md".to_owned())];
    pages.extend(BOTH.map(|page| (format!("docs/{page}.md"), format!("docs/zh/{page}.md"))));
    for (english, chinese) in pages {
        let (ours, theirs) = (read(&root().join(&english)), read(&root().join(&chinese)));
        let blocks = |document: &Document| document.blocks.iter().map(said).collect::<Vec<_>>();
        let (wanted, found) = (blocks(&ours), blocks(&theirs));
        if let Some(at) = (0..wanted.len().max(found.len())).find(|at| wanted.get(*at) != found.get(*at)) {
            differing.push(format!(
                "{chinese}: block {at} is {:?}, and in {english} {:?}",
                found.get(at),
                wanted.get(at)
            ));
        }
        if levels(&ours) != levels(&theirs) {
            differing.push(format!("{chinese}: its headings are not those of {english}"));
        }
    }
    assert!(differing.is_empty(), "translate what changed:\n{}", differing.join("\n"));
}
