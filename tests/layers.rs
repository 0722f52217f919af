//! Holds the dependency table of `src/lib.rs`: who imports whom, and what the pure half never touches.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Module to the siblings that it may import. Shells and `io` may import anything above them.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("ovsdb", &[]),
    ("plan", &["model"]),
    ("allocate", &["model"]),
    ("l2", &["model"]),
    ("flows", &["model"]),
    ("nb", &["model", "ovsdb"]),
    ("kube", &["model"]),
    ("import", &["model", "plan"]),
    ("node", &["model", "plan", "flows", "l2", "ovsdb", "kube"]),
    ("io", &["model", "ovsdb", "plan", "l2", "flows", "nb", "kube"]),
    ("settings", &["plan", "allocate", "l2", "node", "io"]),
    ("telemetry", &["settings", "io"]),
    ("controller", &["allocate", "model", "ovsdb", "plan", "nb", "kube", "io", "settings", "telemetry"]),
    ("speaker", &["model", "ovsdb", "flows", "l2", "kube", "node", "io", "settings", "telemetry"]),
    (
        "cli",
        &[
            "allocate",
            "model",
            "ovsdb",
            "plan",
            "nb",
            "kube",
            "import",
            "io",
            "settings",
            "telemetry",
            "controller",
            "node",
            "speaker",
        ],
    ),
];

/// Words that have no place in the pure half: runtimes, sockets, files, the clock.
const PURE: &[&str] = &["model", "ovsdb", "plan", "allocate", "l2", "flows", "nb", "kube", "import", "node"];
/// Kubernetes' own types are what this pure room reads; a client it has not.
const READS_KUBERNETES: &str = "kube";
const IMPURE_WORDS: &[&str] = &[
    "tokio::",
    "std::fs",
    "std::net::Tcp",
    "std::os::",
    "socket2::",
    "libc::",
    "k8s_openapi::",
    "kube::",
    "::now()",
];

#[test]
fn modules_import_only_what_the_table_allows() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY_IMPORT.iter().map(|(module, imports)| (*module, imports.iter().copied().collect())).collect();
    let mut broken = Vec::new();
    for (module, file, text) in sources() {
        let Some(allowed) = allowed.get(module.as_str()) else { continue };
        for (number, import) in imports(&text) {
            if import != module && !allowed.contains(import.as_str()) {
                broken.push(format!("{}:{number}: {module} may not import {import}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_pure_half_touches_neither_sockets_nor_files_nor_the_clock() {
    let mut broken = Vec::new();
    for (module, file, text) in sources().filter(|(module, ..)| PURE.contains(&module.as_str())) {
        // Its tests may: an Instant has no other beginning than now.
        let is_test = file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        let text = if is_test { "" } else { text.split("\n#[cfg(test)]\n").next().unwrap_or_default() };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !is_comment(line)) {
            // Our own room of that name is no client.
            let line = line.replace("crate::kube::", "");
            let allowed = |word: &str| module == READS_KUBERNETES && word == "k8s_openapi::";
            for word in IMPURE_WORDS.iter().filter(|word| line.contains(**word) && !allowed(word)) {
                broken.push(format!("{}:{}: {module} is pure and says {word}", file.display(), number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_module_is_in_the_table() {
    let table: BTreeSet<&str> = MAY_IMPORT.iter().map(|(module, _)| *module).collect();
    let unknown: BTreeSet<String> =
        sources().map(|(module, ..)| module).filter(|module| !table.contains(module.as_str())).collect();
    assert!(unknown.is_empty(), "give these a row in the table: {unknown:?}");
}

#[test]
fn files_stay_short() {
    let long = sources().filter(|(_, _, text)| text.lines().count() > 400);
    let long: Vec<PathBuf> = long.map(|(_, file, _)| file).collect();
    assert!(long.is_empty(), "over 400 lines, is there a wall missing? {long:?}");
}

/// Module, path and text of every source file but the crate's two roots.
fn sources() -> impl Iterator<Item = (String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    files.sort();
    files.into_iter().filter_map(move |file| {
        let inside = file.strip_prefix(&src).unwrap();
        let module = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = module.trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        (module != "lib" && module != "main").then_some((module, file, text))
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push(path),
        }
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// The modules that a text names by `crate::…`, also in a list `crate::{a, b}` of several lines, each with its line.
fn imports(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().map(|line| if is_comment(line) { "" } else { line }).collect();
    let text = lines.join("\n");
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let mut note = |far: usize| found.push((text[..at + far].lines().count(), word(&rest[far..])));
        let Some(list) = rest.strip_prefix('{') else {
            note(0);
            continue;
        };
        let (mut depth, mut is_start) = (0, true);
        for (far, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => is_start = true,
                c if is_start && depth == 0 && !c.is_whitespace() => {
                    note(far + 1);
                    is_start = false;
                }
                _ => {}
            }
        }
    }
    found.retain(|(_, name)| !name.is_empty());
    found
}

#[test]
fn an_import_of_several_lines_is_read() {
    let text = "use crate::{\n    // crate::cli\n    model::{self, World},\n    plan,\n};\nlet a = crate::l2::b();\n";
    let found: Vec<String> = imports(text).into_iter().map(|(_, name)| name).collect();
    assert_eq!(found, ["model", "plan", "l2"]);
}
